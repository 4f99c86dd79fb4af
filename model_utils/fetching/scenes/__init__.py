"""Scenes of a city from public archives: searched, looked at, cut to the city and written as STAC items with COGs."""
