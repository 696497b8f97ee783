"""`nearfield cluster` and `nearfield clusterings` as a user types them, against a real server."""

import base64
import csv
import io
import json
import re
import signal
import subprocess
import sys
import urllib.request
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import nearfield
from nearfield_server.cli import main
from nearfield_server.cli.cluster.options import Method, cluster_options, keep_seconds
from nearfield_server.cli.cluster.watching import Watching, job_line
from nearfield_server.cli.failures import CliError

NEARFIELD = Path(sys.executable).with_name("nearfield")
TOPICS = {
    "animals": ["Three dogs run along the beach.", "A cat sleeps.", "The horse jumped.", "Our dog barks loudly."],
    "money": [
        "Send me last month's invoice.",
        "The refund goes to the card.",
        "The bank raised rates.",
        "Pay the bill.",
    ],
}
TEXTS = [text for pair in zip(*TOPICS.values(), strict=True) for text in pair]


@pytest.fixture
def run(capsys, server, monkeypatch):
    """Run a command in this process; give exit code, stdout and stderr."""
    monkeypatch.setenv("NEARFIELD_TARGET", server.target)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments):
        code = main([str(one) for one in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps({"body": text, "key": f"t{index}", "n": index}) for index, text in enumerate(TEXTS)]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def collection(server):
    with nearfield.Client(server.target) as client:
        made = client.create_collection("for-the-shell")
        made.upsert([{"id": index, "text": text} for index, text in enumerate(TEXTS)])
    return "for-the-shell"


def two_groups(labels):
    return len(set(labels)) == 2 and len(set(labels[::2])) == 1 and len(set(labels[1::2])) == 1


@pytest.mark.slow
def test_a_table_and_every_output_tell_the_clusters(run, rows, tmp_path):
    fields = ("--text-field", "body", "--id-field", "key", "-k", 2)
    code, out, err = run("cluster", rows, *fields, "--out", tmp_path / "o.jsonl")
    assert code == 0, err
    assert [line.split()[:2] for line in out.splitlines()[:3]] == [["CLUSTER", "SIZE"], ["0", "4"], ["1", "4"]]
    assert "2 clusters of 8 items" in out
    assert "silhouette" in out
    assert "8 rows" in err
    found = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text("utf-8").splitlines()]
    assert list(found[0]) == ["row", "id", "text", "cluster", "name", "strength"]
    assert [one["text"] for one in found] == TEXTS
    assert [one["id"] for one in found] == [f"t{index}" for index in range(8)]
    assert two_groups([one["cluster"] for one in found])
    assert found[0]["name"] in out
    for name in ("o.csv", "o.parquet"):
        assert run("cluster", rows, *fields, "--out", tmp_path / name)[0] == 0
    with (tmp_path / "o.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [one["cluster"] for one in lines] == [str(one["cluster"]) for one in found]
    assert pq.read_table(tmp_path / "o.parquet").to_pylist() == found


@pytest.mark.slow
def test_vectors_text_files_and_json(run, tmp_path):
    random = np.random.default_rng(0)
    vectors = (random.standard_normal((2, 8))[np.arange(20) % 2] + 0.05 * random.standard_normal((20, 8))).tolist()
    table = pa.table({"v": pa.array(vectors, pa.list_(pa.float32()))})
    pq.write_table(table, tmp_path / "v.parquet")
    options = ("--text-field", "", "--vector-field", "v", "-m", "agglomerative", "-k", 2, "--json")
    code, out, err = run("cluster", tmp_path / "v.parquet", *options, "--out", tmp_path / "v.csv")
    assert code == 0, err
    facts = json.loads(out)
    assert (facts["items"], facts["cluster_count"], facts["options"]["method"]) == (20, 2, "agglomerative")
    assert [one["size"] for one in facts["clusters"]] == [10, 10]
    (tmp_path / "t.txt").write_text("\n".join(TEXTS), "utf-8")
    code, out, err = run("cluster", tmp_path / "t.txt", "--limit", 5, "-k", 1, "--json")
    assert (code, json.loads(out)["items"]) == (0, 5), err


def data_of(page):
    """Read what a map's page holds."""
    (text,) = re.findall(r'<script[^>]*id="data"[^>]*>(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    return json.loads(text)


@pytest.mark.slow
def test_a_map_and_a_picture(run, rows, collection, tmp_path):
    page, picture = tmp_path / "m.html", tmp_path / "m.png"
    drawn = ("-k", 2, "--map", page, "--picture", picture, "--map-method", "pca")
    code, _, err = run("cluster", rows, "--text-field", "body", "--id-field", "key", *drawn)
    assert code == 0, err
    assert f"wrote {page}: 8 items" in err
    assert picture.read_bytes().startswith(b"\x89PNG")
    data = data_of(page)
    assert len(base64.b64decode(data["coordinates"])) == 8 * 2 * 2
    text = page.read_text("utf-8")
    assert "<title>rows</title>" in text
    assert "8 items, 2 clusters, by PCA" in text
    code, _, err = run(
        "cluster", "--collection", collection, "-k", 2, "--map", page, "--map-method", "pca", "--title", "Shop"
    )
    assert (code, f"wrote {page}: 8 items" in err) == (0, True), err
    assert "<title>Shop</title>" in page.read_text("utf-8")


@pytest.mark.slow
def test_items_that_fail_are_left_out_of_the_map(run, tmp_path):
    vectors = np.eye(6)[:, :6].tolist()
    vectors[2] = [0.0] * 6
    pq.write_table(pa.table({"v": pa.array(vectors, pa.list_(pa.float32()))}), tmp_path / "v.parquet")
    fields = ("--text-field", "", "--vector-field", "v", "-k", 2)
    code, _, err = run("cluster", tmp_path / "v.parquet", *fields, "--map", tmp_path / "m.html", "--map-method", "pca")
    assert (code, "5 items" in err) == (3, True), err
    assert len(base64.b64decode(data_of(tmp_path / "m.html")["coordinates"])) == 5 * 2 * 2


@pytest.mark.slow
def test_rows_that_fail_are_told_and_the_others_clustered(run, tmp_path):
    path = tmp_path / "v.jsonl"
    path.write_text("".join(json.dumps({"v": v}) + "\n" for v in ([1.0, 0.1], [0.0, 0.0], [0.1, 1.0])), "utf-8")
    options = ("--text-field", "", "--vector-field", "v", "-k", 2, "--out", tmp_path / "o.csv")
    code, out, err = run("cluster", path, *options)
    assert code == 3
    assert "2 clusters of 2 items" in out
    assert "row 1" in err
    assert "zero" in err
    assert [line.split(",")[1] for line in (tmp_path / "o.csv").read_text().splitlines()[1:]][1] == "-1"


@pytest.mark.slow
def test_names_of_a_file_and_a_kept_clustering(run, rows, tmp_path):
    (tmp_path / "names.txt").write_text("animals\nmoney and payments\n", "utf-8")
    how = ("--text-field", "body", "-k", 2, "--names", tmp_path / "names.txt", "--keep", "1h", "--language", "en")
    code, out, err = run("cluster", rows, *how)
    assert code == 0, err
    assert "animals" in out
    assert "money and payments" in out
    id_ = out.split("kept as ")[1].split()[0]
    assert id_ in run("clusterings", "list")[1]
    code, out, err = run("clusterings", "show", id_, "--out", tmp_path / "kept.jsonl")
    assert (code, "animals" in out) == (0, True), err
    assert len((tmp_path / "kept.jsonl").read_text().splitlines()) == 8
    (tmp_path / "new.txt").write_text("A puppy barks.\nMy card was charged twice.\n", "utf-8")
    code, out, err = run("clusterings", "assign", id_, tmp_path / "new.txt", "--out", tmp_path / "new.csv")
    assert (code, "of the last 2 items belong nowhere" in out) == (0, True), err
    assert len((tmp_path / "new.csv").read_text().splitlines()) == 3
    code, out, _ = run("clusterings", "assign", id_, tmp_path / "new.txt", "--dry-run", "--json")
    assert json.loads(out)["drift"]["assigned"] == 2
    again = run("cluster", rows, "--text-field", "body", "-k", 1, "--previous", id_)
    assert "since the previous clustering" in again[1]
    assert run("clusterings", "delete", id_) == (0, f"deleted clustering {id_}\n", "")
    assert run("clusterings", "show", id_)[0] == 1


@pytest.mark.slow
def test_a_collection_is_clustered_by_a_job(run, collection, tmp_path):
    code, out, err = run("cluster", "--collection", collection, "-k", 2, "--out", tmp_path / "c.jsonl")
    assert code == 0, err
    found = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    assert {one["id"]: one["text"] for one in found} == dict(enumerate(TEXTS))
    assert two_groups([one["cluster"] for one in sorted(found, key=lambda one: one["id"])])
    code, out, err = run("clusterings", "start", collection, "-k", 2, "--keep", "10m", "--json")
    assert code == 0, err
    id_ = json.loads(out)["id"]
    code, out, err = run("clusterings", "watch", id_)
    assert (code, "2 clusters of 8 items" in out) == (0, True), err
    assert run("clusterings", "cancel", id_) == (0, f"{id_}: done\n", "")
    listed = json.loads(run("clusterings", "list", "--json")[1])
    # What `cluster` made isn't kept: nobody asked for it.
    assert [one["id"] for one in listed["clusterings"] if one["collection"] == collection] == [id_]
    assert run("clusterings", "delete", id_)[0] == 0


@pytest.mark.long
def test_ctrl_c_ends_the_work_in_the_server(start_server, tmp_path):
    served = start_server()
    vectors = np.random.default_rng(0).standard_normal((60_000, 64)).astype(np.float32)
    table = pa.table({"v": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 64)})
    pq.write_table(table, tmp_path / "v.parquet")
    command = ("cluster", tmp_path / "v.parquet", "--text-field", "", "--vector-field", "v", "--target", served.target)
    with subprocess.Popen([NEARFIELD, *command], stderr=subprocess.PIPE, text=True) as process:
        while "fit" not in (line := process.stderr.readline()):
            assert line, "it ended before it was interrupted"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    with nearfield.Client(served.target) as client:
        client.cluster(TEXTS, k=2)  # which waits for the one process that there is
    with urllib.request.urlopen(f"http://{served.http}/metrics", timeout=10) as reply:
        lines = reply.read().decode().splitlines()
    assert 'nearfield_clusterings_total{outcome="cancelled"} 1.0' in lines


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["name a file", "--collection"]),
        (["rows.jsonl", "--collection", "c"], ["not both"]),
        (["rows.jsonl", "--filter", "a = 1"], ["--collection"]),
        (["rows.jsonl", "--min-cluster-size", 3], ["--min-cluster-size", "density", "kmeans"]),
        (["rows.jsonl", "-m", "density", "-k", 3], ["--clusters", "agglomerative"]),
        (["rows.jsonl", "-m", "agglomerative", "-k", 3, "--threshold", 0.3], ["--clusters", "--threshold"]),
        (["rows.jsonl", "-m", "agglomerative", "--threshold", 0], ["--threshold", "greater than 0"]),
        (["rows.jsonl", "-m", "kmean"], ["'kmean'", "agglomerative"]),
        (["rows.jsonl", "--keep", "7 days"], ["--keep", "7d"]),
        (["rows.jsonl", "--names", "nothing.txt"], ["nothing.txt"]),
        (["rows.jsonl", "--out", "o.xlsx"], ["o.xlsx", ".parquet"]),
        (["rows.jsonl", "--layers"], ["--layers", "density"]),
        (["rows.jsonl", "--map", "m.txt"], ["--map", "must end in .html"]),
        (["rows.jsonl", "--picture", "m.jpg"], ["--picture", "must end in .png"]),
        (["rows.jsonl", "--map", "gone/m.html"], ["--map", "no such folder"]),
        (["rows.jsonl", "--ray-address", "auto"], ["--ray-address goes with --engine ray"]),
        (["rows.jsonl", "--engine", "local", "-k", "2", "--out", "o"], ["--engine reads a .parquet file"]),
        (["v.parquet", "--engine", "local", "-k", "2"], ["--engine writes a folder"]),
        (["v.parquet", "--engine", "local", "--out", "o"], ["--engine needs the number of clusters"]),
        (["v.parquet", "--engine", "local", "-k", "2", "--out", "o"], ["--vector-field"]),
        (["v.parquet", "--engine", "ray", "--map", "m.html"], ["--map doesn't go with --engine"]),
        (["rows.jsonl"], ["no field 'text'", "body"]),
        (["rows.jsonl", "--text-field", ""], ["--vector-field"]),
        (["rows.jsonl", "--text-field", "", "--vector-field", "n"], ["line 1", "list of numbers"]),
        (["rows.jsonl", "--text-field", "body", "--id-field", "gone"], ["line 1", "'gone'", "missing"]),
        (["gone.jsonl"], ["no such file"]),
        (["empty.txt"], ["no rows"]),
    ],
)
def test_mistakes_are_told_before_anything_is_sent(run, rows, monkeypatch, arguments, words):
    monkeypatch.chdir(rows.parent)
    (rows.parent / "empty.txt").write_text("", "utf-8")
    code, out, err = run("cluster", *arguments, "--target", "127.0.0.1:1")
    assert (code, out) == (1 if "nothing.txt" in words else 2, "")
    assert "Traceback" not in err
    for word in words:
        assert word in " ".join(err.replace("│", " ").split()), err


