"""The sprites, and the program that draws them."""
