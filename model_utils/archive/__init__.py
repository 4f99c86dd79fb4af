"""The tile archive: what reads the world writes it, what learns reads only it."""
