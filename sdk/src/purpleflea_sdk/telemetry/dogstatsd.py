"""The only path of a metric out of the process: a long-lived, buffered DogStatsD client behind the contract.

It checks names and bounds values by the contract. It never blocks and never raises because of the network; data that
cannot be sent is counted. The module metrics decides when a metric is sent.
"""

import logging
import sys
from collections.abc import Callable, Mapping
from decimal import Decimal
from math import isfinite

from datadog.dogstatsd.base import DogStatsd

from purpleflea_contract import tags
from purpleflea_contract.metrics import TELEMETRY_DROPPED, Metric
from purpleflea_contract.tags import OTHER, Tag
from purpleflea_sdk.settings import Environment, strategy_name
from purpleflea_sdk.telemetry import drop_counters
from purpleflea_sdk.telemetry.buffer import MetricBuffer
from purpleflea_sdk.telemetry.openmetrics import OpenMetricsCollector

logger = logging.getLogger("purpleflea.telemetry")

FLUSH_INTERVAL_S = 1.0
QUEUED_PACKETS = 1000
CLOSE_TIMEOUT_S = 2.0

Value = float | Decimal

_has_warned = False


class ContractViolation(ValueError):  # noqa: N818 - the name states the meaning
    """A metric was sent with tags that it does not have in the contract, which is a defect in the code."""


class Emitter:
    """Sends metrics of the contract with the identity of the agent, and keeps their values for /metrics.

    Without a client it checks and keeps values, and sends nothing.
    """

    def __init__(
        self,
        client: DogStatsd | None,
        *,
        identity: Mapping[str, str] | None = None,
        legacy_histograms: bool = False,
    ) -> None:
        self._client = client
        self._buffer = (
            MetricBuffer(client, interval_s=FLUSH_INTERVAL_S, legacy_histograms=legacy_histograms)
            if client
            else None
        )
        self._collector = OpenMetricsCollector(
            identity or dict.fromkeys((tag.name for tag in tags.EVERY_METRIC), "")
        )
        self._appends: dict[tuple[str, ...], Callable[[float], None]] = {}
        self._tag_values: dict[str, set[str]] = {}
        self._not_finite = 0
        self._reported: dict[str, int] = {}
        self._warned: set[str] = set()
        self._packets_sent = 0
        drop_counters.register("metrics", self.dropped)

    @property
    def client(self) -> DogStatsd | None:
        """The client, for code that sends metrics outside of the contract; None without a receiver."""
        return self._client

    @property
    def has_receiver(self) -> bool:
        """True if metrics are sent."""
        return self._client is not None

    def send(self, metric: Metric, value: Value = 1, /, **tag_values: str) -> None:
        """Send one point of `metric`."""
        # A flat key of strings with cached hashes, because this runs for every point.
        append = self._appends.get((metric.name, *tag_values, *tag_values.values()))
        if append is None:
            append = self._append_function(metric, tag_values)
        number = float(value)
        if isfinite(number):
            append(number)
        else:
            self._not_finite += 1

    def dropped(self) -> int:
        """Return the number of packets and points dropped since the start."""
        if self._client is None:
            return self._not_finite
        return self._not_finite + int(self._client.packets_dropped)

    def report_drops(self) -> None:
        """Send the drops since the last report, unless packets are still being dropped."""
        packets_pass = self._packets_pass()
        for signal, dropped in drop_counters.counts().items():
            before = self._reported.get(signal)
            if dropped and not before and signal not in self._warned:
                self._warned.add(signal)
                logger.warning(
                    "Dropping telemetry: no receiver is accepting data",
                    extra={"signal": signal, "dropped": dropped},
                )
            # The first report is sent even if it is zero, because a missing series looks like a missing counter.
            if packets_pass and (before is None or dropped > before):
                self.send(TELEMETRY_DROPPED, dropped - (before or 0), signal=signal)
                self._reported[signal] = dropped

    def exposed(self, accept: str) -> tuple[bytes, str]:
        """Return the current values as a page for /metrics, and its content type."""
        if self._buffer is not None:
            self._buffer.flush()
        return self._collector.text(accept)

    def flush(self) -> None:
        """Send all buffered points; block for at most CLOSE_TIMEOUT_S."""
        if self._client is not None and self._buffer is not None:
            self._buffer.flush()
            self._client.wait_for_pending(CLOSE_TIMEOUT_S)

    def close(self) -> None:
        """Flush, and stop the threads of the client, which has no exit hook; block for a few seconds at most."""
        if self._client is not None and self._buffer is not None:
            self._buffer.close()
            self._client.wait_for_pending(CLOSE_TIMEOUT_S)
            self._client.stop(CLOSE_TIMEOUT_S)

    def _packets_pass(self) -> bool:
        """Return whether a packet was sent since the last call."""
        sent = self._client.packets_sent if self._client is not None else 0
        sent_before, self._packets_sent = self._packets_sent, sent
        return bool(sent > sent_before)

    def _append_function(
        self, metric: Metric, tag_values: dict[str, str]
    ) -> Callable[[float], None]:
        bounded = self._checked(metric, tag_values)
        record = self._collector.recorder(metric, bounded)
        append = (
            self._buffer.series(metric, bounded, record).points.append if self._buffer else record
        )
        # The cache is bounded, because its values are: values that became `other` are not cached.
        if OTHER not in bounded.values():
            self._appends[metric.name, *tag_values, *tag_values.values()] = append
        return append

    def _checked(self, metric: Metric, tag_values: dict[str, str]) -> dict[str, str]:
        known = {tag.name: tag for tag in metric.tags}
        required = known.keys() - {tag.name for tag in metric.optional}
        if not required <= tag_values.keys() <= known.keys():
            raise ContractViolation(
                f"{metric.name} has the tags {sorted(known)}, not {sorted(tag_values)}"
            )
        return {name: self._bounded(known[name], value) for name, value in tag_values.items()}

    def _bounded(self, tag: Tag, value: str) -> str:
        bounded = tag.bounded(value)
        if tag.values:
            return bounded
        values = self._tag_values.setdefault(tag.name, set())
        if bounded not in values:
            if len(values) >= tag.most_values:
                return OTHER
            values.add(bounded)
        return bounded


