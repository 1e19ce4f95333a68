"""Two tiers of side memory on one model: GRACE for facts as they come, WISE shards for many at once."""
