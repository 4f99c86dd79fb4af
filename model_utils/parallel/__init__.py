"""Work that outgrows one process."""
