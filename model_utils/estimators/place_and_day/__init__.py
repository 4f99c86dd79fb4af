"""Place and day: ln PM2.5 = day + place + residual, the model of a city."""
