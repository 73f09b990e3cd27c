"""ASGI wrappers of `send` that change the answer of the application: its JSON, its speed or its end."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.types import Message, Receive, Send

from purpleflea_sandbox.exchange.core import oddities
from purpleflea_sandbox.exchange.core.faults import FaultKind, SelectedFault

JSON = b"application/json"


def changed(selected: SelectedFault, answer: Any) -> Any:
    """Return the parsed JSON of an answer after the fault."""
    if selected.fault.kind is FaultKind.LATE_STATE:
        return oddities.late_state(answer)
    is_price = selected.fault.kind is FaultKind.ODD_PRICE
    options = oddities.ODD_PRICES if is_price else oddities.ODD_ROWS
    oddity = selected.fault.oddity or selected.choice("oddity", options)
    change = oddities.odd_price if is_price else oddities.odd_rows
    return change(answer, oddity, selected.choice)


class WholeAnswer:
    """Collects an answer, so that it can be sent in another form."""

    def __init__(self) -> None:
        self._start: Message = {}
        self._body = bytearray()

    async def collect(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        else:
            self._body += message.get("body", b"")

    def change_json(self, change: Callable[[Any], Any]) -> None:
        """Change the body of a successful answer in JSON."""
        headers = dict(self._start["headers"])
        is_json = headers.get(b"content-type", b"").startswith(JSON)
        if self._start["status"] < 300 and is_json:
            self._body = bytearray(json.dumps(change(json.loads(self._body))).encode())
            length = (b"content-length", str(len(self._body)).encode())
            others = [item for item in self._start["headers"] if item[0] != length[0]]
            self._start["headers"] = [*others, length]

    async def send(self, send: Send) -> None:
        await send(self._start)
        await send({"type": "http.response.body", "body": bytes(self._body)})

    async def send_half(self, send: Send) -> None:
        """Send the headers for the whole body, and half of the body."""
        await send(self._start)
        half = bytes(self._body[: len(self._body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})

    async def drip(
        self,
        send: Send,
        receive: Receive,
        pause_s: float,
        gone: Callable[[Receive], Awaitable[None]],
    ) -> None:
        """Send the body one byte at a time, until the client has disconnected."""
        await send(self._start)
        for byte in self._body:
            await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await gone(receive)
                    return
        await send({"type": "http.response.body", "body": b""})
