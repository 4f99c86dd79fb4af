"""Pairs, batches and splits: which tiles meet which, and which are kept apart."""
