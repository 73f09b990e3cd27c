import functools
import json

import pytest

from purpleflea_contract.cardinality import Sending, per_agent
from purpleflea_sandbox.demo.errors import DemoError
from support import waiting
from support.builders import a_spec

# Every poll of the cluster starts a process.
wait_for = functools.partial(waiting.wait_for, every_s=0.2, timeout_s=180)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


def manifest(name="probe", **changes):
    return json.dumps(
        {
            "apiVersion": "purpleflea.com/v1alpha1",
            "kind": "PurpleFleaAgent",
            "metadata": {"name": name},
            "spec": a_spec(**changes),
        }
    )


FROM_NODE = {"fieldRef": {"fieldPath": "spec.nodeName"}}


def a_sidecar(**context):
    return {"pod": {"sidecars": [{"name": "x", "image": "y", "securityContext": context}]}}


ONE_AGENT = per_agent(Sending(markets=1))


def a_budget(budget, *, replicas=1, markets=("BTC-USD",), **datadog):
    settings = {"customMetricsBudget": budget, "budgetPolicy": "Enforce", **datadog}
    return {"replicas": replicas, "markets": list(markets), "datadog": settings}


def an_endpoint(url, **api):
    return {"api": {"keySecretRef": {"name": "k"}, "endpoints": {"wallet": url}, **api}}


INSIDE = (
    *("wallet", "wallet:8080/base", "localhost", "127.0.0.1:80", "[::1]:8080", "a.b.svc"),
    *("a.b.svc.cluster.local", "a.b.svc.cluster.local.:80/x"),
)
OUTSIDE = (
    *("wallet.example.com", "10.0.0.7", "[fd00::1]", "2130706433", "127.1", "wallet.namespace"),
    *("a.svc.example.com", "a.b.svc.cluster.locale", "a..svc"),
)


