"""HTTP server for probes and the acknowledgement of the mode, which needs no framework: h11 parses the requests.

One request per connection, because the kubelet and the operator open a connection for each. Time, size and number of
connections are bounded. For an application with paths of its own see the module server.
"""

import asyncio
import contextlib
import http
import itertools
import logging
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.utils import formatdate
from typing import cast

import h11

from purpleflea_sdk.http import open_connections
from purpleflea_sdk.http.response import Answer, Response, problem

REQUEST_TIMEOUT_S = 5.0
"""Time to receive a request, and time to send its response."""
MAX_HEAD_BYTES = 16 * 1024
MAX_BODY_BYTES = 64 * 1024
"""No path takes a body. A short one is read and ignored, because a client may not read a response before it is sent."""
MAX_DRAINED_BYTES = 1024 * 1024
"""Bytes read and ignored after a response to a bad request. A client whose connection is closed would not read it."""

logger = logging.getLogger("purpleflea.http")


@contextlib.asynccontextmanager
async def running(listener: socket.socket, answer: Answer) -> AsyncIterator[None]:
    """Serve the paths of `answer` on a bound socket until the block ends; then close all connections."""
    connections = _Connections(answer)
    server = await asyncio.start_server(
        connections.serve,
        sock=listener,
        limit=MAX_HEAD_BYTES,
        backlog=open_connections.ACCEPTED_AT_ONCE,
    )
    open_connections.enlarge_accept_queue(listener)
    try:
        yield
    finally:
        server.close()
        await connections.close()


@dataclass(slots=True, kw_only=True, eq=False)
class _Connection:
    number: int
    address: str
    transport: asyncio.Transport
    waits_for_client: bool = True

    @property
    def has_unread_bytes(self) -> bool:
        """True if the client has sent bytes that are read in the next turn of the event loop."""
        return open_connections.has_unread_bytes(self.transport)


class _Connections:
    """The open connections of a server."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._numbers = itertools.count()
        self._open: dict[asyncio.Task[None], _Connection] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; it may replace one that waits for its client."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        address = str((writer.get_extra_info("peername") or ("",))[0])
        connection = _Connection(
            number=next(self._numbers),
            address=address,
            transport=cast("asyncio.Transport", writer.transport),
        )
        self._make_room(connection)
        self._open[task] = connection

        async def answer(path: str, accept: str) -> Response | None:
            connection.waits_for_client = False
            try:
                return await self._answer(path, accept)
            finally:
                connection.waits_for_client = True

        try:
            await _serve_request(reader, writer, answer)
        except (OSError, TimeoutError, h11.ProtocolError):
            writer.transport.abort()
        except Exception:  # a defect must not end the server
            writer.transport.abort()
            logger.exception("A request failed")
        finally:
            self._open.pop(task, None)
            writer.close()

    async def close(self) -> None:
        """Cancel the requests in progress."""
        tasks = tuple(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _make_room(self, new: _Connection) -> None:
        found = open_connections.replaced(self._open.values(), new)
        for task, item in self._open.items():
            if item is found:
                item.transport.abort()
                del self._open[task]
                return


async def _serve_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer
) -> None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
    has_body = is_valid = True
    try:
        async with asyncio.timeout(REQUEST_TIMEOUT_S):
            request = await _read_request(reader, connection)
    except h11.RemoteProtocolError as error:
        is_valid = False
        response = problem(error.error_status_hint, "bad_request", str(error))
    else:
        if request is None:
            return
        has_body = request.method != b"HEAD"
        response = await _respond(request, answer)
    async with asyncio.timeout(REQUEST_TIMEOUT_S):
        await _write(writer, connection, response, has_body=has_body)
        if not is_valid:
            await _drain(reader, writer)


async def _read_request(
    reader: asyncio.StreamReader, connection: h11.Connection
) -> h11.Request | None:
    """Return the request after its whole body; None if the client closed the connection before."""
    request: h11.Request | None = None
    received = 0
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(MAX_HEAD_BYTES))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            received += len(event.data)
            if received > MAX_BODY_BYTES:
                raise h11.RemoteProtocolError(
                    f"a request body has at most {MAX_BODY_BYTES} bytes", error_status_hint=413
                )
        else:  # the end of the message, or of the connection
            return request if isinstance(event, h11.EndOfMessage) else None


async def _drain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write_eof()
    drained = 0
    while drained < MAX_DRAINED_BYTES and (data := await reader.read(MAX_HEAD_BYTES)):
        drained += len(data)


async def _respond(request: h11.Request, answer: Answer) -> Response:
    path = request.target.decode("ascii", "replace").partition("?")[0]
    if request.method not in {b"GET", b"HEAD"}:
        return problem(405, "method_not_allowed", "this path has only GET")
    accept = next((value for name, value in request.headers if name == b"accept"), b"")
    try:
        response = await answer(path, accept.decode("latin-1"))
    except Exception:  # the client gets a response whatever the code of the path does
        logger.exception("A request failed", extra={"http.path": path})
        return problem(500, "internal", "the agent failed; see its log")
    return response or problem(404, "not_found", "this path does not exist")


async def _write(
    writer: asyncio.StreamWriter,
    connection: h11.Connection,
    response: Response,
    *,
    has_body: bool,
) -> None:
    headers = [
        ("Content-Type", response.content_type),
        ("Content-Length", str(len(response.body))),
        ("Date", formatdate(usegmt=True)),
        ("Connection", "close"),
    ]
    if response.status == 405:
        headers.append(("Allow", "GET, HEAD"))
    head = h11.Response(
        status_code=response.status,
        headers=headers,
        reason=http.HTTPStatus(response.status).phrase.encode(),
    )
    sent = connection.send(head) or b""
    if has_body:
        sent += connection.send(h11.Data(data=response.body)) or b""
    writer.transport.set_write_buffer_limits(0)  # drain waits until everything was sent
    writer.write(sent)
    await writer.drain()
