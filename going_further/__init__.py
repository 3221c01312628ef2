"""After the four labs: the same diffusion model with other schedules, a stronger network and other data."""
