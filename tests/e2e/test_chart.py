"""The test of the operator's chart on the cluster: it passes, leaves nothing, and names the cause if it fails."""

import functools

import pytest
import yaml

from purpleflea_sandbox.demo import installation
from purpleflea_sandbox.demo.errors import DemoError
from support import waiting

wait_for = functools.partial(waiting.wait_for, every_s=0.2, timeout_s=180)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

NAME, PLACE = "purpleflea-operator-test", f"--namespace={installation.OPERATOR}"


def left(sandbox):
    kinds = ("pods", "secrets", "serviceaccounts", "roles", "rolebindings", "pfa")
    return {kind for kind in kinds if sandbox.tools.get(kind, NAME, PLACE)}


def test_helm_test_proves_an_agent_and_leaves_nothing(sandbox):
    answer = sandbox.tools.helm("test", "purpleflea-operator", PLACE)
    assert "Phase:          Succeeded" in answer
    wait_for(lambda: left(sandbox) == set(), what="no object of the test left")


def test_helm_test_fails_with_the_cause_and_the_next_one_passes(sandbox):
    """A quota that admits no further pod of an agent."""
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small", "namespace": installation.OPERATOR},
        "spec": {"hard": {"count/statefulsets.apps": "0"}},
    }
    sandbox.tools.apply(quota)
    try:
        with pytest.raises(DemoError):
            sandbox.tools.helm("test", "purpleflea-operator", PLACE, "--timeout=40s")
        log = sandbox.tools.kubectl("logs", f"pod/{NAME}", PLACE)
        assert "is False" in log
        assert "quota" in log
    finally:
        sandbox.tools.kubectl("delete", "resourcequota/small", PLACE)
    sandbox.tools.helm("test", "purpleflea-operator", PLACE)
    wait_for(lambda: left(sandbox) == set(), what="no object of the test left")


def objects(text):
    """Return the objects of a file by kind, namespace and name."""
    found = [item for item in yaml.safe_load_all(text) if item]
    return {
        (item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"]): item
        for item in found
    }


def test_the_kustomize_base_is_built_and_accepted_by_the_api_server(sandbox):
    folder = sandbox.checkout / "deploy"
    built = sandbox.tools.kubectl("kustomize", str(folder))
    assert objects(built) == objects((folder / "install.yaml").read_text(encoding="utf-8"))
    answer = sandbox.tools.kubectl(
        *("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--filename=-"),
        stdin=built,
    )
    assert len(answer.splitlines()) == len(objects(built))
