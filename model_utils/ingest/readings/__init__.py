"""Station readings as the agency exported them, to labels with quality flags."""
