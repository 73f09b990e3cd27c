"""All fields of spec.pod on a real cluster: the pods run, each child is written once, and all children are removed."""

import functools
import json

import pytest

from purpleflea_sandbox.demo import installation
from purpleflea_sandbox.demo.errors import DemoError
from support import waiting

# Every poll of the cluster starts a process.
wait_for = functools.partial(waiting.wait_for, every_s=0.2, timeout_s=180)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

OPERATOR = f"{installation.OPERATOR}:purpleflea-operator"
KINDS = "pods,statefulsets,configmaps,networkpolicies,poddisruptionbudgets,serviceaccounts"
LISTEN = (
    "import http.server as h, signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit());"
    " h.test(HandlerClass=h.SimpleHTTPRequestHandler, port=7000, bind='0.0.0.0')"
)


def extended(namespace, image):
    """Return an agent that uses every field of spec.pod, with values that the API server normalizes."""
    endpoint = "http://exchange.exchange.svc.cluster.local"
    sidecar = {
        "name": "proxy",
        "image": image,
        "command": ["python", "-c", LISTEN],
        "env": [{"name": "EMPTY", "value": ""}],
        "ports": [{"name": "proxy", "containerPort": 7000}],
        "resources": {
            "requests": {"cpu": "0.01", "memory": "32Mi"},
            "limits": {"memory": "0.25Gi"},
        },
        "volumeMounts": [
            {"name": "scratch", "mountPath": "/scratch", "readOnly": False},
            {"name": "state", "mountPath": "/journal", "readOnly": True},
        ],
        "startupProbe": {"tcpSocket": {"port": 7000}, "periodSeconds": 1, "failureThreshold": 60},
        "readinessProbe": {"httpGet": {"path": "/", "port": 7000}},
    }
    near = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"a": ""}}}
    pod = {
        "labels": {"acme.com/empty": "", "app.kubernetes.io/name": "mine"},
        "annotations": {"acme.com/owner": "me"},
        "env": [
            {"name": "EMPTY", "value": ""},
            {"name": "DD_ENV", "value": "mine"},
            {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            {
                "name": "NONE",
                "valueFrom": {"secretKeyRef": {"name": "none", "key": "k", "optional": True}},
            },
        ],
        "envFrom": [{"configMapRef": {"name": "none", "optional": True}}],
        "volumes": [
            {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "1024Ki"}},
            {"name": "none", "secret": {"secretName": "none", "optional": True}},
            {
                "name": "token",
                "projected": {"sources": [{"serviceAccountToken": {"path": "t", "audience": "a"}}]},
            },
        ],
        "volumeMounts": [
            {"name": "scratch", "mountPath": "/scratch"},
            {"name": "scratch", "mountPath": "/again", "subPath": "again"},
            {"name": "token", "mountPath": "/token", "readOnly": True},
        ],
        "sidecars": [sidecar],
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 1, "podAffinityTerm": near}
                ]
            }
        },
        "topologySpreadConstraints": [{"topologyKey": "kubernetes.io/hostname"}],
        "tolerations": [{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 0}],
        "serviceAccount": {"annotations": {"acme.com/role": "trader"}},
    }
    return {
        "apiVersion": "purpleflea.com/v1alpha1",
        "kind": "PurpleFleaAgent",
        "metadata": {"name": "extended", "namespace": namespace},
        "spec": {
            "strategy": "momentum",
            "replicas": 2,
            "markets": ["BTC-USD"],
            "api": {
                "keySecretRef": {"name": "purpleflea-api-key"},
                "endpoints": dict.fromkeys(("trading", "wallet", "escrow", "faucet"), endpoint),
            },
            "trading": {"interval": "2s"},
            "pod": {**pod, "minReadySeconds": 0},
            "storage": {"ephemeral": True},
        },
    }


@pytest.fixture(scope="module")
def running(sandbox):
    """Create the agent; yield its namespace and the request counts of its start."""
    namespace = sandbox.namespace("extended")
    operator = sandbox.tools.get(
        "deployment", "purpleflea-operator", f"--namespace={installation.OPERATOR}"
    )
    (container,) = operator["spec"]["template"]["spec"]["containers"]
    image = next(
        item["value"]
        for item in container["env"]
        if item["name"] == "PURPLEFLEA_OPERATOR_AGENT_IMAGE"
    )
    point = sandbox.audit.end()
    text = json.dumps(extended(namespace, image))
    sandbox.tools.kubectl("apply", "--filename=-", "--validate=strict", stdin=text)
    sandbox.wait_ready(namespace, "extended")
    yield namespace, sandbox.audit.counts(since=point, user=OPERATOR)
    sandbox.tools.kubectl("delete", "namespace", namespace, "--wait=false")


def test_pods_run_under_the_restricted_profile_with_their_sidecar(sandbox, running):
    namespace, _ = running
    pods = sandbox.pods(namespace)
    assert sorted(pods) == ["extended-0", "extended-1"]
    for pod in pods.values():
        (sidecar,) = pod["status"]["initContainerStatuses"]
        assert (sidecar["name"], sidecar["ready"]) == ("proxy", True)
        assert pod["spec"]["serviceAccountName"] == "extended"


def test_values_that_the_api_server_normalizes_are_not_drift(running):
    _, counts = running
    children = ("configmaps", "serviceaccounts", "networkpolicies", "poddisruptionbudgets")
    writes = {kind: counts["create", kind] for kind in (*children, "statefulsets")}
    assert set(writes.values()) == {1}, counts


