"""What an archive holds."""
