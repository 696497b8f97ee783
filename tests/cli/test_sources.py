"""What was written is what is read: every format, from every row on; and what is wrong is told with its place."""

import csv
import gzip
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfield_server.cli.files.lines import MAX_LINE_BYTES
from nearfield_server.cli.files.rows import InputError
from nearfield_server.cli.files.sources import open_source

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
# A line ends at "\n", and a "\r" before it belongs to the end; the first line's byte order mark isn't text.
ONE_LINE = ANY_TEXT.map(lambda text: text.replace("\n", " ").rstrip("\r").removeprefix("\ufeff"))
ROWS = st.lists(st.tuples(ANY_TEXT, st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=20)


def write_txt(path, rows):
    path.write_bytes("\n".join(text for text, _ in rows).encode() + b"\n")


def write_jsonl(path, rows):
    lines = [json.dumps({"text": text, "n": n}, ensure_ascii=False) for text, n in rows]
    path.write_bytes("\n\n".join(lines).encode())


def write_csv(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("text", "n"), *rows])


def write_tsv(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL).writerows([("text", "n"), *rows])


def write_parquet(path, rows):
    table = pa.table({"text": [text for text, _ in rows], "n": [n for _, n in rows]})
    pq.write_table(table, path, row_group_size=3)


WRITERS = {"txt": write_txt, "jsonl": write_jsonl, "csv": write_csv, "tsv": write_tsv, "parquet": write_parquet}


def read(path, skip=0, fields=(), text_field="text"):
    return list(open_source(path, text_field).rows(skip=skip, fields=fields))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", WRITERS)
@settings(deadline=None)
@given(rows=ROWS, skip=st.integers(0, 25))
def test_rows_come_back_from_any_row_on(suffix, rows, skip):
    if suffix == "txt":
        rows = [(text.replace("\n", " ").rstrip("\r").removeprefix("\ufeff"), n) for text, n in rows]
    fields = () if suffix == "txt" else ("n",)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"in.{suffix}"
        WRITERS[suffix](path, rows)
        found = read(path, skip, fields)
    assert [row.text for row in found] == [text for text, _ in rows][skip:]
    assert [row.number for row in found] == list(range(len(rows)))[skip:]
    if fields:
        assert [int(row.fields["n"]) for row in found] == [n for _, n in rows][skip:]


@pytest.mark.slow
@settings(deadline=None)
@given(texts=st.lists(ONE_LINE, min_size=1, max_size=10))
def test_gzipped_is_the_same_as_plain(texts):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in.txt.gz"
        path.write_bytes(gzip.compress("".join(text + "\n" for text in texts).encode()))
        assert [row.text for row in read(path)] == texts


def test_line_ends_and_byte_order_marks_are_no_text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\n\r\ntwo\rthree")
    assert [row.text for row in read(tmp_path / "a.txt")] == ["one", "", "two\rthree"]


@pytest.mark.parametrize("name", ["a.ndjson", "a.pq", "A.TXT"])
def test_other_spellings_of_suffixes(tmp_path, name):
    path = tmp_path / name
    WRITERS[{"ndjson": "jsonl", "pq": "parquet", "TXT": "txt"}[name[2:]]](path, [("x", 1)])
    assert [row.text for row in read(path)] == ["x"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", ["line 2 is not valid JSON", "column"]),
        (b"[1]", ["line 2 is not a JSON object but a list"]),
        (b'{"body": "x", "id": 1}', ["line 2 has no field 'text'", "body, id"]),
        (b'{"text": 3}', ["'text' is a number, not a string"]),
        (b'{"text": true}', ["a boolean"]),
        (b'{"text": null}', ["null"]),
        (b'{"text": {}}', ["an object"]),
        (b'{"text": "\\ud800"}', ["half of a surrogate pair", "\\ud800"]),
        (b'{"text": "\xff"}', ["line 2 is not UTF-8", "0xff", "position 10"]),
        (b'{"text":' + b"[" * 100_000, ["not valid JSON"]),
        (b'{"text": "x", "n": ' + b"9" * 5000 + b"}", ["not valid JSON"]),
    ],
)
def test_a_bad_json_line_is_one_bad_row(tmp_path, line, words):
    path = tmp_path / "in.jsonl"
    path.write_bytes(b'{"text": "fine"}\n' + line + b'\n{"text": "also"}\n')
    first, bad, last = read(path)
    assert (first.text, bad.text, last.text) == ("fine", None, "also")
    assert bad.place == "line 2"
    assert all(word in bad.problem for word in words), bad.problem


def test_a_record_of_another_width_is_one_bad_row(tmp_path):
    (tmp_path / "in.csv").write_text('text,n\n"a\nb",1\nshort\n\nc,2\n', "utf-8")
    rows = read(tmp_path / "in.csv")
    assert [(row.text, row.place) for row in rows] == [("a\nb", "line 3"), (None, "line 4"), ("c", "line 6")]
    assert rows[1].problem == "line 4 has 1 fields, the header 2"


def test_missing_values_of_parquet_are_bad_rows(tmp_path):
    pq.write_table(pa.table({"text": ["a", None, "c"]}), tmp_path / "in.parquet")
    assert [row.problem for row in read(tmp_path / "in.parquet")] == [
        None,
        "row 1: field 'text' is null, not a string",
        None,
    ]


@pytest.mark.parametrize("kind", [pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_every_arrow_type_of_strings_is_taken(tmp_path, kind):
    pq.write_table(pa.table({"text": pa.array(["a", "b", "a"], kind)}), tmp_path / "in.parquet")
    assert [row.text for row in read(tmp_path / "in.parquet")] == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("in.csv", b"id,body\n1,x\n", ["no column 'text'", "id, body"]),
        ("in.csv", b"text\n\xff\n", ["line 2 is not UTF-8"]),
        ("in.csv", b'text\n"never closed', ["not valid CSV"]),
        ("in.txt.gz", gzip.compress(b"one\ntwo\n")[:-9], ["damaged or cut gzip"]),
        ("in.txt.gz", b"not gzip", ["gzip"]),
        ("in.parquet", b"PAR1 or not", ["not a Parquet file"]),
        ("in.parquet", b"", ["not a Parquet file"]),
        ("in.bin", b"", [".txt", ".jsonl", ".csv", ".tsv", ".parquet", "--format"]),
        ("in.parquet.gz", b"", ["known are"]),
        ("in", b"", ["known are"]),
        ("in.txt", b"x" * (MAX_LINE_BYTES + 1), ["line 1 is longer than"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_damaged_file_is_refused(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as refusal:
        read(path)
    assert all(word in str(refusal.value) for word in [*words, name]), refusal.value


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"text": [1, 2], "body": ["a", "b"]}, ["holds int64", "columns of strings: body"]),
        ({"n": [1, 2]}, ["no column 'text'", "n"]),
    ],
)
def test_parquet_without_texts_is_refused_at_once(tmp_path, table, words):
    pq.write_table(pa.table(table), tmp_path / "in.parquet")
    with pytest.raises(InputError) as refusal:
        open_source(tmp_path / "in.parquet", "text")
    assert all(word in str(refusal.value) for word in words), refusal.value


def test_how_much_was_read_is_known(tmp_path):
    (tmp_path / "in.txt").write_text("line\n" * 100_000, "utf-8")
    source = open_source(tmp_path / "in.txt", "text")
    assert source.fraction() is None
    rows = source.rows()
    for _ in range(60_000):
        next(rows)
    assert 0.5 < source.fraction() < 0.8
    rows.close()
    assert source.fraction() is None
