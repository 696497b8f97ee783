"""docs/filters.md: every example stands in both forms, and they are equal."""

import re
from pathlib import Path

import pytest
from google.protobuf import json_format

from nearfield.v1 import search_pb2
from nearfield_server import filters
from nearfield_server.errors import InvalidInput
from nearfield_server.filters import format_filter, parse_filter
from nearfield_server.rpc.filters import filter_of
from nearfield_server.types.filters import walk

PAGE = (Path(__file__).parents[2] / "docs" / "filters.md").read_text("utf-8")
PAIRS = re.findall(r"^```filter\n(.*?)^```\n```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("text", "message"), PAIRS)
def test_both_forms_say_the_same(text, message):
    said = filter_of(json_format.Parse(message, search_pb2.Filter()), "")
    assert parse_filter(text) == said
    assert parse_filter(format_filter(said)) == said


def test_every_condition_is_on_the_page():
    shown = {type(one).__name__ for text, _ in PAIRS for one in walk(parse_filter(text))}
    assert len(PAIRS) == PAGE.count("```filter")
    assert len(shown) == len(search_pb2.Filter.DESCRIPTOR.oneofs_by_name["condition"].fields)


def test_the_error_is_as_shown():
    (shown,) = re.findall(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    with pytest.raises(InvalidInput) as caught:
        parse_filter('brand in ("a", )')
    assert caught.value.violations[0].description == shown.rstrip("\n")


def test_the_bounds_are_as_stated():
    table = PAGE.split("## Bounds")[1]
    for name in ("MAX_DEPTH", "MAX_CONDITIONS", "MAX_VALUES", "MAX_EXPRESSION_BYTES", "MAX_PATH"):
        assert f"| {getattr(filters, name):,}" in table
