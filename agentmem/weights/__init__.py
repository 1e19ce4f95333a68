"""What the weights hold: the registry of edits, and the packs they lie in."""
