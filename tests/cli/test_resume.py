"""Whatever ends a run, the next one goes on, and what comes out is what an uninterrupted run gives."""

import json
import os
import shutil
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

import nearfield
from nearfield_server.cli import embedding
from nearfield_server.cli.embedding import Request
from nearfield_server.cli.failures import CliError, Exit
from nearfield_server.cli.files.job import Job, run
from nearfield_server.cli.files.journal import Journal, identity_of
from nearfield_server.cli.files.partial import Partial, Paths
from nearfield_server.cli.files.sources import open_source
from nearfield_server.cli.files.writers import Output, publish

OPTIONS = {"model": "m", "dimensions": None}


def settle(given, paths, client, *, options=OPTIONS, overwrite=False, resume=True, skip=True, on_row=None, every=0.0):
    """Do one run; give how many rows it began after."""
    partial = Partial(paths, identity_of(given), options)
    done = partial.open(resume=resume, overwrite=overwrite)
    source = open_source(given, "text")
    ticks = iter(range(1_000_000))
    job = Job(
        source=source,
        sink=partial,
        options={},
        skip_bad_rows=skip,
        checkpoint_seconds=every,
        on_progress=on_row or (lambda rows: None),
        clock=lambda: float(next(ticks)),
    )
    with closing(partial):
        run(job, client)
        publish(paths, partial.finish(), Output(), source)
    return done


def write(folder, texts):
    path = Path(folder) / "in.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
    return path


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir()) if path.name.startswith("out")}


# Numbers are rows that can't be read, "refused" is one that the server won't have.
INPUTS = st.lists(st.sampled_from(["one", "two", "three", "refused", 7]), min_size=1, max_size=25).filter(
    lambda texts: any(isinstance(text, str) and text != "refused" for text in texts)
)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["out.npy", "out.jsonl", "out.parquet"])
@settings(deadline=None, max_examples=40)  # files are synced to the disk
@given(texts=INPUTS, stops=st.lists(st.integers(0, 8), max_size=6), every=st.integers(0, 6))
def test_a_run_stopped_anywhere_ends_as_one_that_was_not(fake_client, name, texts, stops, every):
    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as broken:
        settle(write(whole, texts), Paths(Path(whole) / name), fake_client.make(refused=["refused"]))
        given = write(broken, texts)
        for stop in stops:
            client = fake_client.make(stop_at=stop, refused=["refused"])
            try:
                settle(given, Paths(Path(broken) / name), client, every=every, overwrite=True)
            except nearfield.Unavailable:
                continue
        settle(given, Paths(Path(broken) / name), fake_client.make(refused=["refused"]), overwrite=True)
        assert contents(broken) == contents(whole)


@pytest.mark.slow
@settings(deadline=None, max_examples=40)  # files are synced to the disk
@given(texts=INPUTS, kill_at=st.integers(1, 25), every=st.integers(0, 6))
def test_a_run_killed_anywhere_ends_as_one_that_was_not(fake_client, texts, kill_at, every):
    """What the disk holds at any moment, as `kill -9` would leave it, is enough to go on."""
    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as broken:
        given, image = write(whole, texts), Path(broken) / "image"

        def on_row(rows):
            if rows >= kill_at and not image.exists():
                shutil.copytree(whole, image)

        settle(given, Paths(Path(whole) / "out.npy"), fake_client.make(refused=["refused"]), on_row=on_row, every=every)
        if not image.exists():
            return
        journal = Journal.read(Paths(image / "out.npy").journal)
        done = settle(image / given.name, Paths(image / "out.npy"), fake_client.make(refused=["refused"]))
        assert done == (journal.counts.rows if journal else 0)
        assert contents(image) == contents(whole)


def test_what_the_journal_doesnt_know_is_cut_off(fake_client, tmp_path):
    given, paths = write(tmp_path, ["a", 7, "b", "c", "d"]), Paths(tmp_path / "out.npy")
    with pytest.raises(nearfield.Unavailable):
        settle(given, paths, fake_client.make(stop_at=2))
    for path in (paths.spool, paths.spooled_errors):
        with path.open("ab") as file:
            file.write(b"written after the last checkpoint")
    assert settle(given, paths, fake_client.make()) == 3
    np.testing.assert_array_equal(np.load(paths.out), [fake_client.vector_of(text) for text in "abcd"])
    assert [json.loads(line)["row"] for line in paths.errors.read_text("utf-8").splitlines()] == [1]


def test_only_what_is_missing_is_asked_for(fake_client, tmp_path):
    texts = [f"t{row}" for row in range(10)]
    given, paths = write(tmp_path, texts), Paths(tmp_path / "out.npy")
    with pytest.raises(nearfield.Unavailable):
        settle(given, paths, fake_client.make(stop_at=6))
    client = fake_client.make()
    assert settle(given, paths, client) == 6
    assert client.asked == texts[6:]
    np.testing.assert_array_equal(np.load(paths.out), [fake_client.vector_of(text) for text in texts])


@pytest.fixture
def unfinished(fake_client, tmp_path):
    given, paths = write(tmp_path, ["a", "b", "c"]), Paths(tmp_path / "out.npy")
    with pytest.raises(nearfield.Unavailable):
        settle(given, paths, fake_client.make(stop_at=2))
    return given, paths


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "n", "dimensions": None}, "with model m, not n"),
        ({"model": "m", "dimensions": 7}, "with dimensions unset, not 7"),
        ({"model": "m", "dimensions": None, "model_version": "2"}, "with model version unset, not 2"),
    ],
)
def test_other_options_are_refused(fake_client, unfinished, options, words):
    with pytest.raises(CliError, match=words):
        settle(*unfinished, fake_client.make(), options=options)
    assert settle(*unfinished, fake_client.make()) == 2


