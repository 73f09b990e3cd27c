"""Aggregation of values to points."""

from purpleflea_sandbox.datadog import dogstatsd
from purpleflea_sandbox.datadog.dogstatsd import Metric
from purpleflea_sandbox.datadog.node_agent import aggregate
from purpleflea_sandbox.datadog.node_agent.aggregate import Aggregator, Flush
from purpleflea_sandbox.datadog.node_agent.counters import Counters


def flushed(*lines: str) -> tuple[Flush, Counters]:
    counters = Counters()
    aggregator = Aggregator(hostname="node-1", interval_s=2, counters=counters)
    for line in lines:
        for packet in dogstatsd.parse(line.encode()).packets:
            assert isinstance(packet, Metric)
            aggregator.add(packet, packet.tags)
    return aggregator.flush(100.9), counters


def values(flush: Flush) -> dict[str, float]:
    return {one["metric"]: one["points"][0]["value"] for one in flush.series}


def test_gauge_keeps_last_value_count_keeps_sum_and_set_keeps_size() -> None:
    flush, _ = flushed("g:1|g", "g:7|g", "c:1|c", "c:2|c|@0.5", "s:a|s", "s:a:b|s")

    assert values(flush) == {"g": 7.0, "c": 5.0, "s": 2.0}
    assert {one["metric"]: one["type"] for one in flush.series} == {"g": 3, "c": 1, "s": 3}
    assert {one["points"][0]["timestamp"] for one in flush.series} == {100}


def test_tag_sequence_does_not_create_another_series() -> None:
    flush, _ = flushed("c:1|c|#a,b", "c:1|c|#b,a", "c:1|c|#b")

    assert [(one["tags"], one["points"][0]["value"]) for one in flush.series] == [
        (["a", "b"], 2.0),
        (["b"], 1.0),
    ]


def test_histogram_becomes_five_metrics_without_a_metric_of_its_bare_name() -> None:
    flush, _ = flushed("h:" + ":".join(str(n) for n in range(1, 101)) + "|h")

    assert values(flush) == {
        "h.avg": 50.5,
        "h.count": 100.0,
        "h.max": 100.0,
        "h.median": 50.5,
        "h.95percentile": 95.0,
    }


def test_distribution_keeps_every_value() -> None:
    flush, _ = flushed("d:3:1|d|#a", "d:2|d|#a")

    (one,) = flush.distributions
    assert (one["points"], one["tags"]) == ([[100, [3.0, 1.0, 2.0]]], ["a"])


def test_values_with_a_timestamp_are_not_aggregated() -> None:
    flush, _ = flushed("g:1|g|T50", "g:2|g|T60", "c:1:2|c|T50")

    assert [tuple(one["points"][0].values()) for one in flush.series] == [
        (50, 1.0),
        (60, 2.0),
        (50, 3.0),
    ]


def test_flush_clears_the_memory() -> None:
    aggregator = Aggregator(hostname="n", interval_s=2, counters=Counters())
    aggregator.flush(1)

    assert aggregator.flush(2) == Flush(series=[], distributions=[])


def test_values_beyond_the_bound_are_dropped_and_counted() -> None:
    flush, counters = flushed("d:1|d|@0.0001", *["d:1|d|@0.01"] * 30)

    kept = len(flush.distributions[0]["points"][0][1])
    assert kept == aggregate._MAX_VALUES
    assert kept + counters.get("dogstatsd.dropped_values") == 3100
