import asyncio

import pytest
import uvicorn
from uvicorn.server import ServerState

from nearfield_server.config.address import parse_address
from nearfield_server.web.protocol import PromptProtocol
from nearfield_server.web.server import HttpServer

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


class Transport(asyncio.Transport):
    """Takes everything and sends it nowhere."""

    def __init__(self):
        super().__init__()
        self.aborted = self.closed = False

    def write(self, data):
        pass

    def is_closing(self):
        return self.closed or self.aborted

    def close(self):
        self.closed = True

    def abort(self):
        self.aborted = True

    def resume_reading(self):
        pass


class Loop:
    """Keeps what is asked of it, for the test to do."""

    def __init__(self):
        self.timers, self.coroutines = [], []

    def call_later(self, seconds, call):
        timer = asyncio.TimerHandle(seconds, call, (), self)
        self.timers.append(timer)
        return timer

    def create_task(self, coroutine, **_):
        self.coroutines.append(coroutine)
        return asyncio.Future(loop=asyncio.get_running_loop())

    def get_debug(self):
        return False

    def _timer_handle_cancelled(self, handle):
        pass

    def waiting(self):
        """Give the seconds of the timers that will go off."""
        return [one.when() for one in self.timers if not one.cancelled()]

    def fire(self):
        for one in self.timers:
            if not one.cancelled():
                one._run()


class Connection:
    def __init__(self):
        self.loop, self.transport = Loop(), Transport()
        config = uvicorn.Config(hello, lifespan="off", log_config=None, ws="none", timeout_keep_alive=75)
        self.protocol = PromptProtocol(config, ServerState(), {}, self.loop)
        self.protocol.connection_made(self.transport)

    async def answer(self):
        await self.loop.coroutines.pop(0)


@pytest.fixture
async def connection():
    opened = Connection()
    yield opened
    for one in opened.loop.coroutines:
        one.close()


async def test_silence_is_cut_off(connection):
    assert connection.loop.waiting() == [10.0]
    connection.loop.fire()
    assert connection.transport.aborted


async def test_bytes_that_trickle_in_gain_no_time(connection):
    for byte in REQUEST[:-1]:
        connection.protocol.data_received(bytes([byte]))
    assert len(connection.loop.timers) == 1
    assert connection.loop.waiting() == [10.0]


async def test_a_request_may_take_its_time_to_be_answered(connection):
    connection.protocol.data_received(REQUEST)
    assert connection.loop.waiting() == []


async def test_between_requests_the_longer_limit_holds(connection):
    connection.protocol.data_received(REQUEST)
    await connection.answer()
    assert connection.loop.waiting() == [75]


@pytest.mark.parametrize("more", [REQUEST[:5], REQUEST[:-1]])
async def test_the_second_request_must_be_prompt_too(connection, more):
    connection.protocol.data_received(REQUEST)
    await connection.answer()
    connection.protocol.data_received(more)
    assert connection.loop.waiting() == [10.0]
    connection.protocol.data_received(REQUEST[len(more) :])
    assert connection.loop.waiting() == []


async def test_a_body_that_nobody_reads_must_be_prompt(connection):
    connection.protocol.data_received(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
    await connection.answer()
    for _ in range(5):
        connection.protocol.data_received(b"x")
    assert connection.loop.waiting() == [10.0]


async def test_a_closed_connection_leaves_no_timer(connection):
    connection.protocol.connection_lost(None)
    assert connection.loop.waiting() == []


async def test_nonsense_is_refused_and_leaves_no_timer_behind(connection):
    connection.protocol.data_received(b"\x16\x03\x01\r\n\r\n")
    assert connection.transport.closed
    connection.protocol.connection_lost(None)
    assert connection.loop.waiting() == []


@pytest.mark.parametrize("sent", [b"", REQUEST[:-2]])
async def test_on_a_real_socket(sent, monkeypatch):
    monkeypatch.setattr(PromptProtocol, "request_seconds", 0.02)
    server = HttpServer(hello, "127.0.0.1:0")
    where = parse_address(await server.start())
    reader, writer = await asyncio.open_connection(where.host, where.port)
    writer.write(sent)
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    await server.stop()
