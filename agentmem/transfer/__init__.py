"""Memories as files: written, checked, read."""
