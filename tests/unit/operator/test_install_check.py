"""helm test: a halted agent is created, proven to run and removed, whatever happens meanwhile."""

import asyncio
import signal
import sys

import pytest

from purpleflea_operator import __main__, install_check
from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.resources import ObjectRef
from support import charts
from support.charts import OPERATOR, documents

REF = ObjectRef(kind=resources.AGENT, namespace="trading", name="operator-test")


def status(acknowledged=1, **conditions):
    return {
        "trading": {"acknowledged": acknowledged},
        "conditions": [
            {"type": kind, "status": value, "reason": "Some", "message": f"about {kind}"}
            for kind, value in conditions.items()
        ],
    }


READY = {"SpecValid": "True", "WorkloadAvailable": "True", "Ready": "True"}
PROVEN = status(**READY, DatadogInstalled="False", TelemetryReady="False")


class Cluster:
    """Agents by name, of which the created one gets the given statuses one after the other."""

    def __init__(self, *statuses, present=None):
        self.statuses = list(statuses)
        self.agent = present
        self.deleted = []
        self.created = asyncio.Event()

    async def get(self, ref):
        assert ref == REF
        if self.agent is None:
            return None
        if len(self.statuses) > 1:
            self.agent["status"] = self.statuses.pop(0)
        elif self.statuses:
            self.agent["status"] = self.statuses[0]
        return self.agent

    async def create(self, ref, manifest):
        if self.agent is not None:
            raise errors.AlreadyExists("exists")
        self.agent = {**manifest, "metadata": {**manifest["metadata"], "uid": "new"}}
        self.created.set()
        return self.agent

    async def delete(self, ref, *, uid, orphan=False):
        assert self.agent["metadata"]["uid"] == uid
        self.deleted.append(uid)
        self.agent = None
        return True


def checked(cluster, timeout_s=5.0):
    asyncio.run(install_check.check(cluster, REF, timeout_s=timeout_s, poll_s=0))


def test_the_agent_is_valid_halted_and_keeps_nothing():
    spec = AgentSpec.model_validate(install_check.manifest(REF)["spec"], extra="forbid")
    assert spec.trading.mode == "Halted"
    assert spec.storage is not None
    assert spec.storage.ephemeral


def test_an_agent_that_is_proven_to_run_is_removed(capsys):
    cluster = Cluster({}, status(0), status(0, **READY), PROVEN)
    checked(cluster)
    assert cluster.deleted == ["new"]
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "the operator has not written the condition SpecValid; read its log",
        "the operator has not written the condition TradingActive; read its log",
    ]


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        ({}, "the operator has not written the condition SpecValid"),
        (status(SpecValid="False"), "SpecValid is False (Some): about SpecValid"),
        (status(SpecValid="True", WorkloadAvailable="False"), "WorkloadAvailable is False"),
        (status(**{**READY, "Ready": "Unknown"}), "Ready is Unknown"),
        (status(0, **READY, TradingActive="Unknown"), "TradingActive is Unknown"),
        (
            status(**READY, DatadogInstalled="True", TelemetryReady="False"),
            "TelemetryReady is False (Some): about TelemetryReady",
        ),
        (status(**READY, DatadogInstalled="True"), "the condition TelemetryReady"),
        ({"conditions": "none", "trading": [1]}, "the condition SpecValid"),
        (
            {"trading": {"acknowledged": "1"}, "conditions": status(**READY)["conditions"]},
            "TradingActive",
        ),
    ],
)
def test_a_condition_that_is_missing_is_named_and_the_agent_is_removed(found, missing):
    cluster = Cluster(found)
    with pytest.raises(install_check.CheckError) as raised:
        checked(cluster, timeout_s=0.01)
    assert missing in str(raised.value)
    assert cluster.deleted == ["new"]


@pytest.mark.parametrize(
    "found",
    [PROVEN, status(**READY), status(**READY, DatadogInstalled="True", TelemetryReady="True")],
)
def test_telemetry_is_required_only_if_datadog_is_installed(found):
    assert install_check.unproven(found) == ""


def test_the_agent_of_an_interrupted_check_is_replaced():
    left = {"metadata": {**install_check.manifest(REF)["metadata"], "uid": "old"}}
    cluster = Cluster(PROVEN, present=left)
    checked(cluster)
    assert cluster.deleted == ["old", "new"]


def test_an_agent_of_a_user_with_this_name_is_not_touched():
    cluster = Cluster(PROVEN, present={"metadata": {"name": REF.name, "uid": "theirs"}})
    with pytest.raises(install_check.CheckError, match="that is not of this check"):
        checked(cluster)
    assert cluster.deleted == []


def test_an_agent_is_removed_if_the_check_is_canceled():
    cluster = Cluster(status(0))

    async def run():
        task = asyncio.create_task(install_check.check(cluster, REF, poll_s=0))
        await cluster.created.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert cluster.deleted == ["new"]


def test_without_a_cluster_the_check_fails_with_one_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("PURPLEFLEA_OPERATOR_NAMESPACE", "trading")
    monkeypatch.setattr(sys, "argv", ["purpleflea_operator", "install-check", "operator-test"])
    before = signal.getsignal(signal.SIGTERM)
    assert __main__.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("the installation does not work: no cluster")
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_name_of_the_agent_is_required(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["purpleflea_operator", "install-check"])
    assert __main__.main() == 1
    assert "not checked" in capsys.readouterr().err


def hooks(values=None, **more):
    found = documents(OPERATOR, charts.merged({"crds": {"install": False}}, values or {}), **more)
    return {
        item["kind"]: item
        for item in found
        if item["metadata"].get("annotations", {}).get("helm.sh/hook") == "test"
    }


@pytest.mark.parametrize(
    ("bound", "namespace"), [([], "purpleflea-system"), (["trading"], "trading")]
)
def test_the_hook_has_only_the_rights_on_its_own_agent(bound, namespace):
    found = hooks({"watchNamespaces": bound})
    name = found["Pod"]["metadata"]["name"]
    assert found["Pod"]["spec"]["containers"][0]["args"] == ["install-check", name]
    assert found["Role"]["rules"] == [
        {"apiGroups": ["purpleflea.com"], "resources": ["purplefleaagents"], "verbs": ["create"]},
        {
            "apiGroups": ["purpleflea.com"],
            "resources": ["purplefleaagents"],
            "resourceNames": [name],
            "verbs": ["get", "delete"],
        },
    ]
    assert found["Role"]["metadata"]["namespace"] == namespace
    assert found["Secret"]["metadata"]["namespace"] == namespace
    assert found["Secret"]["metadata"]["name"] == name
    assert found["Secret"]["stringData"] == {"api-key": "installation-check"}


def test_every_object_of_the_hook_is_removed_afterwards():
    for item in hooks().values():
        policy = item["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
        assert policy == "before-hook-creation,hook-succeeded"


def test_the_pod_of_the_hook_is_no_replica_of_the_operator():
    (deployment,) = (
        item
        for item in documents(OPERATOR, {"crds": {"install": False}})
        if item["kind"] == "Deployment"
    )
    labels = hooks()["Pod"]["metadata"]["labels"]
    assert not deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_a_long_name_of_a_release_leaves_room_for_the_names_of_pods():
    assert len(hooks(release="a" * 53)["Pod"]["metadata"]["name"]) <= 40


def test_the_test_can_be_left_out():
    assert hooks({"test": {"enabled": False}}) == {}
