"""What is read by rule, beside libraries that read the same."""
