"""The one way a metric leaves the process: a long-lived, buffered DogStatsD client behind the contract.

It checks names and bounds values against the contract, never blocks and never raises for what the network does: what
cannot be handed over is counted. What is measured, and when, is not its business.
"""

import logging
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from datadog.dogstatsd.base import DogStatsd

from purpleflea_agent import losses
from purpleflea_agent.exposition import Exposition, Record
from purpleflea_agent.settings import Environment, strategy_name
from purpleflea_contract import tags
from purpleflea_contract.metrics import TELEMETRY_DROPPED, Metric, MetricType
from purpleflea_contract.tags import OTHER, Tag

logger = logging.getLogger("purpleflea.telemetry")

FLUSH_INTERVAL_S = 1.0
QUEUED_PACKETS = 1000
CLOSE_TIMEOUT_S = 2.0

Value = float | Decimal


class ContractViolation(ValueError):  # noqa: N818 - named by what it means
    """A metric was sent with tags that the contract does not give it: a mistake in the code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One metric with one set of tag values: where its points go."""

    tags: list[str]
    record: Record


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
        self._legacy_histograms = legacy_histograms
        self._exposition = Exposition(
            identity or dict.fromkeys((tag.name for tag in tags.EVERY_METRIC), "")
        )
        self._series: dict[tuple[object, ...], Series] = {}
        self._seen: dict[str, set[str]] = {}
        self._unusable = 0
        self._reported: dict[str, int] = {}
        losses.watch("metrics", self.dropped)

    @property
    def has_receiver(self) -> bool:
        """Whether metrics go anywhere."""
        return self._client is not None

    def send(self, metric: Metric, value: Value = 1, /, **tag_values: str) -> None:
        """Send one point of `metric`."""
        key = (metric.name, *tag_values.items())
        series = self._series.get(key)
        if series is None:
            series = self._new_series(metric, tag_values)
            # Bounded: the values in it are, save those that become `other`, which are not kept.
            if not any(tag.endswith(f":{OTHER}") for tag in series.tags):
                self._series[key] = series
        number = float(value)
        if not math.isfinite(number):
            self._unusable += 1
            return
        series.record(number)
        if self._client is not None:
            self._send(self._client, metric, number, series.tags)

    def dropped(self) -> int:
        """Packets and points of metrics lost since the start."""
        if self._client is None:
            return self._unusable
        return self._unusable + int(self._client.packets_dropped)

    def report_drops(self) -> None:
        """Send the counts of what was lost since the last report, of every signal."""
        for signal, dropped in losses.counted().items():
            before = self._reported.get(signal, 0)
            if dropped > before or signal not in self._reported:
                self._reported[signal] = dropped
                # A zero once: no series at all would look like no losses that anybody counts.
                self.send(TELEMETRY_DROPPED, dropped - before, signal=signal)
            if dropped > before == 0:
                logger.warning(
                    "Telemetry is being dropped: nobody takes it",
                    extra={"signal": signal, "dropped": dropped},
                )

    def exposed(self, accept: str) -> tuple[bytes, str]:
        """The present values as a page for /metrics, and its content type."""
        self.report_drops()
        return self._exposition.text(accept)

    def flush(self) -> None:
        """Hand over all that is buffered; blocks no longer than CLOSE_TIMEOUT_S."""
        if self._client is not None:
            self._client.flush_aggregated_metrics()
            self._client.flush()
            self._client.wait_for_pending(CLOSE_TIMEOUT_S)

    def close(self) -> None:
        """Flush and stop the client's threads; blocks for seconds at the most. The client has no hook at exit."""
        if self._client is not None:
            self.flush()
            self._client.stop(CLOSE_TIMEOUT_S)

    def _new_series(self, metric: Metric, tag_values: dict[str, str]) -> Series:
        known = {tag.name: tag for tag in metric.tags}
        required = known.keys() - {tag.name for tag in metric.optional}
        if not required <= tag_values.keys() <= known.keys():
            raise ContractViolation(
                f"{metric.name} carries the tags {sorted(known)}, not {sorted(tag_values)}"
            )
        bounded = {name: self._bounded(known[name], value) for name, value in tag_values.items()}
        return Series(
            tags=[f"{name}:{value}" for name, value in bounded.items()],
            record=self._exposition.record(metric, bounded),
        )

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

    def _send(self, client: DogStatsd, metric: Metric, number: float, tag_list: list[str]) -> None:
        match metric.type:
            case MetricType.GAUGE:
                client.gauge(metric.name, number, tags=tag_list)
            case MetricType.COUNT:
                client.increment(metric.name, number, tags=tag_list)
            case MetricType.DISTRIBUTION if self._legacy_histograms:
                client.histogram(metric.name, number, tags=tag_list)
            case MetricType.DISTRIBUTION:
                client.distribution(metric.name, number, tags=tag_list)


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
        disable_aggregation=False,
        flush_interval=FLUSH_INTERVAL_S,
        # A thread of the client resolves, connects and sends; only with it a replaced socket is found again.
        disable_background_sender=False,
        sender_queue_size=QUEUED_PACKETS,
        socket_connect_retry=True,
        # The client's own telemetry resets the counters of drops that we report.
        telemetry_min_flush_interval=sys.maxsize,
    )
    return Emitter(client, identity=identity, legacy_histograms=environment.legacy_histograms)
