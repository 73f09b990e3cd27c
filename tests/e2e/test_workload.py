import dataclasses
import functools
import json
from collections import Counter

import pytest

from purpleflea_sandbox.demo import installation
from support import waiting

# Every poll of the cluster starts a process.
wait_for = functools.partial(waiting.wait_for, every_s=0.3, timeout_s=180)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

NAME = "keeper"
OPERATOR = ("deployment/purpleflea-operator", f"--namespace={installation.OPERATOR}")
OPERATOR_USER = f"{installation.OPERATOR}:purpleflea-operator"
STATUS_COUNTS_INTERVAL_S = 15  # as in the operator
EXCHANGE = "http://exchange.exchange.svc.cluster.local"
KINDS = "pods,statefulsets,configmaps,networkpolicies,poddisruptionbudgets,controllerrevisions"


def keeper(*, env, storage=None, **spec):
    """Return an agent with two replicas."""
    return {
        "apiVersion": "purpleflea.com/v1alpha1",
        "kind": "PurpleFleaAgent",
        "metadata": {"name": NAME},
        "spec": {
            "strategy": "momentum",
            "replicas": 2,
            "markets": ["BTC-USD"],
            "api": {
                "keySecretRef": {"name": "purpleflea-api-key"},
                "endpoints": dict.fromkeys(("trading", "wallet", "escrow", "faucet"), EXCHANGE),
            },
            "trading": {"interval": "2s", "signalThreshold": "0.0001", "mode": "Active"},
            "datadog": {"env": env},
            "pod": {"terminationGracePeriodSeconds": 20, "minReadySeconds": 0},
            "storage": storage or {"ephemeral": True},
            **spec,
        },
    }


def storage_class(name, provisioner, *, grows):
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": provisioner,
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": grows,
    }


class Fleet:
    """The agent of one namespace."""

    def __init__(self, sandbox, namespace):
        self.sandbox = sandbox
        self.namespace = sandbox.namespace(namespace)

    def apply(self, **changes):
        text = json.dumps(keeper(env=self.namespace, **changes))
        self.kubectl("apply", "--filename=-", stdin=text)

    def kubectl(self, *arguments, stdin=None):
        return self.sandbox.tools.kubectl(*arguments, f"--namespace={self.namespace}", stdin=stdin)

    def patch(self, **spec):
        self.sandbox.patch(self.namespace, NAME, json.dumps({"spec": spec}))

    def ready(self, count=2):
        def is_ready():
            agent = self.sandbox.agent(self.namespace, NAME)
            status = agent.get("status", {})
            current = status.get("observedGeneration") == agent["metadata"]["generation"]
            ready = self.conditions().get("Ready", {}).get("status") == "True"
            return current and ready and status.get("readyReplicas", 0) == count

        wait_for(is_ready, what=f"{self.namespace}/{NAME} ready")

    def conditions(self):
        return self.sandbox.conditions(self.namespace, NAME)

    def wait_for_condition(self, kind, status, reason):
        def matching():
            condition = self.conditions().get(kind, {})
            return (condition.get("status"), condition.get("reason")) == (
                status,
                reason,
            ) and condition

        return wait_for(matching, what=f"{kind}={status}/{reason} in {self.namespace}")

    def pods(self):
        """Return uid and restart counts by pod; they are unchanged if the same processes still run."""
        return {
            name: (
                pod["metadata"]["uid"],
                [item["restartCount"] for item in pod["status"].get("containerStatuses", [])],
            )
            for name, pod in self.sandbox.pods(self.namespace).items()
        }

    def items(self, kinds):
        items = self.sandbox.tools.get(kinds, f"--namespace={self.namespace}").get("items", [])
        return [item for item in items if item["metadata"]["name"] != "kube-root-ca.crt"]

    def delete(self):
        self.kubectl("delete", f"pfa/{NAME}", "--ignore-not-found")


@pytest.fixture(scope="module")
def classes(sandbox):
    # Each provider has another provisioner, and calls its default class standard.
    provisioner = sandbox.tools.get("storageclass", "standard")["provisioner"]
    sandbox.tools.apply(
        storage_class("grows", provisioner, grows=True),
        storage_class("fixed", provisioner, grows=False),
    )


