"""A spec is measured before it is parsed, so a hostile one costs neither memory nor time."""

import tracemalloc

import pytest

from purpleflea_operator.api.spec_limits import CHARACTERS, DEPTH, VALUES, excess
from purpleflea_operator.controllers.agent.decisions import gather
from support.builders import an_agent

SIZE = 1_400_000
"""Bytes of the largest object that the API server accepts, roughly."""
RULES = "preferredDuringSchedulingIgnoredDuringExecution"


def nested(depth):
    value = {}
    for _ in range(depth):
        value = {"a": [value]}
    return value


def terms(number):
    term = {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"] * 60}] * 16}
    return [{"weight": 1, "preference": term}] * number


HOSTILE = {
    "unknown fields": {"affinity": {"nodeAffinity": {f"k{n}": 0 for n in range(SIZE // 11)}}},
    "empty lists": {"affinity": {"nodeAffinity": {RULES: [[]] * (SIZE // 3)}}},
    "empty objects": {"affinity": {"podAffinity": {RULES: [{}] * (SIZE // 3)}}},
    "invalid items": {"affinity": {"nodeAffinity": {RULES: [{"weight": 0}] * (SIZE // 13)}}},
    "items of valid items": {"affinity": {"nodeAffinity": {RULES: terms(SIZE // 9_000)}}},
    "depth": {"affinity": {"nodeAffinity": nested(400)}},
    "depth of a probe": {"sidecars": [{"name": "a", "image": "a", "startupProbe": nested(300)}]},
    "a long text": {"annotations": {"a": "x" * SIZE}},
    "a long key": {"annotations": {"x" * SIZE: ""}},
    "many texts": {"annotations": {f"k{n}": "" for n in range(SIZE // 12)}},
    "numbers": {"securityContext": {"supplementalGroups": [1] * (SIZE // 2)}},
}


@pytest.mark.parametrize("pod", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_spec_is_refused_with_a_remedy_and_little_memory(pod):
    resource = an_agent(pod=pod)
    tracemalloc.start()
    try:
        agent, message = gather.parsed(resource)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert agent is None
    assert message.startswith("spec: it ")
    assert len(message) < 200
    # Without the limits it is up to 900 MB.
    assert peak < 10_000_000


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({}, ""),
        (None, ""),
        ("x" * CHARACTERS, ""),
        ("x" * (CHARACTERS + 1), "KiB of text"),
        ({"x" * CHARACTERS: "y"}, "KiB of text"),
        ([0] * (VALUES - 1), ""),
        ([0] * VALUES, "values"),
        ({"a": [{"b": 1}] * VALUES}, "values"),
        (nested(DEPTH // 2 - 1), ""),
        (nested(DEPTH // 2), "nested deeper"),
        (nested(2_000), "nested deeper"),
    ],
)
def test_the_limits(value, reason):
    assert reason in excess(value)
    assert bool(excess(value)) is bool(reason)


def test_the_parsed_form_of_a_large_spec_is_not_kept():
    annotations = {f"acme.io/a{n}": "x" * 4_096 for n in range(20)}
    resource = an_agent(pod={"annotations": annotations})
    before = gather._parsed.cache_info().currsize
    agent, message = gather.parsed(resource)
    assert message == ""
    assert len(agent.spec.pod.annotations) == 20
    assert gather._parsed.cache_info().currsize == before
