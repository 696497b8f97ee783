"""Filters: the readable form, and what each condition means."""
