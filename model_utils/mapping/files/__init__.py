"""The files of a map, each in a format that others read."""
