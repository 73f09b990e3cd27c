"""Every connection to the node agent on a real cluster: delivery, rejected connections, and waiting agents."""

import functools
import json
import urllib.request

import pytest
import yaml

from purpleflea_sandbox.cluster.progress import TerminalProgress
from purpleflea_sandbox.demo import installation
from purpleflea_sandbox.images import build
from support import waiting

# Every poll of the cluster starts a process.
wait_for = functools.partial(waiting.wait_for, every_s=0.2, timeout_s=180)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

DRIVER = "k8s.csi.datadoghq.com"
BY_CSI = {"driver": DRIVER, "readOnly": True, "volumeAttributes": {"type": "DSDSocketDirectory"}}
NO_NODE = {"spec": {"template": {"spec": {"nodeSelector": {"purpleflea.com/nowhere": "yes"}}}}}
ALL_NODES = {"spec": {"template": {"spec": {"nodeSelector": {"purpleflea.com/nowhere": None}}}}}
DAEMON_SET = ("daemonset/datadog-agent", f"--namespace={installation.DATADOG}")


def an_agent(sandbox, name, *, level="restricted", **datadog):
    """Create one agent in a namespace of the same name."""
    installation.namespace(sandbox.tools, name, level=level)
    installation.api_key(sandbox.tools, name, sandbox.keys)
    text = (sandbox.checkout / "examples" / "momentum.yaml").read_text()
    manifest = yaml.safe_load(text)
    manifest["metadata"] = {"name": name, "namespace": name}
    manifest["spec"]["replicas"] = 1
    manifest["spec"].setdefault("pod", {})["minReadySeconds"] = 0
    manifest["spec"]["datadog"] |= datadog
    sandbox.tools.apply(manifest)


def telemetry(sandbox, name):
    return sandbox.conditions(name, name).get("TelemetryReady", {})


def reason(sandbox, name):
    return telemetry(sandbox, name).get("reason")


def received(sandbox, path):
    with urllib.request.urlopen(
        f"{sandbox.observer.intake}/received/{path}", timeout=10
    ) as response:
        return json.load(response)


def environment(sandbox, name):
    (container,) = sandbox.pods(name)[f"{name}-0"]["spec"]["containers"]
    return {item["name"]: item for item in container["env"]}


@pytest.mark.parametrize(
    ("mode", "level", "address"),
    [
        ("HostIP", "restricted", "HostIP:8125"),
        ("Service", "restricted", "datadog-agent.datadog.svc.cluster.local:8125"),
        ("Socket", "privileged", "unix:///var/run/datadog/dsd.socket"),
    ],
)
def test_metrics_and_traces_arrive_by_each_connection(sandbox, mode, level, address):
    name = f"by-{mode.lower()}"
    an_agent(sandbox, name, level=level, connection=mode)
    sandbox.wait_ready(name, name)
    status = sandbox.agent(name, name)["status"]["datadog"]
    assert (status["connection"], status["dogstatsd"]) == (mode, address)
    assert status["nodes"] == {"needed": 1, "covered": 1, "missing": []}
    variables = environment(sandbox, name)
    assert ("DD_DOGSTATSD_URL" in variables) is (mode == "Socket")
    assert_arrives(sandbox, name)


def assert_arrives(sandbox, name):
    """Assert that metrics and traces of the agent arrive with its tags."""
    agent_tags = (f"agent_id:{name}-0", "env:sandbox", "strategy:momentum")
    tags = "&".join(f"tag={tag}" for tag in agent_tags)
    # The node agent adds the tags of the origin.
    with_origin = f"{tags}&tag=kube_namespace:{name}"
    assert wait_for(lambda: received(sandbox, f"metrics?{with_origin}")["series"], what="metrics")
    assert wait_for(lambda: received(sandbox, f"traces?{tags}&limit=1")["traces"], what="traces")


def test_sockets_are_rejected_if_the_namespace_forbids_host_paths(sandbox):
    an_agent(sandbox, "forbidden", connection="Socket")
    wait_for(lambda: reason(sandbox, "forbidden") == "PodSecurityForbids")
    assert "helm upgrade datadog-agent" in telemetry(sandbox, "forbidden")["message"]
    # The agent runs without telemetry, and its condition reports this.
    wait_for(lambda: sandbox.conditions("forbidden", "forbidden")["Ready"]["status"] == "True")