@pytest.fixture(scope="module")
def kept(sandbox, classes):
    """Create two agents with journals on expandable volumes."""
    fleet = Fleet(sandbox, "kept")
    fleet.apply(storage={"size": "32Mi", "storageClassName": "grows"})
    fleet.ready()
    yield fleet
    fleet.delete()


def workload(fleet):
    (stateful_set,) = fleet.items("statefulsets")
    return stateful_set


def test_volumes_are_expanded_while_the_pods_keep_running(kept, figures):
    before, old_uid = kept.pods(), workload(kept)["metadata"]["uid"]
    kept.patch(storage={"size": "64Mi"})

    def recreated():
        items = kept.items("statefulsets")
        return items and items[0]["metadata"]["uid"] != old_uid and items[0]

    template = wait_for(recreated)["spec"]["volumeClaimTemplates"][0]
    assert template["spec"]["resources"]["requests"]["storage"] == "64Mi"
    kept.ready()
    claims = lambda: {  # noqa: E731
        item["spec"]["resources"]["requests"]["storage"]
        for item in kept.items("persistentvolumeclaims")
    }
    wait_for(lambda: claims() == {"64Mi"}, what="larger claims")
    assert kept.pods() == before
    owners = {
        pod["metadata"]["ownerReferences"][0]["uid"]
        for pod in kept.sandbox.pods(kept.namespace).values()
    }
    assert owners == {workload(kept)["metadata"]["uid"]}
    figures["pods restarted by a larger volume claim"] = "0"


def test_a_changed_storage_class_is_reported_and_the_pods_keep_running(kept):
    before = kept.pods()
    kept.patch(storage={"storageClassName": "fixed"})
    text = kept.wait_for_condition("StorageReady", "False", "ClassDiffers")["message"]
    assert "only new claims are created with fixed" in text
    kept.ready()
    kept.patch(storage={"storageClassName": "grows"})
    kept.ready()
    assert kept.pods() == before


def test_a_rejected_expansion_is_reported_with_a_remedy(sandbox, classes):
    fleet = Fleet(sandbox, "fixed")
    fleet.apply(storage={"size": "32Mi", "storageClassName": "fixed"})
    fleet.ready()
    before = fleet.pods()
    fleet.patch(storage={"size": "64Mi"})
    text = fleet.wait_for_condition("StorageReady", "False", "ExpansionRefused")["message"]
    assert "set allowVolumeExpansion" in text
    assert fleet.pods() == before
    fleet.delete()


def test_adding_a_volume_replaces_the_pods(sandbox, classes):
    fleet = Fleet(sandbox, "added")
    fleet.apply()
    fleet.ready()
    before = fleet.pods()
    fleet.patch(storage={"ephemeral": None, "size": "32Mi"})

    def on_claims():
        pods = sandbox.pods(fleet.namespace).values()
        volumes = [volume for pod in pods for volume in pod["spec"]["volumes"]]
        return sum("persistentVolumeClaim" in volume for volume in volumes) == 2

    wait_for(on_claims, what="pods on volume claims")
    fleet.ready()
    assert fleet.pods().keys() == before.keys()
    fleet.wait_for_condition("StorageReady", "True", "Ready")
    fleet.delete()


def test_halting_reports_user_time_and_reason_and_waits_for_all_agents(kept):
    before = kept.pods()
    kept.kubectl("annotate", f"pfa/{NAME}", "purpleflea.com/reason=exchange maintenance")
    kept.patch(trading={"mode": "Halted"})
    text = kept.wait_for_condition("TradingActive", "False", "Halted")["message"]
    assert "by kubectl-patch at " in text
    assert "(exchange maintenance); 2/2 agents have acknowledged it and are drained" in text
    trading = kept.sandbox.agent(kept.namespace, NAME)["status"]["trading"]
    assert (trading["mode"], trading["running"], trading["acknowledged"]) == ("Halted", 2, 2)
    kept.kubectl("delete", f"pod/{NAME}-1")
    wait_for(lambda: kept.pods().get(f"{NAME}-1", before[f"{NAME}-1"]) != before[f"{NAME}-1"])
    kept.ready()
    kept.wait_for_condition("TradingActive", "False", "Halted")
    kept.patch(trading={"mode": "Active"})
    kept.wait_for_condition("TradingActive", "True", "Active")


