"""Log collection: from the files of the containers that autodiscovery selects to the intake.

If the intake is unreachable, nothing is dropped, because the lines stay in their files and a position is saved only
after delivery.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from purpleflea_sandbox.datadog.node_agent import autodiscovery, cri, forward, rules
from purpleflea_sandbox.datadog.node_agent.autodiscovery import LogSource
from purpleflea_sandbox.datadog.node_agent.counters import Counters
from purpleflea_sandbox.datadog.node_agent.pods import Pod, PodSource
from purpleflea_sandbox.datadog.node_agent.positions import TailPositions
from purpleflea_sandbox.datadog.node_agent.tail import ContainerTail

logger = logging.getLogger(__name__)

_ROUTE = "/api/v2/logs"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """Folder of the logs, and the fields that are added to every line."""

    pod_logs: Path
    hostname: str
    host_tags: tuple[str, ...] = ()
    collect_all: bool = False
    poll_interval_s: float = 0.5


@dataclass(slots=True)
class _Collected:
    source: LogSource
    tail: ContainerTail


@dataclass(frozen=True, slots=True)
class _ProcessedPod:
    """A pod as last processed; if the object is the same, it is not processed again."""

    pod: Pod
    problems: tuple[str, ...]


class LogCollector:
    """Tails of all containers whose logs are collected."""

    def __init__(
        self,
        settings: LogSettings,
        *,
        pods: PodSource,
        intake: forward.Intake,
        positions: TailPositions,
        counters: Counters,
    ) -> None:
        self._settings = settings
        self._pods = pods
        self._intake = intake
        self._positions = positions
        self._counters = counters
        self._collected: dict[str, _Collected] = {}
        self._known: dict[str, _ProcessedPod] = {}

    async def run(self) -> None:
        try:
            while True:
                if not await self.collect():
                    await asyncio.sleep(self._settings.poll_interval_s)
        finally:
            self._positions.save()
            for collected in self._collected.values():
                collected.tail.close()

    async def collect(self) -> int:
        """Read all containers once; return the number of delivered messages."""
        self._discover()
        delivered = 0
        for directory, collected in tuple(self._collected.items()):
            batch = collected.tail.read()
            if batch is None:
                self._finish(directory)
                continue
            await self._deliver(collected.source, batch.records)
            self._positions.keep(directory, batch.position)
            delivered += len(batch.records)
        self._positions.save()
        return delivered

    def state(self) -> Mapping[str, Any]:
        problems = sorted({p for known in self._known.values() for p in known.problems})
        return {"containers": sorted(self._collected), "problems": problems}

    def _discover(self) -> None:
        """Follow the pods: start new containers, and apply changed annotations to the next line."""
        running = {pod.uid: pod for pod in self._pods.running()}
        for uid in self._known.keys() - running.keys():
            del self._known[uid]
        for uid, pod in running.items():
            known = self._known.get(uid)
            if known is not None and known.pod is pod:
                continue
            sources, problems = autodiscovery.log_sources(
                pod, collect_all=self._settings.collect_all
            )
            for problem in set(problems) - set(known.problems if known else ()):
                logger.warning(problem)
            self._known[uid] = _ProcessedPod(pod, problems)
            for source in sources:
                self._follow(source)

    def _follow(self, source: LogSource) -> None:
        collected = self._collected.get(source.directory)
        if collected is not None:
            collected.source = source
            return
        position = self._positions.get(source.directory)
        tail = ContainerTail(self._settings.pod_logs / source.directory, position)
        self._collected[source.directory] = _Collected(source, tail)

    def _finish(self, directory: str) -> None:
        """Remove a container if its files and its pod are deleted. Its last lines were read before."""
        if (self._settings.pod_logs / directory).exists() or self._is_wanted(directory):
            return
        self._collected.pop(directory).tail.close()
        self._positions.retain_only(self._collected)

    def _is_wanted(self, directory: str) -> bool:
        return self._collected[directory].source.pod_uid in self._known

    async def _deliver(self, source: LogSource, records: Sequence[cri.Record]) -> None:
        entries = [
            self._entry(source, record, line)
            for record in records
            if (line := rules.applied(source.rules, record.text)) is not None
        ]
        self._counters.add("logs.filtered", len(records) - len(entries))
        if not entries:
            return
        try:
            await self._intake.deliver(forward.payload(_ROUTE, entries, "logs"))
        except forward.PayloadRejectedError as error:
            self._counters.add("logs.refused", len(entries))
            logger.error("log lines rejected: %s", error)
        else:
            self._counters.add("logs.sent", len(entries))

    def _entry(self, source: LogSource, record: cri.Record, line: str) -> Mapping[str, Any]:
        return {
            "message": line,
            "status": "error" if record.stream == "stderr" else "info",
            "timestamp": record.timestamp_ms,
            "hostname": self._settings.hostname,
            "service": source.service,
            "ddsource": source.source,
            "ddtags": ",".join((*source.tags, *self._settings.host_tags)),
        }
