"""The synthetic city: readings, surface, optics, rendering into an archive."""
