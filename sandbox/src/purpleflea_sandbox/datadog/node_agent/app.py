"""Composition root of the node agent: sockets, servers and tasks, started and stopped together.

It contains no logic of the parts. Tests start it in process, with ports chosen by the system and their own PodMemory.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from purpleflea_sandbox.datadog import dogstatsd, servers
from purpleflea_sandbox.datadog.node_agent import (
    aggregate,
    forward,
    health,
    kubernetes,
    logs,
    receiver,
    trace_agent,
    traces,
)
from purpleflea_sandbox.datadog.node_agent.checks import conf_d
from purpleflea_sandbox.datadog.node_agent.checks.collector import CheckCollector, Sinks
from purpleflea_sandbox.datadog.node_agent.checks.runner import CheckRunner, Interpreter
from purpleflea_sandbox.datadog.node_agent.counters import Counters
from purpleflea_sandbox.datadog.node_agent.origin import Tagger
from purpleflea_sandbox.datadog.node_agent.outgoing import Outgoing
from purpleflea_sandbox.datadog.node_agent.pods import PodMemory
from purpleflea_sandbox.datadog.node_agent.positions import TailPositions
from purpleflea_sandbox.datadog.node_agent.settings import NodeAgentSettings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Ports of a started node agent."""

    dogstatsd: int
    traces: int
    health: int


