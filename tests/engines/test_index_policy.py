"""When generations are built: seldom under load, at last when it is quiet."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from nearfield_server.engines.embedded.index import IndexSettings
from nearfield_server.engines.embedded.index.policy import Situation, worth_building

SETTINGS = IndexSettings(rebuild_rows=5000, quiet_seconds=10.0)

situations = st.builds(
    Situation,
    points=st.integers(0, 10**8),
    changes=st.integers(0, 10**8),
    since_build_seconds=st.floats(0, 1e6),
    since_write_seconds=st.floats(0, 1e6),
    build_seconds=st.floats(0, 1e4),
)


@given(situations)
def test_nothing_changed_means_nothing_to_do(now):
    assert not worth_building(_with(now, changes=0), SETTINGS)


@given(situations)
def test_a_quiet_collection_ends_indexed_to_the_end(now):
    longest = max(6 * SETTINGS.quiet_seconds, 10 * now.build_seconds)
    assert worth_building(_with(now, changes=max(1, now.changes), since_write_seconds=longest), SETTINGS)


@given(situations, st.integers(0, 10**6))
def test_more_changes_never_speak_against_a_build(now, more):
    if worth_building(now, SETTINGS):
        assert worth_building(_with(now, changes=now.changes + more), SETTINGS)


@given(situations)
def test_the_scanned_rest_is_bounded(now):
    if not worth_building(now, SETTINGS) and now.since_write_seconds < SETTINGS.quiet_seconds:
        assert now.changes < max(SETTINGS.rebuild_rows, now.points / 2)


@given(st.integers(1, 2 * 10**6), st.integers(1000, 20000))
def test_a_load_is_built_a_few_times_however_long_it_is(total, batch):
    points = built = builds = 0
    for stored in range(batch, total + batch, batch):
        now = Situation(
            points=points, changes=stored - points, since_build_seconds=1e9, since_write_seconds=0.0, build_seconds=1.0
        )
        if worth_building(now, SETTINGS):
            points, built, builds = stored, built + stored, builds + 1
    assert builds <= 2 + math.log(max(1.0, total / SETTINGS.rebuild_rows), 1.5)
    assert built <= 3 * (total + batch)


def _with(now, **changed):
    fields = {name: getattr(now, name) for name in Situation.__slots__}
    return Situation(**{**fields, **changed})
