"""The gate: keys of requests, and which edit answers them. What GRACE and WISE share."""
