"""The emitter and the metric functions, against a real DogStatsD server."""

import socket
import threading
from decimal import Decimal
from pathlib import Path

import pytest

from purpleflea_agent.exchange.errors import OutcomeUnknown
from purpleflea_contract import metrics as contract
from purpleflea_sdk.settings import read_environment
from purpleflea_sdk.telemetry import metrics
from purpleflea_sdk.telemetry.dogstatsd import ContractViolation, Emitter, create_emitter
from support.agent_process import AgentFolder
from support.receivers.dogstatsd import DogStatsdSink, Point
from support.waiting import wait_for


def received(emitter: Emitter, sink: DogStatsdSink) -> list[Point]:
    emitter.flush()
    sink.catch_up()
    return sink.points


def send_everything() -> None:
    metrics.record_pnl("BTC-USD", Decimal("1.5"))
    metrics.record_pnl("BTC-USD", Decimal("-1.5"), realized=True)
    metrics.record_drawdown(3.5)
    metrics.record_open_positions("BTC-USD", 1)
    metrics.record_position_mismatches(1)
    metrics.record_order_latency("BTC-USD", "market", 12.5)
    metrics.record_signal_compute_time(0.001, model_version="v2")
    metrics.record_order_execution("BTC-USD", "timeout")
    metrics.record_wallet_balance("USDC", Decimal(100))
    metrics.record_api_call("/v1/orders", "POST", 201)
    metrics.record_escrow_transaction("agent_b", "completed", Decimal(25))
    metrics.record_faucet_claim("claimed")
    metrics.record_risk_refusal("max_order")
    metrics.record_fees("BTC-USD", Decimal("0.6"))
    metrics.record_interval_failure("strategy")
    metrics.record_heartbeat()


def test_every_metric_of_the_contract_has_a_function_and_exactly_its_tags(
    emitter: Emitter, sink: DogStatsdSink
) -> None:
    send_everything()
    emitter.send(contract.RISK_REFUSALS, float("nan"), reason="max_order")
    emitter.flush()
    emitter.report_drops()
    points = {point.name: point for point in received(emitter, sink)}
    assert set(points) == {metric.name for metric in contract.METRICS}
    for metric in contract.METRICS:
        point = points[metric.name]
        assert point.type == metric.type
        assert point.tag_names == sorted([*metric.tag_names, "env", "service", "version"])


def test_tag_values_arrive_as_the_contract_defines_them(
    emitter: Emitter, sink: DogStatsdSink
) -> None:
    for metric in contract.METRICS:
        for tag in metric.tags:
            others = {other.name: "other" for other in metric.tags if other is not tag}
            for value in tag.values:
                emitter.send(metric, 1, **{**others, tag.name: value})
    points = received(emitter, sink)
    for metric in contract.METRICS:
        of_metric = [point for point in points if point.name == metric.name]
        for tag in metric.tags:
            assert set(tag.values) <= {point.tag(tag.name) for point in of_metric}


@pytest.mark.parametrize(
    "tags", [{"market": "BTC-USD"}, {"realized": "true"}, {"market": "X", "realised": "true"}, {}]
)
def test_wrong_tag_names_raise_an_error(emitter: Emitter, tags: dict[str, str]) -> None:
    with pytest.raises(ContractViolation, match=r"agent\.trade\.pnl_usd has the tags"):
        emitter.send(contract.PNL, 1, **tags)


def test_values_without_a_bound_become_a_class(emitter: Emitter, sink: DogStatsdSink) -> None:
    for number in range(40):
        metrics.record_pnl(f"M{number}-USD", 1.0)
        metrics.record_api_call(f"/v1/orders/{number}", "BREW", 418)
        metrics.record_escrow_transaction(f"0x{number:040x}", "paid")
    points = received(emitter, sink)
    markets = {point.tag("market") for point in points if point.name == contract.PNL.name}
    assert len(markets) == 33
    assert "other" in markets
    calls = [point for point in points if point.name == contract.API_REQUESTS.name]
    assert {
        (p.tag("endpoint"), p.tag("method"), p.tag("status_code"), p.tag("success")) for p in calls
    } == {("/v1/orders/:id", "other", "other", "false")}
    escrows = [point for point in points if point.name == contract.ESCROW_TRANSACTIONS.name]
    assert {(p.tag("counterparty"), p.tag("status")) for p in escrows} == {("external", "other")}


def test_counts_are_summed_before_they_are_sent(emitter: Emitter, sink: DogStatsdSink) -> None:
    for _ in range(500):
        metrics.record_faucet_claim("claimed")
    points = [p for p in received(emitter, sink) if p.name == contract.FAUCET_CLAIMS.name]
    assert sum(sum(point.values) for point in points) == 500
    assert len(points) < 10


