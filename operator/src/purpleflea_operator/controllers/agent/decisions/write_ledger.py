"""The last writes of the children of one agent, so that no write is repeated without news. Pure except for its memory.

The API server, an admission webhook or another controller can change a field that the operator writes. If three writes
of the same manifest gave the same stored object, the operator stops until the manifest or the stored object changes. If
the stored object changes each time, the writes continue with backoff. A write that the API server rejects is tried
again with backoff, because no event reports that it would succeed now.
"""

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from purpleflea_contract import kubernetes
from purpleflea_operator import timings
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.decisions.drift import Difference, child_difference
from purpleflea_operator.controllers.agent.decisions.observed_state import ChildId
from purpleflea_operator.controllers.agent.decisions.write_failures import WriteFailure
from purpleflea_operator.parsing import Manifest, mapping

FREE_WRITES = 3
"""Writes of the same manifest without a delay."""
VALUE_LIMIT = 100
"""Characters of a value in a message."""
_VOLATILE = frozenset(
    {"resourceVersion", "generation", "managedFields", "uid", "creationTimestamp", "selfLink"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rejection:
    """A write that the API server rejected."""

    wanted: str
    failure: WriteFailure
    due_s: float
    attempts: int


@dataclass(slots=True, kw_only=True)
class _Result:
    """The results of the writes of one manifest of a child."""

    wanted: str
    """Hash of the manifest."""
    writes: int = 0
    last_s: float = 0.0
    digest: str = ""
    """Digest of the stored object; empty if it was as desired."""
    same: int = 0
    """Writes in a row after which the stored object was the same one, and not the desired one."""

    is_stuck: bool = False
    """True if the same write would have the same result, so it is not repeated."""

    def due_s(self) -> float:
        """Return the time from which the manifest may be written again."""
        steps = self.writes - FREE_WRITES
        delay_s = 0.0 if steps < 0 else timings.CONTESTED_RETRY_S * 2.0 ** min(steps, 16)
        return self.last_s + min(timings.CONTESTED_RETRY_LIMIT_S, delay_s)


@dataclass(slots=True)
class WriteLedger:
    """The last writes for one agent. All times are seconds of one monotonic clock."""

    _rejections: dict[str, _Rejection] = field(default_factory=dict)
    """By the name of the object."""
    _results: dict[ChildId, _Result] = field(default_factory=dict)

    def rejected(self, target: str, wanted: str, now_s: float) -> WriteFailure | None:
        """Return the last rejection of a write if it is too early to try it again; else None."""
        known = self._rejections.get(target)
        if known is None or known.wanted != wanted or now_s >= known.due_s:
            return None
        return known.failure

    def record_rejected(
        self, target: str, wanted: str, failure: WriteFailure, now_s: float
    ) -> None:
        """Record that the API server rejected a write."""
        known = self._rejections.get(target)
        attempts = known.attempts + 1 if known is not None and known.wanted == wanted else 1
        delay_s = timings.REJECTED_RETRY_S * 2.0 ** min(attempts - 1, 16)
        self._rejections[target] = _Rejection(
            wanted=wanted,
            failure=failure,
            due_s=now_s + min(timings.REJECTED_RETRY_LIMIT_S, delay_s),
            attempts=attempts,
        )

    def keep_rejections(self, targets: Collection[str]) -> None:
        """Forget the rejections of all other objects, because their writes succeeded or are not planned any more."""
        self._rejections = {
            key: self._rejections[key] for key in targets if key in self._rejections
        }

    def contested(self, manifest: Manifest, live: Manifest, now_s: float) -> WriteFailure | None:
        """Return why a live child must not be written now, because the last writes did not last; else None."""
        result = self._results.get(_child(manifest))
        if result is None or result.wanted != _hash(manifest):
            return None
        result.is_stuck = result.same >= FREE_WRITES and digest(live) == result.digest
        if result.is_stuck:
            return _not_stored(manifest, live)
        if now_s - result.last_s >= timings.WRITE_MEMORY_S:
            del self._results[_child(manifest)]
            return None
        return _not_stored(manifest, live) if now_s < result.due_s() else None

    def record_stored(self, manifest: Manifest, stored: Manifest, now_s: float) -> bool:
        """Record the result of a write. Return whether the stored object is the desired one."""
        child, wanted = _child(manifest), _hash(manifest)
        result = self._results.get(child)
        if result is None or result.wanted != wanted:
            result = self._results[child] = _Result(wanted=wanted)
        found = "" if child_difference(manifest, stored) is None else digest(stored)
        is_same = bool(found) and found == result.digest
        result.same = result.same + 1 if is_same else int(bool(found))
        result.writes, result.last_s, result.digest = result.writes + 1, now_s, found
        return not found

    def retry_after_s(
        self, failures: Iterable[WriteFailure], unsettled: Collection[str], now_s: float
    ) -> float | None:
        """Return the seconds until a write may be tried again; None if none will be.

        `failures` has the failed writes of the last pass, and `unsettled` the objects that it wrote and that are not
        stored as written. No event may follow either, so a write is repeated without one. An object can have an older
        rejection or result besides, of another manifest. That one is not due.
        """
        due: list[float] = []
        contested = set(unsettled)
        for item in failures:
            if item.is_rejected:
                known = self._rejections.get(item.target)
                due.append(now_s + timings.REJECTED_RETRY_LIMIT_S if known is None else known.due_s)
            elif item.reason is Reason.NOT_STORED:
                contested.add(item.target)
        due += [
            max(result.due_s(), result.last_s + timings.UNSETTLED_RETRY_S)
            for child, result in self._results.items()
            if " ".join(child) in contested and not result.is_stuck
        ]
        return min((max(0.0, moment - now_s) for moment in due), default=None)


def _child(manifest: Manifest) -> ChildId:
    return manifest["kind"], manifest["metadata"]["name"]


def _hash(manifest: Manifest) -> str:
    """Return the hash of a desired object. An object of which only some fields are written has none recorded."""
    annotations = mapping(manifest["metadata"].get("annotations"))
    return str(annotations.get(kubernetes.ANNOTATION_DESIRED_HASH) or digest(manifest))


def digest(stored: Manifest) -> str:
    """Return a digest of the parts of an object that only a client changes."""
    metadata = {key: item for key, item in stored["metadata"].items() if key not in _VOLATILE}
    rest = {key: item for key, item in stored.items() if key not in ("status", "metadata")}
    # The standard library, because orjson rejects integers beyond 64 bits.
    return hashlib.sha256(json.dumps([metadata, rest], sort_keys=True).encode()).hexdigest()


def _not_stored(manifest: Manifest, live: Manifest) -> WriteFailure:
    kind, name = _child(manifest)
    found = child_difference(manifest, live)
    metadata = manifest["metadata"]
    target = f"{kind.lower()} {name} --namespace {metadata['namespace']}"
    return WriteFailure(
        target=f"{kind} {name}",
        text=f"{kind} {name} is not stored as the operator writes it: {_described(found)}. "
        "An admission webhook or another controller changes it. Correct that one, then run: "
        f'kubectl annotate {target} --overwrite {kubernetes.GROUP}/retry="$(date +%s)"',
        reason=Reason.NOT_STORED,
    )


def _described(found: Difference | None) -> str:
    if found is None:
        return "it was changed again and again"
    if ".env[" in found.path:
        # The value of a variable can be confidential.
        return f"{found.path} has another value"
    return f"{found.path} should be {_value(found.wanted)} and is {_value(found.stored)}"


def _value(value: Any) -> str:
    if value is None:
        return "missing"
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= VALUE_LIMIT else f"{text[:VALUE_LIMIT]}..."
