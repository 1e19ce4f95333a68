"""Language models, local and remote."""
