"""A low-rank adapter trained on all facts together (LoRA, Hu et al. 2022): the baseline of the other editors."""