@pytest.fixture
def without_node_agent(sandbox):
    """Remove all node agent pods; yield a function that brings them back."""
    tools = sandbox.tools

    def restore():
        tools.kubectl("patch", *DAEMON_SET, "--type=merge", f"--patch={json.dumps(ALL_NODES)}")

    tools.kubectl("patch", *DAEMON_SET, "--type=merge", f"--patch={json.dumps(NO_NODE)}")
    selector = "--selector=app.kubernetes.io/component=agent"
    namespace_flag = f"--namespace={installation.DATADOG}"
    wait_for(
        lambda: not tools.get("pods", namespace_flag, selector).get("items"), what="no node agent"
    )
    yield restore
    restore()
    installation.wait_for(tools, installation.DATADOG, "daemonset/datadog-agent")


def test_a_held_agent_starts_when_its_node_agent_responds(sandbox, without_node_agent):
    an_agent(sandbox, "held", whenMissing="Hold")

    def waits():
        pod = sandbox.pods("held").get("held-0", {"status": {}})
        states = pod["status"].get("initContainerStatuses", [])
        return any("running" in item["state"] for item in states)

    wait_for(waits, what="the init container")
    wait_for(lambda: reason(sandbox, "held") == "NodesUncovered")
    message = telemetry(sandbox, "held")["message"]
    assert "node selector purpleflea.com/nowhere=yes does not match" in message
    assert "1 waiting for it (whenMissing: Hold)" in message
    uid = sandbox.pods("held")["held-0"]["metadata"]["uid"]
    without_node_agent()
    sandbox.wait_ready("held", "held")
    assert sandbox.pods("held")["held-0"]["metadata"]["uid"] == uid


@pytest.fixture(scope="module")
def csi_driver(sandbox):
    """Yield a function that installs the CSI driver.

    At the end the volumes are removed before the driver, because only the driver can unmount them.
    """
    tools, charts = sandbox.tools, sandbox.checkout / "sandbox" / "charts"
    archives = build.ensure(("csi-driver",), TerminalProgress())
    sandbox.provider.load_images(tuple(archives.values()), TerminalProgress())

    def install(enabled="true"):
        values = {"datadog.csi.enabled": enabled}
        installation.datadog(tools, charts, sandbox.keys, **values)
        installation.wait_for(tools, installation.DATADOG, DAEMON_SET[0])

    yield install
    tools.kubectl("delete", "pfa", "--all", "--all-namespaces", "--timeout=180s")
    wait_for(lambda: not any(csi_volumes(pod) for pod in all_pods(sandbox)), what="no volume")
    install("false")


@pytest.fixture
def only_sockets(sandbox, csi_driver):
    """Remove the ports and the Service of the node agent; the end of `csi_driver` restores both."""
    tools = sandbox.tools
    csi_driver()
    namespace_flag = f"--namespace={installation.DATADOG}"
    tools.kubectl("delete", "service/datadog-agent", namespace_flag)
    ports = [f"/spec/template/spec/containers/{number}/ports/0/hostPort" for number in (0, 1)]
    patch = json.dumps([{"op": "remove", "path": path} for path in ports])
    tools.kubectl("patch", *DAEMON_SET, "--type=json", f"--patch={patch}")
    installation.wait_for(tools, installation.DATADOG, DAEMON_SET[0])


def all_pods(sandbox):
    return sandbox.tools.get("pods", "--all-namespaces")["items"]


def csi_volumes(pod):
    return [item["csi"] for item in pod["spec"].get("volumes", []) if "csi" in item]


def assert_is_served(sandbox, name):
    """Assert that telemetry arrives through the CSI sockets in a namespace that forbids hostPath volumes."""
    sandbox.wait_ready(name, name)
    status = sandbox.agent(name, name)["status"]["datadog"]
    assert status["connection"] == "CSI"
    assert status["nodes"] == {"needed": 1, "covered": 1, "missing": []}
    assert csi_volumes(sandbox.pods(name)[f"{name}-0"]) == [BY_CSI]
    labels = sandbox.tools.get("namespace", name)["metadata"]["labels"]
    assert labels[installation.ENFORCE] == "restricted"
    assert_arrives(sandbox, name)


def test_csi_needs_a_registered_driver(sandbox, csi_driver):
    an_agent(sandbox, "by-csi", connection="CSI")
    wait_for(lambda: reason(sandbox, "by-csi") == "NoConnection")
    assert "datadog.csi.enabled=true" in telemetry(sandbox, "by-csi")["message"]
    csi_driver()
    assert_is_served(sandbox, "by-csi")


def test_csi_is_chosen_if_only_sockets_exist_and_host_paths_are_forbidden(sandbox, only_sockets):
    an_agent(sandbox, "only-csi")
    assert_is_served(sandbox, "only-csi")
