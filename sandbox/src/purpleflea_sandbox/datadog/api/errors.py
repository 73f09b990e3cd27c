"""Refusals: a status and the body that goes with it."""

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """What the API answers instead of doing what was asked."""

    def __init__(
        self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def refused(status: int, *messages: str) -> ApiError:
    """The usual form of an error."""
    return ApiError(status, {"errors": list(messages)})


def log_config_refused(message: str, *details: str, status: int = 400) -> ApiError:
    """The form that the configuration of logs has for itself."""
    code = "InvalidArgument"
    listed = [{"code": code, "message": detail} for detail in details]
    return ApiError(status, {"error": {"code": code, "message": message, "details": listed}})


def forbidden() -> ApiError:
    """A bad key and a missing permission look alike."""
    return refused(403, "Forbidden")
