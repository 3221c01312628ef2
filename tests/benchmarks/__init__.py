"""What `make bench` runs, and what writes its tables."""
