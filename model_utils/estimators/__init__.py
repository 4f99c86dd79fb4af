"""What fits PM2.5 and predicts it: one interface for heads, references, forests, and place and day."""
