import io
import json
import logging
import re

import pytest

from nearfield_server.errors import BackendFailure
from nearfield_server.telemetry.logs import bound_request_id, configure, request_id

NAMES = ("nearfield", "uvicorn", "grpc", "asyncio")
SECRET = "my very private text"


@pytest.fixture(autouse=True)
def as_before():
    loggers = [logging.getLogger(name) for name in NAMES]
    before = [(one.level, one.propagate, list(one.handlers)) for one in loggers]
    yield
    for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.propagate = propagate
        logger.handlers[:] = handlers


def logged(log_format, act, level="debug"):
    stream = io.StringIO()
    configure(log_format, level, stream)
    act(logging.getLogger("nearfield.test"))
    return stream.getvalue()


def raise_and_log(logger):
    def inner(text):
        raise ValueError(text)

    try:
        try:
            inner(SECRET)
        except ValueError as error:
            raise BackendFailure("the model failed") from error
    except BackendFailure:
        logger.exception("failed")


def test_json():
    with bound_request_id("r-1"):
        text = logged("json", lambda log: log.info("model ready", extra={"model": "m", "seconds": 1.5, "ok": True}))
    entry = json.loads(text)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry.pop("ts"))
    assert entry == {
        "level": "info",
        "logger": "nearfield.test",
        "message": "model ready",
        "request_id": "r-1",
        "fields": {"model": "m", "seconds": 1.5, "ok": True},
    }
    assert request_id.get() == ""


def test_json_without_fields_has_no_empty_ones():
    assert json.loads(logged("json", lambda log: log.info("x"))).keys() == {"ts", "level", "logger", "message"}


def test_human():
    with bound_request_id("r-1"):
        text = logged("human", lambda log: log.warning("slow", extra={"model": "a b", "n": 3, "empty": ""}))
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} warning nearfield\.test: slow "
        r'model="a b" n=3 empty="" request_id=r-1\n',
        text,
    )


def test_colour_on_a_terminal_only():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    configure("human", "info", stream)
    logging.getLogger("nearfield").error("x")
    assert "\x1b[31merror" in stream.getvalue()
    configure("json", "info", stream := Terminal())
    logging.getLogger("nearfield").error("x")
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("log_format", ["human", "json"])
@pytest.mark.parametrize("value", ["a\nINFO forged", "a\r\x1b[2J", "\x00\x7f\x85\u2028", "\ud800", "\u202e"])
def test_no_value_can_forge_a_line(log_format, value):
    text = logged(
        log_format, lambda log: log.info("got %s", value, extra={"name_given": value, "nested": {value: value}})
    )
    assert text.count("\n") == 1
    assert all(one.isprintable() for one in text[:-1])
    text.encode()


@pytest.mark.parametrize("log_format", ["human", "json"])
@pytest.mark.parametrize("name", ["text", "inputs", "authorization", "token_ids", "Password", "api_key"])
def test_no_input_and_no_credential_gets_out(log_format, name):
    text = logged(log_format, lambda log: log.info("x", extra={name: SECRET, "more": {name: [SECRET]}}))
    assert SECRET not in text
    assert text.count("[not logged]") == 2


def test_counts_of_such_things_do():
    entry = json.loads(logged("json", lambda log: log.info("x", extra={"inputs": 3, "tokens": 40})))
    assert entry["fields"] == {"inputs": 3, "tokens": 40}


def test_long_values_and_odd_ones():
    odd = {"long": "x" * 5000, "nan": float("nan"), "none": None, "list": [1, "two"]}
    fields = json.loads(logged("json", lambda log: log.info("x", extra=odd)))["fields"]
    assert len(fields["long"]) == 2001
    assert fields["nan"] == "nan"
    assert fields["none"] is None
    assert fields["list"] == "[1, 'two']"


@pytest.mark.parametrize("log_format", ["human", "json"])
def test_exceptions_without_what_they_may_hold(log_format):
    text = logged(log_format, raise_and_log)
    assert SECRET not in text
    assert "BackendFailure: the model failed" in text
    assert "caused by ValueError" in text
    assert "inner" in text


def test_exceptions_are_lists_in_json():
    lines = json.loads(logged("json", raise_and_log))["exception"]
    assert lines[0] == "BackendFailure: the model failed"
    assert re.fullmatch(r".*test_logs\.py:\d+ raise_and_log", lines[1])
    assert lines[2] == "caused by ValueError"


def test_errors_of_the_system_tell_what_is_wrong():
    def act(log):
        log.error("x", exc_info=FileNotFoundError(2, "No such file or directory", "/x"))

    assert "FileNotFoundError: No such file or directory" in logged("human", act)


def test_a_chain_that_bites_its_tail():
    def act(log):
        one, two = ValueError(), KeyError()
        one.__cause__, two.__cause__ = two, one
        log.error("x", exc_info=one)

    assert logged("human", act).count("caused by") == 1


def test_level_and_set_up_twice():
    logged("human", lambda _: None)
    text = logged("human", lambda log: (log.info("hidden"), log.error("once")), level="error")
    assert text.count("once") == 1
    assert "hidden" not in text


def test_libraries_are_quiet_and_the_root_is_left_alone():
    root = logging.getLogger()
    before = (root.level, list(root.handlers))
    stream = io.StringIO()
    configure("json", "debug", stream)
    logging.getLogger("uvicorn.error").info("Started")
    logging.getLogger("grpc._cython").warning("beware")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["beware"]
    assert (root.level, list(root.handlers)) == before


def test_ids_nest():
    with bound_request_id("outer"):
        with bound_request_id("inner"):
            assert request_id.get() == "inner"
        assert request_id.get() == "outer"
