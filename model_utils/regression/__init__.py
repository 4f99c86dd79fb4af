"""From embeddings to PM2.5: heads, references, the supervised stage."""
