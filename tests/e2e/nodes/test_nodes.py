"""Agents on several nodes: zones, taints, drains, a node without a network, a dead node, and volumes of a node.

The tests disturb one worker. The exchange, the Datadog intake and the operator run on the other one. They run in
sequence, and each leaves a healthy cluster.
"""

import contextlib
import functools
import json
import subprocess
import urllib.request

import pytest

from purpleflea_sandbox.demo import installation
from support import waiting

# Every poll of the cluster starts a process.
wait_for = functools.partial(waiting.wait_for, every_s=0.5, timeout_s=180)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

NAMESPACE = "nodes"
EXCHANGE = "http://exchange.exchange.svc.cluster.local"
TAINT = "dedicated=gpu:NoSchedule"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"
ZONE = "topology.kubernetes.io/zone"
POD = {
    "terminationGracePeriodSeconds": 10,
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
}
SPREAD = {"maxSkew": 1, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule"}


def manifest(name, **spec):
    """Return an agent with two identities."""
    return {
        "apiVersion": "purpleflea.com/v1alpha1",
        "kind": "PurpleFleaAgent",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "strategy": "momentum",
            "replicas": 2,
            "markets": ["BTC-USD"],
            "api": {
                "keySecretRef": {"name": "purpleflea-api-key"},
                "endpoints": dict.fromkeys(("trading", "wallet", "escrow", "faucet"), EXCHANGE),
            },
            "trading": {"interval": "2s", "signalThreshold": "0.0001"},
            "datadog": {"env": NAMESPACE},
            "storage": {"ephemeral": True},
            "pod": POD,
            **spec,
        },
    }


