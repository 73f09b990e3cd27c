"""Intake: rejected requests, stored data, responses."""

import gzip
import json
import time
from typing import Any

import pytest

from purpleflea_contract import metrics, tags
from purpleflea_sandbox.datadog.intake import messages
from purpleflea_sandbox.datadog.intake.log_store import LogStore
from purpleflea_sandbox.datadog.intake.series import SeriesStore, statistics
from purpleflea_sandbox.datadog.intake.store import Store
from purpleflea_sandbox.datadog.intake.summary import AGENT, ORDERS, PNL, summary
from purpleflea_sandbox.datadog.intake.trace_store import TraceStore

KEY = {"DD-API-KEY": "test-key"}


def span(number: int, trace: int = 7, **changes: Any) -> dict[str, Any]:
    base = {"name": "n", "service": "s", "resource": "r", "trace_id": trace, "span_id": number}
    return (
        base | {"parent_id": 0, "start": number, "duration": 5, "meta": {}, "metrics": {}} | changes
    )


def gauge(name: str, value: float, *tags: str) -> dict[str, Any]:
    return {
        "metric": name,
        "type": 3,
        "points": [{"timestamp": int(time.time()), "value": value}],
        "tags": list(tags),
        "resources": [{"type": "host", "name": "node-1"}],
    }


@pytest.mark.parametrize("headers", [{}, {"DD-API-KEY": "another"}])
async def test_missing_or_wrong_key_is_forbidden(intake, session, headers) -> None:
    url = f"{intake.url}/api/v2/series"
    async with session.post(url, json={"series": []}, headers=headers) as response:
        assert (response.status, await response.json()) == (403, {"errors": ["Forbidden"]})


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("/api/v2/series", b"{"),
        ("/api/v2/series", b"[]"),
        ("/api/v2/series", b'{"series": [{"metric": "a"}]}'),
        ("/api/v1/distribution_points", b'{"series": [{"metric": "a", "points": [[1]]}]}'),
        ("/api/v0.2/traces", b'{"tracer_payloads": [{}]}'),
        ("/api/v1/events", b"{}"),
        ("/api/v2/logs", b'["text"]'),
    ],
)
async def test_malformed_body_is_rejected_with_the_reason(intake, session, route, body) -> None:
    async with session.post(intake.url + route, data=body, headers=KEY) as response:
        document = await response.json()

    assert response.status == 400
    assert document["errors"][0].startswith("Payload is not in the expected format")


async def test_compressed_bodies_are_accepted_with_and_without_header(intake, session) -> None:
    body = gzip.compress(json.dumps({"series": [gauge("a", 1)]}).encode())
    for headers in (KEY, {**KEY, "Content-Encoding": "gzip"}):
        async with session.post(
            f"{intake.url}/api/v2/series", data=body, headers=headers
        ) as response:
            assert response.status == 202


async def test_received_data_is_listed_by_name_and_tag(intake, session) -> None:
    now = int(time.time())
    sent = {
        "/api/v2/series": {
            "series": [gauge("pnl", 5, "agent_id:a", "m:BTC"), gauge("pnl", 6, "agent_id:b")]
        },
        "/api/v1/distribution_points": {
            "series": [{"metric": "lat", "points": [[now, [1, 2, 3, 10]]], "tags": ["agent_id:a"]}]
        },
        "/api/v0.2/traces": {
            "host": "node-1",
            "tracer_payloads": [
                {
                    "container_tags": ["agent_id:a"],
                    "chunks": [{"spans": [span(1, meta={"k": "V"})]}],
                }
            ],
        },
        "/api/v2/logs": [
            {"message": '{"level": "warn", "msg": "hi", "x": {"y": 1}}', "ddtags": "agent_id:a"}
        ],
    }
    for route, document in sent.items():
        async with session.post(intake.url + route, json=document, headers=KEY) as response:
            assert response.status in (200, 202)

    async def get(path: str) -> Any:
        async with session.get(f"{intake.url}/received/{path}") as response:
            assert response.status == 200
            return await response.json()

    (series,) = (await get("metrics?name=pnl&tag=agent_id:a&tag=m:BTC"))["series"]
    assert (series["metric"], series["type"], series["host"]) == ("pnl", "gauge", "node-1")
    assert [value for _, value in series["points"]] == [5]
    assert len((await get("metrics?name=pnl"))["series"]) == 2
    (latency,) = (await get("metrics?name=lat"))["series"]
    figures = {key: latency[key] for key in ("count", "sum", "min", "max", "avg", "p50", "p95")}
    assert figures == {"count": 4, "sum": 16, "min": 1, "max": 10, "avg": 4, "p50": 2, "p95": 10}
    (trace,) = (await get("traces?tag=k:V&service=s&name=n"))["traces"]
    assert (trace["trace_id"], trace["spans"][0]["span_id"]) == (f"{7:032x}", "1")
    assert (await get(f"traces/{7:032x}"))["trace_id"] == trace["trace_id"]
    (log,) = (await get("logs?tag=agent_id:a&attribute=x.y:1"))["logs"]
    assert (log["status"], log["message"]) == ("warn", "hi")
    assert (await get("metrics?tag=agent_id:unknown"))["series"] == []
    agents = (await get("summary"))["agents"]
    assert list(agents) == ["a", "b"]
    assert (agents["a"]["last_trace_id"], agents["a"]["last_log"]["message"]) == (f"{7:032x}", "hi")
    assert (agents["b"]["traces"], agents["b"]["last_log"]) == (0, None)