@pytest.mark.slow
def test_what_the_server_refuses_is_told(run, rows):
    code, _, err = run("cluster", rows, "--text-field", "body", "-k", 9)
    assert (code, "k: 9 clusters of 8 items" in err) == (1, True), err
    for command in ("show", "watch", "cancel", "delete"):
        code, _, err = run("clusterings", command, "nothing")
        assert (code, "NOT_FOUND" in err) == (1, True), err


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("1.5h", 5400), ("7d", 604_800), ("2W", 1_209_600)]
)
def test_times_to_keep(text, seconds):
    assert keep_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "-1h", "0s", "1 h 2 m", "1y"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(CliError, match="--keep"):
        keep_seconds(text)


def test_options_that_are_not_set_are_not_sent():
    given = {"k": None, "names": "", "assign_noise": False, "languages": (), "seed": 0}
    assert cluster_options(Method("kmeans"), given) == {"method": "kmeans", "seed": 0}


def job(stage, fraction, left=None):
    return nearfield.ClusteringJob(
        id="",
        state="running",
        stage=stage,
        fraction=fraction,
        remaining=None if left is None else timedelta(seconds=left),
        items=1200,
        error=None,
        attempts=1,
        created_at=None,
        ended_at=None,
    )


def test_progress_tells_each_stage_and_what_is_left():
    now, out = [0.0], io.StringIO()
    watching = Watching(out, lambda: now[0])
    for at, one in (
        (0.5, job("read", 0.0)),
        (2.0, job("fit", 0.2, 8.0)),
        (3.0, job("fit", 0.4)),
        (13.0, job("fit", 0.9)),
    ):
        now[0] = at
        watching.update(one)
    watching.close()
    assert out.getvalue().splitlines() == ["fit 20%, 1,200 items, 8.0s left", "fit 90%, 1,200 items"]
    assert job_line(job("labels", 1.0)) == "labels 100%, 1,200 items"
