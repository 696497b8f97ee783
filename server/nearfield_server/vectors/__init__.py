"""Pure mathematics on arrays of vectors."""