def test_stopped_scales_to_zero_and_active_starts_the_pods_again(kept):
    kept.patch(trading={"mode": "Stopped"})
    kept.wait_for_condition("TradingActive", "False", "Stopped")
    wait_for(lambda: kept.pods() == {}, what="no pod")
    reason = lambda: kept.conditions()["WorkloadAvailable"]["reason"]  # noqa: E731
    wait_for(lambda: reason() == "ScaledToZero", what="ScaledToZero")
    kept.patch(trading={"mode": "Active"})
    kept.ready()
    kept.wait_for_condition("TradingActive", "True", "Active")


def test_a_stuck_rollout_reports_its_reason_and_continues_when_fixed(kept):
    before = kept.pods()
    kept.patch(image={"repository": "localhost/not-there", "tag": "1", "pullPolicy": "Never"})
    text = kept.wait_for_condition("Progressing", "False", "ImagePullFailed")["message"]
    assert f"{NAME}-1" in text
    assert kept.pods()[f"{NAME}-0"] == before[f"{NAME}-0"]
    kept.kubectl(
        "patch", f"pfa/{NAME}", "--type=json", '--patch=[{"op":"remove","path":"/spec/image"}]'
    )
    kept.ready()
    kept.wait_for_condition("Progressing", "True", "Complete")


def test_a_restart_during_a_stuck_rollout_keeps_the_old_revision(kept):
    uid, restarts = kept.pods()[f"{NAME}-0"]
    kept.patch(strategy="crystal-ball")
    kept.wait_for_condition("Progressing", "False", "CrashLooping")
    assert kept.pods()[f"{NAME}-0"] == (uid, restarts)
    # The container restarts in the same pod.
    end_it = ("python", "-c", "import os; os.kill(1, 15)")
    namespace_flag = f"--namespace={kept.namespace}"
    kept.sandbox.tools.kubectl("exec", namespace_flag, f"{NAME}-0", "--", *end_it)

    def restarted():
        again = kept.sandbox.pods(kept.namespace)[f"{NAME}-0"]
        (state,) = again["status"]["containerStatuses"]
        return again["metadata"]["uid"] == uid and state["restartCount"] > restarts[0] and state

    wait_for(lambda: (state := restarted()) and state["ready"], what="ready again, as before")
    # A recreated pod has the old revision, too.
    kept.kubectl("delete", f"pod/{NAME}-0")

    def recreated_container():
        pod = kept.sandbox.pods(kept.namespace).get(f"{NAME}-0")
        if pod is None or pod["metadata"]["uid"] == uid or "containerStatuses" not in pod["status"]:
            return None
        return pod["status"]["containerStatuses"][0]

    wait_for(lambda: (state := recreated_container()) and state["ready"], what="ready in a new pod")
    assert recreated_container()["restartCount"] == 0
    kept.patch(strategy="momentum")
    kept.ready()
    rolling = workload(kept)["spec"]["updateStrategy"].get("rollingUpdate", {})
    assert rolling.get("partition", 0) == 0


def test_a_settings_change_needs_two_workload_writes_and_a_status(kept, sandbox, figures):
    point = sandbox.audit.end()
    kept.patch(trading={"interval": "3s"})
    kept.ready()
    took = sandbox.audit.seconds_since(point)
    # A conflict with a newer status of the StatefulSet is repeated at once.
    writes = Counter(
        item.resource
        for item in sandbox.audit.entries(since=point, user=OPERATOR_USER)
        if item.is_write and item.resource not in ("leases", "events") and item.code != 409
    )
    statuses = writes.pop("purplefleaagents/status")
    figures["writes of a change of settings"] = (
        f"{dict(writes)}, {statuses} statuses in {took:.0f} s"
    )
    # One pod tries the template, and then the other gets it.
    assert writes == {"statefulsets": 2}
    # One status at the end. In between, counts are written once per interval, and the interval can have begun before
    # the change. A rollout that is longer than the interval is also reported as in progress.
    intervals = took // STATUS_COUNTS_INTERVAL_S
    assert statuses <= 2 + intervals + min(intervals, 1)


