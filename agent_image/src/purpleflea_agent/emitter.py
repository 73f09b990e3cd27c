"""The one way a metric leaves the process: a long-lived, buffered DogStatsD client behind the contract.

It checks names and bounds values against the contract, never blocks and never raises for what the network does: what
cannot be handed over is counted. What is measured, and when, is not its business.
"""

import logging
import sys
from collections.abc import Callable, Mapping
from decimal import Decimal
from math import isfinite

from datadog.dogstatsd.base import DogStatsd

from purpleflea_agent import losses
from purpleflea_agent.accumulator import Accumulator
from purpleflea_agent.exposition import Exposition
from purpleflea_agent.settings import Environment, strategy_name
from purpleflea_contract import tags
from purpleflea_contract.metrics import TELEMETRY_DROPPED, Metric
from purpleflea_contract.tags import OTHER, Tag

logger = logging.getLogger("purpleflea.telemetry")

FLUSH_INTERVAL_S = 1.0
QUEUED_PACKETS = 1000
CLOSE_TIMEOUT_S = 2.0

Value = float | Decimal


class ContractViolation(ValueError):  # noqa: N818 - named by what it means
    """A metric was sent with tags that the contract does not give it: a mistake in the code."""


class Emitter:
    """Sends metrics of the contract, all with the agent's identity, and keeps their values for /metrics.

    Without a client it checks and keeps.
    """

    def __init__(
        self,
        client: DogStatsd | None,
        *,
        identity: Mapping[str, str] | None = None,
        legacy_histograms: bool = False,
    ) -> None:
        self._client = client
        self._accumulator = (
            Accumulator(client, interval_s=FLUSH_INTERVAL_S, legacy_histograms=legacy_histograms)
            if client
            else None
        )
        self._exposition = Exposition(
            identity or dict.fromkeys((tag.name for tag in tags.EVERY_METRIC), "")
        )
        self._appends: dict[tuple[str, ...], Callable[[float], None]] = {}
        self._seen: dict[str, set[str]] = {}
        self._unusable = 0
        self._reported: dict[str, int] = {}
        self._warned: set[str] = set()
        self._sent = 0
        losses.watch("metrics", self.dropped)

    @property
    def has_receiver(self) -> bool:
        """Whether metrics go anywhere."""
        return self._client is not None

    def send(self, metric: Metric, value: Value = 1, /, **tag_values: str) -> None:
        """Send one point of `metric`."""
        # Flat, and hashed by cached hashes of strings: this runs for every point.
        append = self._appends.get((metric.name, *tag_values, *tag_values.values()))
        if append is None:
            append = self._append(metric, tag_values)
        number = float(value)
        if isfinite(number):
            append(number)
        else:
            self._unusable += 1

    def dropped(self) -> int:
        """Packets and points lost since the start."""
        if self._client is None:
            return self._unusable
        return self._unusable + int(self._client.packets_dropped)

    def report_drops(self) -> None:
        """Send the counts of what was lost since the last report, unless the report would be lost as well."""
        gets_through = self._gets_through()
        for signal, dropped in losses.counted().items():
            before = self._reported.get(signal)
            if dropped and not before and signal not in self._warned:
                self._warned.add(signal)
                logger.warning(
                    "Telemetry is being dropped: nobody takes it",
                    extra={"signal": signal, "dropped": dropped},
                )
            # A zero once: no series at all would look like no losses that anybody counts.
            if gets_through and (before is None or dropped > before):
                self.send(TELEMETRY_DROPPED, dropped - (before or 0), signal=signal)
                self._reported[signal] = dropped

    def exposed(self, accept: str) -> tuple[bytes, str]:
        """The present values as a page for /metrics, and its content type."""
        if self._accumulator is not None:
            self._accumulator.drain()
        return self._exposition.text(accept)

    def _gets_through(self) -> bool:
        """Whether a packet got through since the last look."""
        sent = self._client.packets_sent if self._client is not None else 0
        sent_before, self._sent = self._sent, sent
        return bool(sent > sent_before)

    def flush(self) -> None:
        """Hand over all that is buffered; blocks no longer than CLOSE_TIMEOUT_S."""
        if self._client is not None and self._accumulator is not None:
            self._accumulator.drain()
            self._client.wait_for_pending(CLOSE_TIMEOUT_S)

    def close(self) -> None:
        """Flush and stop the client's threads; blocks for seconds at the most. The client has no hook at exit."""
        if self._client is not None and self._accumulator is not None:
            self._accumulator.close()
            self._client.wait_for_pending(CLOSE_TIMEOUT_S)
            self._client.stop(CLOSE_TIMEOUT_S)

    def _append(self, metric: Metric, tag_values: dict[str, str]) -> Callable[[float], None]:
        bounded = self._checked(metric, tag_values)
        record = self._exposition.record(metric, bounded)
        append = (
            self._accumulator.series(metric, bounded, record).points.append
            if self._accumulator
            else record
        )
        # Bounded: the values in it are, save those that become `other`, which are not kept.
        if OTHER not in bounded.values():
            self._appends[metric.name, *tag_values, *tag_values.values()] = append
        return append

    def _checked(self, metric: Metric, tag_values: dict[str, str]) -> dict[str, str]:
        known = {tag.name: tag for tag in metric.tags}
        required = known.keys() - {tag.name for tag in metric.optional}
        if not required <= tag_values.keys() <= known.keys():
            raise ContractViolation(
                f"{metric.name} carries the tags {sorted(known)}, not {sorted(tag_values)}"
            )
        return {name: self._bounded(known[name], value) for name, value in tag_values.items()}

    def _bounded(self, tag: Tag, value: str) -> str:
        bounded = tag.bounded(value)
        if tag.values:
            return bounded
        seen = self._seen.setdefault(tag.name, set())
        if bounded not in seen:
            if len(seen) >= tag.most_values:
                return OTHER
            seen.add(bounded)
        return bounded


def emitter_of(environment: Environment) -> Emitter:
    """The emitter that the environment asks for; DD_ENV, DD_SERVICE and DD_VERSION are read by the client itself."""
    identity = {
        tag.name: tag.bounded(value)
        for tag, value in (
            (tags.AGENT_ID, environment.agent_id),
            (tags.STRATEGY, strategy_name(environment.settings_file)),
        )
    }
    if not environment.metrics_have_a_receiver:
        return Emitter(None, identity=identity)
    # One warning per lost packet would flood the log; losses are counted and reported instead.
    logging.getLogger("datadog.dogstatsd").setLevel(logging.CRITICAL)
    client = DogStatsd(
        constant_tags=[f"{name}:{value}" for name, value in identity.items()],
        disable_buffering=False,
        # Both are the accumulator's: the client's own aggregation costs three times as much per point.
        disable_aggregation=True,
        flush_interval=0,
        # A thread of the client resolves, connects and sends; only with it a replaced socket is found again.
        disable_background_sender=False,
        sender_queue_size=QUEUED_PACKETS,
        socket_connect_retry=True,
        # The client's own telemetry resets the counters of drops that we report.
        telemetry_min_flush_interval=sys.maxsize,
    )
    return Emitter(client, identity=identity, legacy_histograms=environment.legacy_histograms)
