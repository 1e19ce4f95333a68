"""Files on the user's disk: which are ours, and how they are written."""
