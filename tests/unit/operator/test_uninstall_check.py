"""Uninstalling the operator is refused while only the operator can remove a finalizer, and never blocked otherwise."""

import asyncio
import re

import pytest

from purpleflea_operator import uninstall_check
from purpleflea_operator.controllers.observability.status_writer import FINALIZER
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.protocol import ObjectList
from support.builders import an_agent
from support.rights import granted, hooks

FORBIDDEN = errors.Forbidden("no right to list")
MISSING = errors.NotFound("the server could not find the requested resource")


class Lists:
    """A cluster with lists of resources and nothing else."""

    def __init__(self, observabilities, agents=()):
        self.found = {
            resources.OBSERVABILITY.kind: observabilities,
            resources.AGENT.kind: agents,
        }

    async def list_all(self, kind, *, selector=""):
        found = self.found[kind.kind]
        if isinstance(found, Exception):
            raise found
        return ObjectList(list(found), "1")


def observability(name, *finalizers):
    metadata = {"name": name, "namespace": "trading"}
    return {"metadata": {**metadata, **({"finalizers": list(finalizers)} if finalizers else {})}}


def checked(*args):
    is_refused, lines = asyncio.run(uninstall_check.check(Lists(*args)))
    return is_refused, "\n".join(lines)


@pytest.mark.parametrize(
    ("observabilities", "agents", "refused", "message"),
    [
        ([], [], False, "no resource needs the operator"),
        (MISSING, MISSING, False, "no resource needs the operator"),
        ([observability("a")], [], False, "no resource needs the operator"),
        ([observability("a", "other.io/x")], [], False, "no resource needs the operator"),
        ([observability("a")], [an_agent()], False, "1 PurpleFleaAgents keep running"),
        ([], FORBIDDEN, False, "no resource needs the operator"),
        (FORBIDDEN, [], False, "not checked: purplefleaobservabilities cannot be read"),
        ([observability("a", FINALIZER)], [], True, "1 PurpleFleaObservability resources"),
        ([observability("a", "x/y", FINALIZER)], FORBIDDEN, True, "1 PurpleFleaObservability"),
    ],
)
def test_the_check_refuses_only_finalizers_of_the_operator(
    observabilities, agents, refused, message
):
    is_refused, text = checked(observabilities, agents)
    assert is_refused is refused
    assert text.startswith(message)


def test_a_refusal_has_the_commands():
    found = [observability(name, FINALIZER) for name in ("b", "a")]
    _, text = checked(found)
    commands = re.findall("kubectl delete .*", text)
    assert commands == [
        f"kubectl delete purplefleaobservability {name} --namespace trading" for name in "ab"
    ]
    assert "helm uninstall --no-hooks" in text


def test_a_refusal_of_many_resources_is_bounded():
    _, text = checked([observability(f"n{number:03}", FINALIZER) for number in range(500)])
    assert text.count("kubectl delete") == uninstall_check.MAX_LISTED
    assert "and 480 more" in text


def test_a_cluster_that_cannot_be_reached_does_not_block_the_uninstallation(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert uninstall_check.main() == 0
    assert "not checked" in capsys.readouterr().out


def job(*values):
    (found,) = (item for item in hooks(*values) if item["kind"] == "Job")
    return found


def test_the_hook_runs_before_the_uninstallation_for_a_limited_time():
    spec = job()["spec"]
    assert job()["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 60)
    (container,) = spec["template"]["spec"]["containers"]
    assert container["args"] == [uninstall_check.COMMAND]


@pytest.mark.parametrize("values", [(), ("watchNamespaces={trading,research}",)])
def test_the_hook_may_only_list_two_kinds(values):
    found = hooks(*values)
    rights = granted(item for item in found if item["kind"] in ("Role", "ClusterRole"))
    assert {(right.resource, right.verb) for right in rights} == {
        ("purplefleaagents", "list"),
        ("purplefleaobservabilities", "list"),
    }
    roles = {(item["kind"], item["metadata"].get("namespace")) for item in found}
    expected = {("Role", "trading"), ("Role", "research")} if values else {("ClusterRole", None)}
    assert {item for item in roles if item[0].endswith("Role")} == expected


def test_the_objects_of_the_hook_exist_before_its_job():
    weights = {
        item["kind"]: int(item["metadata"]["annotations"].get("helm.sh/hook-weight", "0"))
        for item in hooks()
    }
    assert weights["ClusterRole"] < weights["ClusterRoleBinding"] < weights["Job"]
    assert weights["ServiceAccount"] < weights["Job"]


def test_the_pods_of_the_hook_are_not_pods_of_the_operator():
    labels = job()["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/name"] != "purpleflea-operator"


def test_the_check_can_be_turned_off():
    assert hooks("uninstallCheck=false") == []
