"""Satellite scenes as the provider delivered them, to tiles."""
