"""Lab 3, its exercise sheet and its checks."""
