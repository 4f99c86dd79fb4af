"""Weather from the readings, from tables or from reanalysis, checked for plausibility."""
