import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from kubectl_purpleflea.decisions.failures import Failure, KubectlError, error_line, failure
from kubectl_purpleflea.decisions.operator_health import installations, is_down, silence_s
from kubectl_purpleflea.kubectl.client import Kubectl

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (
            'Error from server (NotFound): purplefleahalts.purpleflea.com "a" not found',
            Failure.NOT_FOUND,
        ),
        (
            'Error from server (AlreadyExists): purplefleahalts "a" already exists',
            Failure.ALREADY_EXISTS,
        ),
        ("Error from server (Conflict): Operation cannot be fulfilled", Failure.CONFLICT),
        (
            'Error from server (Forbidden): pods is forbidden: User "x" cannot list',
            Failure.FORBIDDEN,
        ),
        ('The PurpleFleaHalt "a" is invalid: spec.level: Unsupported value', Failure.INVALID),
        ("Error from server (BadRequest): bad", Failure.INVALID),
        ('error: the server doesn\'t have a resource type "pfh"', Failure.NOT_INSTALLED),
        ('error: no matches for kind "PurpleFleaHalt" in version "x"', Failure.NOT_INSTALLED),
        ("error: You must be logged in to the server (Unauthorized)", Failure.UNAUTHORIZED),
        ('error: context "x" does not exist', Failure.CONFIGURATION),
        ("error: stat /no/file: no such file or directory", Failure.CONFIGURATION),
        ("Unable to connect to the server: dial tcp: i/o timeout", Failure.NO_ANSWER),
        ("The connection to the server localhost:8080 was refused - did you", Failure.UNREACHABLE),
        ('error: unable to recognize "STDIN": Get "https://a/api": EOF', Failure.UNREACHABLE),
        (
            'Post "https://a/b": dial tcp 10.0.0.1:443: connect: connection refused',
            Failure.UNREACHABLE,
        ),
        ("dial tcp: lookup a.example on 10.0.0.1:53: no such host", Failure.UNREACHABLE),
        ('Post "https://a/b": read: connection reset by peer', Failure.NO_ANSWER),
        (
            "Error in configuration: context was not found for specified context: x",
            Failure.CONFIGURATION,
        ),
        ("Error from server (Timeout): the request timed out", Failure.NO_ANSWER),
        ("Error from server (InternalError): an error on the server", Failure.NO_ANSWER),
        ("Error from server (ServiceUnavailable): try later", Failure.NO_ANSWER),
        ("Error from server (TooManyRequests): too many", Failure.NO_ANSWER),
        ("Error from server: etcdserver: request timed out", Failure.NO_ANSWER),
        ("net/http: request canceled (Client.Timeout exceeded)", Failure.NO_ANSWER),
        ("error: unexpected EOF", Failure.NO_ANSWER),
        ("", Failure.NO_ANSWER),
        ("Warning: deprecated\nError from server (Conflict): x", Failure.CONFLICT),
    ],
)
def test_a_write_counts_as_refused_only_if_the_api_server_refused_it(message, kind):
    assert failure(message) is kind


def test_the_error_is_shown_without_warnings():
    text = "Warning: old\nE0101 12:00:00.1 memcache.go:265] x\nError from server (NotFound): a\n"
    assert error_line(text) == "Error from server (NotFound): a"
    text = 'Warning: old\nThe PurpleFleaAgent "a" is invalid: \n* spec.a: x\n* spec.b: y\n'
    assert error_line(text) == 'The PurpleFleaAgent "a" is invalid: * spec.a: x * spec.b: y'
    text = "error: bad; if you choose to ignore these errors, turn validation off with --validate=false"
    assert error_line(text) == "error: bad"
    text = "error: resource mapping not found: no matches for kind\nensure CRDs are installed first"
    assert error_line(text) == "error: resource mapping not found: no matches for kind"
    text = "Error from server (Forbidden): error when retrieving:\nName: a\nfrom server for: x"
    assert error_line(text) == text.replace("\n", " ")
    assert error_line("") == "kubectl reported no error"


def a_lease(*, holder="a", renewed=NOW, duration=10):
    spec = {"holderIdentity": holder, "leaseDurationSeconds": duration}
    return {
        "spec": {**spec, "renewTime": renewed if isinstance(renewed, str) else renewed.isoformat()}
    }


