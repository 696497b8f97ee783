"""The index of a collection: built by a child process from the truth, and served from another."""
