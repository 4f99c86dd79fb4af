"""Weather over a city: a table from Open-Meteo, or ERA5 from the Climate Data Store."""
