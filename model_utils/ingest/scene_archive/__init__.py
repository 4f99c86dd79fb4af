"""Satellite scenes and station readings become the archive of a city, or are added to it."""
