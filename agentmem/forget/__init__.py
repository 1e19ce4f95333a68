"""Notes leave every place, and fade."""