def test_a_rotated_key_is_used_without_a_restart(kept, sandbox):
    before = kept.pods()

    def replace(keys):
        installation.api_key(sandbox.tools, kept.namespace, keys)
        # An annotation change makes the kubelet refresh the mounts immediately; otherwise it takes about a minute.
        text = keys.exchange_key[-8:]
        kept.kubectl("annotate", "pods", "--all", f"tests.purpleflea.com/key={text}", "--overwrite")

    def ready_pods():
        pods = sandbox.pods(kept.namespace).values()
        conditions = [item for pod in pods for item in pod["status"]["conditions"]]
        return sum(item["type"] == "Ready" and item["status"] == "True" for item in conditions)

    replace(dataclasses.replace(sandbox.keys, exchange_key="pf_paper_" + "0" * 32))
    wait_for(lambda: ready_pods() == 0, what="agents with a rejected key")
    replace(sandbox.keys)
    wait_for(lambda: ready_pods() == len(before), what="agents with a valid key")
    kept.ready()
    assert kept.pods() == before


def test_the_younger_of_two_agents_with_the_same_identity_is_not_started(kept, sandbox):
    other = Fleet(sandbox, "kept-twice")
    other.kubectl("apply", "--filename=-", stdin=json.dumps(keeper(env="kept")))
    text = other.wait_for_condition("DuplicateIdentity", "True", "NotStarted")["message"]
    assert "kept/keeper has the same name" in text
    assert other.wait_for_condition("Ready", "False", "DuplicateIdentity")
    assert other.pods() == {}
    assert kept.conditions()["DuplicateIdentity"]["status"] == "False"
    other.patch(datadog={"env": "kept-twice"})
    other.ready()
    other.delete()


@pytest.fixture
def without_operator(sandbox):
    """Scale the operator to zero; yield a function that brings it back."""
    sandbox.tools.kubectl("scale", *OPERATOR, "--replicas=0")
    wait_for(lambda: sandbox.pods(installation.OPERATOR) == {}, what="the operator's end")

    def restore():
        sandbox.tools.kubectl("scale", *OPERATOR, "--replicas=2")
        installation.wait_for(sandbox.tools, installation.OPERATOR, OPERATOR[0])

    yield restore
    restore()


def test_an_agent_deleted_without_an_operator_leaves_only_its_journals(
    kept, without_operator, sandbox
):
    old = sandbox.agent(kept.namespace, NAME)["metadata"]["uid"]
    kept.delete()
    wait_for(lambda: kept.items(KINDS) == [], what="nothing left")
    claims = {item["metadata"]["name"] for item in kept.items("persistentvolumeclaims")}
    assert claims == {f"state-{NAME}-0", f"state-{NAME}-1"}
    without_operator()
    kept.apply(storage={"size": "64Mi", "storageClassName": "grows"})
    kept.ready()
    agent = sandbox.agent(kept.namespace, NAME)
    assert agent["metadata"]["uid"] != old
    owner = workload(kept)["metadata"]["ownerReferences"][0]["uid"]
    assert owner == agent["metadata"]["uid"]
    assert agent["status"]["trading"]["since"] >= agent["metadata"]["creationTimestamp"]


def test_orphaned_pods_of_a_deleted_agent_are_deleted(kept, without_operator):
    kept.kubectl("delete", f"statefulset/{NAME}", "--cascade=orphan")
    kept.delete()
    assert len(kept.pods()) == 2
    without_operator()
    wait_for(lambda: kept.pods() == {}, what="no orphan")


def test_a_namespace_with_an_agent_can_be_deleted(sandbox):
    fleet = Fleet(sandbox, "doomed")
    fleet.apply(storage={"size": "32Mi"})
    fleet.ready()
    sandbox.tools.kubectl("delete", "namespace", "doomed", "--timeout=120s")
    assert sandbox.tools.get("namespace", "doomed") == {}
