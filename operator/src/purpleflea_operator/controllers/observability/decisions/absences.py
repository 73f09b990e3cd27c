"""Pure: PurpleFleaAgents -> the identities that run, and those that the operator stopped, removed or is replacing.

An identity is absent from the moment its agent is stopped, deleted or scaled down. After a day it counts as forgotten,
because Datadog has dropped its groups by then.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from purpleflea_contract.control import Mode
from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.observability.decisions.version_rollouts import (
    ServiceKey,
    service_of,
)
from purpleflea_operator.parsing import Manifest, count, mapping, mappings, text, timestamp

FORGOTTEN = timedelta(hours=24)
REPLACED_WITHIN = timedelta(minutes=15)
"""Longest time for which a pod counts as being replaced. After that, its silence is not planned."""
MAX_IDENTITIES = 1_000
"""Largest number of identities of one agent that are considered."""


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


class AbsenceIndex:
    """All agents by service. Pure except for its own memory. A change costs the same with any number of agents."""

    def __init__(self) -> None:
        self._agents: dict[str, _Agent] = {}
        self._services: defaultdict[ServiceKey, dict[str, _Agent]] = defaultdict(dict)
        self._gone: defaultdict[ServiceKey, dict[str, datetime]] = defaultdict(dict)

    def upsert(self, manifest: Manifest, now: datetime) -> frozenset[ServiceKey]:
        """Add or replace an agent. Return the services whose absences may have changed."""
        address, agent = _address(manifest["metadata"]), _agent(manifest, now)
        former = self._agents.get(address)
        if former == agent:
            return frozenset()
        gone = self._gone[agent.service]
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

    def view(self, *, env: str, service: str, now: datetime) -> Absences:
        """Return the absences of one service."""
        key = service_of(env=env, service=service)
        self._gone[key] = {
            identity: since
            for identity, since in self._gone[key].items()
            if now - since < FORGOTTEN
        }
        agents = self._services.get(key, {}).values()
        stopped = (agent for agent in agents if agent.stopped_since is not None)
        absent = {
            identity
            for agent in stopped
            if agent.stopped_since is not None and now - agent.stopped_since < FORGOTTEN
            for identity in agent.identities
        }
        running = {
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
        return Absences(
            running=frozenset(running),
            absent=frozenset((absent | set(self._gone[key])) - running),
            rolling=tuple(sorted(rolling)),
        )

    def _remove(self, address: str, *, kept: _Agent | None, now: datetime) -> list[ServiceKey]:
        agent = self._agents.pop(address, None)
        if agent is None:
            return []
        del self._services[agent.service][address]
        same = kept is not None and kept.service == agent.service
        stays = set(kept.identities) if kept is not None and same else set()
        since = agent.stopped_since or now
        for identity in agent.identities:
            if identity not in stays:
                self._gone[agent.service][identity] = since
        return [agent.service]


def being_replaced(pods: Iterable[Manifest], now: datetime) -> frozenset[str]:
    """Return the names of the pods that end, or that are young and not ready yet."""
    return frozenset(
        text(pod["metadata"].get("name")) for pod in pods if _is_being_replaced(pod, now)
    )


def _is_being_replaced(pod: Manifest, now: datetime) -> bool:
    metadata = pod["metadata"]
    began = timestamp(metadata.get("deletionTimestamp")) or timestamp(
        metadata.get("creationTimestamp")
    )
    if began is None or now - began > REPLACED_WITHIN:
        return False
    return "deletionTimestamp" in metadata or not _is_ready(mapping(pod.get("status")))


def _is_ready(status: Mapping[str, object]) -> bool:
    return any(
        item.get("type") == "Ready" and item.get("status") == "True"
        for item in mappings(status.get("conditions"))
    )


def _agent(manifest: Manifest, now: datetime) -> _Agent:
    metadata, spec = manifest["metadata"], mapping(manifest.get("spec"))
    status = mapping(manifest.get("status"))
    datadog, trading = mapping(spec.get("datadog")), mapping(status.get("trading"))
    is_stopped = text(trading.get("mode")) == Mode.STOPPED or "deletionTimestamp" in metadata
    return _Agent(
        service=service_of(env=text(datadog.get("env")), service=text(datadog.get("service"))),
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
