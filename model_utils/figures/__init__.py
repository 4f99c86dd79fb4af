"""One figure a file; they read predictions and statistics only."""
