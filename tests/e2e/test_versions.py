"""The operator, its chart and its CRDs in two versions on a real cluster: no agent restarts, and no spec is invalid."""

import contextlib
import functools
import json

import pytest
import yaml

from purpleflea_sandbox.cluster.progress import TerminalProgress
from purpleflea_sandbox.demo import installation
from support import previous_release, waiting

# Every poll of the cluster starts a process.
wait_for = functools.partial(waiting.wait_for, every_s=0.2, timeout_s=180)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3600)]
CRD = "purplefleaagents.purpleflea.com"
SCHEMA = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/trading"
NAMESPACE, RELEASE = "two-versions", "purpleflea-operator"
FLEET = {f"fleet-{number:02}" for number in range(20)}
"""Agents that are created with the operator and the CRDs of the previous release."""
AT_ONCE = 2


@pytest.fixture(scope="module")
def previous(sandbox, tmp_path_factory):
    """Load the operator image of the previous release, and return the path of its chart."""
    if not previous_release.is_available(sandbox.checkout):
        pytest.skip("the history does not contain the previous release")
    files = previous_release.checkout(sandbox.checkout, tmp_path_factory.mktemp("previous"))
    progress = TerminalProgress()
    archive = previous_release.operator_image(files, progress)
    sandbox.provider.load_images((archive,), progress)
    yield files / "charts" / "purpleflea-operator"
    install(sandbox, sandbox.checkout / "charts" / "purpleflea-operator")


@pytest.fixture(scope="module")
def pods(sandbox):
    """Start agents with the current release, and return their pods."""
    sandbox.namespace(NAMESPACE)
    sandbox.apply_example(NAMESPACE, env=NAMESPACE)
    sandbox.wait_ready(NAMESPACE)
    return runs(sandbox)


def runs(sandbox):
    """Return UID and revision of each pod. The kubelet of a busy node may restart a container, which keeps both."""
    return {
        name: (pod["metadata"]["uid"], pod["metadata"]["labels"]["controller-revision-hash"])
        for name, pod in sandbox.pods(NAMESPACE).items()
    }


def install(sandbox, chart, *, tag=""):
    """Install a chart with the operator image of a tag, and wait until that operator leads."""
    values = {"image.tag": tag} if tag else {}
    installation.operator(sandbox.tools, chart, **values)
    wait_for_leader(sandbox, is_previous=tag == previous_release.TAG)


def wait_for_leader(sandbox, *, is_previous):
    """Wait until the operator of the previous or of the current release leads."""
    installation.wait_for(sandbox.tools, installation.OPERATOR, f"deployment/{RELEASE}")

    def leads():
        leader = sandbox.pods(installation.OPERATOR).get(sandbox.leader(), {})
        containers = leader.get("spec", {}).get("containers", [{"image": ""}])
        has_previous_image = containers[0]["image"].endswith(f":{previous_release.TAG}")
        return bool(leader) and has_previous_image == is_previous

    release = "previous" if is_previous else "current"
    wait_for(leads, what=f"an operator of the {release} release leads")


def has_added_field(sandbox):
    return sandbox.agent(NAMESPACE)["spec"]["trading"].get("addedLater") == "new"


@contextlib.contextmanager
def added_field(sandbox):
    """Add a field with a default to the CRD for a time, as a newer version does."""
    path = f"{SCHEMA}/properties/addedLater"
    field = {"type": "string", "default": "new"}
    patch_crd(sandbox, {"op": "add", "path": path, "value": field})
    wait_for(lambda: has_added_field(sandbox), what="the default is added to stored agents")
    yield
    patch_crd(sandbox, {"op": "remove", "path": path})
    wait_for(lambda: not has_added_field(sandbox), what="the field is removed")


def patch_crd(sandbox, operation):
    patch = json.dumps([operation])
    sandbox.tools.kubectl("patch", "crd", CRD, "--type=json", f"--patch={patch}")


def serves(sandbox, mode):
    """Return whether the operator has processed a change of the mode, with the pods as they were."""
    sandbox.patch(NAMESPACE, "momentum", json.dumps({"spec": {"trading": {"mode": mode}}}))

    def is_served():
        agent = sandbox.agent(NAMESPACE)
        found = sandbox.conditions(NAMESPACE)["TradingActive"]
        is_current = agent["status"]["observedGeneration"] == agent["metadata"]["generation"]
        return is_current and found["status"] == str(mode == "Active")

    return wait_for(is_served, what=f"{mode} is acknowledged")


def wait_for_validity(sandbox, reason):
    def found():
        condition = sandbox.conditions(NAMESPACE)["SpecValid"]
        return (condition["status"], condition["reason"]) == ("True", reason)

    wait_for(found, what=f"SpecValid with the reason {reason}")