class Cluster:
    """The nodes, and the agents of one namespace."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        nodes = sandbox.tools.get("nodes", "--selector=!node-role.kubernetes.io/control-plane")
        self.other, self.victim = sorted(item["metadata"]["name"] for item in nodes["items"])

    def kubectl(self, *arguments):
        return self.sandbox.tools.kubectl(*arguments)

    @contextlib.contextmanager
    def cordoned(self, node):
        """Start no pods on a node for a while."""
        self.kubectl("cordon", node)
        yield
        self.kubectl("uncordon", node)

    def pods(self, agent):
        pods = self.sandbox.pods(NAMESPACE)
        return {name: pod for name, pod in pods.items() if name.startswith(f"{agent}-")}

    def on_victim(self, agent):
        """Return the pod of the agent on the victim."""
        pods = self.pods(agent).values()
        (found,) = (pod for pod in pods if pod["spec"].get("nodeName") == self.victim)
        return found

    def uids(self, agent):
        return {name: pod["metadata"]["uid"] for name, pod in self.pods(agent).items()}

    def condition(self, agent, kind):
        return self.sandbox.conditions(NAMESPACE, agent).get(kind, {})

    def wait_for_condition(self, agent, kind, reason):
        def matching():
            found = self.condition(agent, kind)
            return found.get("reason") == reason and found

        return wait_for(matching, what=f"{kind} of {agent} with reason {reason}")

    def wait_ready(self, *agents):
        for agent in agents:
            self.sandbox.wait_ready(NAMESPACE, agent, timeout_s=240)

    def orders(self, pod):
        """Return the number of orders of an identity at the exchange."""
        observer = self.sandbox.observer
        request = urllib.request.Request(
            f"{observer.exchange}/admin/orders?agent_id={pod}&limit=0",
            headers={"Authorization": f"Bearer {observer.exchange_token}"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)["count"]

    def wait_for_orders(self, pod):
        """Wait until the identity has sent a further order."""
        before = self.orders(pod)
        wait_for(lambda: self.orders(pod) > before, what=f"a further order of {pod}")

    def is_node_ready(self):
        conditions = self.sandbox.tools.get("node", self.victim)["status"]["conditions"]
        return any((item["type"], item["status"]) == ("Ready", "True") for item in conditions)


def docker(*arguments):
    subprocess.run(("docker", *arguments), check=True, capture_output=True, timeout=120)


@pytest.fixture(scope="module")
def cluster(sandbox):
    """Create an agent whose identities can move, and one whose journals are on volumes of their nodes."""
    cluster = Cluster(sandbox)
    for zone, node in (("a", cluster.other), ("b", cluster.victim)):
        cluster.kubectl("label", "node", node, f"{ZONE}={zone}", "--overwrite")
    sandbox.namespace(NAMESPACE)
    broken = {"size": "32Mi", "storageClassName": "broken"}
    sandbox.tools.apply(
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "broken"},
            "provisioner": "example.com/missing",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
        manifest(
            "bound", storage={"size": "32Mi"}, pod={**POD, "topologySpreadConstraints": [SPREAD]}
        ),
        manifest("pending", storage=broken),
        manifest("mobile", replicas=1),
    )
    cluster.wait_ready("mobile", "bound")
    # One identity on each node, without a rule that would keep them apart later.
    (first,) = cluster.pods("mobile").values()
    with cluster.cordoned(first["spec"]["nodeName"]):
        sandbox.patch(NAMESPACE, "mobile", '{"spec":{"replicas":2}}')
        cluster.wait_ready("mobile")
    return cluster


def test_identities_are_spread_over_the_zones_and_connected(cluster):
    for agent in ("mobile", "bound"):
        nodes = {pod["spec"]["nodeName"] for pod in cluster.pods(agent).values()}
        assert nodes == {cluster.other, cluster.victim}
        assert cluster.condition(agent, "TelemetryReady")["reason"] == "Connected"
        assert cluster.condition(agent, "StorageReady")["reason"] == (
            "Ready" if agent == "bound" else "Ephemeral"
        )


def test_a_taint_that_keeps_the_node_agent_away_is_named_and_the_remedy_connects_the_agents(
    cluster,
):
    cluster.kubectl("taint", "node", cluster.victim, TAINT)
    cluster.kubectl(
        "delete",
        "pod",
        f"--namespace={installation.DATADOG}",
        "--selector=app.kubernetes.io/component=agent",
        f"--field-selector=spec.nodeName={cluster.victim}",
    )
    found = cluster.wait_for_condition("mobile", "TelemetryReady", "NodesUncovered")
    assert f"{cluster.victim} (taint {TAINT} not tolerated)" in found["message"]
    assert "--set 'agents.tolerations[0].operator=Exists'" in found["message"]
    # The command of the message, with the folder of the chart.
    chart = cluster.sandbox.checkout / "sandbox" / "charts" / "datadog"
    cluster.sandbox.tools.helm(
        *("upgrade", "datadog-agent", str(chart), f"--namespace={installation.DATADOG}"),
        *("--reuse-values", "--set", "agents.tolerations[0].operator=Exists"),
    )
    cluster.wait_for_condition("mobile", "TelemetryReady", "Connected")
    cluster.wait_for_condition("bound", "TelemetryReady", "Connected")
    cluster.kubectl("taint", "node", cluster.victim, f"{TAINT}-")


def test_a_drain_evicts_the_identities_one_by_one(cluster):
    """Both identities are on the node that is drained, and at least one of them is ready all the time."""
    with cluster.cordoned(cluster.other):
        cluster.sandbox.tools.apply(manifest("drained"))
        cluster.wait_ready("drained")
    before = cluster.uids("drained")
    assert {pod["spec"]["nodeName"] for pod in cluster.pods("drained").values()} == {cluster.victim}
    selector = "--pod-selector=app.kubernetes.io/instance=drained"
    drain = subprocess.Popen(
        (
            *(str(cluster.sandbox.tools.kubectl_program), "drain", cluster.victim, selector),
            *(f"--kubeconfig={cluster.sandbox.tools.kubeconfig}", "--delete-emptydir-data"),
        ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    counts = []

    def drained():
        counts.append(
            cluster.sandbox.tools.get("statefulset", "drained", f"--namespace={NAMESPACE}")
        )
        return drain.poll() is not None

    wait_for(drained, what="the end of the drain", timeout_s=240)
    assert drain.returncode == 0
    assert min(item["status"].get("readyReplicas", 0) for item in counts) >= 1
    cluster.kubectl("uncordon", cluster.victim)
    cluster.wait_ready("drained")
    after = cluster.uids("drained")
    assert after.keys() == before.keys()
    assert not set(after.values()) & set(before.values())
    cluster.kubectl("delete", "pfa/drained", f"--namespace={NAMESPACE}")


def test_agents_on_a_node_without_a_network_are_neither_replaced_nor_forgotten(cluster):
    cut = cluster.on_victim("mobile")["metadata"]["name"]
    before = cluster.uids("mobile")
    cluster.wait_for_orders(cut)
    docker("network", "disconnect", "kind", cluster.victim)
    try:
        found = cluster.wait_for_condition("mobile", "WorkloadAvailable", "NodeLost")
        assert f"{cut} on node {cluster.victim}" in found["message"]
        assert "may still trade" in found["message"]
        assert cluster.condition("mobile", "Progressing")["reason"] == "NodeLost"
        cluster.sandbox.patch(NAMESPACE, "mobile", '{"spec":{"trading":{"mode":"Halted"}}}')
        wait_for(
            lambda: (
                f"waiting for {cut}; {cut} on node"
                in cluster.condition("mobile", "TradingActive")["message"]
            ),
            what="a halt that waits for the agent on the lost node",
        )
        cluster.sandbox.patch(NAMESPACE, "mobile", '{"spec":{"trading":{"mode":"Active"}}}')
        # The node has no network, so orders of this identity would be those of a second copy.
        count = cluster.orders(cut)
        (other,) = before.keys() - {cut}
        cluster.wait_for_orders(other)
        assert cluster.orders(cut) == count
        assert cluster.uids("mobile") == before
    finally:
        docker("network", "connect", "kind", cluster.victim)
    wait_for(cluster.is_node_ready, what="the node")
    cluster.wait_ready("mobile", "bound")
    assert cluster.uids("mobile") == before
    cluster.wait_for_orders(cut)


def test_the_out_of_service_taint_releases_the_agents_of_a_dead_node(cluster):
    dead = cluster.on_victim("mobile")["metadata"]
    bound = cluster.on_victim("bound")["metadata"]["name"]
    docker("kill", cluster.victim)
    try:
        found = cluster.wait_for_condition("mobile", "WorkloadAvailable", "NodeLost")
        command = f"kubectl taint node {cluster.victim} {OUT_OF_SERVICE}"
        assert command in found["message"]
        assert cluster.uids("mobile")[dead["name"]] == dead["uid"]
        cluster.kubectl(*command.split()[1:])
        wait_for(
            lambda: cluster.uids("mobile").get(dead["name"], dead["uid"]) != dead["uid"],
            what="a replacement",
        )
        # The volume of the other agent exists only on the dead node.
        found = cluster.wait_for_condition("bound", "WorkloadAvailable", "Unschedulable")
        assert "the volume of the pod exists only on its node" in found["message"]
        assert f"pvc/state-{bound} pod/{bound}" in found["message"]
    finally:
        docker("start", cluster.victim)
    wait_for(cluster.is_node_ready, what="the node")
    cluster.kubectl("taint", "node", cluster.victim, OUT_OF_SERVICE.partition("=")[0] + "-")
    cluster.wait_ready("mobile", "bound")
    cluster.wait_for_orders(dead["name"])


def test_claims_that_stay_pending_are_not_ready(cluster):
    found = cluster.wait_for_condition("pending", "StorageReady", "VolumePending")
    assert found["status"] == "False"
    assert "state-pending-0" in found["message"]
    assert "storage class broken" in found["message"]
