"""What a user reads: progress, errors, and a quick start."""

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

import nearfield
from nearfield._errors import ErrorFacts
from nearfield_server import errors
from nearfield_server.cli import main
from nearfield_server.cli.failures import CliError, Exit, describe, reporting, settings
from nearfield_server.cli.progress import Progress, counted, duration

NEARFIELD = Path(sys.executable).with_name("nearfield")


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def progress(stream, clock, **settings):
    settings = {"fraction": lambda: None} | settings
    return Progress(stream=stream, clock=clock, **settings)


def test_a_line_every_ten_seconds_where_nobody_watches():
    stream, clock = io.StringIO(), Clock()
    shown = progress(stream, clock, fraction=lambda: 0.25)
    for second in range(25):
        clock.now = float(second)
        shown.update(second * 100)
    shown.close()
    assert stream.getvalue().splitlines() == [
        "1,000 rows (25%), 100 texts/s, 30.0s left",
        "2,000 rows (25%), 100 texts/s, 1m00s left",
    ]


def test_rows_of_an_earlier_run_dont_count_for_the_rate():
    stream, clock = io.StringIO(), Clock()
    shown = progress(stream, clock, total=4000, done_before=1000)
    clock.now = 10.0
    shown.update(2000)
    assert stream.getvalue() == "2,000/4,000 rows (50%), 100 texts/s, 20.0s left\n"


def test_nothing_is_known_of_a_pipe():
    stream, clock = io.StringIO(), Clock()
    shown = progress(stream, clock)
    clock.now = 10.0
    shown.update(20)
    assert stream.getvalue() == "20 rows, 2 texts/s\n"


def test_a_bar_on_a_terminal_but_not_within_a_second():
    stream, clock = Terminal(), Clock()
    shown = progress(stream, clock, fraction=lambda: 0.5)
    clock.now = 0.9
    shown.update(10)
    assert stream.getvalue() == ""
    clock.now = 1.1
    shown.update(20)
    shown.close()
    assert "20 rows (50%), 18 texts/s, 1.1s left" in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0s"), (59.94, "59.9s"), (59.97, "1m00s"), (125, "2m05s"), (3599.9, "1h00m"), (12_000, "3h20m")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_numbers_of_rows():
    assert [counted(rows) for rows in (0, 1, 2000)] == ["0 rows", "1 row", "2,000 rows"]


@pytest.mark.parametrize(
    ("error", "expected", "code"),
    [
        (CliError("do that"), "do that", Exit.WRONG),
        (nearfield.NotFound("no such model"), "NOT_FOUND: no such model", Exit.FAILED),
        (
            nearfield.ResourceExhausted("full", ErrorFacts(retry_delay=1.25)),
            "RESOURCE_EXHAUSTED: full\n  the server asks to try again in 1.2 s",
            Exit.FAILED,
        ),
        (
            nearfield.InvalidArgument("two are wrong", ErrorFacts(field_violations=(("a", "is bad"), ("b", "too")))),
            "INVALID_ARGUMENT: two are wrong\n  a: is bad\n  b: too",
            Exit.FAILED,
        ),
        (
            nearfield.InvalidArgument("a: is bad", ErrorFacts(field_violations=(("a", "is bad"),))),
            "INVALID_ARGUMENT: a: is bad",
            Exit.FAILED,
        ),
        (errors.ConfigError("listen: no"), "listen: no", Exit.WRONG),
        (errors.ModelLoadFailure("no file"), "no file", Exit.WRONG),
        (errors.BackendFailure("broke"), "broke", Exit.FAILED),
        (PermissionError(13, "Permission denied", "x.npy"), "x.npy: Permission denied", Exit.FAILED),
        (OSError(28, "No space left on device"), "No space left on device", Exit.FAILED),
        (KeyError("x"), "internal error: KeyError: 'x' (--debug shows the traceback)", Exit.FAILED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_every_error_gets_a_message_and_an_exit_code(error, expected, code):
    assert describe(error) == (expected, code)


def test_a_traceback_only_with_debug(capsys, monkeypatch):
    with pytest.raises(typer.Exit) as left, reporting():
        raise KeyError("x")
    assert left.value.exit_code == Exit.FAILED
    monkeypatch.setattr(settings, "debug", True)
    with pytest.raises(KeyError), reporting():
        raise KeyError("x")
    assert capsys.readouterr().err.count("internal error: KeyError") == 2


@pytest.mark.parametrize("place", [0, 2, 4])
def test_debug_may_stand_anywhere(monkeypatch, place):
    monkeypatch.setattr(settings, "debug", False)  # put back at the end
    arguments = ["embed", "nowhere.txt", "--out", "x.npy"]
    with pytest.raises(CliError, match="no such file"):
        main([*arguments[:place], "--debug", *arguments[place:]])


def test_debug_behind_two_dashes_is_a_text(capsys):
    assert main(["similarity", "--local", "--", "--debug"]) == 2
    assert "give 2 to 100 texts, not 1" in capsys.readouterr().err


def test_an_unknown_command_is_met_with_a_suggestion(capsys):
    assert main(["modles"]) == 2
    assert "models" in capsys.readouterr().err


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("nearfield ")


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extras_the_command_says_what_to_install(capsys, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["--help"]) == 2
    err = capsys.readouterr().err
    assert f"needs {missing}" in err
    assert 'pip install "nearfield[cpu]"' in err


@pytest.mark.slow
def test_help_loads_nothing_heavy():
    code = (
        "import json, sys\n"
        "from nearfield_server.cli import main\n"
        "main(['--help'])\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert not loaded & {"grpc", "numpy", "onnxruntime", "pyarrow", "pydantic", "starlette", "tokenizers"}


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.6, 0.9, 1.2])
def test_ctrl_c_while_a_local_server_starts_never_hangs(tmp_path, seconds):
    process = subprocess.Popen(
        [NEARFIELD, "embed", "-", "--local", "--out", tmp_path / "out.npy"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        # The second where the machine is so slow that Python itself is still starting.
        assert process.wait(30) in {130, -signal.SIGINT}
    assert list(tmp_path.iterdir()) == []
