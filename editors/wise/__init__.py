"""WISE: knowledge in a side copy of one feed-forward projection, kept as deltas and routed per request."""
