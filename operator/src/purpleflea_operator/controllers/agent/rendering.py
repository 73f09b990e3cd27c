"""The preview of a manifest: the children that the operator would apply for it, from the present state of the cluster.

It sends no request, and changes neither the cache nor the memory about an agent. An agent that waits for a restart slot
is shown with the children that it gets when its turn comes.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from purpleflea_contract.rendering import ChildReference, Rendering
from purpleflea_operator import __version__
from purpleflea_operator.controllers.agent.agent_memory import AgentMemories, AgentMemory
from purpleflea_operator.controllers.agent.decisions import instrumentation, plan, rollout
from purpleflea_operator.controllers.agent.decisions.gather import Surroundings, gather
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    ObservedState,
    PassOutcome,
    UpgradeWait,
)
from purpleflea_operator.controllers.agent.decisions.remembered import NOTHING
from purpleflea_operator.controllers.agent.decisions.trading_mode import desired_mode
from purpleflea_operator.controllers.agent.desired_children import DesiredChildren
from purpleflea_operator.controllers.agent.reconciler import Dependencies
from purpleflea_operator.controllers.agent.restart_budget import RestartBudget
from purpleflea_operator.controllers.agent.restart_turn import RestartTurn
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.kube.object_shapes import shaped
from purpleflea_operator.manifests.metadata import Agent, Defaults
from purpleflea_operator.parsing import Manifest, mapping, text
from purpleflea_operator.runtime.workers import Times

Answer = tuple[int, Mapping[str, Any]]
"""Status code and content."""
_WAITS = {
    UpgradeWait.TURN: "the pod template stays as it is until the agents are drained",
    UpgradeWait.REQUEST: "the pod template stays as it is, because the upgrade policy is Manual and no upgrade was "
    "requested",
}


class Renderer:
    """Renders manifests with the settings of this operator."""

    def __init__(
        self, cache: ObjectCache, defaults: Defaults, *, deps: Dependencies, times: Times
    ) -> None:
        self._cache = cache
        self._cluster = defaults.cluster
        self._deps = deps
        self._times = times
        self._children = DesiredChildren(
            defaults, deps.is_instrumentation_served, deps.upgrade_policy
        )

    def answer(self, document: object) -> Answer:
        """Return the answer to a request with one PurpleFleaAgent."""
        metadata = mapping(mapping(document).get("metadata"))
        required = [text(metadata.get(key)) for key in ("namespace", "name", "uid")]
        if mapping(document).get("kind") != resources.AGENT.kind or not all(required):
            return 400, {"error": "the body is not a PurpleFleaAgent with namespace, name and UID"}
        return 200, dict(self.rendering(mapping(document)))

    def rendering(self, resource: Manifest) -> Rendering:
        """Return the children of an agent resource."""
        observed = self._observe(dict(shaped(resources.AGENT, resource)))
        if observed.agent is None:
            return _invalid(observed.invalid)
        key = NamespacedName(observed.agent.namespace, observed.agent.name)
        restart = self._turn(key, observed.agent)
        outcome = PassOutcome(connection=restart.connection(observed), children={})
        children = self._children.of(observed, observed.agent, outcome, restart)
        is_served = self._deps.is_instrumentation_served()
        known = instrumentation.removable(observed, is_served)
        actions = plan.actions(children, known)
        return Rendering(
            operator=__version__,
            children=[dict(item) for item in children],
            written=_written(actions),
            deleted=_obsolete(children, known),
            recreates=any(
                isinstance(item, plan.RecreateOrphaning | plan.DelayRecreation) for item in actions
            ),
            invalid="",
            notes=_notes(observed, observed.agent, outcome),
        )

    def _observe(self, resource: dict[str, Any]) -> ObservedState:
        metadata = resource["metadata"]
        key, now = NamespacedName(metadata["namespace"], metadata["name"]), self._times.now()
        cached = self._cache.agent(key)
        if cached is None or cached["metadata"]["uid"] != metadata["uid"]:
            return gather({**resource, "status": {}}, self._cache, self._of_new(key), now=now)
        known = NOTHING
        if key in self._deps.memories:
            memory = self._deps.memories.of(key, metadata["uid"])
            known = memory.snapshot(now, self._times.clock())
        surroundings = self._deps.surroundings(cached, cluster=self._cluster)
        current = {**resource, "status": cached.get("status", {})}
        return gather(current, self._cache, surroundings, now=now, remembered=known)

    def _of_new(self, key: NamespacedName) -> Surroundings:
        deps = self._deps
        return Surroundings(
            nodes=deps.nodes,
            cluster=self._cluster,
            never_started=True,
            sees_all_namespaces=deps.sees_all_namespaces,
            unwatched=deps.unwatched_reason(key.namespace),
            halts=deps.halts,
        )

    def _turn(self, key: NamespacedName, agent: Agent) -> RestartTurn:
        """Return a turn in which every slot is free."""
        budget = RestartBudget(lambda _: None, clock=self._times.clock, percent=100)
        memory: AgentMemory = AgentMemories(self._times.clock, budget).of(key, agent.uid)
        return RestartTurn(budget=budget, key=key, env=agent.spec.datadog.env, memory=memory)


def _invalid(error: str) -> Rendering:
    return Rendering(
        operator=__version__,
        children=[],
        written=[],
        deleted=[],
        recreates=False,
        invalid=error,
        notes=[],
    )


def _written(actions: Iterable[plan.Action]) -> list[ChildReference]:
    found = []
    for action in actions:
        match action:
            case plan.Create(manifest=manifest) | plan.Apply(manifest=manifest):
                found.append(_reference(manifest))
            case plan.RecreateOrphaning(wanted=manifest):
                found.append(_reference(manifest))
            case _:
                continue
    return found


def _obsolete(children: Iterable[Manifest], observed: ObservedState) -> list[ChildReference]:
    """Return the children to delete. A ServiceAccount is deleted when no pod has it any more."""
    wanted = {plan.child_id(item) for item in children}
    return [_reference(item) for key, item in observed.children.items() if key not in wanted]


def _reference(manifest: Manifest) -> ChildReference:
    return ChildReference(
        apiVersion=manifest["apiVersion"],
        kind=manifest["kind"],
        name=manifest["metadata"]["name"],
    )


def _notes(observed: ObservedState, agent: Agent, outcome: PassOutcome) -> list[str]:
    """Return the reasons for which the children differ from the spec."""
    found = [_WAITS[outcome.upgrade]] if outcome.upgrade in _WAITS else []
    mode, count = desired_mode(observed), rollout.effective_replicas(observed, agent)
    if mode is not None and mode is not agent.spec.trading.mode:
        sources = ", ".join(item.id for item in observed.halts) or "the operator"
        found.append(f"the mode is {mode} and not {agent.spec.trading.mode}, because of {sources}")
    if observed.conflicting_agent:
        found.append(f"{observed.conflicting_agent} has the same identities, so no pod is added")
    if count != agent.spec.replicas:
        found.append(f"the StatefulSet has {count} replicas and not {agent.spec.replicas}")
    if agent.unsupported:
        fields = ", ".join(agent.unsupported)
        found.append(f"this version of the operator ignores {fields}; upgrade its chart")
    if observed.unwatched:
        found.append(f"the objects of the namespace may be outdated: {observed.unwatched}")
    return found
