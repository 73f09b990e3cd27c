"""One real agent, started as in its image, with real receivers of telemetry."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from ddtrace.internal.runtime.constants import DEFAULT_RUNTIME_METRICS

from purpleflea_contract import cardinality, metrics, spans
from purpleflea_contract.events import LINE_FIELDS
from support.agent_process import TRADING, AgentFolder, AgentProcess
from support.exchange_double import ExchangeDouble
from support.receivers.dogstatsd import DogStatsdSink
from support.receivers.trace_agent import JsonSpan, TraceAgent
from support.waiting import wait_for

UNIFIED = {"DD_ENV": "demo", "DD_SERVICE": "purpleflea-trading-agent", "DD_VERSION": "1.2.3"}
ORIGIN = {"DD_ENTITY_ID": "uid-1", "DD_EXTERNAL_ENV": "it-false,cn-agent,pu-uid-1"}


@dataclass(frozen=True, kw_only=True)
class Observed:
    agent: AgentProcess
    folder: AgentFolder
    exchange: ExchangeDouble
    sink: DogStatsdSink
    traces: TraceAgent


@pytest.fixture(scope="module")
def observed(
    tmp_path_factory: pytest.TempPathFactory, trace_agent: TraceAgent
) -> Iterator[Observed]:
    trace_agent.clear()
    with ExchangeDouble() as exchange, DogStatsdSink() as sink:
        folder = AgentFolder(
            tmp_path_factory.mktemp("observed") / "agent",
            exchange.endpoints,
            faucet={"belowUsd": "10001"},
            # So that the double, whose prices always rise, gets more than one order.
            trading={**TRADING, "onFullPosition": "TakeProfit"},
        )
        environment = {**UNIFIED, **ORIGIN, **sink.environment, **trace_agent.environment}
        with AgentProcess(folder, environment) as agent:
            agent.wait_until_ready()
            agent.wait_for_line("trade_executed")
            yield Observed(
                agent=agent, folder=folder, exchange=exchange, sink=sink, traces=trace_agent
            )


@pytest.mark.parametrize(
    "metric",
    [
        metrics.PNL,
        metrics.DRAWDOWN,
        metrics.OPEN_POSITIONS,
        metrics.ORDER_LATENCY,
        metrics.SIGNAL_COMPUTE,
        metrics.WALLET_BALANCE,
        metrics.API_REQUESTS,
        metrics.FAUCET_CLAIMS,
        metrics.HEARTBEAT,
        metrics.TELEMETRY_DROPPED,
    ],
    ids=lambda metric: metric.name,
)
def test_a_metric_has_the_type_and_tags_of_the_contract(
    observed: Observed, metric: metrics.Metric
) -> None:
    point = observed.sink.wait_for(metric.name)
    assert point.type == metric.type
    expected = [*metric.tag_names, "env", "service", "version", "dd.internal.entity_id"]
    assert point.tag_names == sorted(expected)


def test_an_agent_sends_no_more_custom_metrics_than_expected(
    observed: Observed,
) -> None:
    # After three intervals each part of an interval has been reported.
    wait_for(lambda: len(observed.sink.of(metrics.HEARTBEAT.name)) >= 3, what="three intervals")
    series = {(point.name, tuple(sorted(point.tags))) for point in observed.sink.points}
    series_count = Counter(name for name, _ in series)
    more = {
        item.name: series_count[item.name]
        for item in metrics.METRICS
        if series_count[item.name] > item.usual
    }
    assert more == {}


def test_a_call_to_the_exchange_has_a_span_of_the_client_and_carries_the_trace(
    observed: Observed,
) -> None:
    span = observed.traces.wait_for(
        "http.request", lambda span: "/v1/orders" in span["meta"].get("http.url", "")
    )
    assert span["meta"]["component"] == "httpx2"
    assert span["meta"]["span.kind"] == "client"
    (order,) = [one for one in observed.traces.spans() if one["span_id"] == span["parent_id"]]
    assert order["name"] == spans.ORDER_EXECUTE.name


def test_the_expected_runtime_metrics_are_those_of_ddtrace() -> None:
    assert len(DEFAULT_RUNTIME_METRICS) == cardinality.RUNTIME.fixed


def test_a_successful_order_is_counted_without_an_error_type(observed: Observed) -> None:
    point = observed.sink.wait_for(metrics.ORDER_EXECUTIONS.name)
    assert "error_type" not in point.tag_names
    assert (point.tag("market"), point.tag("status")) == ("btc-usd", "success")


def test_identity_and_origin_come_from_the_environment(observed: Observed) -> None:
    point = observed.sink.wait_for(metrics.HEARTBEAT.name)
    identity = {
        name: point.tag(name) for name in ("agent_id", "strategy", "env", "service", "version")
    }
    assert identity == {
        "agent_id": "momentum-0",
        "strategy": "momentum",
        "env": "demo",
        "service": "purpleflea-trading-agent",
        "version": "1.2.3",
    }
    assert point.external_data == "it-false,cn-agent,pu-uid-1"


@pytest.mark.parametrize(
    ("kind", "resource"),
    [
        (spans.INTERVAL, "momentum"),
        (spans.SIGNAL_COMPUTE, "momentum/BTC-USD"),
        (spans.ORDER_EXECUTE, "market/BTC-USD/buy"),
        (spans.WALLET_BALANCE_FETCH, "GET /v1/balance"),
        (spans.FAUCET_CLAIM, "POST /faucet/claim"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_span_is_measured_and_has_the_tags_of_the_contract(
    observed: Observed, kind: spans.Span, resource: str
) -> None:
    span = observed.traces.wait_for(kind.name, lambda span: span["resource"] == resource)
    assert span["metrics"][spans.MEASURED_TAG] == 1
    assert span["error"] == 0
    assert span["service"] == "purpleflea-trading-agent"
    meta = span["meta"]
    assert (meta["env"], meta["version"]) == ("demo", "1.2.3")
    assert (meta["agent_id"], meta["strategy"]) == ("momentum-0", "momentum")
    present = {*meta, *span["metrics"]}
    assert {tag.replace("{currency}", "USDC") for tag in kind.tags} <= present


def test_order_spans_have_a_status_code_and_balance_spans_currencies(
    observed: Observed,
) -> None:
    order = observed.traces.wait_for(spans.ORDER_EXECUTE.name)
    assert order["metrics"]["status_code"] == 201
    fetched = observed.traces.wait_for(spans.WALLET_BALANCE_FETCH.name)["metrics"]
    assert fetched["balance_USDC_usd"] == fetched["balance_usd"] > 0


def test_a_low_balance_is_logged_and_claimed_in_a_separate_trace(
    observed: Observed,
) -> None:
    claim = observed.traces.wait_for(spans.FAUCET_CLAIM.name)
    alert = observed.agent.wait_for_line("balance_alert")
    assert (alert["balance_usd"], alert["threshold_usd"]) == (10000, 10001)
    assert alert["dd.trace_id"] == _trace_id(observed, claim)
    assert claim["metrics"]["amount_usd"] == 100
    assert not claim.get("parent_id")
    assert observed.sink.wait_for(metrics.FAUCET_CLAIMS.name).tag("status") == "claimed"
    assert observed.exchange.claims == 1


def test_one_trace_leads_from_the_interval_to_the_fill(observed: Observed) -> None:
    order = observed.traces.wait_for(spans.ORDER_EXECUTE.name)
    trace = next(t for t in observed.traces.traces() if order in t)
    by_id = {span["span_id"]: span for span in trace}
    assert by_id[order["parent_id"]]["name"] == spans.INTERVAL.name
    sent = [span for span in trace if span.get("parent_id") == order["span_id"]]
    assert [span["name"] for span in sent] == ["http.request"]
    assert sent[0]["meta"]["http.method"] == "POST"
    names = Counter(span["name"] for span in trace)
    assert names[spans.INTERVAL.name] == 1
    assert names[spans.SIGNAL_COMPUTE.name] == 1
    assert not any(name.startswith("sqlite") for name in names)


def test_the_log_line_of_an_order_and_its_span_share_the_trace_id(observed: Observed) -> None:
    line = observed.agent.wait_for_line("trade_executed")
    span = observed.traces.wait_for(
        spans.ORDER_EXECUTE.name, lambda span: span["meta"].get("order_id") == line["order_id"]
    )
    assert len(line["dd.trace_id"]) == 32
    assert line["dd.trace_id"] == _trace_id(observed, span)
    assert line["dd.span_id"] == str(span["span_id"])


def test_every_line_is_json_with_the_fields_of_the_contract(observed: Observed) -> None:
    observed.agent.wait_for_line("trade_executed")
    for line in observed.agent.lines():
        assert set(LINE_FIELDS) - {"dd.trace_id", "dd.span_id"} <= line.keys()
        assert line["timestamp"].endswith("Z")
        assert len(line["timestamp"]) == len("2026-01-01T00:00:00.000Z")
    trade = observed.agent.lines("trade_executed")[0]
    assert set(LINE_FIELDS) <= trade.keys()
    assert trade["dd.service"] == "purpleflea-trading-agent"
    assert (trade["size"], trade["side"]) == (0.01, "buy")


def test_probes_are_not_traced_and_requests_have_one_span(observed: Observed) -> None:
    for _ in range(3):
        assert observed.agent.http.get("/healthz").is_success
    assert observed.agent.http.get("/v1/control").is_success
    request = observed.traces.wait_for(
        "fastapi.request", lambda span: span["resource"] == "GET /v1/control"
    )
    assert request["error"] == 0
    served = [span["resource"] for span in observed.traces.spans("fastapi.request")]
    assert "GET /healthz" not in served
    assert not observed.traces.spans("asgi.request")


def test_the_key_is_in_no_packet_no_trace_and_no_line(observed: Observed) -> None:
    observed.traces.wait_for(spans.ORDER_EXECUTE.name)
    key = observed.exchange.key
    assert key not in observed.agent.output
    assert key not in json.dumps(observed.traces.traces())
    assert not any(key.encode() in packet for packet in observed.sink.packets)


def test_the_agent_sends_its_identity_to_the_exchange(observed: Observed) -> None:
    assert observed.exchange.agent_ids == {"momentum-0"}


def test_halting_stops_orders_and_is_acknowledged(observed: Observed) -> None:
    agent, exchange = observed.agent, observed.exchange
    observed.folder.set_mode("Halted")
    agent.wait_for_line("control_changed")
    acknowledged = agent.http.get("/v1/control").json()
    assert (acknowledged["mode"], acknowledged["generation"]) == ("Halted", 7)
    wait_for(
        lambda: not agent.http.get("/v1/control").json()["sending"], what="no order being sent"
    )
    orders = len(exchange.orders)
    refused = observed.sink.wait_for(metrics.RISK_REFUSALS.name)
    assert refused.tag("reason") == "halted"
    assert agent.probe("/readyz") == 200
    assert len(exchange.orders) == orders
    observed.folder.set_mode("Active")
    wait_for(lambda: len(exchange.orders) > orders, what="trading resumed")


def test_sigterm_flushes_every_metric_and_exits_0(observed: Observed) -> None:
    code = observed.agent.terminate()
    assert code == 0
    orders = len(observed.exchange.orders)
    assert orders > 0

    def all_counted() -> bool:
        points = observed.sink.of(metrics.ORDER_EXECUTIONS.name)
        return sum(sum(point.values) for point in points) == orders

    wait_for(all_counted, what="a count of every order", timeout_s=5)
    last_order = list(observed.exchange.orders.values())[-1]["order_id"]
    traced = [span["meta"].get("order_id") for span in observed.traces.spans("agent.order.execute")]
    assert last_order in traced


def _trace_id(observed: Observed, span: JsonSpan) -> str:
    """Return the id of 128 bits; the upper half is on the first span of the chunk."""
    trace = next(t for t in observed.traces.traces() if span in t)
    upper = next(s["meta"]["_dd.p.tid"] for s in trace if "_dd.p.tid" in s["meta"])
    return f"{upper}{span['trace_id']:016x}"
