"""What an archive holds: counts, stations, and pictures of what came in."""
