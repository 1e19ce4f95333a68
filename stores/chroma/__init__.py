"""The vector index in Chroma, and its files."""
