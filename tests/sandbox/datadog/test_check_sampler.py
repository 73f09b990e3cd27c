"""Submissions of checks are sampled as the Agent's check sampler does."""

import pytest

from purpleflea_sandbox.datadog.dogstatsd import MetricType
from purpleflea_sandbox.datadog.node_agent.checks import sampler
from purpleflea_sandbox.datadog.node_agent.checks.sampler import Sampler
from purpleflea_sandbox.datadog.node_agent.counters import Counters


class Run:
    """Submit one value per call and return the resulting metric."""

    def __init__(self, kind: int) -> None:
        self.counters = Counters()
        self.sampler = Sampler(self.counters)
        self._kind = kind

    def __call__(self, value, *, at=0.0, first=False, tags=("a:b",), check="x:1"):
        submitted = [[self._kind, "m", value, list(tags), "", first]]
        return [(one.type, one.values[0]) for one in self.sampler.metrics(check, submitted, now=at)]


@pytest.mark.parametrize(
    ("kind", "becomes"),
    [
        (sampler.GAUGE, MetricType.GAUGE),
        (sampler.COUNT, MetricType.COUNT),
        (sampler.COUNTER, MetricType.COUNT),
        (sampler.HISTOGRAM, MetricType.HISTOGRAM),
    ],
)
def test_plain_values_are_forwarded(kind, becomes):
    assert Run(kind)(3) == [(becomes, 3)]


def test_total_becomes_its_growth():
    run = Run(sampler.MONOTONIC_COUNT)
    assert [run(value) for value in (100, 104, 104)] == [
        [],
        [(MetricType.COUNT, 4)],
        [(MetricType.COUNT, 0)],
    ]


def test_reset_total_counts_only_if_the_check_observed_its_start():
    run = Run(sampler.MONOTONIC_COUNT)
    run(100)
    assert run(3) == []
    assert run(5) == [(MetricType.COUNT, 2)]
    assert run(1, first=True) == [(MetricType.COUNT, 1)]


def test_series_with_an_observed_start_counts_from_its_first_value():
    assert Run(sampler.MONOTONIC_COUNT)(7, first=True) == [(MetricType.COUNT, 7)]


def test_series_and_instances_are_sampled_separately():
    run = Run(sampler.MONOTONIC_COUNT)
    run(100)
    assert run(10, tags=("other:tag",)) == []
    assert run(10, check="x:2") == []
    assert run(101) == [(MetricType.COUNT, 1)]


def test_a_rate_is_growth_per_second():
    run = Run(sampler.RATE)
    assert run(100, at=10) == []
    assert run(130, at=20) == [(MetricType.GAUGE, 3)]
    assert run(140, at=20) == []
    assert run(5, at=30, first=True) == []


def test_removed_instance_starts_without_totals():
    run = Run(sampler.MONOTONIC_COUNT)
    run(100)
    run.sampler.forget("x:1")
    assert run(104) == []


def test_values_that_cannot_be_sampled_are_counted():
    run = Run(sampler.HISTORATE)
    assert run(1) == []
    assert run(float("nan")) == []
    assert run(float("inf")) == []
    assert run.counters.snapshot() == {"checks.not_finite": 2, "checks.unsupported": 1}
