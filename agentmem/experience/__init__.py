"""What acting taught."""
