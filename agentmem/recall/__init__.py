"""From a question to ranked notes."""
