"""The page of a map: one HTML file that works offline."""