def test_ignored_overrides_are_reported_by_condition_and_event(sandbox, running):
    namespace, _ = running
    condition = sandbox.conditions(namespace, "extended")["SpecValid"]
    assert (condition["status"], condition["reason"]) == ("True", "OverrideIgnored")
    for field in ("spec.pod.env[DD_ENV]", "spec.pod.labels[app.kubernetes.io/name]"):
        assert field in condition["message"]

    def override_events():
        events = sandbox.tools.get("events", f"--namespace={namespace}").get("items", [])
        return [item for item in events if item["reason"] == "SpecValidOverrideIgnored"]

    assert wait_for(override_events)[0]["type"] == "Warning"


def test_the_status_contains_the_metrics_estimate(sandbox, running):
    namespace, _ = running
    assert sandbox.agent(namespace, "extended")["status"]["customMetrics"]["estimated"] > 0


def test_scaling_down_deletes_the_budget_without_a_restart(sandbox, running):
    namespace, _ = running
    before = sandbox.pods(namespace)["extended-0"]["metadata"]["uid"]
    sandbox.patch(namespace, "extended", '{"spec":{"replicas":1}}')
    name = f"--namespace={namespace}"
    wait_for(lambda: not sandbox.tools.get("poddisruptionbudget", "extended", name))
    sandbox.wait_ready(namespace, "extended")
    assert sandbox.pods(namespace)["extended-0"]["metadata"]["uid"] == before


def test_the_service_account_is_deleted_with_its_field(sandbox, running):
    namespace, _ = running
    sandbox.patch(namespace, "extended", '{"spec":{"pod":{"serviceAccount":null}}}')
    name = f"--namespace={namespace}"
    wait_for(lambda: not sandbox.tools.get("serviceaccount", "extended", name))
    sandbox.wait_ready(namespace, "extended")
    pods = sandbox.pods(namespace).values()
    assert {pod["spec"]["serviceAccountName"] for pod in pods} == {"default"}


def test_a_mount_of_an_unknown_volume_is_refused_and_the_pods_keep_running(sandbox, running):
    namespace, _ = running
    before = sandbox.pods(namespace)["extended-0"]["metadata"]["uid"]
    mounts = extended(namespace, "image")["spec"]["pod"]["volumeMounts"]
    nowhere = [{"name": "nowhere", "mountPath": "/nowhere"}]
    change_mounts(sandbox, namespace, nowhere)

    def refused():
        condition = sandbox.conditions(namespace, "extended")["SpecValid"]
        return condition["status"] == "False" and condition["message"]

    message = wait_for(refused)
    assert "spec.pod.volumeMounts.0.name: there is no volume nowhere" in message
    assert sandbox.pods(namespace)["extended-0"]["metadata"]["uid"] == before
    change_mounts(sandbox, namespace, mounts)
    wait_for(lambda: sandbox.conditions(namespace, "extended")["SpecValid"]["status"] == "True")


def change_mounts(sandbox, namespace, mounts):
    patch = json.dumps({"spec": {"pod": {"volumeMounts": mounts}}})
    sandbox.patch(namespace, "extended", patch)


POLICY = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: no-refused-workloads
spec:
  matchConstraints:
    resourceRules:
      - {{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [statefulsets]}}
  validations:
    - expression: "!('acme.com/refused' in object.spec.template.metadata.labels)"
      message: this label is refused here
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: no-refused-workloads
spec:
  policyName: no-refused-workloads
  validationActions: [Deny]
  matchResources:
    namespaceSelector:
      matchLabels: {{kubernetes.io/metadata.name: {namespace}}}
"""


@pytest.fixture
def policy(sandbox, running):
    """A policy of the cluster that refuses StatefulSets with a label, as a rule of a company may do."""
    text = POLICY.format(namespace=running[0])
    sandbox.tools.kubectl("apply", "--filename=-", stdin=text)
    yield
    sandbox.tools.kubectl("delete", "--filename=-", stdin=text)


def test_a_rejected_workload_keeps_the_running_pods(sandbox, running, policy):
    namespace, _ = running
    before = sandbox.pods(namespace)["extended-0"]["metadata"]["uid"]
    # The API server enforces a new policy after a moment.
    wait_for(lambda: is_refused(sandbox, namespace))
    labeled = '{"spec":{"pod":{"labels":{"acme.com/refused":"x"}}}}'
    sandbox.patch(namespace, "extended", labeled)

    def rejected():
        condition = sandbox.conditions(namespace, "extended")["WorkloadAvailable"]
        return condition["reason"] == "ApplyFailed" and condition["message"]

    message = wait_for(rejected)
    assert "this label is refused here" in message
    assert sandbox.pods(namespace)["extended-0"]["metadata"]["uid"] == before
    removed = '{"spec":{"pod":{"labels":{"acme.com/refused":null}}}}'
    sandbox.patch(namespace, "extended", removed)


def is_refused(sandbox, namespace):
    patch = '{"spec":{"template":{"metadata":{"labels":{"acme.com/refused":"x"}}}}}'
    command = ("patch", "statefulset/extended", f"--namespace={namespace}", "--dry-run=server")
    try:
        sandbox.tools.kubectl(*command, "--type=merge", f"--patch={patch}")
    except DemoError:
        return True
    return False


def test_a_network_policy_that_is_disabled_is_deleted(sandbox, running):
    namespace, _ = running
    sandbox.patch(namespace, "extended", '{"spec": {"network": {"policy": "None"}}}')
    namespace_flag = f"--namespace={namespace}"
    wait_for(lambda: not sandbox.tools.get("networkpolicies", namespace_flag).get("items"))


def test_deleting_the_agent_deletes_all_children(sandbox, running):
    namespace, _ = running
    sandbox.tools.kubectl("delete", "pfa/extended", f"--namespace={namespace}")

    def remaining():
        items = sandbox.tools.get(KINDS, f"--namespace={namespace}").get("items", [])
        return [item for item in items if item["metadata"]["name"].startswith("extended")]

    wait_for(lambda: not remaining())
