"""`nearfield dedup`: reading rows, choosing a threshold, deciding which rows go, and writing the rest."""
