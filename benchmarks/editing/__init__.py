"""Editing methods on a small model, on one stream of counterfactual facts: see `python -m benchmarks.editing --help`."""