@pytest.fixture(scope="module")
def namespace(sandbox):
    return sandbox.namespace("bad-input")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stratgy": "x"}, 'unknown field "spec.stratgy"'),
        ({"replicas": -1}, "spec.replicas"),
        ({"replicas": 1001}, "spec.replicas"),
        ({"strategy": "Not Valid"}, "spec.strategy"),
        ({"markets": []}, "spec.markets"),
        ({"markets": ["BTC-USD", "BTC-USD"]}, "spec.markets[1]"),
        ({"trading": {"interval": "soon"}}, "spec.trading.interval"),
        ({"trading": {"mode": "Sleeping"}}, "spec.trading.mode"),
        ({"risk": {"maxDrawdownPct": 101}}, "spec.risk.maxDrawdownPct"),
        ({"risk": {"maxOrderUsd": 1.5}}, "spec.risk.maxOrderUsd"),
        ({"image": {"repository": "a/b"}}, "set exactly one of tag and digest"),
        ({"datadog": {"env": "no spaces allowed"}}, "spec.datadog.env"),
        ({"api": {}}, "spec.api.keySecretRef"),
        ({"pod": {"resources": {"limits": {"cpu": "lots"}}}}, "spec.pod.resources.limits"),
        ({"trading": {"interval": "500ms"}}, "interval must be between 1s and 1h"),
        ({"trading": {"interval": "61m"}}, "interval must be between 1s and 1h"),
        ({"trading": {"orderSize": "0.00"}}, "orderSize must be greater than 0"),
        ({"risk": {"minBalanceUsd": "50.01"}}, "faucet.belowUsd must not be less than"),
        (
            {"trading": {"flattenOnStop": True}, "pod": {"terminationGracePeriodSeconds": 19}},
            "trading.flattenOnStop needs",
        ),
        (
            {"pod": {"resources": {"requests": {"cpu": "1500m"}, "limits": {"cpu": "1"}}}},
            "a request must not be larger than the limit",
        ),
        (
            {"pod": {"resources": {"requests": {"cpu": 2}, "limits": {"cpu": 1}}}},
            "a request must not be larger than the limit",
        ),
        # The other side of a rule can be a default, which the CRD does not have.
        (
            {"pod": {"resources": {"limits": {"memory": "100Mi"}}}},
            "a request must not be larger than the limit",
        ),
        (
            {"pod": {"resources": {"requests": {"cpu": "1001m"}}}},
            "a request must not be larger than the limit",
        ),
        (
            {"faucet": {"belowUsd": "9"}, "risk": {"minBalanceUsd": "10"}},
            "faucet.belowUsd must not be less than",
        ),
        ({"pod": {"tolerations": [{"operator": "Equal"}]}}, "operator Equal needs a key"),
        (
            {"pod": {"tolerations": [{"operator": "Exists", "tolerationSeconds": 5}]}},
            "tolerationSeconds needs effect NoExecute",
        ),
        (
            {"pod": {"serviceAccountName": "a", "serviceAccount": {}}},
            "set pod.serviceAccountName or pod.serviceAccount, not both",
        ),
        (
            {"pod": {"automountServiceAccountToken": True}},
            "automountServiceAccountToken needs pod.serviceAccountName",
        ),
        (
            {"pod": {"env": [{"name": "A", "value": "x", "valueFrom": FROM_NODE}]}},
            "set value or valueFrom, not both",
        ),
        (
            {"pod": {"env": [{"name": "A", "valueFrom": {}}]}},
            "set exactly one of secretKeyRef, configMapKeyRef, fieldRef, resourceFieldRef",
        ),
        ({"pod": {"env": [{"name": "A"}, {"name": "A"}]}}, "spec.pod.env[1]"),
        ({"pod": {"envFrom": [{}]}}, "set exactly one of secretRef, configMapRef"),
        ({"pod": {"volumes": [{"name": "x"}]}}, "set exactly one of secret, configMap"),
        (
            {"pod": {"volumes": [{"name": "x", "hostPath": {"path": "/"}}]}},
            'unknown field "spec.pod.volumes[0].hostPath"',
        ),
        ({"pod": {"affinity": {"near": {}}}}, 'unknown field "spec.pod.affinity.near"'),
        (a_sidecar(privileged=True), 'supported values: "false"'),
        (a_sidecar(allowPrivilegeEscalation=True), 'supported values: "false"'),
        (a_sidecar(runAsUser=0), "securityContext.runAsUser"),
        (a_sidecar(capabilities={"add": ["NET_ADMIN"]}), "unknown field"),
        ({"network": {"egressPorts": [443, 443]}}, "spec.network.egressPorts[1]"),
        (a_budget(ONE_AGENT - 1), "would cost more custom metrics"),
        (a_budget(ONE_AGENT, replicas=2), "would cost more custom metrics"),
        (a_budget(ONE_AGENT, markets=["BTC-USD", "ETH-USD"]), "would cost more custom metrics"),
        (a_budget(ONE_AGENT, check={"enabled": True}), "would cost more custom metrics"),
        ({"api": {"keySecretRef": {"name": "k"}, "dialect": "Public"}}, 'supported values: "Seed"'),
        *((an_endpoint(f"http://{host}"), "api.allowInsecureEndpoints") for host in OUTSIDE),
        ({"storage": {"ephemeral": True, "size": "1Gi"}}, "an ephemeral journal has no volume"),
        ({"storage": {"ephemeral": True, "storageClassName": "fast"}}, "has no volume"),
    ],
)
def test_the_api_server_rejects_an_invalid_field_and_names_it(sandbox, namespace, changes, message):
    command = ("create", f"--namespace={namespace}", "--filename=-", "--dry-run=server")
    with pytest.raises(DemoError) as refused:
        sandbox.tools.kubectl(*command, stdin=manifest(**changes))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"risk": {"minBalanceUsd": "50.01"}, "faucet": {"autoClaim": False}},
        {"risk": {"minBalanceUsd": "50"}},
        {"faucet": {"belowUsd": "0"}},
        {"trading": {"flattenOnStop": True}},
        {"pod": {"resources": {"limits": {"memory": "160Mi"}}}},
        a_budget(ONE_AGENT),
        a_budget(ONE_AGENT - 1, budgetPolicy="Warn"),
        a_budget(1, connection="Disabled"),
        {"trading": {"flattenOnStop": True}, "pod": {"terminationGracePeriodSeconds": 20}},
        {"pod": {"resources": {"requests": {"cpu": 1}, "limits": {"cpu": "1000m"}}}},
        {"pod": {"tolerations": [{"operator": "Exists", "effect": "NoExecute"}]}},
        *(an_endpoint(f"http://{host}") for host in INSIDE),
        *(an_endpoint(f"http://{host}", allowInsecureEndpoints=True) for host in OUTSIDE),
        an_endpoint("https://wallet.example.com"),
        {"storage": {"ephemeral": True, "whenDeleted": "Delete"}},
        {"storage": {"ephemeral": False, "size": "1Gi"}},
        {"storage": {}},
    ],
)
def test_the_api_server_accepts_values_at_the_limit_of_a_rule(sandbox, namespace, changes):
    command = ("create", f"--namespace={namespace}", "--filename=-", "--dry-run=server")
    sandbox.tools.kubectl(*command, stdin=manifest(**changes))