def test_summary_identifies_an_agent_by_a_log_attribute() -> None:
    store = Store()
    for number in range(2):
        line = json.dumps({"agent_id": "momentum-0", "message": f"trade {number}"})
        store.logs.add(messages.log({"message": line, "ddtags": "env:prod"}, 1.0))

    agent = summary(store)["agents"]["momentum-0"]

    assert (agent["logs"], agent["last_log"]["message"]) == (2, "trade 1")
    assert (agent["metric_contexts"], agent["last_pnl"]) == (0, None)


def test_summary_uses_the_metric_names_of_the_contract() -> None:
    # The image does not contain the contract package, so summary.py repeats these names.
    assert (metrics.PNL.name, metrics.ORDER_EXECUTIONS.name) == (PNL, ORDERS)
    assert tags.AGENT_ID.name == AGENT


@pytest.mark.parametrize("limit", ["0", "x", "999999", "-1"])
async def test_limit_out_of_range_is_rejected_with_the_range(intake, session, limit) -> None:
    async with session.get(f"{intake.url}/received/logs?limit={limit}") as response:
        assert response.status == 400
        assert "limit is" in await response.text()


def test_a_series_keeps_only_its_newest_points() -> None:
    store = SeriesStore(points=720)
    series = store.open("a", "gauge", tags=[], host="")
    for second in range(2000):
        store.add(series, second, float(second))

    assert [second for second, _ in series.points] == list(range(1280, 2000))
    assert series.points.last() == (1999, 1999.0)


def test_percentiles_count_every_value_of_every_interval() -> None:
    store = SeriesStore()
    series = store.open("d", "distribution", tags=[], host="")
    store.add_values(series, 1, [1000.0] * 50)
    store.add_values(series, 2, [float(value) for value in range(950, 0, -1)])

    figures = statistics(series)

    assert figures is not None
    assert (figures.count, figures.min, figures.max) == (1000, 1.0, 1000.0)
    assert (figures.p50, figures.p95) == (pytest.approx(500, abs=10), pytest.approx(950, abs=10))
    assert len(series.distributions[1][1].values) == 100


def test_least_recently_written_series_is_removed_from_store_and_index() -> None:
    store = SeriesStore(max_series=3)
    for name in ("a", "b", "c", "a", "d"):
        store.add(store.open(name, "count", tags=[f"t:{name}"], host=""), 1, 1.0)

    assert [one.metric for one in store.find()] == ["c", "a", "d"]
    assert store.find(tags=["t:b"]) == []
    assert sorted(store.tag_values("t")) == ["a", "c", "d"]


def test_one_second_has_one_point_and_counts_are_totaled() -> None:
    store = SeriesStore()
    count = store.open("c", "count", tags=[], host="")
    for value in (1.0, 2.0):
        store.add(count, 5, value)
    level = store.open("g", "gauge", tags=[], host="")
    for value in (1.0, 2.0):
        store.add(level, 5, value)

    assert (list(count.points), count.total) == ([(5, 3.0)], 3.0)
    assert list(level.points) == [(5, 2.0)]
    assert statistics(level) is None


def test_only_newest_traces_are_kept_in_store_and_index() -> None:
    store = TraceStore(max_traces=3)
    for number in range(1, 6):
        store.add([span(1, trace=number, meta={"order": str(number)})], [])

    assert [int(one.trace_id, 16) for one in store.find()] == [5, 4, 3]
    assert store.find(tags=["order:1"]) == []
    assert store._index.values("order") == ("3", "4", "5")


def test_spans_of_many_chunks_form_one_trace_without_duplicates() -> None:
    store = TraceStore()
    high = {"_dd.p.tid": "67a1b2c300000000"}
    store.add([span(1, meta=high), span(2)], ["agent_id:a"])
    store.add([span(3)], [])
    store.add([span(1, meta=high)], ["agent_id:a"])

    (trace,) = store.find(tags=["agent_id:a"])
    assert trace.trace_id == "67a1b2c300000000" + f"{7:016x}"
    assert sorted(trace.spans) == [1, 2, 3]


def test_only_newest_logs_are_kept_in_store_and_index() -> None:
    store = LogStore(max_logs=3)
    for number in range(6):
        store.add(messages.log({"message": json.dumps({"n": number}), "ddtags": "a:b"}, 1.0))

    assert [log.attributes["n"] for log in store.find(tags=["a:b"])] == [5, 4, 3]
    assert store.find(attributes=["n:1"]) == []
    assert store._index.values("@n") == ("3", "4", "5")


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("WARNING", "warn"),
        ("Error", "error"),
        ("critical", "critical"),
        ("fatal", "emergency"),
        ("DEBUG", "debug"),
        ("3", "error"),
        ("strange", "ok"),
        ("?", "info"),
    ],
)
def test_levels_are_read_as_datadog_reads_them(text: str, status: str) -> None:
    assert messages.level(text) == status


@pytest.mark.parametrize("text", ["plain", "{broken", "[1]", "{}", ""])
def test_message_without_attributes_is_unchanged(text: str) -> None:
    log = messages.log({"message": text, "status": "error", "timestamp": 5}, 1.0)

    assert (log.message, log.status, log.timestamp, log.attributes) == (text, "error", 5, {})
