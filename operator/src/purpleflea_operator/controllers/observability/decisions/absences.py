"""Pure: PurpleFleaAgents -> the identities that run, and those that the operator stopped, removed or is replacing.

An identity is absent if its agent is stopped, deleted, scaled down or moved to another service, and no pod has it. The
spec alone does not prove it: if it is invalid, or if the StatefulSet cannot be written, the pods continue to trade.
After a day an identity counts as forgotten, because Datadog has dropped its groups by then.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from purpleflea_contract import kubernetes
from purpleflea_contract.control import Mode
from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.datadog import stored_service
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.observability.decisions.version_rollouts import (
    UNIFIED_LABELS,
    ServiceKey,
    service_of,
)
from purpleflea_operator.parsing import Manifest, count, mapping, mappings, text, timestamp

FORGOTTEN = timedelta(hours=24)
REPLACED_WITHIN = timedelta(minutes=15)
"""Longest time for which a pod counts as being replaced. After that, its silence is not planned."""
MAX_IDENTITIES = 1_000
"""Largest number of identities of one agent that are considered."""
Pods = Callable[[str], Iterable[Manifest]]
"""Returns the pods of an agent (namespace/name) that exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Agent:
    service: ServiceKey
    address: str
    name: str
    replicas: int
    stopped_since: datetime | None
    rolling_with: int | None
    """Number of ready pods during a rollout, None if there is no rollout."""
    created: datetime

    @property
    def identities(self) -> list[str]:
        return [f"{self.name}-{ordinal}" for ordinal in range(self.replicas)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Absences:
    """The identities of one service. `rolling` are the agents (namespace/name) of which pods may be replaced."""

    running: frozenset[str]
    absent: frozenset[str]
    rolling: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Gone:
    """An identity that its agent (namespace/name) does not have any more."""

    since: datetime
    address: str


def _no_pods(_: str) -> Iterable[Manifest]:
    return ()


class AbsenceIndex:
    """All agents by service. Pure except for its own memory. A change costs the same with any number of agents."""

    def __init__(self) -> None:
        self._agents: dict[str, _Agent] = {}
        self._services: defaultdict[ServiceKey, dict[str, _Agent]] = defaultdict(dict)
        self._gone: defaultdict[ServiceKey, dict[str, _Gone]] = defaultdict(dict)
        self._expiring: deque[tuple[datetime, ServiceKey, str]] = deque()
        """The identities in `_gone` in the sequence in which they left, so that each is removed after a day."""
        self._absent: dict[ServiceKey, frozenset[str]] = {}
        """The absent identities in the last view of each service."""
        self._ending: defaultdict[str, set[ServiceKey]] = defaultdict(set)
        """By agent, the services whose last view had a pod that keeps its identity from being absent."""

    def upsert(self, manifest: Manifest, now: datetime) -> frozenset[ServiceKey]:
        """Add or replace an agent. Return the services whose absences may have changed."""
        address, agent = _address(manifest["metadata"]), _agent(manifest, now)
        former = self._agents.get(address)
        if former == agent:
            return frozenset()
        gone = self._gone.get(agent.service, {})
        returned = [gone.pop(identity) for identity in agent.identities if identity in gone]
        removed = [] if former is None else self._remove(address, kept=agent, now=now)
        self._agents[address] = self._services[agent.service][address] = agent
        is_plain = agent.stopped_since is None and agent.rolling_with is None
        if former is None and is_plain and not returned:
            return frozenset()
        return frozenset({agent.service, *removed})

    def delete(self, address: str, now: datetime) -> frozenset[ServiceKey]:
        """Remove an agent (namespace/name). Return the services whose absences may have changed."""
        return frozenset(self._remove(address, kept=None, now=now))

    def upsert_pod(self, pod: Manifest, now: datetime) -> frozenset[ServiceKey]:
        """Process a pod that exists. Return the services whose absences may have changed since their last view."""
        metadata = pod["metadata"]
        if _is_ending(metadata, now):
            instance = mapping(metadata.get("labels")).get(kubernetes.LABEL_INSTANCE)
            return self.delete_pod(f"{metadata['namespace']}/{instance}")
        service = _service_of_pod(metadata)
        is_news = metadata["name"] in self._absent.get(service, ())
        return frozenset({service} if is_news else ())

    def delete_pod(self, agent: str) -> frozenset[ServiceKey]:
        """Process that a pod of an agent (namespace/name) is gone. Return the services as `upsert_pod` does."""
        return frozenset(self._ending.pop(agent, ()))

    def view(self, *, env: str, service: str, now: datetime, pods: Pods = _no_pods) -> Absences:
        """Return the absences of one service."""
        key = service_of(env=env, service=service)
        self._forget(now)
        agents = self._services.get(key, {}).values()
        removed = self._removed(key, now)
        present = self._present(removed, key, now, pods)
        gone = self._gone.get(key, {})
        # The day begins when the last pod ends, because its group in Datadog exists until then.
        gone |= {name: _Gone(now, gone[name].address) for name in present if name in gone}
        running = present | {
            identity
            for agent in agents
            if agent.stopped_since is None
            for identity in agent.identities
        }
        rolling = (
            agent.address
            for agent in agents
            # The first pods of an agent have not sent anything that could be missing.
            if agent.rolling_with is not None and now - agent.created > REPLACED_WITHIN
        )
        found = Absences(
            running=frozenset(running),
            absent=frozenset(set[str]().union(*removed.values()) - running),
            rolling=tuple(sorted(rolling)),
        )
        self._absent[key] = found.absent
        return found

    def _removed(self, key: ServiceKey, now: datetime) -> dict[str, set[str]]:
        """Return by agent the identities that should have no pod any more."""
        removed = {
            agent.address: set(agent.identities)
            for agent in self._services.get(key, {}).values()
            if agent.stopped_since is not None and now - agent.stopped_since < FORGOTTEN
        }
        for identity, item in self._gone.get(key, {}).items():
            if now - item.since < FORGOTTEN:
                removed.setdefault(item.address, set()).add(identity)
        return removed

    def _present(
        self, removed: Mapping[str, set[str]], service: ServiceKey, now: datetime, pods: Pods
    ) -> set[str]:
        """Return the removed identities that a pod still has."""
        present: set[str] = set()
        for address, identities in removed.items():
            found = identities & {
                pod["metadata"]["name"]
                for pod in pods(address)
                if not _is_ending(pod["metadata"], now)
                and _service_of_pod(pod["metadata"]) == service
            }
            if found:
                self._ending[address].add(service)
                present |= found
        return present

    def _forget(self, now: datetime) -> None:
        """Remove the identities that are forgotten. Each costs O(1)."""
        while self._expiring and now - self._expiring[0][0] >= FORGOTTEN:
            _, service, identity = self._expiring.popleft()
            gone = self._gone.get(service, {})
            item = gone.get(identity)
            if item is not None and now - item.since < FORGOTTEN:
                self._expiring.append((item.since, service, identity))
            elif item is not None:
                del gone[identity]
            if not gone:
                self._gone.pop(service, None)

    def _remove(self, address: str, *, kept: _Agent | None, now: datetime) -> list[ServiceKey]:
        self._forget(now)
        agent = self._agents.pop(address, None)
        if agent is None:
            return []
        del self._services[agent.service][address]
        if not self._services[agent.service]:
            del self._services[agent.service]
        same = kept is not None and kept.service == agent.service
        stays = set(kept.identities) if kept is not None and same else set()
        since = agent.stopped_since or now
        for identity in agent.identities:
            if identity not in stays:
                self._gone[agent.service][identity] = _Gone(since, address)
                self._expiring.append((now, agent.service, identity))
        return [agent.service]


def being_replaced(pods: Iterable[Manifest], now: datetime) -> frozenset[str]:
    """Return the names of the pods that end, or that are young and not ready yet."""
    return frozenset(
        text(pod["metadata"].get("name")) for pod in pods if _is_being_replaced(pod, now)
    )


def _is_being_replaced(pod: Manifest, now: datetime) -> bool:
    metadata = pod["metadata"]
    began = timestamp(metadata.get("creationTimestamp"))
    ended = timestamp(metadata.get("deletionTimestamp"))
    if ended is not None:
        # The API server adds the grace period, which can be an hour, to the time of the request.
        began = ended - timedelta(seconds=count(metadata.get("deletionGracePeriodSeconds")))
    if began is None or now - began > REPLACED_WITHIN:
        return False
    return "deletionTimestamp" in metadata or not _is_ready(mapping(pod.get("status")))


def _is_ending(metadata: Manifest, now: datetime) -> bool:
    """Return whether a pod is being deleted, and not stuck. Such a pod has left its trading loop."""
    ended = timestamp(metadata.get("deletionTimestamp"))
    return ended is not None and now - ended <= REPLACED_WITHIN


def _service_of_pod(metadata: Manifest) -> ServiceKey:
    labels = mapping(metadata.get("labels"))
    env, service = (text(labels.get(name)) for name in UNIFIED_LABELS)
    return service_of(env=env, service=service)


def _is_ready(status: Mapping[str, object]) -> bool:
    return any(
        item.get("type") == "Ready" and item.get("status") == "True"
        for item in mappings(status.get("conditions"))
    )


def _agent(manifest: Manifest, now: datetime) -> _Agent:
    metadata, spec = manifest["metadata"], mapping(manifest.get("spec"))
    status = mapping(manifest.get("status"))
    trading = mapping(status.get("trading"))
    is_stopped = text(trading.get("mode")) == Mode.STOPPED or "deletionTimestamp" in metadata
    return _Agent(
        service=stored_service(mapping(spec.get("datadog"))),
        address=_address(metadata),
        name=text(metadata.get("name")),
        replicas=min(count(spec.get("replicas", 1)), MAX_IDENTITIES),
        stopped_since=(timestamp(trading.get("since")) or now) if is_stopped else None,
        rolling_with=count(status.get("readyReplicas")) if _is_rolling(status) else None,
        created=timestamp(metadata.get("creationTimestamp")) or now,
    )


def _is_rolling(status: Mapping[str, object]) -> bool:
    return any(
        item.get("type") == ConditionType.PROGRESSING and item.get("reason") == Reason.ROLLING_OUT
        for item in mappings(status.get("conditions"))
    )


def _address(metadata: Manifest) -> str:
    return f"{metadata['namespace']}/{metadata['name']}"
