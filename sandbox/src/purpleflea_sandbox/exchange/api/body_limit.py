"""Rejects request bodies that exceed the limit before they use memory.

FastAPI's own limit is not used, because it responds with plain text instead of problem details.
"""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from purpleflea_sandbox.exchange.api.problems import BODY_TOO_LARGE, problem, problem_response

MAX_BODY_BYTES = 64 * 1024

_DETAIL = f"a request body has at most {MAX_BODY_BYTES} bytes"


class BodyLimit:
    """ASGI middleware that responds with 413 based on Content-Length, or as soon as a chunked body
    exceeds the limit.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdigit() and int(announced) > MAX_BODY_BYTES:
            await problem_response(problem(413, BODY_TOO_LARGE, _DETAIL))(scope, receive, send)
            return
        await self._app(scope, _counted(receive), send)


def _counted(receive: Receive) -> Receive:
    seen = 0

    async def counting() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MAX_BODY_BYTES:
            raise HTTPException(413, _DETAIL)
        return message

    return counting
