"""The notes in PostgreSQL: the same tables, promises and guard as in SQLite, and row-level security below them."""
