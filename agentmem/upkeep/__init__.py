"""Projections checked and made anew, jobs, and what the machine has."""
