"""WISE as published (Wang et al. 2024): the norm of what a side memory would add decides whether it answers."""
