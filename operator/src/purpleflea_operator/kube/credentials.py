"""Address and credentials of the API server: the ServiceAccount in a pod, otherwise the kubeconfig.

kopf reads both. This module adds a bounded connection pool, and reads the ServiceAccount token again while the process
runs, because the kubelet rotates the token about once an hour. It must not send requests.
"""

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import kopf
import yaml

from purpleflea_operator import __version__, timings

TOKEN_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
POOL_SIZE = 32
USER_AGENT = f"purpleflea-operator/{__version__}"

_KUBECONFIG_ERRORS = (kopf.LoginError, OSError, ValueError, LookupError, TypeError, AttributeError)
"""Errors that kopf raises for a file that is not a valid kubeconfig."""

logger = logging.getLogger(__name__)


class NotConnectedError(Exception):
    """No usable credentials. The text gives the places that were tried and the remedy."""


class ServiceAccountToken:
    """Token of the ServiceAccount, read again once a minute."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read_at = float("-inf")
        self._token = ""

    def current(self) -> str:
        """Return the token from the file, at most one minute old."""
        if time.monotonic() - self._read_at > timings.TOKEN_AGE_S:
            self._token = self._file.read_text(encoding="ascii").strip()
            self._read_at = time.monotonic()
        return self._token

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Add the token to a request, as an aiohttp client middleware."""
        request.headers["Authorization"] = f"Bearer {self.current()}"
        return await handler(request)


def credentials() -> kopf.ConnectionInfo:
    """Return the address of the API server and the credentials.

    Raises:
        NotConnectedError: There is neither a ServiceAccount nor a usable kubeconfig.
    """
    tried = os.environ.get("KUBECONFIG", "~/.kube/config")
    missing = f"no cluster: not in a pod, and no kubeconfig at {tried}; set KUBECONFIG to the path of a kubeconfig"
    try:
        settings = kopf.OperatorSettings()
        info = kopf.login_with_service_account(
            logger=logger, settings=settings
        ) or kopf.login_with_kubeconfig(logger=logger, settings=settings)
    except FileNotFoundError as error:
        raise NotConnectedError(missing) from error
    except (*_KUBECONFIG_ERRORS, yaml.YAMLError) as error:
        cause = " ".join(str(error).split())
        raise NotConnectedError(
            f"the kubeconfig cannot be read: {type(error).__name__}: {cause}; correct {tried}, "
            "or set KUBECONFIG to the path of another kubeconfig"
        ) from error
    if info is None:
        raise NotConnectedError(missing)
    return info


def session(
    info: kopf.ConnectionInfo,
    *,
    user_agent: str = USER_AGENT,
    traces: Sequence[aiohttp.TraceConfig] = (),
    pool_size: int = POOL_SIZE,
    middlewares: Sequence[aiohttp.ClientMiddlewareType] = (),
) -> aiohttp.ClientSession:
    """Return an HTTP session with a bounded pool of connections to the API server."""
    headers = {"User-Agent": user_agent}
    if info.token and TOKEN_FILE.exists():
        middlewares = (*middlewares, ServiceAccountToken(TOKEN_FILE))
    elif info.token:
        headers["Authorization"] = f"Bearer {info.token}"
    secure = info.server.startswith("https:")
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=pool_size, ssl=info.as_ssl_context() if secure else True
        ),
        headers=headers,
        middlewares=tuple(middlewares),
        trace_configs=list(traces),
    )
