"""The supervised stage: one experiment from an encoder to predictions, statistics and figures."""
