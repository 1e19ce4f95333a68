"""GRACE as published (Hartvigsen et al. 2023): deferral balls, values that replace."""