def test_storage_cannot_be_removed_from_an_agent(sandbox, namespace):
    command = ("apply", f"--namespace={namespace}", "--filename=-")
    sandbox.tools.kubectl(*command, stdin=manifest("kept", replicas=0))
    sandbox.tools.kubectl(*command, stdin=manifest("kept", replicas=0, storage={"size": "1Gi"}))
    with pytest.raises(DemoError, match="only when the agent is created"):
        sandbox.tools.kubectl(*command, stdin=manifest("kept", replicas=0))
    remove = '--patch=[{"op": "remove", "path": "/spec/storage"}]'
    with pytest.raises(DemoError, match="storage cannot be removed"):
        sandbox.tools.kubectl(
            "patch", f"--namespace={namespace}", "pfa/kept", "--type=json", remove
        )
    sandbox.tools.kubectl("delete", f"--namespace={namespace}", "pfa/kept")


def test_the_api_server_accepts_every_example(sandbox, namespace):
    # monitor-halt has Helm values and rights for a separate namespace; test_monitor_halts applies them. gitops has
    # resources of Argo CD and Flux, and agents with namespaces; tests/unit/gitops checks them. k9s has settings of k9s.
    examples = [
        file
        for file in sorted((sandbox.checkout / "examples").glob("**/*.yaml"))
        if not {"monitor-halt", "gitops", "k9s"} & set(file.parts)
    ]
    assert examples
    for file in examples:
        sandbox.tools.kubectl(
            "apply",
            f"--namespace={namespace}",
            f"--filename={file}",
            "--dry-run=server",
            "--validate=strict",
        )


def test_kubectl_explains_the_spec(sandbox):
    text = sandbox.tools.kubectl("explain", "pfa.spec", "--recursive")
    for field in ("keySecretRef", "flattenOnStop", "topologySpreadConstraints", "sidecars"):
        assert field in text
    text = sandbox.tools.kubectl("explain", "pfa.spec.trading.mode")
    # kubectl wraps the description, so the words are compared without line breaks.
    assert "Halted: the agents run but send no new orders" in " ".join(text.split())


@pytest.mark.parametrize("name", ["9lives", "a" * 46, "with.dots"])
def test_a_name_that_is_not_valid_for_pods_is_rejected(sandbox, namespace, name):
    command = ("create", f"--namespace={namespace}", "--filename=-", "--dry-run=server")
    with pytest.raises(DemoError, match="must be a DNS label of at most 45 characters"):
        sandbox.tools.kubectl(*command, stdin=manifest(name))


def condition_of(sandbox, namespace, name):
    condition = sandbox.conditions(namespace, name).get("WorkloadAvailable", {})
    return condition.get("reason"), condition.get("message", "")


def test_an_agent_recovers_when_its_missing_secret_is_created(sandbox):
    namespace = sandbox.namespace("no-secret", with_key=False)
    sandbox.apply_example(namespace, env=namespace)
    wait_for(lambda: condition_of(sandbox, namespace, "momentum")[0] == "SecretNotFound")
    message = condition_of(sandbox, namespace, "momentum")[1]
    assert 'secret "purpleflea-api-key" not found' in message
    assert "spec.api.keySecretRef" in message
    sandbox.namespace(namespace)
    sandbox.wait_ready(namespace)
    sandbox.tools.kubectl("delete", "namespace", namespace, "--wait=false")


def test_a_missing_image_stops_the_rollout_until_the_spec_is_fixed(sandbox):
    namespace = sandbox.namespace("no-image")
    sandbox.apply_example(namespace, env=namespace)
    # The pods are younger than minReadySeconds. Kubernetes would replace all of them at once.
    sandbox.wait_ready(namespace)
    before = sandbox.pods(namespace)
    image = '{"repository":"localhost/nowhere","tag":"1","pullPolicy":"Never"}'
    sandbox.patch(namespace, "momentum", f'{{"spec":{{"image":{image}}}}}')
    wait_for(lambda: condition_of(sandbox, namespace, "momentum")[0] == "ImagePullFailed")
    assert "spec.image" in condition_of(sandbox, namespace, "momentum")[1]
    running = sandbox.pods(namespace)
    for name in ("momentum-0", "momentum-1"):
        assert running[name]["metadata"]["uid"] == before[name]["metadata"]["uid"]
    sandbox.patch(namespace, "momentum", '{"spec":{"image":null}}')
    sandbox.wait_ready(namespace)
    sandbox.tools.kubectl("delete", "namespace", namespace, "--wait=false")
