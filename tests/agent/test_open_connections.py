"""The choice of the connection that a new one replaces, as a table of open connections."""

import asyncio
import socket
from dataclasses import dataclass

import pytest

from purpleflea_sdk.http import open_connections
from purpleflea_sdk.http.open_connections import has_unread_bytes, replaced

KUBELET, OTHER, THIRD = "10.0.0.1", "10.0.0.2", "10.0.0.3"


@dataclass(frozen=True, kw_only=True)
class Open:
    number: int
    address: str = OTHER
    waits_for_client: bool = True
    has_unread_bytes: bool = False


NEW = Open(number=99)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_connections, "MAX_CONNECTIONS", 5)
    monkeypatch.setattr(open_connections, "MAX_CONNECTIONS_OF_ADDRESS", 3)


def silent(*numbers: int, address: str = OTHER) -> list[Open]:
    return [Open(number=number, address=address) for number in numbers]


def working(*numbers: int, address: str = OTHER) -> list[Open]:
    return [Open(number=n, address=address, waits_for_client=False) for n in numbers]


def sending(*numbers: int, address: str = OTHER) -> list[Open]:
    return [Open(number=n, address=address, has_unread_bytes=True) for n in numbers]


@pytest.mark.parametrize(
    ("others", "new", "number"),
    [
        pytest.param([], NEW, None, id="the first one"),
        pytest.param(silent(1, 2), NEW, None, id="below both limits"),
        pytest.param(silent(3, 1, 2), NEW, 1, id="the oldest of its address"),
        pytest.param(
            silent(1, address=KUBELET) + silent(2, 3, 4), NEW, 2, id="none of another address"
        ),
        pytest.param(working(1) + silent(2, 3), NEW, 2, id="none that is being answered"),
        pytest.param(sending(1) + silent(2, 3), NEW, 2, id="none whose request is not read yet"),
        pytest.param(sending(2, 1) + working(3), NEW, 1, id="one with bytes if none is silent"),
        pytest.param(working(1, 2, 3), NEW, None, id="none in work below the total"),
        pytest.param(
            silent(1, 2, address=KUBELET) + silent(3, 4, 5),
            Open(number=9, address=THIRD),
            3,
            id="at the total, the oldest of the address with the most",
        ),
        pytest.param(
            silent(1, address=KUBELET) + working(2, 3, 4, 5),
            Open(number=9, address=THIRD),
            1,
            id="at the total, a silent one of any address before one in work",
        ),
        pytest.param(
            working(1, 2, 3) + silent(4, 5, address=KUBELET),
            Open(number=9),
            4,
            id="at both limits, a silent one of another address before one in work",
        ),
        pytest.param(
            working(1, 2, address=KUBELET) + working(3, 4, 5),
            Open(number=9, address=KUBELET),
            3,
            id="at the total without a silent one, the oldest of the address with the most",
        ),
        pytest.param(
            [Open(number=n, address=f"10.1.0.{n}") for n in (3, 1, 2, 5, 4)],
            Open(number=9, address=THIRD),
            1,
            id="the oldest if every client has another address",
        ),
    ],
)
def test_a_new_connection_replaces(others: list[Open], new: Open, number: int | None) -> None:
    found = replaced(others, new)
    assert (found.number if found else None) == number


async def test_bytes_count_as_unread_until_they_are_read() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=ours)
    transport = writer.transport
    assert isinstance(transport, asyncio.Transport)
    assert not has_unread_bytes(transport)
    theirs.send(b"GET / HTTP/1.1\r\n")
    assert has_unread_bytes(transport)
    # A client that fills the buffers of a server that reads no more is silent.
    transport.pause_reading()
    assert not has_unread_bytes(transport)
    transport.resume_reading()
    await reader.readline()
    assert not has_unread_bytes(transport)
    writer.close()
    assert not has_unread_bytes(transport)
    theirs.close()
    await writer.wait_closed()
