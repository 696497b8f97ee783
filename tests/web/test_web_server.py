import asyncio
import signal
import socket

import pytest
import uvloop

from nearfield_server.config.address import parse_address
from nearfield_server.errors import ConfigError
from nearfield_server.web.server import HttpServer


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


async def get(address):
    where = parse_address(address)
    opening = (
        asyncio.open_unix_connection(where.path) if where.path else asyncio.open_connection(where.host, where.port)
    )
    reader, writer = await opening
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def serve_once(listen):
    server = HttpServer(hello, listen)
    address = await server.start()
    try:
        answer = await get(address)
    finally:
        await server.stop()
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"hello")
    assert b"uvicorn" not in answer
    return address


@pytest.mark.parametrize("runner", [asyncio.run, uvloop.run])
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_serves_on_either_loop(runner, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    listen = "127.0.0.1:0" if kind == "tcp" else "unix:http.sock"
    address = runner(serve_once(listen))
    if kind == "tcp":
        assert parse_address(address).port > 0
    else:
        assert address == listen
        assert not (tmp_path / "http.sock").exists()


async def test_stop_closes_the_port_and_may_come_twice():
    server = HttpServer(hello, "127.0.0.1:0")
    await server.stop()
    address = await server.start()
    await server.stop()
    await server.stop()
    with pytest.raises(ConnectionRefusedError):
        await get(address)


async def test_a_taken_port_is_told_at_once():
    first = HttpServer(hello, "127.0.0.1:0")
    address = await first.start()
    try:
        with pytest.raises(ConfigError, match=f"http: cannot listen on {address}: another program .* choose another"):
            await HttpServer(hello, address).start()
        assert (await get(address)).endswith(b"hello")
    finally:
        await first.stop()


async def test_a_taken_socket_is_not_stolen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = HttpServer(hello, "unix:a.sock")
    await first.start()
    try:
        with pytest.raises(ConfigError, match="another program"):
            await HttpServer(hello, "unix:a.sock").start()
        assert (await get("unix:a.sock")).endswith(b"hello")
    finally:
        await first.stop()


async def test_a_socket_left_behind_is_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind("a.sock")
    await serve_once("unix:a.sock")


async def test_a_file_in_the_way_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.sock").write_text("precious")
    with pytest.raises(ConfigError, match="another program"):
        await HttpServer(hello, "unix:a.sock").start()
    assert (tmp_path / "a.sock").read_text() == "precious"


@pytest.mark.parametrize("address", ["192.0.2.1:0", "nosuchhost.invalid:0", "unix:/no/such/folder/a.sock"])
async def test_addresses_of_nobody(address):
    with pytest.raises(ConfigError, match=r"cannot listen on .*--http"):
        await HttpServer(hello, address).start()


async def test_signals_stay_with_the_process():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    server = HttpServer(hello, "127.0.0.1:0")
    await server.start()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    await server.stop()


async def test_a_socket_with_a_full_backlog_is_taken_and_does_not_hold_us_up(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind("a.sock")
        busy.listen(0)
        waiting.connect("a.sock")
        with pytest.raises(ConfigError, match="another program"):
            await HttpServer(hello, "unix:a.sock").start()
