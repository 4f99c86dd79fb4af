"""The cells of a map, and what images show of them."""
