"""Vectors compared exactly."""
