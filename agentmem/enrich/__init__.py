"""A language model's work on notes that are stored already."""
