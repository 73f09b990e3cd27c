"""Run the checks of this node's pods at their intervals, and forward their submissions.

It follows the pods. If an annotation is invalid or a run fails, the error is counted, logged when it changes, and
included in the status. A failing check does not affect other checks.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from purpleflea_sandbox.datadog import dogstatsd
from purpleflea_sandbox.datadog.node_agent.aggregate import Aggregator
from purpleflea_sandbox.datadog.node_agent.checks import configuration
from purpleflea_sandbox.datadog.node_agent.checks.configuration import CheckInstance, CheckTemplate
from purpleflea_sandbox.datadog.node_agent.checks.runner import CheckRunner, RunError
from purpleflea_sandbox.datadog.node_agent.checks.sampler import Sampler
from purpleflea_sandbox.datadog.node_agent.counters import Counters
from purpleflea_sandbox.datadog.node_agent.pods import Pod, PodSource

logger = logging.getLogger(__name__)

OnOther = Callable[[dogstatsd.Event | dogstatsd.ServiceCheck, tuple[str, ...]], None]

_OK, _WARNING, _CRITICAL = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sinks:
    """Receivers of the results."""

    aggregator: Aggregator
    on_other: OnOther


@dataclass(slots=True)
class _Scheduled:
    instance: CheckInstance
    task: asyncio.Task[None] | None = None
    runs: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class _PodChecks:
    pod: Pod
    instances: tuple[CheckInstance, ...]
    problems: tuple[str, ...]


class CheckCollector:
    """Scheduler with one task per check instance."""

    def __init__(
        self,
        *,
        pods: PodSource,
        runner: CheckRunner,
        sinks: Sinks,
        counters: Counters,
        by_image: Mapping[str, Sequence[CheckTemplate]] | None = None,
    ) -> None:
        self._pods = pods
        self._runner = runner
        self._sinks = sinks
        self._counters = counters
        self._by_image = by_image or {}
        self._sampler = Sampler(counters)
        self._known: dict[str, _PodChecks] = {}
        self._scheduled: dict[str, _Scheduled] = {}

    async def run(self, poll_interval_s: float = 0.5, spread_s: float = 1.0) -> None:
        """Follow the pods until canceled. `spread_s` delays first runs, so that checks started together do not run
        together.
        """
        try:
            while True:
                await self._sync_schedule(spread_s)
                await asyncio.sleep(poll_interval_s)
        finally:
            for scheduled in self._scheduled.values():
                await _cancel(scheduled.task)
            await self._runner.close()

    def state(self) -> Mapping[str, Any]:
        """Return the state for the status page."""
        return {
            "problems": sorted({p for known in self._known.values() for p in known.problems}),
            "instances": [
                {
                    "id": scheduled.instance.id,
                    "pod": scheduled.instance.pod,
                    "interval_s": scheduled.instance.interval_s,
                    "runs": scheduled.runs,
                    "error": scheduled.error,
                }
                for scheduled in self._scheduled.values()
            ],
        }

    async def _sync_schedule(self, spread_s: float) -> None:
        self._discover()
        wanted = {
            instance.id: instance for known in self._known.values() for instance in known.instances
        }
        for check_id in self._scheduled.keys() - wanted.keys():
            await _cancel(self._scheduled.pop(check_id).task)
            self._sampler.forget(check_id)
            with contextlib.suppress(
                RunError
            ):  # a process that ended has no check objects to remove
                await self._runner.forget(check_id)
        for check_id in wanted.keys() - self._scheduled.keys():
            scheduled = self._scheduled[check_id] = _Scheduled(wanted[check_id])
            scheduled.task = asyncio.create_task(self._repeat(scheduled, spread_s), name=check_id)

    def _discover(self) -> None:
        running = {pod.uid: pod for pod in self._pods.running()}
        for uid in self._known.keys() - running.keys():
            del self._known[uid]
        for uid, pod in running.items():
            known = self._known.get(uid)
            if known is not None and known.pod is pod:
                continue
            instances, problems = configuration.check_instances(pod, self._by_image)
            for problem in set(problems) - set(known.problems if known else ()):
                logger.warning(problem)
            self._known[uid] = _PodChecks(pod, instances, problems)

    async def _repeat(self, scheduled: _Scheduled, spread_s: float) -> None:
        await asyncio.sleep(random.uniform(0, spread_s))  # noqa: S311 - spreading
        while True:
            started = time.monotonic()
            await self._run_once(scheduled)
            elapsed = time.monotonic() - started
            await asyncio.sleep(max(0.0, scheduled.instance.interval_s - elapsed))

    async def _run_once(self, scheduled: _Scheduled) -> None:
        instance = scheduled.instance
        request = {
            "id": instance.id,
            "check": instance.check,
            "init_config": instance.init_config,
            "instance": instance.instance,
        }
        status, error = _OK, ""
        try:
            answer = await self._runner.run(request)
            # Submissions of a failed run count too, because its service checks contain the reason.
            self._forward(instance, answer)
            error = answer["error"]
            status = _CRITICAL if error else _WARNING if answer["warnings"] else _OK
        except RunError as failure:
            status, error = _CRITICAL, str(failure)
        except (KeyError, TypeError, ValueError) as failure:
            status, error = _CRITICAL, f"its response is not readable: {failure}"
        scheduled.runs += 1
        self._counters.add("checks.runs")
        self._counters.add("checks.failed", int(bool(error)))
        self._log_change(scheduled, error)
        check_status = dogstatsd.ServiceCheck(
            name="datadog.agent.check_status", status=status, tags=(f"check:{instance.check}",)
        )
        self._sinks.on_other(check_status, check_status.tags)

    def _forward(self, instance: CheckInstance, answer: Mapping[str, Any]) -> None:
        for metric in self._sampler.metrics(instance.id, answer["metrics"], time.time()):
            self._counters.add("checks.metrics")
            self._sinks.aggregator.add(metric, metric.tags)
        for name, status, tags, hostname, message in answer["service_checks"]:
            self._counters.add("checks.service_checks")
            check = dogstatsd.ServiceCheck(
                name=str(name), status=int(status), message=str(message), hostname=str(hostname)
            )
            self._sinks.on_other(check, tuple(tags))
        for title, text, tags in answer["events"]:
            event = dogstatsd.Event(title=str(title), text=str(text))
            self._sinks.on_other(event, tuple(tags))
        self._counters.add("checks.dropped", int(answer["dropped"]))

    def _log_change(self, scheduled: _Scheduled, error: str) -> None:
        if error and not scheduled.error:
            logger.warning(
                "check %s on pod %s fails: %s",
                scheduled.instance.check,
                scheduled.instance.pod,
                error,
            )
        elif scheduled.error and not error:
            logger.info(
                "check %s on pod %s works again",
                scheduled.instance.check,
                scheduled.instance.pod,
            )
        scheduled.error = error


async def _cancel(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
