"""The Agent check `purpleflea_agent`: sends the answer of GET /v1/status of a trading agent to Datadog.

It is a single file, as checks.d and the Helm value datadog.checksd require. It sends one service check, which fails if
the agent has crashed or hangs, and gauges of its account. It does not send the metrics that agents send themselves
(agent.*). metadata.csv describes each name.
"""

import json
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from datadog_checks.base import AgentCheck, ConfigurationError
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

__version__ = "0.1.0"

NAMESPACE = "purpleflea.agent"
STATUS_ROUTE = "/v1/status"

OTHER = "other"
"""Tag value for everything that is not in the lists below, because each tag value is a time series with a cost."""
MODES = ("active", "halted", "stopped", OTHER)
SIGNALS = ("metrics", "traces", "logs")
STATUSES = {
    "order": ("written", "open", "filled", "rejected", "cancelled", "refused", "failed"),
    "escrow": ("written", "created", "released", "completed", "cancelled", "refused", "failed"),
}

MAX_MARKETS = 32
"""Largest number of items in spec.markets."""
MAX_ANSWER_BYTES = 1024 * 1024

FIGURES = ("balance_usd", "equity_usd", "peak_equity_usd", "drawdown_pct")
POSITION_FIGURES = ("notional_usd", "unrealized_pnl_usd")


class StatusError(Exception):
    """The agent did not answer with a status; the text describes the answer."""


class PurpleFleaAgentCheck(AgentCheck):  # type: ignore[misc]
    """Check of trading agents; each instance is one agent."""

    __NAMESPACE__ = NAMESPACE

    def __init__(self, name: str, init_config: dict[str, Any], instances: list[Any]) -> None:
        super().__init__(name, init_config, instances)
        self._url = ""
        self._tags: list[str] = []
        self._identity: list[str] = []
        self.check_initializations.append(self._configure)

    def check(self, _: Any) -> None:
        """Request the status once and send it. The service check is first, because it must not depend on any figure."""
        try:
            status = self._status()
        except StatusError as error:
            # With the identity of the last answer, so that the alert has the same tags as the recovery.
            self.service_check("can_connect", self.CRITICAL, self._all_tags(), message=str(error))
            raise
        self._identity = [f"{name}:{status[name]}" for name in ("agent_id", "strategy")]
        tags = self._all_tags()
        self.service_check("can_connect", self.OK, tags)
        for kind, name, value, more in points(status):
            submit = self.monotonic_count if kind == "count" else self.gauge
            submit(name, value, tags=[*tags, *more])

    def _configure(self) -> None:
        """Read the options; raise ConfigurationError with the option and the remedy."""
        instance = self.instance if isinstance(self.instance, Mapping) else {}
        url = instance.get("url")
        remedy = "such as http://%%host%%:8000"
        if not isinstance(url, str) or not url:
            raise ConfigurationError(
                f"purpleflea_agent: `url` is missing; set the agent's address, {remedy}"
            )
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ConfigurationError(
                f"purpleflea_agent: `url` is {url!r}; it must be an http address, {remedy}"
            )
        tags = instance.get("tags") or []
        if not isinstance(tags, list):
            raise ConfigurationError(
                "purpleflea_agent: `tags` must be a list, such as [desk:crypto]"
            )
        self._url = url.rstrip("/") + STATUS_ROUTE
        self._tags = [str(tag) for tag in tags]

    def _all_tags(self) -> list[str]:
        return list(dict.fromkeys([*self._tags, *self._identity]))

    def _status(self) -> Mapping[str, Any]:
        try:
            with self.http.get(self._url, stream=True) as answer:
                if answer.status_code != 200:
                    raise StatusError(f"{self._url} answered {answer.status_code}")
                body = self._body(answer)
        except (RequestException, HTTPError, OSError) as error:
            raise StatusError(f"{self._url} does not answer: {type(error).__name__}") from error
        return parsed(body, self._url)

    def _body(self, answer: Any) -> bytes:
        """Return the body, bounded in size and time, because the timeout option applies to each single read."""
        deadline = time.monotonic() + sum(self.http.options["timeout"])
        body = b""
        while chunk := answer.raw.read1(65_536, decode_content=True):
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise StatusError(f"{self._url} answered with more than {MAX_ANSWER_BYTES} bytes")
            if time.monotonic() > deadline:
                raise StatusError(f"{self._url} did not finish its answer in time")
        return body


