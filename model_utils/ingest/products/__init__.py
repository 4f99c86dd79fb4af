"""What providers deliver: which files are one scene, which of them is which band, and what their numbers mean."""
