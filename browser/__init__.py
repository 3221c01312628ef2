"""Sprites in the browser: a static page that draws with the course's network, and the program that puts it together."""
