"""Expected numbers of custom metrics."""

import csv
from pathlib import Path

import pytest

from purpleflea_contract import cardinality, tags
from purpleflea_contract.cardinality import Sending, per_agent
from purpleflea_contract.metrics import METRICS, MetricType
from purpleflea_sdk.telemetry.openmetrics import BUCKETS


def test_an_agent_has_a_fixed_share_and_a_share_per_market() -> None:
    one, two, three = (per_agent(Sending(markets=number)) for number in (1, 2, 3))
    assert one == cardinality.SENT.fixed + cardinality.SENT.per_market
    assert three - two == two - one == cardinality.SENT.per_market


def test_a_distribution_counts_for_its_percentiles_a_histogram_does_not() -> None:
    spreads = [item for item in METRICS if item.type is MetricType.DISTRIBUTION]
    sent, histograms = (per_agent(Sending(markets=1, histograms=on)) for on in (False, True))
    assert sent - histograms == cardinality.PERCENTILES * sum(item.usual for item in spreads)


@pytest.mark.parametrize("switch", ["runtime", "check", "open_metrics"])
def test_enabled_features_are_added(switch: str) -> None:
    sending = Sending(markets=2, **{switch: True})  # type: ignore[arg-type]
    share = {
        "runtime": cardinality.RUNTIME,
        "check": cardinality.CHECK,
        "open_metrics": cardinality.OPEN_METRICS,
    }[switch]
    assert per_agent(sending) == per_agent(Sending(markets=2)) + share.of(2)


def test_the_usual_series_of_a_metric_are_within_its_tags() -> None:
    for metric in METRICS:
        most = 1
        for tag in metric.tags:
            most *= 1 if tag is tags.MARKET else tag.most_values
        assert 1 <= metric.usual <= most, metric.name


def test_an_exposed_histogram_is_its_buckets_and_two_more() -> None:
    assert {len(bounds) + 1 + 2 for bounds in BUCKETS.values()} == {cardinality.EXPOSED_HISTOGRAM}


def test_the_check_costs_what_its_metadata_lists(repository: Path) -> None:
    with (repository / "agent_check" / "metadata.csv").open() as file:
        rows = {row["metric_name"]: row["sample_tags"] for row in csv.DictReader(file)}
    per_market = [name for name, sample in rows.items() if sample.startswith("market:")]
    by_kind = {f"purpleflea.agent.{name}" for name in ("orders", "escrows", "telemetry_dropped")}
    single = rows.keys() - by_kind - set(per_market)
    assert len(per_market) == cardinality.CHECK.per_market
    assert len(single) + 3 * len(by_kind & rows.keys()) == cardinality.CHECK.fixed