def create_emitter(environment: Environment) -> Emitter:
    """Create the emitter for an environment; the client itself reads DD_ENV, DD_SERVICE and DD_VERSION."""
    identity = {
        tag.name: tag.bounded(value)
        for tag, value in (
            (tags.AGENT_ID, environment.agent_id),
            (tags.STRATEGY, strategy_name(environment.settings_file)),
        )
    }
    if not environment.metrics_have_a_receiver:
        return Emitter(None, identity=identity)
    # One warning for each dropped packet would flood the log. Drops are counted and reported instead.
    logging.getLogger("datadog.dogstatsd").setLevel(logging.CRITICAL)
    client = DogStatsd(
        constant_tags=[f"{name}:{value}" for name, value in identity.items()],
        disable_buffering=False,
        # MetricBuffer aggregates and flushes. The aggregation of the client costs three times as much per point.
        disable_aggregation=True,
        flush_interval=0,
        # A thread of the client resolves, connects and sends. Without it the client never reconnects to a new socket.
        disable_background_sender=False,
        sender_queue_size=QUEUED_PACKETS,
        socket_connect_retry=True,
        # The telemetry of the client resets the counters of dropped packets that we report.
        telemetry_min_flush_interval=sys.maxsize,
    )
    return Emitter(client, identity=identity, legacy_histograms=environment.legacy_histograms)


def warn_if_no_receiver(environment: Environment) -> None:
    """Warn once per process if metrics or traces have no receiver. Disabled traces need none."""
    global _has_warned
    has_receiver = {
        "metrics": environment.metrics_have_a_receiver,
        "traces": environment.traces_have_a_receiver or not environment.dd_trace_enabled,
    }
    without = [signal for signal, is_present in has_receiver.items() if not is_present]
    if _has_warned or not without:
        return
    _has_warned = True
    logger.warning(
        "No Datadog agent in the environment (DD_AGENT_HOST, DD_DOGSTATSD_URL, DD_TRACE_AGENT_URL):"
        " %s are not sent",
        " and ".join(without),
    )
