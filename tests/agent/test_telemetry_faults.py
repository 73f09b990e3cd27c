"""Telemetry calls with a defect: in production they are dropped, counted and logged once, and never raise."""

import logging
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from purpleflea_contract import metrics as contract
from purpleflea_contract import spans
from purpleflea_sdk.telemetry import drop_counters, guard, logs, metrics, tracing
from purpleflea_sdk.telemetry.dogstatsd import Emitter
from support.agent_process import AgentFolder
from support.receivers.dogstatsd import DogStatsdSink


class Hostile:
    """A value none of whose conversions work."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __float__(self) -> float:
        raise OverflowError("no number")

    def __format__(self, _: str) -> str:
        raise RuntimeError("no text")


ODD: Any = Hostile()
NONE: Any = None
CALLS: dict[str, tuple[str, Callable[[], object]]] = {
    "a market that is not a text": ("metrics", lambda: metrics.record_pnl(NONE, 1)),
    "a value that is not a number": ("metrics", lambda: metrics.record_drawdown(ODD)),
    "a value that is missing": ("metrics", lambda: metrics.record_fees("BTC-USD", NONE)),
    "a code that is not a number": ("metrics", lambda: metrics.record_api_call("/x", "GET", NONE)),
    "a path that is not a text": ("metrics", lambda: metrics.record_api_call(NONE, "GET", 200)),
    "an amount without an order": (
        "metrics",
        lambda: metrics.record_escrow_transaction("agent_7", "completed", NONE),
    ),
    "a tag that the metric does not have": (
        "metrics",
        lambda: metrics.record_order_execution(NONE, NONE),
    ),
    "a signal that cannot be rounded": (
        "logs",
        lambda: logs.log_signal_generated("BTC-USD", NONE, "momentum"),
    ),
    "a latency that cannot be rounded": (
        "logs",
        lambda: logs.log_trade_execution("BTC-USD", "buy", 1, 1, ODD, "ord_1"),
    ),
}


@pytest.fixture
def production(emitter: Emitter, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emitter]:
    guard.set_strict(strict=False)
    monkeypatch.setattr(drop_counters, "_failed_calls", type(drop_counters._failed_calls)())
    yield emitter
    guard.set_strict(strict=True)


@pytest.mark.parametrize(("signal", "call"), CALLS.values(), ids=CALLS.keys())
def test_a_call_with_a_defect_is_dropped_counted_and_logged_once(
    production: Emitter,
    caplog: pytest.LogCaptureFixture,
    signal: str,
    call: Callable[[], object],
) -> None:
    before = drop_counters.counts().get(signal, 0)
    for _ in range(3):
        call()
    assert drop_counters.counts()[signal] == before + 3
    (warning,) = [r for r in caplog.records if "telemetry call failed" in r.getMessage()]
    assert warning.levelno == logging.WARNING
    assert vars(warning)["signal"] == signal


@pytest.mark.parametrize("call", [call for _, call in CALLS.values()], ids=CALLS.keys())
def test_tests_are_strict_so_that_the_defect_is_found(
    emitter: Emitter, call: Callable[[], object]
) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever the defect raises
        call()


def test_the_published_client_never_raises_either(production: Emitter) -> None:
    statsd: Any = metrics.__getattr__("statsd")
    before = drop_counters.counts()["metrics"]
    for send in (statsd.gauge, statsd.increment, statsd.histogram, statsd.distribution):
        send("custom.metric", 1, tags=7)
    assert drop_counters.counts()["metrics"] == before + 4


@pytest.mark.parametrize(
    "tags", [{"colour": "red"}, {"market": ODD}], ids=["a tag without a contract", "an odd value"]
)
def test_work_inside_of_a_span_that_cannot_be_opened_is_done(
    production: Emitter, tags: dict[str, Any]
) -> None:
    done = []
    with tracing.span(spans.SIGNAL_COMPUTE, **tags) as span:
        span.set(colour="blue", signal_value=ODD)
        span.fail(ValueError("handled"))
        done.append(True)
    assert done
    with pytest.raises(KeyError), tracing.span(spans.SIGNAL_COMPUTE, **tags):
        raise KeyError("an error of the work itself still leaves the block")


def test_an_environment_that_is_not_valid_does_not_end_a_trade(
    mounts: AgentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard.set_strict(strict=False)
    monkeypatch.setattr(metrics, "_emitter", None)
    monkeypatch.setenv("PURPLEFLEA_HTTP_PORT", "many")
    metrics.record_heartbeat()
    metrics.record_pnl("BTC-USD", Decimal(1))


def test_dropped_calls_are_reported_in_the_metric(production: Emitter, sink: DogStatsdSink) -> None:
    metrics.record_heartbeat()
    production.flush()
    metrics.record_drawdown(ODD)
    metrics.record_heartbeat()
    production.flush()
    sink.catch_up()
    points = sink.of(contract.TELEMETRY_DROPPED.name)
    assert sum(sum(p.values) for p in points if p.tag("signal") == "metrics") == 1


def test_a_second_model_version_is_sent_and_a_fifth_is_named(
    emitter: Emitter, sink: DogStatsdSink, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1, 8):
        for _ in range(2):
            metrics.record_signal_compute_time(0.001, model_version=f"v{number}")
    emitter.flush()
    sink.catch_up()
    sent = {point.tag("model_version") for point in sink.of(contract.SIGNAL_COMPUTE.name)}
    assert sent == {"v1", "v2", "v3", "v4", "other"}
    assert emitter.replaced_values == {"model_version": ["v5", "v6", "v7"]}
    named = [vars(record)["value"] for record in caplog.records if "tag" in vars(record)]
    assert named == ["v5", "v6", "v7"]


def test_the_names_of_replaced_values_are_bounded(
    emitter: Emitter, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(100):
        metrics.record_signal_compute_time(0.001, model_version=f"{number:03}" + "v" * 1000)
    (names,) = emitter.replaced_values.values()
    assert len(names) == 10
    assert max(map(len, names)) == 64
    assert len(caplog.records) == 10
