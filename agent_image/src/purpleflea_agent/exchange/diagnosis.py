"""The cause of an error of the exchange, in words with a remedy, for the readiness probe and the status. Pure.

A text has no numbers that change and no text of a service, because it becomes a condition of the resource.
"""

import socket
import ssl
from collections.abc import Iterator
from enum import Enum
from typing import Literal

from purpleflea_agent.exchange.errors import ExchangeError, NoApiKey

Service = Literal["trading", "wallet", "escrow", "faucet"]
"""Names of the services, as in spec.api.endpoints."""


class Cause(Enum):
    """Symptom and remedy of each cause."""

    NO_KEY = "is not used, because there is no API key: check the Secret of spec.api.keySecretRef"
    API_KEY = "refuses the API key ({status}): check the Secret of spec.api.keySecretRef"
    NOT_FOUND = "answers {status}: check {endpoint} and spec.api.dialect"
    NAME = "has a host name that cannot be resolved: check {endpoint}, and the DNS of the cluster"
    TLS = "fails the TLS handshake or has an invalid certificate: check {endpoint}, and the CA of the image"
    CONNECTION_REFUSED = "refuses connections: check the host and the port of {endpoint}, and whether the service runs"
    TIMEOUT = (
        "does not answer in time: check {endpoint}, and whether spec.network.egressCidrs allows it"
    )
    UNREACHABLE = (
        "cannot be reached: check {endpoint}, and whether spec.network.egressCidrs allows it"
    )
    DIALECT = "answers in another format: check {endpoint} and spec.api.dialect"
    RATE_LIMITED = "limits the rate of requests (429): wait, or use the API key for fewer agents"
    UPSTREAM = "fails ({status}): wait until the service is available again"
    REFUSED = (
        "refuses the request ({status}): check spec.api.dialect, and the permissions of the API key"
    )


def cause_of(error: ExchangeError) -> Cause:
    """Return the cause of an error."""
    if isinstance(error, NoApiKey):
        return Cause.NO_KEY
    if error.status is not None:
        return _cause_of_status(error.status)
    kinds = tuple(_chain(error))
    if any(isinstance(item, socket.gaierror) for item in kinds):
        return Cause.NAME
    if any(isinstance(item, ssl.SSLError) for item in kinds):
        return Cause.TLS
    if any(isinstance(item, ConnectionRefusedError) for item in kinds):
        return Cause.CONNECTION_REFUSED
    if error.error_type == "timeout" or any(map(_is_timeout, kinds)):
        return Cause.TIMEOUT
    return Cause.DIALECT if error.error_type == "upstream" else Cause.UNREACHABLE


def problem_of(error: ExchangeError, service: Service) -> str:
    """Describe why a service cannot be used, and the remedy."""
    endpoint = f"spec.api.endpoints.{service}"
    text = cause_of(error).value.format(status=error.status, endpoint=endpoint)
    return f"the {service} service {text}"


def _cause_of_status(status: int) -> Cause:
    if status in (401, 403):
        return Cause.API_KEY
    if status in (404, 405, 410):
        return Cause.NOT_FOUND
    if status == 429:
        return Cause.RATE_LIMITED
    if status >= 500:
        return Cause.UPSTREAM
    # A redirect leads to a page for people, or from http to https.
    return Cause.DIALECT if status < 400 else Cause.REFUSED


def _is_timeout(error: BaseException) -> bool:
    # The classes of HTTP libraries do not inherit from TimeoutError.
    return isinstance(error, TimeoutError) or "Timeout" in type(error).__name__


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and the errors that caused it, also those in groups."""
    pending, seen = [error], set[int]()
    while pending:
        item = pending.pop()
        if item is None or id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        pending += [item.__cause__, item.__context__]
        if isinstance(item, BaseExceptionGroup):
            pending += item.exceptions
