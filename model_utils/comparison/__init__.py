"""The honest comparison: every method, every reference, with intervals."""
