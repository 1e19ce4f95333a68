"""Locate and edit, as removable deltas: ROME (Meng et al. 2022), MEMIT (Meng et al. 2023), EMMET (Gupta et al. 2024)."""
