"""From what a user has to the tile archive."""
