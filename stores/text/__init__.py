"""Full text, in memory."""
