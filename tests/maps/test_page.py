"""The file: its data can be read back, whatever the texts hold, and it asks for nothing from anywhere."""

import base64
import gzip
import hashlib
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from nearfield_server.cli.maps import write_map
from nearfield_server.cli.maps.data import clusters_of
from nearfield_server.cli.maps.encoding import MAX_CHARACTERS, squared


class Scripts(HTMLParser):
    """Collects what a browser would run or load: scripts, and the attributes of everything."""

    def __init__(self):
        super().__init__()
        self.scripts, self.attributes, self.title, self._tag = [], [], "", ""

    def handle_starttag(self, tag, attrs):
        self._tag = tag
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        self._tag = ""

    def handle_data(self, data):
        if self._tag == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = (attrs, text + data)
        if self._tag == "title":
            self.title += data


@pytest.fixture
def write(tmp_path):
    def done(data):
        write_map(tmp_path / "map.html", data)
        page = Scripts()
        page.feed((tmp_path / "map.html").read_text("utf-8"))
        page.close()
        return page

    return done


def data_of(page):
    whole = json.loads(next(text for attrs, text in page.scripts if attrs.get("id") == "data"))
    whole["x"], whole["y"] = np.frombuffer(base64.b64decode(whole["coordinates"]), "<u2").reshape(2, -1) / 65535 * 2 - 1
    packed = gzip.decompress(base64.b64decode(whole["clusters"]))
    whole["clusters"] = np.frombuffer(packed, f"<u{whole['clusterBytes']}")
    items = next(text for attrs, text in page.scripts if attrs.get("id") == "texts")
    whole["items"] = json.loads(gzip.decompress(base64.b64decode(items)))
    return whole


def test_the_data_comes_back(make_map, write):
    data = make_map()
    found = data_of(write(data))
    exact = squared(data.coordinates)
    assert np.abs(np.stack([found["x"], found["y"]], 1) - exact).max() <= 1 / 65535
    clusters = clusters_of(data)
    ids = np.array([*(one.id for one in clusters), -1])
    assert (ids[np.minimum(found["clusters"], len(clusters))] == data.clusters).all()
    assert found["names"] == [one.name for one in clusters]
    assert found["items"] == {"texts": data.texts, "ids": data.ids}
    assert len(found["colours"]) == len(clusters)
    assert max(found["colours"]) < len(found["light"]) - 1 == len(found["dark"]) - 1


def test_hostile_texts_ids_names_and_titles_stay_what_they_are(make_map, write, hostile):
    count = len(hostile)
    page = write(
        make_map(
            count=count,
            clusters=np.arange(count, dtype=np.int32) // 2,
            names={row: hostile[row] for row in range(count // 2)},
            texts=hostile,
            ids=hostile,
            title=hostile[0],
            subtitle=hostile[2],
        )
    )
    found = data_of(page)
    assert found["items"] == {"texts": hostile, "ids": hostile}
    assert (found["title"], found["subtitle"]) == (hostile[0], hostile[2])
    assert page.title == hostile[0]
    # Nothing that they hold became an element: the data, the library, the page's own script and the texts.
    assert len(page.scripts) == 4
    assert [tag for tag, name, _ in page.attributes if name == "onerror"] == []


def test_a_place_of_the_template_in_a_title_is_not_filled_in(make_map, write):
    assert write(make_map(title="@@DATA@@")).title == "@@DATA@@"


def test_the_page_loads_nothing(make_map, write):
    page = write(make_map())
    loading = [
        (tag, name, value)
        for tag, name, value in page.attributes
        if name in ("src", "href", "srcset", "action", "data", "poster") and not (value or "").startswith("#")
    ]
    assert loading == []
    policy = html.unescape(next(value for tag, name, value in page.attributes if "default-src" in (value or "")))
    assert policy.startswith("default-src 'none'; ")
    assert "http" not in policy


def test_only_the_scripts_of_the_page_may_run(make_map, write):
    page = write(make_map())
    policy = next(value for _, _, value in page.attributes if "default-src" in (value or ""))
    runs = [text for attrs, text in page.scripts if "type" not in attrs]
    assert sorted(re.findall(r"'sha256-(.+?)'", policy)) == sorted(
        base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in runs
    )


def test_the_page_names_no_address_outside_but_those_in_comments_and_messages_of_the_library(make_map, write):
    own = [text for attrs, text in write(make_map()).scripts if "type" not in attrs]
    found = set(re.findall(r"https?://[\w./-]+", " ".join(own)))
    assert found <= {
        "http://get.webgl.org",
        "https://www.npmjs.com/package/glsl-read-float",
        "http://www.w3.org/2000/svg",  # the name of SVG, not a place
    }


def test_long_texts_are_cut_and_the_cut_is_seen(make_map, write):
    texts = ["é" * MAX_CHARACTERS, "é" * (MAX_CHARACTERS + 1)]
    found = data_of(write(make_map(count=2, texts=texts)))["items"]["texts"]
    assert found == [texts[0], "é" * (MAX_CHARACTERS - 1) + "…"]


def test_the_same_map_is_the_same_file(make_map, tmp_path):
    for name in ("one", "two"):
        write_map(tmp_path / name, make_map())
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("coordinates", [[[5, 5]], [[5, 5], [5, 5]], [[3e38, -3e38], [-3e38, 3e38]]])
def test_points_at_one_place_or_very_far_apart_are_placed(make_map, write, coordinates):
    found = data_of(write(make_map(count=len(coordinates), coordinates=np.array(coordinates, np.float32))))
    assert (np.abs([found["x"], found["y"]]) <= 1).all()


@pytest.mark.slow
def test_more_clusters_than_sixteen_bits_count_are_told_apart(make_map, write):
    count = 66_000
    clusters = np.arange(count, dtype=np.int32)
    clusters[-1] = -1
    data = make_map(count=count, clusters=clusters, names={})
    found = data_of(write(data))
    assert found["clusterBytes"] == 4
    assert (found["clusters"][:-1] == clusters[:-1]).all()
    assert found["clusters"][-1] == 2**32 - 1


@pytest.mark.slow
def test_the_python_of_the_manual_runs(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    manual = (Path(__file__).parents[2] / "docs" / "maps-page.md").read_text("utf-8")
    code = re.search(r"^```python\n(.*?)^```", manual, re.MULTILINE | re.DOTALL).group(1)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert (tmp_path / "map.html").stat().st_size > 200_000
    assert (tmp_path / "map.png").stat().st_size > 5_000
