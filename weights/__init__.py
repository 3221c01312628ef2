"""The trained networks, and the programs that make and measure them."""
