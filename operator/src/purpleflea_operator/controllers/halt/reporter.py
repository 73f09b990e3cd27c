"""Writes the status and the Events of the halts: at most once per second for each, and only with news.

A rejected status has a backoff. A status that is stored differently each time is not written again without news.

A restarted operator receives the acknowledgements again. Until they are complete, it leaves a status from before the
restart as it is.
"""

import logging
from dataclasses import dataclass, field

from purpleflea_contract import kubernetes
from purpleflea_operator import timings
from purpleflea_operator.controllers.halt.decisions import status
from purpleflea_operator.controllers.halt.decisions.halt import Halt
from purpleflea_operator.controllers.halt.decisions.progress import HaltProgress
from purpleflea_operator.controllers.halt.decisions.status import AcknowledgedAt, Effect
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.events import Event, event_manifest
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.parsing import Manifest, mapping, resource_version
from purpleflea_operator.runtime.status_writes import WriteRateLimiter
from purpleflea_operator.runtime.workers import Times

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class HaltRecord:
    """One resource, and the operator's memory about it."""

    halt: Halt
    manifest: Manifest
    writes: WriteRateLimiter
    ends_s: float | None = None
    """Monotonic time before which the halt does not expire."""
    is_expired: bool = False
    times: AcknowledgedAt = field(default_factory=AcknowledgedAt)

    def forget_times(self, reported: AcknowledgedAt) -> None:
        """Forget times that the status has, unless further acknowledgements arrived in the meantime."""
        if self.times is reported:
            self.times = AcknowledgedAt()


class HaltReporter:
    """Reports halts. `operator_namespace` is empty if it is unknown."""

    def __init__(self, cluster: KubeClient, times: Times, *, operator_namespace: str) -> None:
        self._cluster = cluster
        self._times = times
        self._operator_namespace = operator_namespace
        self._started_s = times.clock()

    def start(self) -> None:
        """Start to report: the acknowledgements arrive from now on."""
        self._started_s = self._times.clock()

    async def report(self, record: HaltRecord, progress: HaltProgress) -> float | None:
        """Write the status if that is due. Return the seconds until it is; None if it is current.

        Raises:
            ApiError: A request failed, and should be retried.
        """
        current, now_s = mapping(record.manifest.get("status")), self._times.clock()
        effect = Effect(
            progress=progress,
            is_expired=record.is_expired,
            times=record.times,
            operator_namespace=self._operator_namespace,
        )
        wanted = status.next_status(current, record.halt, effect, now=self._times.now())
        settles_s = self._started_s + timings.HALT_RESTART_S - now_s
        if current and not progress.is_complete and settles_s > 0:
            return None if wanted == current else settles_s
        if wanted == current or record.writes.is_repetition(wanted, current):
            record.forget_times(effect.times)
            return None
        wait_s = record.writes.wait_s()
        if wait_s > 0:
            return wait_s
        stored = await self._write(record, wanted)
        record.forget_times(effect.times)
        if stored is not None:
            for event in status.events(current, wanted):
                await self._post(record.manifest, event)
        return None

    async def _write(self, record: HaltRecord, wanted: status.Status) -> Manifest | None:
        metadata = record.manifest["metadata"]
        record.writes.record_write()
        try:
            stored = await self._cluster.apply_status(
                {
                    "apiVersion": kubernetes.API_VERSION,
                    "kind": resources.HALT.kind,
                    # With the UID, the API server rejects the status of a deleted halt for a recreated one.
                    "metadata": {key: metadata[key] for key in ("name", "namespace", "uid")},
                    "status": wanted,
                }
            )
        except errors.NotFound:
            return None
        except errors.ApiError:
            record.writes.record_failure()
            raise
        record.writes.record_success(wanted, mapping(stored.get("status")))
        if _version(stored) > _version(record.manifest):
            record.manifest = {**stored, "metadata": {**stored["metadata"], "managedFields": []}}
        return stored

    async def _post(self, manifest: Manifest, event: Event) -> None:
        metadata = manifest["metadata"]
        fields = {
            "namespace": metadata["namespace"],
            "halt": metadata["name"],
            "reason": event.reason,
            "detail": event.message,
        }
        logger.info("condition changed", extra=fields)
        try:
            await self._cluster.create_event(event_manifest(manifest, event, self._times.now()))
        except errors.Fenced:
            raise
        except errors.ApiError as error:
            logger.warning("an Event could not be created", extra={**fields, "error": str(error)})


def _version(manifest: Manifest) -> int:
    return resource_version(manifest["metadata"].get("resourceVersion"))