@pytest.mark.parametrize(
    ("lease", "expected"),
    [
        (None, None),
        (a_lease(), False),
        (a_lease(renewed=NOW - timedelta(seconds=12)), False),
        (a_lease(renewed=NOW - timedelta(seconds=16)), True),
        (a_lease(holder=""), True),
        (a_lease(renewed="x"), None),
        (a_lease(renewed=NOW + timedelta(hours=1)), False),
        ({}, True),
    ],
)
def test_an_operator_is_down_if_its_lease_has_ended(lease, expected):
    assert is_down(lease, NOW) is expected


def test_the_silence_counts_from_the_end_of_the_lease():
    assert silence_s(a_lease(renewed=NOW - timedelta(seconds=25)), NOW) == 15.0


def test_an_installation_has_the_name_of_its_lease_and_its_namespaces():
    env = [
        {"name": "PURPLEFLEA_OPERATOR_LEASE_NAME", "value": "pf"},
        {"name": "PURPLEFLEA_OPERATOR_WATCH_NAMESPACES", "value": "a,b"},
    ]
    containers = [{"name": "operator", "image": "r/o:1", "env": env}]
    metadata = {"name": "x", "namespace": "s", "labels": {"app.kubernetes.io/version": "1"}}
    spec = {"replicas": 2, "template": {"spec": {"containers": containers}}}
    (found,) = installations([{"metadata": metadata, "spec": spec, "status": {"readyReplicas": 1}}])
    assert (found.lease, found.watched, found.replicas, found.ready) == ("pf", ("a", "b"), 2, 1)
    assert (found.image, found.version) == ("r/o:1", "1")


def test_the_flags_of_the_user_come_first_and_a_namespace_of_a_request_replaces_the_users():
    client = Kubectl(flags=("--context=a", "--as=b"), namespace="trading")
    assert client.argv("get", "pfa") == [
        *("kubectl", "--context=a", "--as=b", "--namespace=trading", "--request-timeout=10s"),
        *("get", "pfa"),
    ]
    for flag in ("--all-namespaces", "--namespace=x", "-A"):
        assert "--namespace=trading" not in client.argv("get", "pfa", flag)
    assert client.in_namespace("x").argv("get")[3] == "--namespace=x"
    assert client.in_context("c").flags == ("--as=b", "--context=c")
    chosen = Kubectl(flags=("--request-timeout=3s",), request_timeout_s=3.0)
    assert chosen.argv("get") == ["kubectl", "--request-timeout=3s", "get"]


@pytest.fixture
def broken_kubectl(tmp_path, monkeypatch):
    """A program in the place of kubectl, for errors that the real one shows rarely."""

    def replace(script):
        program = tmp_path / "kubectl"
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PURPLEFLEA_KUBECTL", str(program))
        return Kubectl()

    return replace


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("sleep 20", Failure.HUNG),
        ("echo not-json", Failure.NO_ANSWER),
        ("kill -9 $$", Failure.NO_ANSWER),
        ("echo 'Error from server (Forbidden): no' >&2; exit 1", Failure.FORBIDDEN),
        ("printf '\\377\\376' >&2; exit 1", Failure.NO_ANSWER),
    ],
)
def test_each_failure_of_kubectl_is_an_error_with_its_cause(
    broken_kubectl, monkeypatch, script, kind
):
    monkeypatch.setattr("kubectl_purpleflea.kubectl.client.PROCESS_TIMEOUT_S", 0.5)
    client = broken_kubectl(script)
    with pytest.raises(KubectlError) as error:
        json.dumps(client.json("get", "pfa"))
    assert error.value.kind is kind


def test_a_missing_kubectl_is_named(monkeypatch):
    monkeypatch.setenv("PURPLEFLEA_KUBECTL", "/no/kubectl")
    with pytest.raises(KubectlError, match="/no/kubectl is not found; install kubectl"):
        Kubectl().run("get")


@pytest.mark.parametrize("script", ["exit 1", "sleep 20", "echo '{}'; sleep 20"])
def test_a_watch_that_sends_nothing_asks_for_a_read(broken_kubectl, script):
    client = broken_kubectl(f"exec 2>/dev/null; {script}")
    deadline = time.monotonic() + 0.6
    assert None in list(client.watch("pfh", "a", silence_s=0.2, deadline=deadline))


FORBIDDEN = ("rich", "pydantic", "kubernetes", "yaml", "kopf", "aiohttp", "asyncio", "subprocess")


def test_the_help_imports_nothing_that_is_slow():
    code = (
        "import sys; from kubectl_purpleflea.application import main\n"
        "sys.argv = ['x', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"print([name for name in {FORBIDDEN} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "halt" in done.stdout
    assert done.stderr.strip() == "[]"