def test_every_sample_of_a_distribution_is_sent(emitter: Emitter, sink: DogStatsdSink) -> None:
    for number in range(200):
        metrics.record_order_latency("BTC-USD", "market", number)
    points = [p for p in received(emitter, sink) if p.name == contract.ORDER_LATENCY.name]
    assert sorted(value for point in points for value in point.values) == list(range(200))


def test_points_of_many_threads_are_all_counted(emitter: Emitter, sink: DogStatsdSink) -> None:
    def claim() -> None:
        for _ in range(5000):
            metrics.record_faucet_claim("claimed")

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        emitter.flush()
    points = [p for p in received(emitter, sink) if p.name == contract.FAUCET_CLAIMS.name]
    assert sum(sum(point.values) for point in points) == 20_000


async def test_the_decorator_records_latency_and_outcome(
    emitter: Emitter, sink: DogStatsdSink
) -> None:
    @metrics.timed_order_execution("BTC-USD", "limit")
    async def execute(error: Exception | None) -> str:
        if error is not None:
            raise error
        return "ord_1"

    assert await execute(None) == "ord_1"
    for error in (
        TimeoutError(),
        ConnectionResetError(),
        OutcomeUnknown("", error_type="upstream"),
    ):
        with pytest.raises(type(error)):
            await execute(error)
    points = received(emitter, sink)
    latencies = [point for point in points if point.name == contract.ORDER_LATENCY.name]
    assert [point.tag("order_type") for point in latencies] == ["limit"]
    outcomes = {p.tag("error_type") for p in points if p.name == contract.ORDER_EXECUTIONS.name}
    assert outcomes == {None, "timeout", "connection", "upstream"}


def test_legacy_histograms_replace_distributions(
    sink: DogStatsdSink, mounts: AgentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"PURPLEFLEA_LEGACY_HISTOGRAMS": "true"}
    for name, value in {**mounts.environment, **sink.environment, **asked}.items():
        monkeypatch.setenv(name, value)
    legacy = create_emitter(read_environment())
    legacy.send(contract.ORDER_LATENCY, 12.5, market="BTC-USD", order_type="market")
    legacy.send(contract.HEARTBEAT)
    points = {point.name: point for point in received(legacy, sink)}
    assert points[contract.ORDER_LATENCY.name].type == "histogram"
    assert points[contract.ORDER_LATENCY.name].values == (12.5,)
    assert points[contract.HEARTBEAT.name].type == "count"
    legacy.close()


def test_without_a_receiver_metrics_are_checked_and_discarded(
    mounts: AgentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PURPLEFLEA_CONFIG_DIR", str(mounts.config))
    silent = create_emitter(read_environment())
    assert not silent.has_receiver
    silent.send(contract.HEARTBEAT)
    silent.close()
    with pytest.raises(ContractViolation):
        silent.send(contract.HEARTBEAT, market="BTC-USD")
    assert silent.dropped() == 0


def test_drops_of_a_missing_socket_are_counted_and_reported_later(
    tmp_path: Path, mounts: AgentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dsd.socket"
    for name, value in mounts.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DD_DOGSTATSD_URL", f"unixgram://{path}")
    orphan = create_emitter(read_environment())
    for _ in range(20_000):
        orphan.send(contract.SIGNAL_COMPUTE, 0.001, model_version="v" * 60)
    wait_for(lambda: orphan.dropped() > 0, what="a counted loss")
    lost = orphan.dropped()
    orphan.report_drops()  # not sent, because it would be dropped too
    with DogStatsdSink(path) as sink:
        orphan.send(contract.HEARTBEAT)
        sink.wait_for(contract.HEARTBEAT.name)
        orphan.report_drops()
        point = sink.wait_for(
            contract.TELEMETRY_DROPPED.name, lambda point: point.tag("signal") == "metrics"
        )
        assert point.values[0] >= lost
        assert point.tag("signal") == "metrics"
        orphan.close()


@pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
def test_metrics_reach_an_address_without_brackets(
    host: str, mounts: AgentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator sets DD_AGENT_HOST to the address of the node or of the spec, which may be an IPv6 address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as receiver:
        receiver.bind((host, 0))
        receiver.settimeout(10)
        address = {"DD_AGENT_HOST": host, "DD_DOGSTATSD_PORT": str(receiver.getsockname()[1])}
        for name, value in {**mounts.environment, **address}.items():
            monkeypatch.setenv(name, value)
        emitter = create_emitter(read_environment())
        emitter.send(contract.HEARTBEAT)
        emitter.flush()
        assert receiver.recv(1_000).startswith(b"agent.heartbeat:1")
        emitter.close()
