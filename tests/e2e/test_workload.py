import dataclasses
import functools
import json

import pytest

from purpleflea_sandbox.demo import installation
from support import waiting

# Each look at the cluster is a process.
wait_for = functools.partial(waiting.wait_for, every_s=0.3, timeout_s=90)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

NAME = "keeper"
OPERATOR = ("deployment/purpleflea-operator", f"--namespace={installation.OPERATOR}")
OPERATOR_USER = f"{installation.OPERATOR}:purpleflea-operator"
UNDER_WAY_S = 15  # as in the operator
EXCHANGE = "http://exchange.exchange.svc.cluster.local"
KINDS = "pods,statefulsets,configmaps,networkpolicies,poddisruptionbudgets,controllerrevisions"


def keeper(*, env, storage=None, **spec):
    """An agent with two identities."""
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
            "pod": {"terminationGracePeriodSeconds": 20},
            **({"storage": storage} if storage else {}),
            **spec,
        },
    }


def storage_class(name, *, grows):
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "purpleflea.com/local",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": grows,
    }


class Fleet:
    """The keepers of one namespace."""

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
        def claim():
            agent = self.sandbox.agent(self.namespace, NAME)
            status = agent.get("status", {})
            current = status.get("observedGeneration") == agent["metadata"]["generation"]
            ready = self.conditions().get("Ready", {}).get("status") == "True"
            return current and ready and status.get("readyReplicas", 0) == count

        wait_for(claim, what=f"{self.namespace}/{NAME} ready")

    def conditions(self):
        return self.sandbox.conditions(self.namespace, NAME)

    def turned(self, kind, status, reason):
        def claim():
            found = self.conditions().get(kind, {})
            return (found.get("status"), found.get("reason")) == (status, reason) and found

        return wait_for(claim, what=f"{kind}={status}/{reason} in {self.namespace}")

    def pods(self):
        """What shows that a pod is still the same process: its uid and its restarts."""
        return {
            name: (
                pod["metadata"]["uid"],
                [item["restartCount"] for item in pod["status"].get("containerStatuses", [])],
            )
            for name, pod in self.sandbox.pods(self.namespace).items()
        }

    def items(self, kinds):
        found = self.sandbox.tools.get(kinds, f"--namespace={self.namespace}").get("items", [])
        return [item for item in found if item["metadata"]["name"] != "kube-root-ca.crt"]

    def delete(self):
        self.kubectl("delete", f"pfa/{NAME}", "--ignore-not-found")


@pytest.fixture(scope="module")
def classes(sandbox):
    sandbox.tools.apply(storage_class("grows", grows=True), storage_class("fixed", grows=False))


@pytest.fixture(scope="module")
def kept(sandbox, classes):
    """Two agents whose journals are on volumes that may grow."""
    fleet = Fleet(sandbox, "kept")
    fleet.apply(storage={"size": "32Mi", "storageClassName": "grows"})
    fleet.ready()
    yield fleet
    fleet.delete()


def workload(fleet):
    (found,) = fleet.items("statefulsets")
    return found


def test_volumes_grow_while_the_pods_run_on(kept, figures):
    before, made = kept.pods(), workload(kept)["metadata"]["uid"]
    kept.patch(storage={"size": "64Mi"})

    def made_anew():
        items = kept.items("statefulsets")
        return items and items[0]["metadata"]["uid"] != made and items[0]

    template = wait_for(made_anew)["spec"]["volumeClaimTemplates"][0]
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


def test_a_storage_class_that_lets_nothing_grow_is_named_and_the_pods_run_on(kept):
    before = kept.pods()
    kept.patch(storage={"storageClassName": "fixed"})
    text = kept.turned("StorageReady", "False", "ClassDiffers")["message"]
    assert "only new claims are made on fixed" in text
    kept.ready()
    kept.patch(storage={"storageClassName": "grows"})
    kept.ready()
    assert kept.pods() == before


def test_a_volume_that_may_not_grow_says_what_to_do(sandbox, classes):
    fleet = Fleet(sandbox, "fixed")
    fleet.apply(storage={"size": "32Mi", "storageClassName": "fixed"})
    fleet.ready()
    before = fleet.pods()
    fleet.patch(storage={"size": "64Mi"})
    text = fleet.turned("StorageReady", "False", "ExpansionRefused")["message"]
    assert "set allowVolumeExpansion" in text
    assert fleet.pods() == before
    fleet.delete()


