"""The operator detects the sandbox's node agent in the rendered chart as it detects Datadog's own."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from purpleflea_operator.datadog.detection.connection import Constraints, selected_connection
from purpleflea_operator.datadog.detection.facts import Installer, PodSecurity, Socket, Switch
from purpleflea_operator.datadog.detection.node_agent import datadog_facts
from purpleflea_operator.datadog.detection.trust import TrustedNamespaces

HELM = Path(sys.executable).parent / "helm"


def facts_of(repository, *values):
    """Return the facts that are detected in an installation with these values."""
    chart = repository / "sandbox" / "charts" / "datadog"
    sets = [f"--set={value}" for value in values]
    command = [str(HELM), "template", "dd", str(chart), "--namespace=monitoring", *sets]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    found = [item for item in yaml.safe_load_all(done.stdout) if item]
    daemon_sets = [item for item in found if item["kind"] == "DaemonSet"]
    for item in daemon_sets:
        item["metadata"]["uid"] = "u"
    services = {
        (item["metadata"]["namespace"], item["metadata"]["name"]): item
        for item in found
        if item["kind"] == "Service"
    }
    return datadog_facts(daemon_sets, services, trusted=TrustedNamespaces(("monitoring",)))


@pytest.mark.parametrize(
    ("values", "mode", "address"),
    [
        ((), "Service", "dd-datadog.monitoring.svc.cluster.local"),
        (("datadog.dogstatsd.useHostPort=true", "datadog.apm.portEnabled=true"), "HostIP", ""),
        (("agents.useHostNetwork=true",), "HostIP", ""),
        (("datadog.apm.port=8226",), "Service", "dd-datadog.monitoring.svc.cluster.local"),
    ],
)
def test_the_connection_of_agents_follows_the_values(repository, values, mode, address):
    found = selected_connection(facts_of(repository, *values), "Auto")
    assert (str(found.mode), found.host) == (mode, address)
    assert found.apm_port == (8226 if "datadog.apm.port=8226" in values else 8126)


def test_the_sockets_are_detected_by_their_mounts(repository):
    facts = facts_of(repository)
    assert facts.node_agent.installer is Installer.HELM
    found = selected_connection(facts, "Socket", Constraints(security=PodSecurity.PRIVILEGED))
    assert found.dogstatsd_socket == Socket(folder="/var/run/datadog", name="dsd.socket")
    assert found.apm_socket == Socket(folder="/var/run/datadog", name="apm.socket")


def test_traces_and_logs_can_be_off(repository):
    agent = facts_of(repository, "datadog.apm.socketEnabled=false").node_agent
    assert (agent.apm.state, agent.logs) == (Switch.OFF, Switch.OFF)
