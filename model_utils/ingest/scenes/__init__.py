"""The pixels of scenes: opened, placed on the lattice of the tiles, and cut."""