def test_a_volume_that_is_added_replaces_the_pods_one_after_the_other(sandbox, classes):
    fleet = Fleet(sandbox, "added")
    fleet.apply()
    fleet.ready()
    before = fleet.pods()
    fleet.patch(storage={"size": "32Mi"})

    def on_claims():
        pods = sandbox.pods(fleet.namespace).values()
        volumes = [volume for pod in pods for volume in pod["spec"]["volumes"]]
        return sum("persistentVolumeClaim" in volume for volume in volumes) == 2

    wait_for(on_claims, what="pods on volume claims")
    fleet.ready()
    assert fleet.pods().keys() == before.keys()
    fleet.turned("StorageReady", "True", "Ready")
    fleet.delete()


def test_halting_names_who_when_and_why_and_waits_for_every_agent(kept):
    before = kept.pods()
    kept.kubectl("annotate", f"pfa/{NAME}", "purpleflea.com/reason=the exchange acts up")
    kept.patch(trading={"mode": "Halted"})
    text = kept.turned("TradingActive", "False", "Halted")["message"]
    assert "by kubectl-patch at " in text
    assert "(the exchange acts up); 2/2 acknowledged and at rest" in text
    trading = kept.sandbox.agent(kept.namespace, NAME)["status"]["trading"]
    assert (trading["mode"], trading["running"], trading["acknowledged"]) == ("Halted", 2, 2)
    kept.kubectl("delete", f"pod/{NAME}-1")
    wait_for(lambda: kept.pods().get(f"{NAME}-1", before[f"{NAME}-1"]) != before[f"{NAME}-1"])
    kept.ready()
    kept.turned("TradingActive", "False", "Halted")
    kept.patch(trading={"mode": "Active"})
    kept.turned("TradingActive", "True", "Active")


def test_stopping_ends_the_pods_after_they_are_at_rest_and_active_starts_them_again(kept):
    kept.patch(trading={"mode": "Stopped"})
    kept.turned("TradingActive", "False", "Stopped")
    wait_for(lambda: kept.pods() == {}, what="no pod")
    assert kept.conditions()["WorkloadAvailable"]["reason"] == "ScaledToZero"
    kept.patch(trading={"mode": "Active"})
    kept.ready()
    kept.turned("TradingActive", "True", "Active")


def test_a_rollout_that_is_stuck_says_why_and_goes_on_when_mended(kept):
    before = kept.pods()
    kept.patch(image={"repository": "localhost/not-there", "tag": "1", "pullPolicy": "Never"})
    text = kept.turned("Progressing", "False", "ImagePullFailed")["message"]
    assert f"{NAME}-1" in text
    assert kept.pods()[f"{NAME}-0"] == before[f"{NAME}-0"]
    kept.kubectl(
        "patch", f"pfa/{NAME}", "--type=json", '--patch=[{"op":"remove","path":"/spec/image"}]'
    )
    kept.ready()
    kept.turned("Progressing", "True", "Complete")


def test_an_agent_that_starts_anew_beside_a_stuck_rollout_keeps_the_settings_of_its_revision(kept):
    uid, restarts = kept.pods()[f"{NAME}-0"]
    kept.patch(strategy="crystal-ball")
    kept.turned("Progressing", "False", "CrashLooping")
    assert kept.pods()[f"{NAME}-0"] == (uid, restarts)
    # Its container comes back in the same pod.
    end_it = ("python", "-c", "import os; os.kill(1, 15)")
    place = f"--namespace={kept.namespace}"
    kept.sandbox.tools.kubectl("exec", place, f"{NAME}-0", "--", *end_it)

    def back():
        again = kept.sandbox.pods(kept.namespace)[f"{NAME}-0"]
        (state,) = again["status"]["containerStatuses"]
        return again["metadata"]["uid"] == uid and state["restartCount"] > restarts[0] and state

    wait_for(lambda: (state := back()) and state["ready"], what="ready again, as before")
    # A pod that is made anew is one of its revision, too.
    kept.kubectl("delete", f"pod/{NAME}-0")

    def anew():
        pod = kept.sandbox.pods(kept.namespace).get(f"{NAME}-0")
        if pod is None or pod["metadata"]["uid"] == uid or "containerStatuses" not in pod["status"]:
            return None
        return pod["status"]["containerStatuses"][0]

    wait_for(lambda: (state := anew()) and state["ready"], what="ready in a new pod")
    assert anew()["restartCount"] == 0
    kept.patch(strategy="momentum")
    kept.ready()
    rolling = workload(kept)["spec"]["updateStrategy"].get("rollingUpdate", {})
    assert rolling.get("partition", 0) == 0


