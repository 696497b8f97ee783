"""`nearfield index` and `nearfield collections` against the real server; chunks against texts of our own."""

import itertools
import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import nearfield
from nearfield_server.cli import main, progress
from nearfield_server.cli.files.sources import open_source
from nearfield_server.cli.ingest.chunks import cut
from nearfield_server.cli.ingest.documents import Document, read_document
from nearfield_server.cli.ingest.reading import Reading

_NAMES = (f"index{number}" for number in itertools.count())
PAGE = "# Cats\n\nA cat sleeps. It purrs.\n\n## Food\n\nCats eat fish. They like it raw.\n"


def words(texts):
    """Each word is a token."""
    return [[at for at, one in enumerate(text) if one != " " and (at == 0 or text[at - 1].isspace())] for text in texts]


@pytest.fixture
def run(capsys, server, monkeypatch):
    monkeypatch.setenv("NEARFIELD_TARGET", server.target)

    def run(*arguments):
        code = main([str(one) for one in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def name():
    return next(_NAMES)


def ids(client, name):
    return [one.id for one in client.collection(name).scroll()]


@pytest.mark.parametrize(("max_tokens", "overlap"), [(8, 0), (8, 4), (3, 1), (100, 10)])
def test_chunks_are_where_they_say_and_leave_out_nothing(tmp_path, max_tokens, overlap):
    path = tmp_path / "a.md"
    path.write_text(PAGE + "a b c d e f g h i j k l\n" * 3)
    document = read_document(path)
    chunks = cut(document, max_tokens, overlap, words)
    covered = {at for one in chunks for at in range(one.start, one.end)}
    assert {at for at, one in enumerate(document.text) if not one.isspace()} <= covered
    for one in chunks:
        text = document.text[one.start : one.end]
        assert text == text.strip()
        assert len(text.split()) <= max_tokens
        assert one.heading == ("Food" if one.start >= document.text.index("## Food") else "Cats")


def test_overlap_repeats_whole_sentences():
    text = "One two. Three four. Five six. Seven eight."
    chunks = cut(Document(text), 4, 2, words)
    found = [text[one.start : one.end] for one in chunks]
    assert found == ["One two. Three four.", "Three four. Five six.", "Five six. Seven eight."]


def test_html_is_what_a_reader_sees(tmp_path):
    path = tmp_path / "a.html"
    path.write_text(
        "<html><head><title>x</title><style>p {}</style></head><body><h1>Top <b>news</b></h1>"
        "<script>var a = '<p>no</p>';</script><p>Fish &amp; chips,<br>twice.</p><ul><li>one</li><li>two</li></ul>"
        "<h2>More</h2>End"
    )
    document = read_document(path)
    assert document.text.split("\n") == [
        "Top news",
        "",
        "Fish & chips,",
        "twice.",
        "",
        "one",
        "",
        "two",
        "",
        "More",
        "",
        "End",
    ]
    assert [(one.title, document.text[one.start :][: len(one.title)]) for one in document.headings] == [
        ("Top news", "Top news"),
        ("More", "More"),
    ]


def test_headings_in_code_are_none(tmp_path):
    path = tmp_path / "a.md"
    path.write_text("# A\n```\n# no\n```\n## B ##\n")
    assert [one.title for one in read_document(path).headings] == ["A", "B"]


def test_a_folder_is_indexed_once_and_followed(run, client, name, tmp_path):
    (tmp_path / "deep").mkdir()
    cats, dogs = tmp_path / "cats.md", tmp_path / "deep" / "dogs.txt"
    cats.write_text(PAGE)
    dogs.write_text("A dog barks.")
    command = ("index", tmp_path, "--collection", name, "--recursive")
    code, out, err = run(*command)
    assert (code, out) == (0, f"{name}: 3 stored, 0 unchanged, 0 deleted, 0 failed\n")
    assert err == f"made collection {name}\n"
    assert run(*command)[1] == f"{name}: 0 stored, 3 unchanged, 0 deleted, 0 failed\n"
    (point,) = client.collection(name).get([f"{cats}#1"])
    assert point.text == "## Food\n\nCats eat fish. They like it raw."
    assert PAGE[point.payload["start"] : point.payload["end"]] == point.text
    assert (point.payload["heading"], point.payload["title"]) == ("Food", "Cats")
    cats.write_text("# Cats\n\nA cat sleeps.\n")
    dogs.unlink()
    assert run(*command)[1] == f"{name}: 1 stored, 0 unchanged, 1 deleted, 0 failed\n"
    assert ids(client, name) == [f"{cats}#0", f"{dogs}#0"]
    assert run(*command, "--prune")[1] == f"{name}: 0 stored, 1 unchanged, 1 deleted, 0 failed\n"
    assert ids(client, name) == [f"{cats}#0"]
    assert "--prune needs a whole folder" in run(*command, "--prune", "--glob", "*.md")[2]
    assert "--prune needs a whole folder" in run("index", "-", "--collection", name, "--prune")[2]


def test_only_pruning_deletes_what_another_folder_held(run, client, name, tmp_path, monkeypatch):
    for project in ("one", "two"):
        (tmp_path / project).mkdir()
        (tmp_path / project / f"{project}.txt").write_text(f"The text of {project}.")
        monkeypatch.chdir(tmp_path / project)
        assert run("index", ".", "--collection", name)[0] == 0
    assert ids(client, name) == ["one.txt#0", "two.txt#0"]
    assert run("index", ".", "--collection", name, "--prune")[1].endswith("1 deleted, 0 failed\n")
    assert ids(client, name) == ["two.txt#0"]


def test_what_has_been_read_is_told_by_bytes(tmp_path):
    page, rows = tmp_path / "a.md", tmp_path / "b.jsonl"
    page.write_text("x" * 3000)
    rows.write_text("".join(json.dumps({"text": "y" * 90}) + "\n" for _ in range(10)))
    whole = 3000 + rows.stat().st_size
    reading = Reading([page, rows])
    assert reading.fraction() == 0
    with reading.of(page):
        assert reading.fraction() == 0
    assert reading.fraction() == 3000 / whole
    source = open_source(rows, "text")
    with reading.of(rows, source):
        assert len(list(source.rows())) == 10
    assert reading.fraction() == 1
    with (stdin := Reading([None])).of(None):
        assert stdin.fraction() is None


def test_progress_tells_the_rate_and_the_time_left(run, name, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0)
    path = tmp_path / "rows.parquet"
    texts = [f"article {number}" for number in range(5000)]
    vectors = [[1.0, float(number)] for number in range(5000)]
    pq.write_table(pa.table({"text": texts, "vector": vectors}), path)
    run("collections", "create", name, "--dimensions", 2)
    code, out, err = run("index", path, "-c", name, "--vector-field", "vector")
    assert code == 0, err
    assert "5,000 stored" in out
    lines = [re.fullmatch(r"([\d,]+) rows \((\d+)%\), [\d,]+ points/s, .* left", one) for one in err.splitlines()]
    found = [(int(one[1].replace(",", "")), int(one[2])) for one in lines if one]
    assert len(found) > 8
    assert found == sorted(found)
    assert found[0][1] < 50
    assert found[-1][1] == 100


def test_rows_of_stdin_with_bad_ones(run, client, name, monkeypatch, tmp_path):
    lines = ['{"id": "a", "text": "one", "n": 1}', "{", '{"id": 2, "text": "two"}', '{"id": null, "text": "x"}', "{}"]
    (tmp_path / "rows").write_text("\n".join(lines))
    with (tmp_path / "rows").open() as rows:
        monkeypatch.setattr("sys.stdin", rows)
        code, out, err = run("index", "-", "--collection", name, "--id-field", "id", "--payload", "n")
    assert (code, out) == (1, f"{name}: 2 stored, 0 unchanged, 0 deleted, 3 failed\n"), err
    assert [line for line in ("line 2", "line 4", "line 5") if line not in err] == []
    assert ids(client, name) == ["a", 2]
    assert client.collection(name).get(["a"])[0].payload["n"] == 1


def test_parquet_with_vectors(run, client, name, tmp_path):
    path = tmp_path / "rows.parquet"
    vectors = [[1.0, 0.0], [0.0, 1.0], [1.0]]
    pq.write_table(pa.table({"key": [1, 2, 3], "text": ["a", "b", "c"], "v": vectors}), path)
    client.create_collection(name, dimensions=2)
    assert run("index", path, "-c", name)[0] == 2
    code, out, err = run("index", path, "-c", name, "--id-field", "key", "--vector-field", "v")
    assert (code, out) == (1, f"{name}: 2 stored, 0 unchanged, 0 deleted, 1 failed\n")
    assert "rows.parquet" in err
    assert ids(client, name) == [1, 2]


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_rows_that_are_only_vectors(run, client, name, tmp_path, suffix):
    path, rows = tmp_path / f"rows.{suffix}", [{"key": f"k{n}", "embedding": [1.0, float(n)]} for n in range(300)]
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run("collections", "create", name, "--dimensions", "2")[0] == 0
    command = ("index", path, "-c", name, "--id-field", "key", "--vector-field", "embedding")
    assert 'if rows are only vectors, give --text-field ""' in run(*command)[2]
    assert run(*command, "--text-field", "")[1] == f"{name}: 300 stored, 0 unchanged, 0 deleted, 0 failed\n"
    assert run(*command, "--text-field", "")[1] == f"{name}: 0 stored, 300 unchanged, 0 deleted, 0 failed\n"
    assert client.collection(name).search([1.0, 0.0], top_k=1)[0].id == "k0"
    assert client.collection(name).get(["k7"])[0].text == ""
    assert "need a text or a vector" in run("index", path, "-c", name, "--text-field", "")[2]


def test_rows_that_vanished_from_a_file_are_pruned(run, client, name, tmp_path):
    path, other = tmp_path / "rows.jsonl", tmp_path / "other.jsonl"
    command = ("index", path, "-c", name, "--id-field", "id")

    def write(file, ids, bad=""):
        file.write_text("".join(json.dumps({"id": one, "text": f"text {one}"}) + "\n" for one in ids) + bad)

    write(path, ["1", 1, "b", 'q"uote'])
    write(other, ["kept"])
    assert run(*command)[0] == run("index", other, "-c", name, "--id-field", "id")[0] == 0
    write(path, [1, "b"], bad="{\n")
    assert (
        run(*command, "--prune")[1] == f"{name}: 0 stored, 2 unchanged, 0 deleted, 1 failed\n"
    )  # it may be one of them
    write(path, [1, "b"])
    assert run(*command)[1] == f"{name}: 0 stored, 2 unchanged, 0 deleted, 0 failed\n"
    assert run(*command, "--prune")[1] == f"{name}: 0 stored, 2 unchanged, 2 deleted, 0 failed\n"
    assert ids(client, name) == [1, "b", "kept"]
    path.unlink()
    assert run("index", tmp_path, "-c", name, "--id-field", "id", "--prune")[1].endswith("2 deleted, 0 failed\n")
    assert ids(client, name) == ["kept"]


def test_pruning_leaves_alone_what_no_file_says(run, client, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_text('{"id": "mine", "text": "one", "source": "wiki"}\n')
    command = ("index", ".", "-c", name, "--id-field", "id", "--payload", "source")
    assert run(*command)[0] == 0
    collection = client.collection(name)
    collection.upsert([{"id": "theirs", "text": "of another program", "source": "gone.md"}])
    collection.upsert([{"id": "feed", "text": "of a feed", "source": "feed", "hash": "x"}])
    collection.upsert([{"id": "gone", "text": "of a file", "source": "gone.md", "hash": "x"}])
    assert run(*command, "--prune")[1] == f"{name}: 0 stored, 1 unchanged, 1 deleted, 0 failed\n"
    assert ids(client, name) == ["mine", "theirs", "feed"]


def test_long_rows_are_cut_into_chunks(run, client, name, tmp_path):
    path = tmp_path / "rows.jsonl"
    command = ("index", path, "-c", name, "--id-field", "id", "--payload", "by", "--chunk-rows")
    command += ("--chunk-tokens", 16, "--chunk-overlap", 0)
    text = "The first sentence says something of cats. The second one is all about large dogs. The third is short."
    rows = [{"id": 7, "text": text, "by": "x"}, {"id": "short", "text": "Just this.", "by": "y"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run(*command)[1] == f"{name}: 3 stored, 0 unchanged, 0 deleted, 0 failed\n"
    assert ids(client, name) == ["7#0", "7#1", "short#0"]
    first, second, last = client.collection(name).scroll()
    assert [(one.payload["parent_id"], one.payload["chunk"]) for one in (first, second, last)] == [
        (7, 0),
        (7, 1),
        ("short", 0),
    ]
    assert text[second.payload["start"] : second.payload["end"]] == second.text
    assert (second.payload["by"], last.text) == ("x", "Just this.")
    assert run(*command)[1] == f"{name}: 0 stored, 3 unchanged, 0 deleted, 0 failed\n"
    path.write_text(json.dumps({"id": 7, "text": "Short now.", "by": "x"}) + "\n")
    assert run(*command)[1] == f"{name}: 1 stored, 0 unchanged, 1 deleted, 0 failed\n"
    assert run(*command, "--prune")[1] == f"{name}: 0 stored, 1 unchanged, 1 deleted, 0 failed\n"
    assert ids(client, name) == ["7#0"]
    assert "leave --vector-field out" in run(*command, "--vector-field", "v")[2]


def test_a_text_that_lost_most_of_its_chunks(run, client, name, tmp_path):
    path = tmp_path / "rows.jsonl"
    command = ("index", path, "-c", name, "--id-field", "id", "--chunk-rows", "--chunk-tokens", 8, "--chunk-overlap", 0)
    sentences = [f"This is sentence {number}." for number in range(129)]
    path.write_text(json.dumps({"id": "long", "text": " ".join(sentences)}) + "\n")
    assert run(*command)[1] == f"{name}: 129 stored, 0 unchanged, 0 deleted, 0 failed\n"
    path.write_text(json.dumps({"id": "long", "text": sentences[0]}) + "\n")
    assert run(*command)[1] == f"{name}: 0 stored, 1 unchanged, 128 deleted, 0 failed\n"
    assert ids(client, name) == ["long#0"]


def test_what_cannot_be_indexed(run, name, tmp_path):
    assert run("index", tmp_path, "-c", name)[0] == 2
    assert run("index", tmp_path / "none.md", "-c", name)[0] == 2
    (tmp_path / "a.txt").write_text("a")
    code, _, err = run("index", tmp_path, "-c", name, "--no-create")
    assert code == 1
    assert "--no-create" in err
    assert run("index", tmp_path, "-c", name, "--chunk-tokens", "10", "--chunk-overlap", "6")[0] == 2


def test_collections(run, client, name):
    assert run("collections", "create", name, "--dimensions", "3", "--index", "price=float")[0] == 0
    assert run("collections", "create", name, "--index", "price=money")[0] == 2
    code, out, _ = run("collections", "list")
    assert (code, name in out) == (0, True)
    assert run("collections", "alias", f"{name}-now", name)[1] == f"{name}-now: nothing -> {name}\n"
    code, out, _ = run("collections", "show", f"{name}-now", "--json")
    facts = json.loads(out)
    assert (facts["name"], facts["payload_indexes"], facts["aliases"]) == (name, {"price": "float"}, [f"{name}-now"])
    assert run("collections", "show", name)[0] == 0
    assert run("collections", "delete", name, "--yes")[0] == 1  # an alias stands for it
    assert run("collections", "alias", f"{name}-now", "--delete")[0] == 0
    assert run("collections", "delete", name, "--yes")[1] == f"deleted {name}, 0 points\n"
    with pytest.raises(nearfield.NotFound):
        client.collection(name).info()
