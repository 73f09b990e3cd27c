"""Pure: StatefulSets and pods of a service -> which versions are wanted, which of them run everywhere, and since when.

A version is rolled out when every agent that wants it has all its pods on it, ready. An agent without pods asks for
nothing, but its version is wanted still.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from purpleflea_contract import kubernetes
from purpleflea_operator.parsing import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A version that its agents run. `agents` are namespace/name."""

    version: str
    agents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From the first new pod to the last one that became ready."""

    started: datetime
    finished: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The versions of one service in one environment."""

    wanted: frozenset[str]
    complete: tuple[Rollout, ...]


def view(stateful_sets: Iterable[Manifest], *, env: str, service: str) -> View:
    """How far the versions are. Datadog lower-cases tags, so case makes no difference."""
    known: dict[str, list[Manifest]] = {}
    for item in stateful_sets:
        labels = item["spec"]["template"]["metadata"].get("labels") or {}
        unified = [str(labels.get(name, "")).lower() for name in _UNIFIED]
        version = labels.get(kubernetes.DD_LABEL_VERSION)
        if version and unified == [env.lower(), service.lower()]:
            known.setdefault(version, []).append(item)
    complete = (
        Rollout(version=version, agents=tuple(sorted(_address(item) for item in running)))
        for version, items in sorted(known.items())
        if (running := [item for item in items if _replicas(item)])
        and all(_runs(item) for item in running)
    )
    return View(wanted=frozenset(known), complete=tuple(complete))


_UNIFIED = (kubernetes.DD_LABEL_ENV, kubernetes.DD_LABEL_SERVICE)


def span(pods: Iterable[Manifest], *, now: datetime) -> Span:
    """When a rollout took place, as its pods tell; now, where they do not."""
    alive = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    created = [_moment(pod["metadata"].get("creationTimestamp")) for pod in alive]
    ready = [
        _moment(condition.get("lastTransitionTime"))
        for pod in alive
        for condition in pod.get("status", {}).get("conditions") or ()
        if condition["type"] == "Ready" and condition["status"] == "True"
    ]
    finished = max((moment for moment in ready if moment), default=now)
    started = min((moment for moment in created if moment), default=finished)
    return Span(started=min(started, finished), finished=finished)


def _address(item: Manifest) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"


def _replicas(item: Manifest) -> int:
    return int(item["spec"].get("replicas", 1))


def _runs(item: Manifest) -> bool:
    """Whether all pods are of the current template, and ready."""
    status, replicas = item.get("status") or {}, _replicas(item)
    counts = [status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")]
    observed = status.get("observedGeneration", 0) >= item["metadata"].get("generation", 0)
    return observed and all(count == replicas for count in counts)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
