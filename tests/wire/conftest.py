import socket
import urllib.error
import urllib.request

import kopf
import pytest

from purpleflea_operator import app
from purpleflea_operator.settings import OperatorSettings
from support.apiserver.server import ApiServer
from support.kopf_thread import KopfThread
from support.paper_agents import PaperAgents


@pytest.fixture
def server():
    """A fake API server whose StatefulSets get pods."""
    with ApiServer(runs_statefulsets=True) as found:
        yield found


@pytest.fixture
def server_without_pods():
    """A fake API server whose StatefulSets get no pods."""
    with ApiServer() as found:
        yield found


@pytest.fixture
def an_operator(server):
    """Return a function that starts operators against a fake API server; each is a context manager."""

    def start(against=server, *, clock=None, agents=None, **settings):
        client = agents or PaperAgents(against)

        def connect():
            return kopf.ConnectionInfo(server=against.url)

        chosen = OperatorSettings(**{"health_port": 0, **settings})
        return KopfThread(
            lambda stop: app.run(chosen, stop=stop, connect=connect, clock=clock, agents=client)
        )

    return start


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def ask(port):
    """Send a GET to the HTTP server of the operator. Returns status code and text."""

    def get(path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except urllib.error.URLError as error:
            return 0, str(error)

    return get
