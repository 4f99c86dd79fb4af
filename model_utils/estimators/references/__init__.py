"""Predictions without a learnt image encoder: what a method must beat before its images can be said to help."""
