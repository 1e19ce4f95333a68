"""Processes, threads and what is loaded late."""
