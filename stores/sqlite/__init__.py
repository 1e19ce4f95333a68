"""The notes in one SQLite file: the truth that every projection is rebuilt from."""
