"""Station readings from OpenAQ: stations by its API, history from its open archive."""
