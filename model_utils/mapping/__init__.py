"""Maps: a fitted model of a city at places and dates that nobody measured, in files that others read."""
