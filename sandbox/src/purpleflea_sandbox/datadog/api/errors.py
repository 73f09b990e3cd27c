"""Error responses: a status code and the matching body."""

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """Error response of the API: status, body and headers."""

    def __init__(
        self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


def refused(status: int, *messages: str) -> ApiError:
    """Create an error in the API's usual format."""
    return ApiError(status, {"errors": list(messages)})


def log_config_error(message: str, *details: str, status: int = 400) -> ApiError:
    """Create an error in the format of the log configuration API, which differs from the usual one."""
    code = "InvalidArgument"
    listed = [{"code": code, "message": detail} for detail in details]
    return ApiError(status, {"error": {"code": code, "message": message, "details": listed}})


def forbidden() -> ApiError:
    """Create a 403 error. It is the same if the key is invalid and if a permission is missing."""
    return refused(403, "Forbidden")
