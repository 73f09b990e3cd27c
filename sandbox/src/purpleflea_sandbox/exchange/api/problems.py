"""Errors in HTTP responses: RFC 9457 problem details for every error, independent of its source.

A request body is never echoed, so an error cannot contain a secret.
"""

import http
import sqlite3
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from purpleflea_sandbox.exchange.api.models import FieldProblem, Problem
from purpleflea_sandbox.exchange.errors import ExchangeError

BODY_TOO_LARGE = "body_too_large"

_HTTP_CODES = {404: "not_found", 405: "method_not_allowed", 413: BODY_TOO_LARGE}
_TYPE = "urn:purpleflea:exchange:problem:"


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(
        problem.model_dump(exclude_none=True),
        status_code=problem.status,
        headers=headers,
        media_type="application/problem+json",
    )


def problem(status: int, code: str, detail: str, title: str | None = None) -> Problem:
    return Problem(
        type=f"{_TYPE}{code}",
        title=title or _phrase(status),
        status=status,
        detail=detail,
        code=code,
    )


def refusal(error: ExchangeError) -> JSONResponse:
    """Return the response to a rejected request."""
    headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    if error.status == http.HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return problem_response(problem(error.status, error.code, error.detail, error.title), headers)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entry of the error responses of an operation."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _phrase(status), "content": content} for status in statuses}


def install(app: FastAPI) -> None:
    """Convert every error of the application to a problem document."""
    app.add_exception_handler(ExchangeError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(sqlite3.OperationalError, _storage)
    app.add_exception_handler(Exception, _unexpected)


async def _refused(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ExchangeError):
        raise error
    return refusal(error)


async def _malformed(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    errors = [
        FieldProblem(field=".".join(map(str, item["loc"])), message=item["msg"])
        for item in error.errors()
    ]
    detail = "; ".join(f"{item.field}: {item.message}" for item in errors)
    answer = problem(422, "invalid_request", detail, "Invalid request")
    return problem_response(answer.model_copy(update={"errors": errors}))


async def _http(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    code = _HTTP_CODES.get(error.status_code, "http_error")
    return problem_response(problem(error.status_code, code, str(error.detail)), error.headers)


async def _storage(_: Request, __: Exception) -> JSONResponse:
    answer = problem(503, "storage_unavailable", "the exchange cannot reach its storage")
    return problem_response(answer, {"Retry-After": "5"})


async def _unexpected(_: Request, __: Exception) -> JSONResponse:
    return problem_response(
        problem(500, "internal_error", "internal error of the exchange; see its log")
    )


def _phrase(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Error"
