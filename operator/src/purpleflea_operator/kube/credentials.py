"""How to reach the API server: in a pod by its ServiceAccount, elsewhere by the kubeconfig.

kopf reads both; this adds a bounded connection pool and re-reads the ServiceAccount token, which the kubelet renews
about once an hour.
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

_UNREADABLE = (kopf.LoginError, OSError, ValueError, LookupError, TypeError, AttributeError)
"""What reading a kubeconfig that is none can raise."""

logger = logging.getLogger(__name__)


class NotConnectedError(Exception):
    """There is no way to an API server; the text says what was tried and what to do."""


class ServiceAccountToken:
    """The token of the ServiceAccount, read again once a minute."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read_at = float("-inf")
        self._token = ""

    def current(self) -> str:
        """The token as it stands in the file, at most a minute old."""
        if time.monotonic() - self._read_at > timings.TOKEN_AGE_S:
            self._token = self._file.read_text(encoding="ascii").strip()
            self._read_at = time.monotonic()
        return self._token

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Put the token into a request (an aiohttp client middleware)."""
        request.headers["Authorization"] = f"Bearer {self.current()}"
        return await handler(request)


def credentials() -> kopf.ConnectionInfo:
    """The address of the API server and the way to authenticate.

    Raises:
        NotConnectedError: Neither a ServiceAccount nor a usable kubeconfig was found.
    """
    tried = os.environ.get("KUBECONFIG", "~/.kube/config")
    missing = f"no cluster: not in a pod, and no kubeconfig at {tried}; set KUBECONFIG"
    try:
        settings = kopf.OperatorSettings()
        info = kopf.login_with_service_account(
            logger=logger, settings=settings
        ) or kopf.login_with_kubeconfig(logger=logger, settings=settings)
    except FileNotFoundError as error:
        raise NotConnectedError(missing) from error
    except (*_UNREADABLE, yaml.YAMLError) as error:
        words = " ".join(str(error).split())
        raise NotConnectedError(
            f"the kubeconfig cannot be read: {type(error).__name__}: {words}"
        ) from error
    if info is None:
        raise NotConnectedError(missing)
    return info


def session(
    info: kopf.ConnectionInfo,
    *,
    user_agent: str = USER_AGENT,
    traces: Sequence[aiohttp.TraceConfig] = (),
) -> aiohttp.ClientSession:
    """A session with a bounded pool of connections to the API server."""
    headers = {"User-Agent": user_agent}
    middlewares: tuple[aiohttp.ClientMiddlewareType, ...] = ()
    if info.token and TOKEN_FILE.exists():
        middlewares = (ServiceAccountToken(TOKEN_FILE),)
    elif info.token:
        headers["Authorization"] = f"Bearer {info.token}"
    secure = info.server.startswith("https:")
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=POOL_SIZE, ssl=info.as_ssl_context() if secure else True
        ),
        headers=headers,
        middlewares=middlewares,
        trace_configs=list(traces),
    )
