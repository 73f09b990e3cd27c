"""RFC 9457 problem details for every error of the API, without secrets."""

import http
import logging
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, JsonValue

from purpleflea_agent.exchange.errors import ExchangeError, NeverSent, OutcomeUnknown, Refused
from purpleflea_agent.journal import JournalError
from purpleflea_agent.trading.errors import EscrowUnsettled, KeyReused, OrderRefused, OrderUnsettled
from purpleflea_sdk.telemetry import redaction

logger = logging.getLogger("purpleflea.api")

ROUTING_ERRORS = (400, 404, 405)
"""Raised by Starlette as an exception that FastAPI does not export."""
PROBLEM_JSON = "application/problem+json"
EXAMPLE: dict[str, JsonValue] = {
    "type": "about:blank",
    "title": "max order",
    "status": 409,
    "detail": "the order is refused: max_order",
    "code": "max_order",
}
_EXAMPLE_CODES = {
    401: "unauthorized",
    403: "closed",
    404: "not_found",
    408: "too_slow",
    409: "max_order",
    413: "body_too_large",
    422: "invalid",
    500: "internal",
    502: "upstream",
    503: "not_ready",
    504: "unsettled",
}


class ProblemBody(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str


class Problem(Exception):  # noqa: N818 - the name states the meaning
    """An error answer; `code` is its machine-readable name."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers


def problem_of(error: Exception) -> Problem:
    """Return the answer to an error."""
    if isinstance(error, ExchangeError) and error.in_public != str(error):
        logger.warning("The exchange failed", extra={"error.message": str(error)})
    match error:
        case Problem():
            return error
        case OrderRefused():
            return Problem(409, error.reason, str(error))
        case KeyReused():
            return Problem(409, "idempotency_conflict", str(error))
        case OrderUnsettled() | EscrowUnsettled():
            return Problem(
                504, "unsettled", f"{error}: send the request again with the same Idempotency-Key"
            )
        case OutcomeUnknown(error_type="timeout"):
            return Problem(504, "upstream_timeout", error.in_public)
        case Refused(status=404):
            return Problem(404, "not_found", error.in_public)
        case Refused(status=400 | 422):
            return Problem(422, "refused_upstream", error.in_public)
        case Refused(status=409):
            return Problem(409, "upstream_conflict", error.in_public)
        case Refused() | NeverSent() | OutcomeUnknown() | ExchangeError():
            return Problem(502, "upstream", error.in_public)
        case JournalError():
            remedy = (
                "send the request again with the same Idempotency-Key when its volume is writable"
            )
            return Problem(503, "journal", f"the journal cannot be used: {remedy}")
        case RequestValidationError():
            return Problem(422, "invalid", _first_problem(error))
    status = getattr(error, "status_code", None)
    if isinstance(status, int):  # an error of the framework
        return Problem(status, "http", str(getattr(error, "detail", "")))
    logger.error("Request failed", exc_info=error)
    return Problem(500, "internal", "the agent failed; see its log")


def problem_response(problem: Problem) -> JSONResponse:
    """Convert a problem to an HTTP response."""
    body = ProblemBody(
        title=problem.code.replace("_", " "),
        status=problem.status,
        detail=redaction.redact(problem.detail),
        code=problem.code,
    )
    return JSONResponse(
        body.model_dump(),
        status_code=problem.status,
        headers=problem.headers,
        media_type=PROBLEM_JSON,
    )


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entries for the problems of an operation."""
    return {
        status: {
            "description": http.HTTPStatus(status).phrase,
            "content": {
                PROBLEM_JSON: {
                    "schema": ProblemBody.model_json_schema(),
                    "example": {**EXAMPLE, "status": status, "code": _EXAMPLE_CODES[status]},
                }
            },
        }
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem document."""

    async def answer(_: Request, error: Exception) -> JSONResponse:
        return problem_response(problem_of(error))

    for kind in (
        Problem,
        OrderRefused,
        KeyReused,
        OrderUnsettled,
        EscrowUnsettled,
        ExchangeError,
        JournalError,
        HTTPException,
        RequestValidationError,
        Exception,
        *ROUTING_ERRORS,
    ):
        app.add_exception_handler(kind, answer)


def _first_problem(error: RequestValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