class NodeAgent:
    """All parts of a node agent."""

    def __init__(
        self, settings: NodeAgentSettings, session: aiohttp.ClientSession, memory: PodMemory
    ) -> None:
        self._settings = settings
        self._session = session
        self._memory = memory
        self.counters = Counters()
        self._intake = forward.Intake(session, url=settings.intake_url, api_key=settings.api_key)
        self.forwarder = forward.Forwarder(self._intake, self.counters)
        self._aggregator = aggregate.Aggregator(
            hostname=settings.hostname,
            interval_s=settings.flush_interval_s,
            counters=self.counters,
        )
        self._outgoing = Outgoing(hostname=settings.hostname, host_tags=settings.host_tags)
        self._tagger = Tagger(
            pods=memory,
            cardinality=settings.tag_cardinality,
            trust_client=settings.origin_detection_client,
        )
        self._sink = traces.TraceSink(
            # The trace agent uses the external data of its clients even if DogStatsD is configured
            # to ignore it.
            tagger=Tagger(pods=memory, trust_client=True),
            forwarder=self.forwarder,
            counters=self.counters,
            hostname=settings.hostname,
            host_tags=settings.host_tags,
        )
        self._collector = self._log_collector() if settings.logs_enabled else None
        self._check_collector = self._checks_of_pods()
        self._watch = self._pod_watch()
        self._is_listening = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Ports]:
        """Listen and run. When the block ends, send the data that is still in memory."""
        settings = self._settings
        async with (
            servers.served(
                traces.application(self._sink), "127.0.0.1", settings.trace_listen_port
            ) as trace_port,
            servers.served(self._health(), "0.0.0.0", settings.health_port) as health_port,  # noqa: S104 - probes
            self._dogstatsd() as dogstatsd_port,
            _tasks(self._jobs()),
        ):
            self._is_listening = True
            yield Ports(dogstatsd=dogstatsd_port, traces=trace_port, health=health_port)
            self._is_listening = False
            self.flush()
            try:
                await asyncio.wait_for(self.forwarder.drained(), settings.last_flush_s)
            except TimeoutError:
                logger.warning("the intake did not accept the last data in time, so it is lost")

    def flush(self) -> None:
        """Pass the aggregated data to the forwarder."""
        now = time.time()
        for item in self._outgoing.metrics(self._aggregator.flush(now), now):
            self.forwarder.send(item)

    def _jobs(self) -> Mapping[str, Any]:
        jobs: dict[str, Any] = {
            "forward": self.forwarder.run(),
            "flush": self._flush_periodically(),
        }
        if self._watch is not None:
            jobs["pods"] = self._watch.run()
        if self._collector is not None:
            jobs["logs"] = self._collector.run()
        if self._check_collector is not None:
            jobs["checks"] = self._check_collector.run()
        if self._settings.apm_enabled:
            maintenance = trace_agent.TraceAgentMaintenance(
                self._session, url=self._settings.trace_agent_url, sink=self._sink
            )
            jobs["trace-agent"] = maintenance.run()
        return jobs

    async def _flush_periodically(self) -> None:
        while True:
            await asyncio.sleep(self._settings.flush_interval_s)
            self.flush()

    @asynccontextmanager
    async def _dogstatsd(self) -> AsyncIterator[int]:
        settings = self._settings
        protocol = receiver.Receiver(
            tagger=self._tagger,
            aggregator=self._aggregator,
            counters=self.counters,
            on_other=self._forward_other,
        )
        udp = await receiver.listen_udp(protocol, settings.bind_host, settings.dogstatsd_port)
        unix = None
        if settings.dogstatsd_socket is not None:
            unix = await receiver.listen_unix(protocol, settings.dogstatsd_socket)
        try:
            yield int(udp.get_extra_info("sockname")[1])
        finally:
            udp.close()
            if unix is not None and settings.dogstatsd_socket is not None:
                unix.close()
                settings.dogstatsd_socket.unlink(missing_ok=True)

    def _forward_other(
        self, packet: dogstatsd.Event | dogstatsd.ServiceCheck, tags: tuple[str, ...]
    ) -> None:
        self.forwarder.send(self._outgoing.other(packet, tags, time.time()))

    def _log_collector(self) -> logs.LogCollector:
        settings = self._settings
        return logs.LogCollector(
            logs.LogSettings(
                pod_logs=settings.pod_logs,
                hostname=settings.hostname,
                host_tags=settings.host_tags,
                collect_all=settings.collect_all_logs,
            ),
            pods=self._memory,
            intake=self._intake,
            positions=TailPositions(settings.run_dir / "registry.json"),
            counters=self.counters,
        )

    def _checks_of_pods(self) -> CheckCollector | None:
        settings = self._settings
        if settings.checks_python is None:
            return None
        interpreter = Interpreter(
            python=settings.checks_python, checks_d=settings.checks_d, hostname=settings.hostname
        )
        return CheckCollector(
            pods=self._memory,
            runner=CheckRunner(interpreter, self.counters),
            sinks=Sinks(aggregator=self._aggregator, on_other=self._forward_other),
            counters=self.counters,
            by_image=conf_d.templates(settings.conf_d),
        )

    def _pod_watch(self) -> kubernetes.PodWatch | None:
        settings = self._settings
        if not (settings.kubernetes_url and settings.node_name):
            return None
        return kubernetes.PodWatch(
            self._session,
            url=settings.kubernetes_url,
            account=kubernetes.ServiceAccount(settings.service_account),
            node=settings.node_name,
            memory=self._memory,
        )

    def _health(self) -> web.Application:
        return health.application(checks=self._checks, status=self._status)

    def _checks(self) -> Mapping[str, bool]:
        return {
            "listening": self._is_listening,
            "pods": self._watch is None or self._watch.synced,
        }

    def _status(self) -> Mapping[str, Any]:
        return {
            "hostname": self._settings.hostname,
            "pods": len(self._memory.running()),
            "pods_error": self._watch.last_error if self._watch else "",
            "counters": self.counters.snapshot(),
            "forwarder": self.forwarder.state(),
            "logs": self._collector.state() if self._collector else {},
            "checks": self._check_collector.state() if self._check_collector else {},
        }


@asynccontextmanager
async def _tasks(jobs: Mapping[str, Any]) -> AsyncIterator[None]:
    """Run the jobs as named tasks. If one fails, all are canceled."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(job, name=name) for name, job in jobs.items()]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def run(settings: NodeAgentSettings, stop: asyncio.Event) -> None:
    """Run a node agent until `stop` is set."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        agent = NodeAgent(settings, session, PodMemory())
        async with agent.running() as ports:
            logger.info("node agent is listening: %s", ports)
            await stop.wait()
