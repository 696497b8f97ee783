"""Maps of made-up points with real shapes: clusters, noise, and texts that would break a careless page."""

import numpy as np
import pytest

from nearfield_server.cli.maps import MapData

HOSTILE = [
    "</script><script>document.title = 'run'</script>",
    "<!-- <script> ]]> &amp; &lt;b&gt;",
    "<img src=x onerror=\"document.title = 'run'\">",
    "null\0byte, bell\a, escape\x1b[31m",
    "שלום עולם, \u202eright to left\u202c",
    "family 👩‍👩‍👧‍👦 and flag 🏳️‍🌈",
    "half a pair \ud83d alone",
    "line\u2028and paragraph\u2029separators",
    '=HYPERLINK("http://example.com","click")',
    "@@DATA@@ $& $1 ${alert(1)} `\\u003c`",
    "",
]


@pytest.fixture
def hostile():
    return list(HOSTILE)


@pytest.fixture
def make_map():
    def make(count=300, groups=6, noise=0.1, **changes):
        random = np.random.default_rng(0)
        ids = random.integers(0, groups, count).astype(np.int32) * 7
        centres = random.normal(0, 10, (groups * 7, 2))
        coordinates = (centres[ids] + random.normal(0, 1, (count, 2))).astype(np.float32)
        ids[random.random(count) < noise] = -1
        given = {
            "coordinates": coordinates,
            "clusters": ids,
            "names": {id_ * 7: f"topic {id_}, words" for id_ in range(groups)},
            "texts": [f"text number {row} of some length" for row in range(count)],
            "ids": [f"id-{row}" for row in range(count)],
            "title": "A map",
            "subtitle": "made up",
        }
        return MapData(**{**given, **changes})

    return make
