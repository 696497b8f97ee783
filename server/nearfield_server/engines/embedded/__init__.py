"""The default engine: SQLite holds the truth, a vector index is derived from it."""
