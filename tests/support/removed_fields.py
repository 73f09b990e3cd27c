"""A scenario for any API server: children are created, and then applied without some of their fields.

It runs against the fake API server and against a real one, because both must remove the fields.
"""

import time
from datetime import UTC, datetime
from typing import Any

import kopf

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.controllers.agent.agent_memory import AgentMemories
from purpleflea_operator.controllers.agent.apply import Applier, ApplyContext
from purpleflea_operator.controllers.agent.decisions import plan
from purpleflea_operator.controllers.agent.decisions.field_removal import may_remove_fields
from purpleflea_operator.controllers.agent.decisions.observed_state import PassOutcome
from purpleflea_operator.controllers.agent.restart_budget import RestartBudget
from purpleflea_operator.controllers.agent.volume_expansion import VolumeExpansion
from purpleflea_operator.controllers.agent.workload_writes import WorkloadWrites
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION
from purpleflea_operator.kube import credentials
from purpleflea_operator.kube.client import HttpKubeClient
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.kube.resources import ref_of
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults
from support.builders import a_spec

KEY = NamespacedName("trading", "momentum")
SIDECAR = {"name": "proxy", "image": "acme/proxy:1"}
WITH_MORE = {
    "replicas": 2,
    "storage": {"size": "1Gi"},
    "pod": {
        "serviceAccount": {"annotations": {"example.com/role": "a"}},
        "sidecars": [SIDECAR],
        "env": [{"name": "MORE", "value": "1"}],
        "labels": {"desk": "one"},
        "nodeSelector": {"example.com/none": "true"},
    },
    "network": {"egressPorts": [443]},
}
WITH_LESS = {"replicas": 2, "storage": {"size": "1Gi"}, "pod": {"serviceAccount": {}}}
Child = dict[str, Any]


class _NoControlWrites:
    """The scenario does not change the mode."""

    async def settle(self, key: NamespacedName) -> None:
        raise AssertionError(key)


def manifests(uid: str, changes: dict[str, Any]) -> list[Child]:
    spec = AgentSpec.model_validate(a_spec(**changes))
    agent = Agent(namespace=KEY.namespace, name=KEY.name, uid=uid, generation=1, spec=spec)
    return list(children(agent, Defaults(image="localhost/agent:1"), NO_CONNECTION))


async def after_removal(info: kopf.ConnectionInfo, uid: str) -> dict[str, Child]:
    """Create the children of an agent and apply them without some fields. Return them by kind, as stored."""
    async with credentials.session(info) as session:
        cluster, cache = HttpKubeClient(info.server, session), ObjectCache()
        expansion = VolumeExpansion(cluster, cache, clock=time.monotonic)
        applier = Applier(
            cluster, cache, expansion, _NoControlWrites(), now=lambda: datetime.now(UTC)
        )
        memories = AgentMemories(
            time.monotonic, RestartBudget(lambda key: None, clock=time.monotonic)
        )
        outcome = PassOutcome(connection=NO_CONNECTION, children={})
        context = ApplyContext(
            key=KEY,
            uid=uid,
            memory=memories.of(KEY, uid),
            outcome=outcome,
            workloads=WorkloadWrites(time.monotonic),
            is_new=True,
        )
        before = [plan.Create(manifest=item) for item in manifests(uid, WITH_MORE)]
        await applier.perform(before, context)
        for item in before:
            # A default of the API server is not a removed field.
            stored_child = outcome.children[plan.child_id(item.manifest)]
            assert not may_remove_fields(item.manifest, stored_child), stored_child
        changed = [
            plan.Apply(manifest=item)
            for item in manifests(uid, WITH_LESS)
            if not plan.is_as_desired(item, outcome.children[plan.child_id(item)])
        ]
        await applier.perform(changed, context)
        assert context.failures == []
        stored = [await cluster.get(ref_of(item.manifest)) for item in changed]
        return {item["kind"]: dict(item) for item in stored if item is not None}


def check(found: dict[str, Child]) -> None:
    """Assert that the removed fields are gone, and that the operator owns the others by an apply only."""
    assert found.keys() == {"ServiceAccount", "NetworkPolicy", "StatefulSet"}
    assert "example.com/role" not in found["ServiceAccount"]["metadata"].get("annotations", {})
    assert "443" not in str(found["NetworkPolicy"]["spec"]["egress"])
    template = found["StatefulSet"]["spec"]["template"]
    assert "desk" not in template["metadata"]["labels"]
    assert "nodeSelector" not in template["spec"]
    assert SIDECAR["name"] not in str(template["spec"].get("initContainers", []))
    (container,) = template["spec"]["containers"]
    assert "MORE" not in [item["name"] for item in container["env"]]
    for item in found.values():
        entries = item["metadata"]["managedFields"]
        ours = [entry for entry in entries if entry["manager"] == "purpleflea-operator"]
        assert [entry["operation"] for entry in ours] == ["Apply"], item["kind"]
