"""Filters: the readable form, and what each condition means."""

from nearfield_server.filters.bounds import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_EXPRESSION_BYTES,
    MAX_ID_BYTES,
    MAX_VALUES,
)
from nearfield_server.filters.format import format_filter
from nearfield_server.filters.instants import instant_of, meters_between, microseconds, place_of
from nearfield_server.filters.matches import Matcher, key_of, matcher, matches
from nearfield_server.filters.parse import parse_filter
from nearfield_server.filters.paths import MAX_PATH, path_of, select_payload, split_path, values_at
from nearfield_server.filters.words import spaced, words_of

__all__ = [
    "MAX_CONDITIONS",
    "MAX_DEPTH",
    "MAX_EXPRESSION_BYTES",
    "MAX_ID_BYTES",
    "MAX_PATH",
    "MAX_VALUES",
    "Matcher",
    "format_filter",
    "instant_of",
    "key_of",
    "matcher",
    "matches",
    "meters_between",
    "microseconds",
    "parse_filter",
    "path_of",
    "place_of",
    "select_payload",
    "spaced",
    "split_path",
    "values_at",
    "words_of",
]
