"""Filters: the readable form, and what each condition means."""

from nearfield_server.filters.instants import instant_of, meters_between, microseconds, place_of
from nearfield_server.filters.matches import Matcher, key_of, matcher, matches
from nearfield_server.filters.paths import MAX_PATH, path_of, select_payload, split_path, values_at
from nearfield_server.filters.words import spaced, words_of

__all__ = [
    "MAX_PATH",
    "Matcher",
    "instant_of",
    "key_of",
    "matcher",
    "matches",
    "meters_between",
    "microseconds",
    "path_of",
    "place_of",
    "select_payload",
    "spaced",
    "split_path",
    "values_at",
    "words_of",
]
