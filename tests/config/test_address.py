import pytest

from nearfield_server.config.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "expected", "local"),
    [
        ("127.0.0.1:50051", Address("127.0.0.1", 50051), True),
        ("127.8.0.1:1", Address("127.8.0.1", 1), True),
        ("localhost:0", Address("localhost", 0), True),
        ("0.0.0.0:50051", Address("0.0.0.0", 50051), False),
        ("[::1]:50051", Address("::1", 50051), True),
        ("[::]:50051", Address("::", 50051), False),
        ("example.org:65535", Address("example.org", 65535), False),
        ("unix:nearfield.sock", Address(path="nearfield.sock"), True),
        ("unix:/run/nearfield.sock", Address(path="/run/nearfield.sock"), True),
    ],
)
def test_reads_and_writes_back(text, expected, local):
    address = parse_address(text)
    assert address == expected
    assert str(address) == text
    assert address.is_local is local


def test_takes_the_long_form_of_unix_addresses():
    assert parse_address("unix:///run/a.sock") == Address(path="/run/a.sock")


@pytest.mark.parametrize(
    "text",
    [
        "", "50051", ":50051", "host", "host:", "host:x", "host:65536", "host:-1", "::1:50051", "[::1]", "[nonsense]:1",
        "http://host:80", "host:80/path", "a b:80", "unix:", f"unix:/{'x' * 107}", "unix:/a\0b", "host:80\n",
    ],
)  # fmt: skip
def test_refuses(text):
    with pytest.raises(ValueError, match=r"."):
        parse_address(text)
