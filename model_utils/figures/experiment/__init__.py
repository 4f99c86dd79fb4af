"""How an encoder trained, and what an experiment predicts."""
