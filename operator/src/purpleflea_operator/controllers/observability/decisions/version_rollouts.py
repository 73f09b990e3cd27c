"""Pure: StatefulSets and pods of a service -> the wanted versions, the completely rolled out ones, and their times.

A version is rolled out if all pods of every agent with this version in its spec run it and are ready. Agents with zero
replicas do not delay a rollout, but their version counts as wanted.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from purpleflea_contract import kubernetes
from purpleflea_contract.tags import stored_value
from purpleflea_operator.parsing import Manifest, mapping

ServiceKey = tuple[str, str]
"""Env and service as Datadog stores them."""
_IDLE, _BEHIND, _COMPLETE = "idle", "behind", "complete"
UNIFIED_LABELS = (kubernetes.DD_LABEL_ENV, kubernetes.DD_LABEL_SERVICE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A version that all its agents run. `agents` are namespace/name."""

    version: str
    agents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutSpan:
    """Time from the creation of the first new pod until the last pod became ready."""

    started: datetime
    finished: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The versions of one service in one environment."""

    wanted: frozenset[str]
    complete: tuple[Rollout, ...]


@dataclass(slots=True)
class _Version:
    """The agents with one version in their spec, by UID of their StatefulSets."""

    running: dict[str, str]
    """Addresses of the agents with replicas."""
    idle: set[str]
    behind: set[str]
    """The running agents whose pods do not all run the version, or are not ready."""
    agents: tuple[str, ...] | None = None
    """Sorted addresses, if `running` has not changed since they were sorted."""


class RolloutIndex:
    """The versions of all services. Pure except for its own memory.

    A change of a StatefulSet costs the same with any number of agents, and a view depends on the number of versions.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[ServiceKey, str, str, str]] = {}
        self._services: dict[ServiceKey, dict[str, _Version]] = {}

    def upsert(self, manifest: Manifest) -> frozenset[ServiceKey]:
        """Add or replace the StatefulSet of an agent. Return the services whose view may have changed."""
        uid, state = manifest["metadata"]["uid"], _state(manifest)
        known = self._known.get(uid)
        if known == state:
            return frozenset()
        changed = self.delete(uid)
        if state is None:
            return changed
        service, version, address, phase = self._known[uid] = state
        entry = self._services.setdefault(service, {}).setdefault(
            version, _Version({}, set(), set())
        )
        if phase == _IDLE:
            entry.idle.add(uid)
        else:
            entry.running[uid], entry.agents = address, None
        if phase == _BEHIND:
            entry.behind.add(uid)
        return changed | {service}

    def delete(self, uid: str) -> frozenset[ServiceKey]:
        """Remove a StatefulSet. Return the services whose view may have changed."""
        known = self._known.pop(uid, None)
        if known is None:
            return frozenset()
        service, version = known[:2]
        versions = self._services[service]
        entry = versions[version]
        if entry.running.pop(uid, None) is not None:
            entry.agents = None
        entry.idle.discard(uid)
        entry.behind.discard(uid)
        if not entry.running and not entry.idle:
            del versions[version]
        if not versions:
            del self._services[service]
        return frozenset({service})

    def view(self, *, env: str, service: str) -> View:
        """Return the wanted and the complete versions of one service."""
        versions = self._services.get(service_of(env=env, service=service), {})
        complete = (
            Rollout(version=version, agents=_agents(entry))
            for version, entry in sorted(versions.items())
            if entry.running and not entry.behind
        )
        return View(wanted=frozenset(versions), complete=tuple(complete))


def service_of(*, env: str, service: str) -> ServiceKey:
    """Return the key of a service, with both tags as Datadog stores them."""
    return stored_value("env", env), stored_value("service", service)


def _agents(entry: _Version) -> tuple[str, ...]:
    if entry.agents is None:
        entry.agents = tuple(sorted(entry.running.values()))
    return entry.agents


def _state(manifest: Manifest) -> tuple[ServiceKey, str, str, str] | None:
    """Return service, version, address and phase of a StatefulSet, or None if it has no version in Datadog."""
    labels = mapping(manifest["spec"]["template"]["metadata"].get("labels"))
    version = labels.get(kubernetes.DD_LABEL_VERSION)
    if not isinstance(version, str) or not version:
        return None
    env, service = (str(labels.get(name, "")) for name in UNIFIED_LABELS)
    phase = _IDLE if not _replicas(manifest) else _COMPLETE if _runs(manifest) else _BEHIND
    return service_of(env=env, service=service), version, _address(manifest), phase


class SpanBuilder:
    """The time of a rollout, from its pods one after the other. Times that the pods do not have are `now`."""

    def __init__(self, *, now: datetime) -> None:
        self._now = now
        self._created: datetime | None = None
        self._ready: datetime | None = None

    def add(self, pod: Manifest) -> None:
        """Add a pod."""
        if "deletionTimestamp" in pod["metadata"]:
            return
        created = _moment(pod["metadata"].get("creationTimestamp"))
        if created is not None:
            self._created = min(created, self._created or created)
        for condition in pod.get("status", {}).get("conditions") or ():
            if condition["type"] == "Ready" and condition["status"] == "True":
                ready = _moment(condition.get("lastTransitionTime"))
                if ready is not None:
                    self._ready = max(ready, self._ready or ready)

    def span(self) -> RolloutSpan:
        """Return the time from the creation of the first pod until the last pod became ready."""
        finished = self._ready or self._now
        return RolloutSpan(started=min(self._created or finished, finished), finished=finished)


def _address(item: Manifest) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"


def _replicas(item: Manifest) -> int:
    return int(item["spec"].get("replicas", 1))


def _runs(item: Manifest) -> bool:
    """Return True if all pods have the current template and are ready."""
    status, replicas = item.get("status") or {}, _replicas(item)
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")]
    observed = status.get("observedGeneration", 0) >= item["metadata"].get("generation", 0)
    return observed and all(count == replicas for count in counts)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