@pytest.mark.parametrize("change", ["content", "time"])
def test_another_input_is_refused_unless_told_to_start_over(fake_client, unfinished, change):
    given, paths = unfinished
    if change == "content":
        write(given.parent, ["x", "b", "c"])
    else:
        os.utime(given, (1, 1))
    with pytest.raises(CliError, match=r"another input.*--overwrite"):
        settle(given, paths, fake_client.make())
    assert settle(given, paths, fake_client.make(), overwrite=True) == 0


def test_overwrite_still_goes_on_with_its_own(fake_client, unfinished):
    assert settle(*unfinished, fake_client.make(), overwrite=True) == 2


def test_no_resume_starts_over(fake_client, unfinished):
    assert settle(*unfinished, fake_client.make(), resume=False) == 0


@pytest.mark.parametrize("damage", ["spool gone", "spool cut", "journal cut", "journal of a later version"])
def test_a_damaged_partial_is_begun_again(fake_client, unfinished, damage):
    given, paths = unfinished
    if damage == "spool gone":
        paths.spool.unlink()
    elif damage == "spool cut":
        os.truncate(paths.spool, 130)
    elif damage == "journal cut":
        os.truncate(paths.journal, 50)
    else:
        paths.journal.write_text(json.dumps(json.loads(paths.journal.read_text()) | {"format": 99}))
    assert settle(given, paths, fake_client.make()) == 0
    assert np.load(paths.out).shape == (3, fake_client.width)


def test_two_runs_never_write_one_output(fake_client, unfinished):
    given, paths = unfinished
    first = Partial(paths, identity_of(given), OPTIONS)
    first.open(resume=True, overwrite=False)
    with closing(first), pytest.raises(CliError, match="another run is writing"):
        settle(given, paths, fake_client.make())


def test_vectors_of_another_kind_end_the_run(fake_client, unfinished):
    with pytest.raises(ValueError, match="vectors changed"):
        settle(*unfinished, fake_client.make(dtype=np.float16))


def test_a_run_without_rows_leaves_nothing(fake_client, tmp_path):
    given = write(tmp_path, ["a"])
    with pytest.raises(nearfield.Unavailable):
        settle(given, Paths(tmp_path / "out.npy"), fake_client.make(stop_at=0))
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_server_that_is_away_skips_no_row(fake_client, tmp_path):
    class Away(fake_client.make):
        def _result(self, index, text):
            return nearfield.StreamResult(index=index, error=nearfield.Unavailable("draining"))

    with pytest.raises(nearfield.Unavailable):
        settle(write(tmp_path, ["a"]), Paths(tmp_path / "out.npy"), Away(), skip=True)


def test_a_journal_survives_the_disk(tmp_path, unfinished):
    journal = Journal.read(unfinished[1].journal)
    journal.save(tmp_path / "again.json")
    assert Journal.read(tmp_path / "again.json") == journal


def run_command(given, out, client, **changes):
    request = Request(files=(given,), out=out, options={}, **changes)
    embedding._to_file(request, open_source(given, "text"), Output(), client, {})


def test_what_ends_a_run_comes_with_the_way_on(fake_client, tmp_path):
    given, out = write(tmp_path, ["a", "b", 7]), tmp_path / "out.npy"
    with pytest.raises(CliError) as stopped:
        run_command(given, out, fake_client.make(stop_at=1))
    assert stopped.value.exit_code == Exit.FAILED
    assert "UNAVAILABLE" in str(stopped.value)
    assert "done so far: 1 row; run the same command again" in str(stopped.value)
    with pytest.raises(CliError) as bad:
        run_command(given, out, fake_client.make())
    assert bad.value.exit_code == Exit.WRONG
    assert all(words in str(bad.value) for words in ("line 3", "--on-error skip", "2 rows", "--overwrite"))


def test_an_interrupt_tells_the_way_on(fake_client, tmp_path, capsys):
    given, out = write(tmp_path, ["a", "b"]), tmp_path / "out.npy"
    with pytest.raises(typer.Exit) as left:
        run_command(given, out, fake_client.make(stop_at=1, stop_with=KeyboardInterrupt()))
    assert left.value.exit_code == Exit.INTERRUPTED
    assert "interrupted after 1 row; run the same command again" in capsys.readouterr().err
    run_command(given, out, fake_client.make())
    assert len(np.load(out)) == 2


def test_a_row_that_the_server_refuses_is_named_by_its_row(fake_client, tmp_path):
    given = write(tmp_path, ["a", "refused"])
    with pytest.raises(CliError, match=r"row 1 \(line 2\): INVALID_ARGUMENT: has too many tokens"):
        run_command(given, tmp_path / "out.npy", fake_client.make(refused=["refused"]))


def test_an_output_without_a_vector_is_none(fake_client, tmp_path):
    given, out = write(tmp_path, [1, 2]), tmp_path / "out.npy"
    with pytest.raises(CliError, match="none of the 2 rows"):
        run_command(given, out, fake_client.make(), skip_bad_rows=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl", "out.npy.errors.jsonl"]
    given.write_text("")
    with pytest.raises(CliError, match="holds no texts"):
        run_command(given, out, fake_client.make(), overwrite=True)


def test_a_million_bad_rows_in_a_row_are_not_kept_in_memory(fake_client, tmp_path):
    class Slow(fake_client.make):
        """Takes its time over the first text, and measures what has piled up when it asks for more."""

        piled = 0

        def embed_stream(self, inputs, /, **options):
            for result in super().embed_stream(inputs, **options):
                self.piled = max(self.piled, len(inputs._unsettled))
                yield result

    client = Slow(ahead=0)
    settle(write(tmp_path, ["a", "b", *range(3000), "c"]), Paths(tmp_path / "out.npy"), client)
    assert client.piled < 10
