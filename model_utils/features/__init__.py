"""What is known of a tile before any label: the encoder it is seen with, its embedding, its band statistics."""
