"""The one way a metric leaves the process: a long-lived, buffered DogStatsD client behind the contract.

It checks names and bounds values against the contract, never blocks and never raises for what the network does: what
cannot be handed over is counted. What is measured, and when, is not its business.
"""

import logging
import math
import sys
from decimal import Decimal

from datadog.dogstatsd.base import DogStatsd

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


class Emitter:
    """Sends metrics of the contract, all with the agent's identity. Without a client it checks and discards."""

    def __init__(self, client: DogStatsd | None) -> None:
        self._client = client
        self._tag_lists: dict[tuple[object, ...], list[str]] = {}
        self._seen: dict[str, set[str]] = {}
        self._unusable = 0
        self._reported = 0

    @property
    def has_receiver(self) -> bool:
        """Whether metrics go anywhere."""
        return self._client is not None

    def send(self, metric: Metric, value: Value = 1, /, **tag_values: str) -> None:
        """Send one point of `metric`."""
        key = (metric.name, *tag_values.items())
        tag_list = self._tag_lists.get(key)
        if tag_list is None:
            tag_list = self._tag_list(metric, tag_values)
            # Bounded: the values in it are, save those that become `other`, which are not kept.
            if not any(tag.endswith(f":{OTHER}") for tag in tag_list):
                self._tag_lists[key] = tag_list
        number = float(value)
        if not math.isfinite(number):
            self._unusable += 1
        elif self._client is not None:
            _send(self._client, metric, number, tag_list)

    def dropped(self) -> int:
        """Packets and points lost since the start."""
        if self._client is None:
            return self._unusable
        return self._unusable + int(self._client.packets_dropped)

    def report_drops(self) -> None:
        """Send the count of what was lost since the last report, if anything was."""
        dropped = self.dropped()
        if dropped > self._reported:
            lost = dropped - self._reported
            self.send(TELEMETRY_DROPPED, lost, signal="metrics")
            if self._reported == 0:
                logger.warning(
                    "Metrics are being dropped: the node agent does not take them",
                    extra={"dropped": lost},
                )
            self._reported = dropped

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

    def _tag_list(self, metric: Metric, tag_values: dict[str, str]) -> list[str]:
        known = {tag.name: tag for tag in metric.tags}
        required = known.keys() - {tag.name for tag in metric.optional}
        if not required <= tag_values.keys() <= known.keys():
            raise ContractViolation(
                f"{metric.name} carries the tags {sorted(known)}, not {sorted(tag_values)}"
            )
        return [f"{name}:{self._bounded(known[name], value)}" for name, value in tag_values.items()]

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
    if not environment.metrics_have_a_receiver:
        return Emitter(None)
    # One warning per lost packet would flood the log; losses are counted and reported instead.
    logging.getLogger("datadog.dogstatsd").setLevel(logging.CRITICAL)
    identity = {
        tags.AGENT_ID: environment.agent_id,
        tags.STRATEGY: strategy_name(environment.settings_file),
    }
    client = DogStatsd(
        constant_tags=[f"{tag.name}:{tag.bounded(value)}" for tag, value in identity.items()],
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
    return Emitter(client)


def _send(client: DogStatsd, metric: Metric, number: float, tag_list: list[str]) -> None:
    match metric.type:
        case MetricType.GAUGE:
            client.gauge(metric.name, number, tags=tag_list)
        case MetricType.COUNT:
            client.increment(metric.name, number, tags=tag_list)
        case MetricType.DISTRIBUTION:
            client.distribution(metric.name, number, tags=tag_list)
