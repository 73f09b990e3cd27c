"""Controller of PurpleFleaHalt: watch events, expiry, the halts of each agent, and the status of each halt.

It writes only statuses and Events. The control lane of the agents brings the mode to the pods: this controller queues
the agents that a halt starts or ceases to select. It must not import the controller of the agents.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence

from purpleflea_operator import timings
from purpleflea_operator.controllers.halt.decisions import status
from purpleflea_operator.controllers.halt.decisions.halt import Halt, halt
from purpleflea_operator.controllers.halt.decisions.index import HaltIndex
from purpleflea_operator.controllers.halt.decisions.progress import AgentProgress
from purpleflea_operator.controllers.halt.decisions.status import AcknowledgedAt
from purpleflea_operator.controllers.halt.directory import AgentDirectory
from purpleflea_operator.controllers.halt.reporter import HaltRecord, HaltReporter
from purpleflea_operator.controllers.halt.watches import HaltReads, HaltScope
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.kept_metadata import agent_labels, reduced
from purpleflea_operator.kube.listing import Listing
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.parsing import Manifest, mapping, resource_version
from purpleflea_operator.runtime.containment import Containment, check_identity
from purpleflea_operator.runtime.status_writes import WriteRateLimiter
from purpleflea_operator.runtime.workers import Result, TimedReconciler, Times, run_worker
from purpleflea_operator.runtime.workqueue import WorkQueue

logger = logging.getLogger(__name__)

WORKERS = 2


class HaltController:
    """Keeps the index of the halts current, and reports their effect.

    `queue_agent` is called with each agent whose halts have changed.
    """

    def __init__(
        self,
        cluster: KubeClient,
        times: Times,
        *,
        queue_agent: Callable[[NamespacedName], None],
        scope: HaltScope,
    ) -> None:
        self.watched: tuple[ResourceKind, ...] = (resources.HALT,)
        self._queue = WorkQueue[NamespacedName](
            jitter=random.random, clock=times.clock, is_open=False
        )
        self._times = times
        self._queue_agent = queue_agent
        self._operator_namespace = scope.operator_namespace
        self._index = HaltIndex()
        self._directory = AgentDirectory()
        self._records: dict[NamespacedName, HaltRecord] = {}
        self._reporter = HaltReporter(cluster, times, operator_namespace=scope.operator_namespace)
        self._reads = HaltReads(scope, clock=times.clock)
        self._catching_up: asyncio.TimerHandle | None = None
        self._containment = Containment()
        self.passes = TimedReconciler(
            self.reconcile, clock=times.clock, on_pass_end=lambda outcome, seconds: None
        )

    # The halts of the agents

    def of(self, namespace: str, name: str, labels: Mapping[str, str]) -> tuple[Halt, ...]:
        """Return the halts that apply to an agent, the strongest first."""
        return self._index.of(namespace, name, labels)

    def are_known(self, namespace: str) -> bool:
        """Return whether all halts that can apply to agents of a namespace have been read."""
        return self._reads.are_known(namespace)

    def unread_reason(self, namespace: str) -> str:
        """Return why halts that can apply to agents of a namespace cannot be read; empty if they can."""
        return self._reads.unread_reason(namespace)

    def on_agent(self, kind: ResourceKind, manifest: Manifest) -> None:
        """Store the labels of an agent, which may start or end the effect of a halt on it."""
        if kind is not resources.AGENT:
            return
        metadata = manifest["metadata"]
        key = NamespacedName(metadata["namespace"], metadata["name"])
        labels = agent_labels(metadata)
        former = self._directory.labels(key)
        if self._directory.upsert(key, labels):
            self._queue_halts(key, labels, *(() if former is None else (former,)))

    def on_agent_deleted(self, key: NamespacedName) -> None:
        """Remove an agent."""
        labels = self._directory.labels(key)
        if labels is not None:
            self._directory.remove(key)
            self._queue_halts(key, labels)

    def record(self, key: NamespacedName, progress: AgentProgress) -> None:
        """Store the progress of an agent; its halts report it within a second."""
        for item, acknowledged in self._directory.record(key, progress):
            name = NamespacedName(item.namespace, item.name)
            known = self._records.get(name)
            if known is None or item.uid not in self._index:
                continue
            if acknowledged:
                now = self._times.now()
                first = known.times.first or now
                known.times = AcknowledgedAt(first=first, last=now, count=acknowledged)
            self._queue.add_after(name, timings.HALT_STATUS_DELAY_S)

    def forget_progress(self) -> None:
        """Forget the progress of all agents, because it was computed from a cache that may have been outdated.

        Until the next passes have computed it again, no halt is reported as drained.
        """
        self._directory.forget_progress()
        self._reporter.start()

    def _queue_halts(self, key: NamespacedName, *labels: Mapping[str, str]) -> None:
        for item in labels:
            for found in self._index.of(key.namespace, key.name, item):
                name = NamespacedName(found.namespace, found.name)
                self._queue.add_after(name, timings.HALT_STATUS_DELAY_S)

    # The watch

    def on_event(self, kind: ResourceKind, event_type: str | None, manifest: Manifest) -> None:
        """Process one watch event. An unreadable object is skipped."""
        with self._containment.of(kind, manifest):
            self._process(event_type, manifest)

    def on_listed(self, kind: ResourceKind, listing: Listing) -> None:
        """Remove the halts that a complete list does not contain."""
        for key, record in tuple(self._records.items()):
            is_in_scope = listing.namespace in ("", key.namespace)
            is_listed = record.halt.uid in listing.uids
            if is_in_scope and not is_listed and _version(record.manifest) <= listing.version:
                self._remove(key)
        if self._reads.on_listed(listing):
            # These agents could not be resumed before.
            self._queue_agents(self._directory)

    def on_refused(self, kind: ResourceKind, *, status: int) -> None:
        """Keep the halts as they are, because a refused watch does not mean that they are deleted."""
        if status:
            return
        self._reads.on_readable()
        if self._catching_up is not None:
            self._catching_up.cancel()
        delay_s, loop = timings.HALT_CATCH_UP_S + 0.1, asyncio.get_running_loop()
        # These agents could not start or resume before.
        self._catching_up = loop.call_later(delay_s, self._queue_agents, self._directory)

    def _process(self, event_type: str | None, manifest: Manifest) -> None:
        check_identity(manifest)
        metadata = manifest["metadata"]
        key = NamespacedName(metadata["namespace"], metadata["name"])
        known = self._records.get(key)
        if event_type == "DELETED":
            self._reads.mark_deleted(metadata["uid"])
            if known is not None and known.halt.uid == metadata["uid"]:
                self._remove(key)
            return
        # A list that was read before a deletion can be processed after the event of the deletion.
        if self._reads.is_outdated(key.namespace, metadata["uid"], _version(manifest)):
            return
        if known is not None and _version(known.manifest) >= _version(manifest):
            return
        if known is not None and known.halt.uid != metadata["uid"]:
            self._remove(key)
        self._put(key, manifest)

    def _put(self, key: NamespacedName, manifest: Manifest) -> None:
        found = halt(manifest, operator_namespace=self._operator_namespace)
        # Creator and requester are read above from fields that can be large.
        metadata = reduced(manifest["metadata"])
        record = self._records.get(key)
        if record is None:
            writes = WriteRateLimiter(self._times.clock, burst=1)
            record = self._records[key] = HaltRecord(halt=found, manifest={}, writes=writes)
            if found.expires_at is not None:
                left_s = (found.expires_at - self._times.now()).total_seconds()
                record.ends_s = self._times.clock() + left_s
        # Another replica may have reported it, while this one was a standby.
        record.is_expired |= status.is_expired(mapping(manifest.get("status")))
        before, record.halt, record.manifest = (
            record.halt,
            found,
            {**manifest, "metadata": metadata},
        )
        agents = self._directory.selected(before.uid)
        self._directory.follow(found)
        self._update_index(record, before, agents)
        self._queue.add(key)

    def _remove(self, key: NamespacedName) -> None:
        record = self._records.pop(key)
        uid = record.halt.uid
        self._reads.mark_deleted(uid)
        self._exclude(uid, self._directory.selected(uid))
        self._directory.forget(uid)
        self._queue.add(key)

    def _update_index(
        self, record: HaltRecord, before: Halt, agents: Sequence[NamespacedName]
    ) -> None:
        """Add a halt to the index or remove it, and queue the agents for which that is a change.

        `agents` has those that the halt selected before.
        """
        found = record.halt
        if record.is_expired or "deletionTimestamp" in record.manifest["metadata"]:
            self._exclude(found.uid, agents)
            return
        was_in_force = found.uid in self._index
        if was_in_force and before == found:
            return
        self._index.put(found)
        former = agents if was_in_force else ()
        self._queue_agents({*former, *self._directory.selected(found.uid)})

    def _exclude(self, uid: str, agents: Sequence[NamespacedName]) -> None:
        """Remove a halt from the index, if it is in force."""
        if uid in self._index:
            self._index.remove(uid)
            self._queue_agents(agents)

    def _queue_agents(self, keys: Iterable[NamespacedName]) -> None:
        for key in sorted(keys):
            self._queue_agent(key)

    # Tasks

    def start(self) -> None:
        """Queue all halts, because this replica leads from now on. Agents do not resume before the next list."""
        self._reads.forget_lists()
        self._queue.open()
        self._reporter.start()
        for key in self._records:
            self._queue.add(key)

    async def run(self) -> None:
        """Run the workers until canceled."""
        async with asyncio.TaskGroup() as group:
            for number in range(WORKERS):
                working = run_worker(self._queue, self.passes.reconcile)
                group.create_task(working, name=f"halts-{number}")

    async def reconcile(self, key: NamespacedName) -> Result:
        """End a halt whose time is over, and report its effect.

        Raises:
            ApiError: The status could not be written, and should be retried.
        """
        record = self._records.get(key)
        if record is None or "deletionTimestamp" in record.manifest["metadata"]:
            return Result()
        expires_s = self._expires_s(record)
        if expires_s is not None and expires_s <= 0 and not record.is_expired:
            logger.info("halt expired", extra={"namespace": key.namespace, "halt": key.name})
            record.is_expired = True
            self._update_index(record, record.halt, self._directory.selected(record.halt.uid))
        report_s = await self._reporter.report(record, self._directory.progress(record.halt))
        waits = [report_s] if record.is_expired else [report_s, expires_s]
        return Result(
            requeue_after_s=min((item for item in waits if item is not None), default=None)
        )

    def _expires_s(self, record: HaltRecord) -> float | None:
        """Return the seconds until the expiry is due, or until it is checked again; None if the halt never expires.

        Both clocks must have reached the time, so a step of the wall clock does not resume trading early. The wall
        clock is read at intervals, because it can be set back and forth.
        """
        expires_at = record.halt.expires_at
        if expires_at is None or record.ends_s is None:
            return None
        wall_s = (expires_at - self._times.now()).total_seconds()
        left_s = max(wall_s, record.ends_s - self._times.clock())
        return left_s if left_s <= 0 else min(left_s, timings.HALT_EXPIRY_CHECK_S)

    def close(self) -> None:
        """Cancel all delayed keys."""
        self._queue.close()
        if self._catching_up is not None:
            self._catching_up.cancel()


def _version(manifest: Manifest) -> int:
    return resource_version(manifest["metadata"].get("resourceVersion"))
