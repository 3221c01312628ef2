"""The art: a short function for each kind of sprite, a file for each class."""
