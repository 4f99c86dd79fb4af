"""Forests: of the weather alone, joined with an image head, and on image features."""
