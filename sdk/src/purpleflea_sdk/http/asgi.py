"""The paths that the operator needs as an ASGI application, in front of the application of an agent.

A server for ASGI runs the agent by the lifespan of this application. It needs no framework.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from purpleflea_sdk.http.response import Answer, Response

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class OperatorPaths:
    """Answers the paths of the operator, and passes every other request to the application."""

    def __init__(
        self,
        answer: Answer,
        application: Application,
        running: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        self._answer = answer
        self._application = application
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or run the agent from the start to the stop of the server."""
        if scope["type"] == "lifespan":
            await self._run(receive, send)
            return
        if scope["type"] == "http" and scope["method"] in {"GET", "HEAD"}:
            response = await self._answer(scope["path"], _accept(scope))
            if response is not None:
                await send_response(send, response, has_body=scope["method"] == "GET")
                return
        await self._application(scope, receive, send)

    async def _run(self, receive: Receive, send: Send) -> None:
        await receive()
        phase = "startup"
        try:
            async with self._running():
                await send({"type": "lifespan.startup.complete"})
                phase = "shutdown"
                await receive()
        except Exception as error:
            await send({"type": f"lifespan.{phase}.failed", "message": repr(error)})
            raise
        await send({"type": "lifespan.shutdown.complete"})


async def send_response(
    send: Send,
    response: Response,
    *,
    has_body: bool = True,
    headers: tuple[tuple[bytes, bytes], ...] = (),
) -> None:
    """Send a whole response."""
    length = str(len(response.body)).encode()
    content_type = response.content_type.encode()
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [(b"content-type", content_type), (b"content-length", length), *headers],
        }
    )
    await send({"type": "http.response.body", "body": response.body if has_body else b""})


def _accept(scope: Scope) -> str:
    values = (value for name, value in scope["headers"] if name.lower() == b"accept")
    return next(values, b"").decode("latin-1")
