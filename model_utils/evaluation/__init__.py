"""Statistics of predictions, with intervals."""
