"""GRACE: a codebook of keys and values beside the model (Hartvigsen et al. 2023), read late and written early."""
