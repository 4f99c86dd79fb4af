"""Formats of station readings as data: a YAML file says what a provider's table looks like."""
