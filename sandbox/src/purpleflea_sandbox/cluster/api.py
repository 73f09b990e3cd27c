"""Minimal client of the Kubernetes API that needs only the standard library.

It checks the readiness of a cluster and creates the few objects that a new cluster needs. It is
small enough to run inside the node; use a full client for anything else.
"""

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from purpleflea_sandbox.cluster.credentials import KeyPair
from purpleflea_sandbox.cluster.errors import ClusterError

JsonObject = Mapping[str, Any]
_OK = range(200, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResponse:
    """HTTP response of the API server. Status 0 means that no response was received."""

    status: int
    text: str = ""

    @property
    def ok(self) -> bool:
        return self.status in _OK

    @property
    def body(self) -> Any:
        return json.loads(self.text)


class ApiClient:
    """Client of one API server that authenticates with a client certificate."""

    def __init__(self, server: str, pair: KeyPair, *, timeout_s: float = 5.0) -> None:
        self._address = urlsplit(server).netloc
        self._pair = pair
        self._timeout_s = timeout_s
        self._context: ssl.SSLContext | None = None

    def request(self, method: str, path: str, body: JsonObject | None = None) -> ApiResponse:
        try:
            connection = http.client.HTTPSConnection(
                self._address, timeout=self._timeout_s, context=self._tls()
            )
        except OSError as error:
            return ApiResponse(status=0, text=str(error))
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return ApiResponse(status=response.status, text=response.read().decode())
        except (OSError, http.client.HTTPException) as error:
            return ApiResponse(status=0, text=str(error))
        finally:
            connection.close()

    def is_ready(self) -> bool:
        return self.request("GET", "/readyz").ok

    def version(self) -> str | None:
        answer = self.request("GET", "/version")
        return str(answer.body["gitVersion"]) if answer.ok else None

    def ensure_created(self, path: str, body: JsonObject) -> None:
        """Create the object unless it already exists.

        Raises ClusterError if the API server rejects the request.
        """
        answer = self.request("POST", path, body)
        if not answer.ok and answer.status != HTTPStatus.CONFLICT:
            raise ClusterError(f"the API server rejected POST {path}: {answer.text[:200]}")

    def ready_nodes(self) -> list[str]:
        answer = self.request("GET", "/api/v1/nodes?resourceVersion=0")
        nodes = answer.body["items"] if answer.ok else []
        return [node["metadata"]["name"] for node in nodes if _is_ready(node)]

    def exists(self, path: str) -> bool:
        return self.request("GET", path).ok

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            context = ssl.create_default_context(cafile=str(self._pair.authority))
            context.load_cert_chain(str(self._pair.certificate), str(self._pair.key))
            self._context = context
        return self._context


def _is_ready(node: Mapping[str, Any]) -> bool:
    conditions = node.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
