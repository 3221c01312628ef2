"""The checks of the exercises and the clinics, tested."""