Point = tuple[str, str, float, list[str]]
"""Type, name without the namespace, value, and tags in addition to those of every point."""


def parsed(body: bytes, url: str) -> Mapping[str, Any]:
    """Return the status in an answer; raise StatusError if it is not a status."""
    try:
        status = json.loads(body)
    except (ValueError, RecursionError):  # RecursionError if it is nested thousands of levels deep
        status = None
    if not isinstance(status, dict) or not all(
        isinstance(status.get(name), str) and status[name] for name in ("agent_id", "strategy")
    ):
        raise StatusError(f"{url} answered with a document that is not the status of an agent")
    return status


def points(status: Mapping[str, Any]) -> Iterator[Point]:
    """Return all points of a status. A field that another version of the agent does not send is omitted."""
    yield from _numbers("gauge", "", status, FIGURES)
    yield from _dropped(status)
    mode = status.get("mode")
    if isinstance(mode, str):
        current = mode.lower() if mode.lower() in MODES else OTHER
        for known in MODES:
            # All modes, so that the previous one becomes 0 instead of keeping its last value.
            yield "gauge", "mode", float(known == current), [f"mode:{known}"]
    for kind, known_statuses in STATUSES.items():
        yield from _by_status(kind, status.get(f"{kind}s"), known_statuses)
    yield from _positions(status.get("positions"))
    realized = status.get("realized_pnl_usd")
    if isinstance(realized, Mapping):
        for market in _first_markets(realized):
            fields = {"realized_pnl_usd": realized[market]}
            yield from _numbers("gauge", "", fields, tuple(fields), market)


def _dropped(status: Mapping[str, Any]) -> Iterator[Point]:
    by_signal = status.get("telemetry_dropped_by_signal")
    if not isinstance(by_signal, Mapping):
        yield from _numbers("count", "", status, ("telemetry_dropped",))
        return
    for signal in SIGNALS:
        value = _number(by_signal.get(signal))
        if value is not None:
            yield "count", "telemetry_dropped", value, [f"signal:{signal}"]


def _by_status(kind: str, written: Any, known_statuses: tuple[str, ...]) -> Iterator[Point]:
    if not isinstance(written, Mapping):
        return
    counts: dict[str, float] = {}
    for status, count in written.items():
        known = status if status in known_statuses else OTHER
        counts[known] = counts.get(known, 0.0) + (_number(count) or 0.0)
    for status, count in counts.items():
        yield "gauge", f"{kind}s", count, [f"{kind}_status:{status}"]


def _positions(positions: Any) -> Iterator[Point]:
    if not isinstance(positions, list):
        return
    by_market = {
        item["market"]: item
        for item in positions
        if isinstance(item, Mapping) and isinstance(item.get("market"), str)
    }
    yield (
        "gauge",
        "positions",
        float(sum(1 for item in by_market.values() if _number(item.get("size")))),
        [],
    )
    for market in _first_markets(by_market):
        yield from _numbers("gauge", "position.", by_market[market], POSITION_FIGURES, market)


def _first_markets(by_market: Mapping[str, Any]) -> list[str]:
    return sorted(by_market)[:MAX_MARKETS]


def _numbers(
    kind: str, prefix: str, source: Mapping[str, Any], names: tuple[str, ...], market: str = ""
) -> Iterator[Point]:
    for name in names:
        value = _number(source.get(name))
        if value is not None:
            yield kind, prefix + name, value, [f"market:{market.lower()}"] if market else []


def _number(value: Any) -> float | None:
    """Return a number, or the number in a decimal string; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
