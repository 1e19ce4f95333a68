"""Notes of any shape: what the small model is taught to read besides its own world."""
