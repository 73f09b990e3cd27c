"""The HTTP API of the agent, on an agent whose loop sends no orders."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import httpx
import jsonschema
import pytest
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from purpleflea_contract import metrics
from purpleflea_contract.routes import OPENAPI, ROUTES
from support.agent_process import TOKEN, AgentFolder, AgentProcess
from support.exchange_double import KEY, ExchangeDouble, Faults
from support.receivers.dogstatsd import DogStatsdSink
from support.receivers.trace_agent import TraceAgent

QUIET = {"interval": "1h", "orderSize": "0.01", "signalThreshold": "1000"}
ORDER = {"market": "BTC-USD", "side": "buy", "size": "0.01"}


@dataclass(frozen=True, kw_only=True)
class Running:
    agent: AgentProcess
    folder: AgentFolder
    exchange: ExchangeDouble
    sink: DogStatsdSink
    traces: TraceAgent

    def post(
        self, path: str, body: Any = None, *, key: str | None = None, token: str | None = TOKEN
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if key:
            headers["Idempotency-Key"] = key
        return self.agent.http.post(path, json=body, headers=headers)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, trace_agent: TraceAgent) -> Iterator[Running]:
    trace_agent.clear()
    with ExchangeDouble() as exchange, DogStatsdSink() as sink:
        root = tmp_path_factory.mktemp("endpoints") / "agent"
        folder = AgentFolder(root, exchange.endpoints, trading=QUIET)
        environment = {**sink.environment, **trace_agent.environment}
        with AgentProcess(folder, environment) as agent:
            agent.wait_until_ready()
            yield Running(
                agent=agent, folder=folder, exchange=exchange, sink=sink, traces=trace_agent
            )


@pytest.fixture
def running(shared: Running) -> Running:
    shared.exchange.faults = Faults()
    shared.folder.token_file.write_text(TOKEN)
    shared.folder.set_mode("Active")
    return shared


def test_a_trade_is_filled_observed_and_in_the_status(running: Running) -> None:
    answer = running.post("/v1/trade", ORDER)
    assert answer.status_code == 201
    order = answer.json()
    assert (order["status"], order["filled_size"], order["price"]) == ("filled", "0.01", "64900")
    latency = running.sink.wait_for(metrics.ORDER_LATENCY.name)
    assert latency.tag("order_type") == "market"
    span = running.traces.wait_for(
        "agent.order.execute", lambda span: span["meta"].get("order_id") == order["order_id"]
    )
    assert span["metrics"]["size"] == 0.01
    status = running.agent.status()
    assert status["positions"][0]["market"] == "BTC-USD"
    assert status["orders"]["filled"] >= 1
    assert status["today"]["filled"] >= 1
    assert status["today"]["orders"] >= status["today"]["filled"]


@pytest.mark.parametrize(
    ("body", "size"),
    [
        ({}, "0.01"),
        ({"size": 0.005}, "0.005"),
        ({"market": "BTC-USD", "side": "buy", "size": 0.0001 * 3}, "0.0003"),
    ],
)
def test_the_body_of_the_published_page_is_accepted(
    running: Running, body: dict[str, Any], size: str
) -> None:
    answer = running.post("/v1/trade", body).json()
    assert (answer["market"], answer["side"], answer["size"]) == ("BTC-USD", "buy", size)
    sent = running.exchange.orders[answer["idempotency_key"]]
    assert answer.keys() >= sent.keys()
    assert answer["created_at"] == sent["created_at"]  # a field that only the exchange has


@pytest.mark.parametrize(("amount", "sent"), [(25, "25"), (25.1, "25.1"), (0.1 * 3, "0.3")])
def test_an_escrow_takes_a_number_and_returns_its_key_and_every_field_of_the_exchange(
    running: Running, amount: float, sent: str
) -> None:
    body = {"counterparty_id": "agent_b", "amount_usd": amount, "description": "a report"}
    first = running.post("/v1/escrow/create", body)
    answer = first.json()
    assert first.status_code == 201
    assert Decimal(answer["amount_usd"]) == Decimal(sent)
    assert running.exchange.escrows[answer["escrow_id"]].items() <= answer.items()
    again = running.post("/v1/escrow/create", body, key=answer["idempotency_key"])
    assert again.json() == answer
    released = running.post(f"/v1/escrow/{answer['escrow_id']}/cancel").json()
    assert (released["status"], released["description"]) == ("cancelled", "a report")


@pytest.mark.parametrize("size", [0.000000001, 1e300, float(2**60), True])
def test_a_number_that_is_no_size_is_refused(running: Running, size: object) -> None:
    refused = running.post("/v1/trade", {"size": size})
    assert refused.status_code == 422 or refused.json()["code"] == "max_order"
    assert refused.json()["code"] in ("invalid", "max_order")


def test_the_same_idempotency_key_gives_the_same_order(running: Running) -> None:
    first = running.post("/v1/trade", ORDER, key="same-key")
    second = running.post("/v1/trade", ORDER, key="same-key")
    assert first.json() == second.json()
    running.exchange.key = (
        "another"  # a known outcome is returned even if the exchange refuses requests
    )
    third = running.post("/v1/trade", ORDER, key="same-key")
    running.exchange.key = KEY
    assert (third.status_code, third.json()) == (201, first.json())
    other = running.post("/v1/trade", {**ORDER, "side": "sell"}, key="same-key")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert [o["side"] for o in running.exchange.orders.values()].count("sell") == 0


@pytest.mark.parametrize("path", ["/v1/trade", "/v1/escrow/create", "/v1/escrow/e1/release"])
def test_money_does_not_move_without_the_token(running: Running, path: str) -> None:
    before = len(running.exchange.requests)
    for token in (None, "wrong-token"):
        refused = running.post(path, ORDER, token=token)
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
    running.folder.token_file.unlink()
    closed = running.post(path, ORDER)
    assert (closed.status_code, closed.json()["code"]) == (403, "closed")
    assert closed.headers["content-type"] == "application/problem+json"
    assert len(running.exchange.requests) == before


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ({**ORDER, "size": "0"}, "size"),
        ({**ORDER, "size": "-1"}, "size"),
        ({**ORDER, "size": "NaN"}, "size"),
        ({**ORDER, "size": "1e400"}, "size"),
        ({**ORDER, "side": "hold"}, "side"),
        ({**ORDER, "market": "../../admin"}, "market"),
        ({**ORDER, "market": "DOGE-USD"}, "DOGE-USD"),
        ({**ORDER, "leverage": 100}, "leverage"),
        ({**ORDER, "type": "limit"}, "price"),
        ([], "body"),
        (None, "body"),
    ],
)
def test_a_bad_order_is_refused_by_name_and_never_sent(
    running: Running, body: Any, names: str
) -> None:
    before = len(running.exchange.orders)
    refused = running.post("/v1/trade", body)
    assert refused.status_code == 422
    assert names in refused.json()["detail"]
    assert len(running.exchange.orders) == before


def test_an_order_beyond_a_limit_is_refused_counted_and_logged(running: Running) -> None:
    refused = running.post("/v1/trade", {**ORDER, "size": "1"})
    assert (refused.status_code, refused.json()["code"]) == (409, "max_order")
    counted = running.sink.wait_for(
        metrics.RISK_REFUSALS.name, lambda point: point.tag("reason") == "max_order"
    )
    assert counted.type == "count"
    assert running.agent.wait_for_line("order_refused")["reason"] == "max_order"


def test_a_halted_agent_sends_no_money_and_can_cancel_escrows(running: Running) -> None:
    body = {"counterparty_id": "agent_b", "amount_usd": "25.00"}
    escrow = running.post("/v1/escrow/create", body).json()
    running.folder.set_mode("Halted")
    before = len(running.exchange.orders)
    for path, sent in (
        ("/v1/trade", ORDER),
        ("/v1/escrow/create", body),
        (f"/v1/escrow/{escrow['escrow_id']}/release", None),
    ):
        refused = running.post(path, sent)
        assert (refused.status_code, refused.json()["code"]) == (409, "halted")
    assert len(running.exchange.orders) == before
    cancelled = running.post(f"/v1/escrow/{escrow['escrow_id']}/cancel")
    assert cancelled.json()["status"] == "cancelled"


def test_a_rejected_order_is_an_error_in_metric_span_and_log(running: Running) -> None:
    running.exchange.faults.reject = 1
    answer = running.post("/v1/trade", ORDER)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "order_rejected"
    assert "insufficient_funds" in answer.json()["detail"]
    counted = running.sink.wait_for(
        metrics.ORDER_EXECUTIONS.name, lambda point: point.tag("status") == "error"
    )
    assert counted.tag("error_type") == "rejected"
    span = running.traces.wait_for("agent.order.execute", lambda span: span["error"] == 1)
    assert span["meta"]["error.message"] == "insufficient_funds"
    assert span["meta"]["error.type"] == "OrderRejected"
    # The error was not raised, so the stack is that of its detection.
    assert "order_execution.py" in span["meta"]["error.stack"]
    line = running.agent.wait_for_line("order_failed")
    assert (line["error.kind"], line["level"]) == ("OrderRejected", "ERROR")


def test_an_escrow_is_observed_to_its_completion(running: Running) -> None:
    body = {"counterparty_id": "agent_7", "amount_usd": "25.00", "description": "a report"}
    created = running.post("/v1/escrow/create", body)
    assert (created.status_code, created.json()["status"]) == (201, "created")
    path = f"/v1/escrow/{created.json()['escrow_id']}/release"
    assert running.post(path).json()["status"] == "released"
    amount = running.sink.wait_for(metrics.ESCROW_AMOUNT.name)
    assert amount.values == (25.0,)
    assert (amount.tag("counterparty"), amount.tag("status")) == ("agent", "completed")
    span = running.traces.wait_for(
        "agent.escrow.create", lambda span: span["meta"]["counterparty"] == "agent_7"
    )
    assert span["metrics"]["amount_usd"] == 25.0
    lines = running.agent.lines("escrow_transaction")
    assert {line["escrow.status"] for line in lines} >= {"created", "completed"}
    assert all("status" not in line for line in lines)
    again = running.post(path)
    assert again.status_code == 409
    assert running.post("/v1/escrow/nosuch/release").status_code == 404


def test_an_upstream_failure_is_a_502_without_upstream_secrets(running: Running) -> None:
    running.exchange.faults.echo_key = True
    running.folder.key_file.write_text("pf_paper_ffffffffffffffffffffffffffffffff")
    try:
        failed = running.post("/v1/trade", ORDER)
    finally:
        running.folder.key_file.write_text(running.exchange.key)
    assert (failed.status_code, failed.json()["code"]) == (502, "upstream")
    assert failed.json()["detail"] == "401: Unauthorized"
    assert "ffffffff" not in running.agent.output
    lines = [line for line in running.agent.lines() if line["message"] == "The exchange failed"]
    assert lines[-1]["error.message"] == "401: bad key Bearer [masked]"
    assert running.post("/v1/trade", ORDER).status_code == 201


@pytest.mark.parametrize(("status", "shown"), [(403, "403: Forbidden"), (422, "422: made to fail")])
def test_the_text_of_a_refusal_is_public_only_if_it_concerns_the_order(
    running: Running, status: int, shown: str
) -> None:
    for _ in range(2):  # the second answer is from the journal
        running.exchange.faults.status_before_commit = [status]
        failed = running.post("/v1/trade", ORDER, key=f"refused-{status}")
        assert failed.json()["detail"] == shown


def test_the_text_of_a_server_error_is_not_public(running: Running) -> None:
    running.exchange.faults.candles_fail = 1
    failed = running.post("/v1/trade", ORDER)
    assert (failed.status_code, failed.json()["detail"]) == (502, "500: Internal Server Error")


def test_the_openapi_document_has_exactly_the_routes_of_the_contract(running: Running) -> None:
    paths = running.agent.http.get("/openapi.json").json()["paths"]
    served = {(method.upper(), path) for path, verbs in paths.items() for method in verbs}
    routes = {(route.method, route.path) for route in ROUTES}
    assert served == routes - {("GET", OPENAPI.path)}
    unknown = running.agent.http.get("/nowhere")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "http")


def test_every_body_in_the_openapi_document_has_a_valid_example(running: Running) -> None:
    document = running.agent.http.get("/openapi.json").json()
    seen = 0
    for path, verbs in document["paths"].items():
        for method, operation in verbs.items():
            bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
            for kind, media in [m for b in bodies for m in b.get("content", {}).items()]:
                schema = media.get("schema", {})
                name = schema.get("$ref", "").rpartition("/")[2]
                schema_of_name = document["components"]["schemas"].get(name, schema)
                examples = (
                    [media["example"]] if "example" in media else schema_of_name.get("examples", [])
                )
                assert examples, f"{method} {path}: no example of {name or kind}"
                for example in examples:
                    jsonschema.validate(example, {**document, **schema_of_name})
                    seen += 1
    assert seen >= 50


def test_the_metrics_page_has_every_metric_of_the_contract(running: Running) -> None:
    running.post("/v1/trade", ORDER)
    page = running.agent.http.get("/metrics")
    families = {f.name: f for f in text_string_to_metric_families(page.text)}
    kinds = {"gauge": "gauge", "count": "counter", "distribution": "histogram"}
    for metric in metrics.METRICS:
        family = families[metric.exposed_name.removesuffix("_total")]
        assert family.type == kinds[metric.type]
        assert family.documentation == metric.description
    latency = families["agent_order_latency_ms"].samples[0].labels
    assert latency["agent_id"] == "momentum-0"
    assert set(latency) - {"le"} == set(metrics.ORDER_LATENCY.tag_names)
    dropped = families["agent_telemetry_dropped"].samples
    assert {(s.labels["signal"], s.value) for s in dropped} == {
        ("logs", 0),
        ("metrics", 0),
        ("traces", 0),
    }
    openmetrics = running.agent.http.get(
        "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}
    )
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
    assert openmetrics.text.endswith("# EOF\n")
    parsed = openmetrics_parser.text_string_to_metric_families(openmetrics.text)
    assert {f.name for f in parsed} >= set(families) - {"agent_telemetry_dropped"}


def test_a_body_of_10_mib_is_refused(running: Running) -> None:
    for content in (b"[" * 10 * 2**20, (b"[" * 2**16 for _ in range(160))):
        refused = running.agent.http.post("/v1/trade", content=content)
        assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
        assert refused.headers["content-type"] == "application/problem+json"
    assert running.agent.probe("/healthz") == 200


def test_malformed_json_is_a_problem(running: Running) -> None:
    refused = running.agent.http.post(
        "/v1/trade",
        content=b'{"market": "BTC-USD", ',
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
    )
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid")


def test_the_same_idempotency_key_gives_the_same_escrow(running: Running) -> None:
    body = {"counterparty_id": "agent_9", "amount_usd": "1.00"}
    first = running.post("/v1/escrow/create", body, key="escrow-key")
    second = running.post("/v1/escrow/create", body, key="escrow-key")
    assert first.json() == second.json()
    assert running.agent.status()["escrows"]["created"] >= 1
    other = running.post("/v1/escrow/create", {**body, "amount_usd": "2.00"}, key="escrow-key")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
