"""From what a caller says to stored notes."""