def announced(sandbox):
    events = sandbox.tools.get("events", f"--namespace={NAMESPACE}").get("items", [])
    return [item for item in events if item["reason"] == "OperatorUpgrade"]


def start_fleet(sandbox, example):
    """Create the fleet from the example of the previous release, a few agents at a time, and wait until all are ready.

    If all of them started at once on two processors, each would exceed the limit of its startup.
    """
    manifest = yaml.safe_load(example.read_text(encoding="utf-8"))
    # The requests of all agents fit into one node with two processors.
    requests = {"requests": {"cpu": "10m", "memory": "64Mi"}}
    manifest["spec"] |= {"replicas": 1, "storage": {"size": "8Mi"}, "pod": {"resources": requests}}
    manifest["spec"]["trading"]["interval"] = "60s"
    manifest["spec"]["datadog"]["env"] = NAMESPACE
    names = sorted(FLEET)
    for group in (names[first : first + AT_ONCE] for first in range(0, len(names), AT_ONCE)):
        items = [{**manifest, "metadata": {"name": name, "namespace": NAMESPACE}} for name in group]
        sandbox.tools.apply(*items)
        waiting.wait_for_all(
            lambda: {name for name, item in fleet(sandbox).items() if is_ready(item)},
            set(group),
            what="the agents of the previous release are ready",
            # An agent that exceeds the limit of its startup on a busy machine starts again, after a delay that doubles.
            idle_s=600,
        )


def fleet(sandbox):
    items = sandbox.tools.get("pfa", f"--namespace={NAMESPACE}")["items"]
    return {item["metadata"]["name"]: item for item in items if item["metadata"]["name"] in FLEET}


def is_ready(agent):
    conditions = agent.get("status", {}).get("conditions", [])
    return any((item["type"], item["status"]) == ("Ready", "True") for item in conditions)


def specs(sandbox):
    return {name: item["spec"] for name, item in fleet(sandbox).items()}


def is_kept(old, new):
    """Return whether each field has its value; a newer CRD may add defaults."""
    if not isinstance(old, dict):
        return old == new
    return isinstance(new, dict) and all(
        name in new and is_kept(value, new[name]) for name, value in old.items()
    )


def revision(sandbox):
    """Return the number of the present revision of the Helm release."""
    place = f"--namespace={installation.OPERATOR}"
    return json.loads(sandbox.tools.helm("status", RELEASE, place, "--output=json"))["version"]


def test_no_agent_restarts_with_operators_charts_and_crds_of_two_releases(sandbox, previous, pods):
    current = sandbox.checkout / "charts" / "purpleflea-operator"
    steps = (
        # The operator, after a rollback of its image only: chart and CRDs are newer.
        (current, previous_release.TAG, "FieldsUnsupported"),
        (previous, previous_release.TAG, "Valid"),
        # The operator is newer than its chart and the CRDs.
        (previous, "0.1.0", "Valid"),
        (current, "", "Valid"),
    )
    kept, rollback = {}, 0
    for number, (chart, tag, reason) in enumerate(steps):
        install(sandbox, chart, tag=tag)
        is_newer = reason == "FieldsUnsupported"
        with added_field(sandbox) if is_newer else contextlib.nullcontext():
            serves(sandbox, "Active" if number % 2 else "Halted")
            # The API server serves an open watch for a while without the field of a newer CRD.
            wait_for_validity(sandbox, reason)
        assert {name: runs(sandbox)[name] for name in pods} == pods
        assert is_kept(kept, specs(sandbox))
        if (chart, tag) == (previous, previous_release.TAG):
            start_fleet(sandbox, previous.parents[1] / "examples" / "momentum.yaml")
            kept, pods, rollback = specs(sandbox), runs(sandbox), revision(sandbox)
    assert len(pods) == 3 + len(FLEET)
    sandbox.tools.helm("rollback", RELEASE, str(rollback), f"--namespace={installation.OPERATOR}")
    wait_for_leader(sandbox, is_previous=True)
    serves(sandbox, "Halted")
    assert runs(sandbox) == pods
    assert specs(sandbox) == kept
    # The rollback restored the value image.tag of its revision. This is the command of the condition FieldsUnsupported.
    values = ("--reset-then-reuse-values", "--set=image.tag=", "--set=image.digest=")
    place = f"--namespace={installation.OPERATOR}"
    sandbox.tools.helm("upgrade", RELEASE, str(current), place, *values)
    wait_for_leader(sandbox, is_previous=False)
    serves(sandbox, "Active")
    assert runs(sandbox) == pods
    assert is_kept(kept, specs(sandbox))
    assert announced(sandbox) == []
