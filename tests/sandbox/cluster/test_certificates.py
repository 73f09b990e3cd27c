import http.server
import json
import ssl
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from purpleflea_sandbox.cluster import certificates, kubeconfig
from purpleflea_sandbox.cluster.api import ApiClient
from purpleflea_sandbox.cluster.credentials import Leaf, pair
from purpleflea_sandbox.cluster.errors import ClusterError

LEAVES = (
    Leaf(file="apiserver", user="kube-apiserver", names=("localhost", "127.0.0.1")),
    Leaf(file="admin", user="admin", group="system:masters"),
)


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the few Kubernetes API paths that these tests request, and records the callers."""

    callers: list[str]
    answers: dict[str, tuple[int, object]]

    def do_GET(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._respond()

    def _respond(self) -> None:
        assert isinstance(self.connection, ssl.SSLSocket)
        peer = self.connection.getpeercert() or {}
        subject = peer.get("subject", ())
        type(self).callers.append(json.dumps(subject))
        status, body = self.answers.get(self.path.partition("?")[0], (404, {}))
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        del code, size


@contextmanager
def api_server(
    keys: Path, answers: dict[str, tuple[int, object]]
) -> Iterator[tuple[str, list[str]]]:
    callers: list[str] = []
    handler = type("Bound", (Handler,), {"callers": callers, "answers": answers})
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "apiserver.crt", keys / "apiserver.key")
    context.load_verify_locations(keys / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}", callers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys") / "pki"
    certificates.issue(folder, LEAVES)
    return folder


def test_the_issued_certificates_authenticate_client_and_server(keys: Path) -> None:
    with api_server(keys, {"/readyz": (200, "ok")}) as (server, callers):
        assert ApiClient(server, pair(keys, "admin")).is_ready()

    [caller] = callers
    assert '"commonName", "admin"' in caller
    assert '"organizationName", "system:masters"' in caller


def test_a_certificate_of_another_authority_is_rejected(keys: Path, tmp_path: Path) -> None:
    certificates.issue(tmp_path / "other", LEAVES)
    with api_server(keys, {"/readyz": (200, "ok")}) as (server, callers):
        assert not ApiClient(server, pair(tmp_path / "other", "admin")).is_ready()

    assert callers == []


def test_keys_can_be_read_by_their_owner_only(keys: Path) -> None:
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    for key in keys.glob("*.key"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600, key


def test_a_kubeconfig_is_self_contained_and_private(keys: Path, tmp_path: Path) -> None:
    path = tmp_path / "deep" / "kubeconfig"

    kubeconfig.write(path, server="https://127.0.0.1:1", pair=pair(keys, "admin"), name="demo")

    content = json.loads(path.read_text())
    assert content["current-context"] == "demo"
    assert content["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:1"
    assert str(keys) not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [child.name for child in path.parent.iterdir()] == ["kubeconfig"]


def test_only_ready_nodes_are_counted(keys: Path) -> None:
    def node(name: str, status: str) -> object:
        conditions = [{"type": "Ready", "status": status}]
        return {"metadata": {"name": name}, "status": {"conditions": conditions}}

    nodes = {"items": [node("one", "True"), node("two", "False"), {"metadata": {"name": "new"}}]}
    with api_server(keys, {"/api/v1/nodes": (200, nodes)}) as (server, _):
        assert ApiClient(server, pair(keys, "admin")).ready_nodes() == ["one"]


def test_creating_an_existing_object_succeeds(keys: Path) -> None:
    with api_server(keys, {"/things": (409, {"reason": "AlreadyExists"})}) as (server, _):
        ApiClient(server, pair(keys, "admin")).ensure_created("/things", {})


def test_a_rejected_object_is_an_error_with_the_message_of_the_server(keys: Path) -> None:
    with (
        api_server(keys, {"/things": (422, {"message": "spec.x: Invalid"})}) as (server, _),
        pytest.raises(ClusterError, match=r"rejected POST /things.*spec\.x: Invalid"),
    ):
        ApiClient(server, pair(keys, "admin")).ensure_created("/things", {})


def test_an_unreachable_server_is_not_ready(keys: Path) -> None:
    api = ApiClient("https://127.0.0.1:1", pair(keys, "admin"), timeout_s=1)

    assert not api.is_ready()
    assert api.version() is None
    assert api.ready_nodes() == []
