"""Methods as their papers have them, to compare with."""
