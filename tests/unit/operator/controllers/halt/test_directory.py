"""The directory of the agents, and the sums of the halts, which are kept current with each change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purpleflea_contract.control import Mode
from purpleflea_operator.controllers.halt.decisions.halt import halt
from purpleflea_operator.controllers.halt.decisions.progress import AgentProgress
from purpleflea_operator.controllers.halt.directory import AgentDirectory
from purpleflea_operator.kube.object_cache import NamespacedName
from support.builders import a_halt
from support.operation_counts import calls_of

SYSTEM = "purpleflea-system"
WIDE = {"selector": {"scope": "Cluster"}}
BUSY = AgentProgress(
    mode=Mode.HALTED, running=2, acknowledged=1, drained=0, open=("a-0: is not drained",)
)
DONE = AgentProgress(mode=Mode.HALTED, running=2, acknowledged=2, drained=2)
STOPPED = AgentProgress(mode=Mode.STOPPED, running=1, acknowledged=1, drained=1, is_complete=False)
ACTIVE = AgentProgress(mode=Mode.ACTIVE)


def a_value(name="incident", *, namespace=SYSTEM, **spec):
    found = a_halt(name, namespace=namespace, **spec)
    found["metadata"]["uid"] = f"uid-{name}"
    return halt(found, operator_namespace=SYSTEM)


def key(number, namespace="trading"):
    return NamespacedName(namespace, f"agent-{number:05}")


def a_directory(count, *halts):
    directory = AgentDirectory()
    for number in range(count):
        directory.upsert(key(number), {"desk": "one"})
    for item in halts:
        directory.follow(item)
    return directory


def rebuilt(directory, progress, item):
    """Return the sum of a halt over the same agents, computed at once."""
    fresh = AgentDirectory()
    for agent in directory:
        fresh.upsert(agent, directory.labels(agent))
        if agent in progress:
            fresh.record(agent, progress[agent])
    fresh.follow(item)
    return fresh.progress(item)


HALTS = (
    a_value(**WIDE),
    a_value("stop", level="Stop", **WIDE),
    a_value("desk", namespace="trading", selector={"matchLabels": {"desk": "two"}}),
    a_value("names", namespace="trading", selector={"names": ["agent-00001", "agent-00003"]}),
)
CHANGES = st.one_of(
    st.tuples(st.just("upsert"), st.integers(0, 5), st.sampled_from(["one", "two"])),
    st.tuples(st.just("remove"), st.integers(0, 5), st.none()),
    st.tuples(st.just("record"), st.integers(0, 5), st.sampled_from([BUSY, DONE, STOPPED, ACTIVE])),
    st.tuples(st.just("forget"), st.just(0), st.none()),
)


@given(st.lists(CHANGES, max_size=40))
def test_a_sum_is_the_same_after_any_sequence_of_changes(changes):
    directory, progress = a_directory(0, *HALTS), {}
    for kind, number, value in changes:
        agent = key(number)
        match kind:
            case "upsert":
                directory.upsert(agent, {"desk": value})
            case "remove":
                directory.remove(agent)
                progress.pop(agent, None)
            case "record":
                directory.record(agent, value)
                if directory.labels(agent) is not None:
                    progress[agent] = value
            case _:
                directory.forget_progress()
                progress.clear()
        for item in HALTS:
            assert directory.progress(item) == rebuilt(directory, progress, item)


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        (None, DONE, [("incident", 2)]),
        (BUSY, DONE, [("incident", 2)]),
        (DONE, BUSY, [("incident", 0)]),
        (DONE, DONE, []),
        (None, ACTIVE, [("incident", 0)]),
    ],
)
def test_a_record_returns_the_halts_whose_sum_changed(before, after, changed):
    directory = a_directory(1, HALTS[0])
    if before is not None:
        directory.record(key(0), before)
    found = directory.record(key(0), after)
    assert [(item.name, count) for item, count in found] == changed


def test_the_progress_of_an_unknown_agent_is_not_stored():
    directory = a_directory(0, HALTS[0])
    assert directory.record(key(0), DONE) == []
    directory.upsert(key(0), {})
    assert directory.progress(HALTS[0]).unwritten == 1


def test_a_halt_that_is_forgotten_selects_no_agent():
    directory = a_directory(2, HALTS[0])
    assert directory.selected(HALTS[0].uid) == [key(0), key(1)]
    directory.forget(HALTS[0].uid)
    assert directory.selected(HALTS[0].uid) == []
    assert directory.record(key(0), DONE) == []


def test_a_halt_with_another_selector_is_counted_again():
    directory = a_directory(3, a_value(namespace="trading", selector={"names": ["agent-00001"]}))
    directory.follow(HALTS[0])
    assert directory.progress(HALTS[0]).matched == 3


def report_of_one_acknowledgement(count):
    """Return the calls for the acknowledgement of one of many agents, and for the report of the halt."""
    directory = a_directory(count, HALTS[0])
    for number in range(count):
        directory.record(key(number), BUSY)

    def work():
        directory.record(key(count // 2), DONE)
        directory.progress(HALTS[0])

    return calls_of(work)


def a_watch_event_of_a_halt(count):
    directory = a_directory(count, HALTS[0])
    return calls_of(lambda: directory.follow(a_value(**WIDE)))


def a_new_agent(count):
    directory = a_directory(count, HALTS[0])
    return calls_of(lambda: directory.upsert(key(count), {"desk": "one"}))


@pytest.mark.parametrize(
    "work", [report_of_one_acknowledgement, a_watch_event_of_a_halt, a_new_agent]
)
def test_a_change_of_one_agent_costs_the_same_with_many_agents(work):
    assert work(4000) == work(20)
