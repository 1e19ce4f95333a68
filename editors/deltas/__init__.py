"""Editors that add a matrix to what some projections compute. What LoRA, ROME, EMMET and MEMIT share."""