def test_a_change_of_settings_costs_the_workload_and_a_status(kept, sandbox, figures):
    point = sandbox.audit.end()
    kept.patch(trading={"interval": "3s"})
    kept.ready()
    took = sandbox.audit.seconds_since(point)
    counts = sandbox.audit.counts(since=point, user=OPERATOR_USER)
    ours = {
        kind: number
        for (verb, kind), number in counts.items()
        if verb not in ("get", "list", "watch") and kind not in ("leases", "events")
    }
    statuses = ours.pop("purplefleaagents/status")
    figures["writes of a change of settings"] = f"{ours}, {statuses} statuses in {took:.0f} s"
    assert ours == {"statefulsets": 1}
    # A rollout that takes long says how far it is, once in a while.
    assert statuses <= 1 + took // UNDER_WAY_S


def test_a_key_that_is_replaced_is_used_without_a_restart(kept, sandbox):
    before = kept.pods()

    def replace(keys):
        installation.api_key(sandbox.tools, kept.namespace, keys)
        # A pod that is touched has its mounts refreshed at once; the kubelet alone takes a minute or so.
        text = keys.exchange_key[-8:]
        kept.kubectl("annotate", "pods", "--all", f"tests.purpleflea.com/key={text}", "--overwrite")

    def ready_pods():
        found = sandbox.pods(kept.namespace).values()
        conditions = [item for pod in found for item in pod["status"]["conditions"]]
        return sum(item["type"] == "Ready" and item["status"] == "True" for item in conditions)

    replace(dataclasses.replace(sandbox.keys, exchange_key="pf_paper_" + "0" * 32))
    wait_for(lambda: ready_pods() == 0, what="agents whose key is refused")
    replace(sandbox.keys)
    wait_for(lambda: ready_pods() == len(before), what="agents with a key that is good")
    kept.ready()
    assert kept.pods() == before


def test_the_younger_of_two_with_the_same_identities_is_not_started_until_told_apart(kept, sandbox):
    other = Fleet(sandbox, "kept-twice")
    other.kubectl("apply", "--filename=-", stdin=json.dumps(keeper(env="kept")))
    text = other.turned("DuplicateIdentity", "True", "NotStarted")["message"]
    assert "kept/keeper has the same name" in text
    assert other.turned("Ready", "False", "DuplicateIdentity")
    assert other.pods() == {}
    assert kept.conditions()["DuplicateIdentity"]["status"] == "False"
    other.patch(datadog={"env": "kept-twice"})
    other.ready()
    other.delete()


@pytest.fixture
def without_operator(sandbox):
    """Nobody operates, until it is called."""
    sandbox.tools.kubectl("scale", *OPERATOR, "--replicas=0")
    wait_for(lambda: sandbox.pods(installation.OPERATOR) == {}, what="the operator's end")

    def back():
        sandbox.tools.kubectl("scale", *OPERATOR, "--replicas=2")
        installation.wait_for(sandbox.tools, installation.OPERATOR, OPERATOR[0])

    yield back
    back()


def test_what_is_deleted_while_nobody_operates_is_gone_but_for_the_journals(
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


def test_pods_left_behind_while_their_workload_was_made_anew_are_ended(kept, without_operator):
    kept.kubectl("delete", f"statefulset/{NAME}", "--cascade=orphan")
    kept.delete()
    assert len(kept.pods()) == 2
    without_operator()
    wait_for(lambda: kept.pods() == {}, what="no orphan")


def test_a_namespace_that_is_deleted_goes(sandbox):
    fleet = Fleet(sandbox, "doomed")
    fleet.apply(storage={"size": "32Mi"})
    fleet.ready()
    sandbox.tools.kubectl("delete", "namespace", "doomed", "--timeout=120s")
    assert sandbox.tools.get("namespace", "doomed") == {}
