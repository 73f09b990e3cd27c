"""The operator as a process that SIGKILL ends at a write; the next process completes the work.

The simulation of the fault matrix runs in one process. Here the kernel closes the connections.
"""

import contextlib
import os
import subprocess
import sys

import pytest
import yaml

from support.apiserver.faults import Fault
from support.builders import a_datadog_daemon_set, an_agent

NS, NAME = "trading", "momentum"
CHILDREN = ("ConfigMap", "StatefulSet", "NetworkPolicy", "PodDisruptionBudget")
pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def a_process(server, tmp_path):
    """Return a function that starts the operator as a process; the context kills it."""
    config = tmp_path / "kubeconfig"
    config.write_text(yaml.safe_dump(kubeconfig(server.url)))
    settings = {
        "KUBECONFIG": str(config),
        "PURPLEFLEA_OPERATOR_HEALTH_PORT": "0",
        "PURPLEFLEA_OPERATOR_LEASE_NAMESPACE": "",
    }

    @contextlib.contextmanager
    def start():
        with subprocess.Popen(
            [sys.executable, "-m", "purpleflea_operator"],
            env={**os.environ, **settings},
            stdout=subprocess.DEVNULL,
        ) as process:
            yield process
            process.kill()

    return start


def kubeconfig(url):
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {}}],
    }


def is_settled(server):
    agent = server.get("PurpleFleaAgent", NS, NAME)
    status = agent.get("status", {})
    return (
        status.get("observedGeneration") == agent["metadata"]["generation"]
        and status.get("readyReplicas") == agent["spec"]["replicas"]
        and all(server.count(kind) == 1 for kind in CHILDREN)
    )


class Pods:
    """The pods that were created, and those that exist, by name."""

    def __init__(self, server):
        self.created, self.alive, self.doubles = [], {}, []
        server.subscribe(self.on_change)

    def on_change(self, kind, change):
        if kind.kind != "Pod":
            return
        metadata = change.after["metadata"]
        name, uid = metadata["name"], metadata["uid"]
        if change.deleted:
            self.alive.pop(name, None)
            return
        if self.alive.setdefault(name, uid) != uid:
            self.doubles.append(name)
        if change.before is None:
            self.created.append(name)


@pytest.mark.parametrize(
    ("moment", "resource"),
    [
        ("before send", "statefulsets"),
        ("after send", "configmaps"),
        ("after send", "statefulsets"),
        ("after send", "purplefleaagents/status"),
        ("after reply", "networkpolicies"),
    ],
)
def test_the_process_after_a_killed_one_completes_a_new_agent(moment, resource, server, a_process):
    pods = Pods(server)
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent(replicas=2))
    where = {"verb": "write", "resource": resource, "user_agent": "purpleflea-operator"}
    with a_process() as first:
        effect = {"before send": "cut", "after send": "lose_reply", "after reply": "pass"}[moment]
        on_hit = None if moment == "after reply" else lambda _: first.kill()
        fault = server.plan(Fault(effect=effect, where=where, on_hit=on_hit))
        if moment == "after reply":
            server.wait_until(lambda: server.requests(**where), timeout=30)
            first.kill()
        first.wait(30)
    assert fault.hits == 1
    with a_process():
        server.wait_until(lambda: is_settled(server), timeout=30)
    assert sorted(pods.created) == [f"{NAME}-0", f"{NAME}-1"]
    assert not pods.doubles
