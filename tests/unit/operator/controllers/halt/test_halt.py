"""A PurpleFleaHalt as it is read, and the index of the halts in force."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from purpleflea_contract.control import Mode
from purpleflea_operator.controllers.halt.decisions.halt import NO_HALTS, by_strength, halt
from purpleflea_operator.controllers.halt.decisions.index import HaltIndex
from purpleflea_operator.controllers.halt.directory import AgentDirectory
from purpleflea_operator.kube.kept_metadata import agent_labels
from purpleflea_operator.kube.object_cache import NamespacedName
from support.builders import a_halt

SYSTEM = "purpleflea-system"
DESK = {"desk": "fx"}


def read(namespace="trading", **spec):
    return halt(a_halt(namespace=namespace, **spec), operator_namespace=SYSTEM)


def expression(operator, *values):
    return {"matchExpressions": [{"key": "desk", "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("namespace", "selector", "agent", "expected"),
    [
        ("trading", {}, ("trading", "a", {}), True),
        ("trading", {}, ("research", "a", {}), False),
        ("trading", {"names": ["a"]}, ("trading", "a", {}), True),
        ("trading", {"names": ["a"]}, ("trading", "b", {}), False),
        ("trading", {"matchLabels": DESK}, ("trading", "a", DESK), True),
        ("trading", {"matchLabels": DESK}, ("trading", "a", {}), False),
        ("trading", {"matchLabels": DESK, "names": ["a"]}, ("trading", "b", DESK), False),
        ("trading", expression("In", "fx", "rates"), ("trading", "a", DESK), True),
        ("trading", expression("In", "rates"), ("trading", "a", DESK), False),
        ("trading", expression("NotIn", "rates"), ("trading", "a", DESK), True),
        ("trading", expression("NotIn", "fx"), ("trading", "a", DESK), False),
        ("trading", expression("NotIn", "fx"), ("trading", "a", {}), True),
        ("trading", expression("Exists"), ("trading", "a", DESK), True),
        ("trading", expression("Exists"), ("trading", "a", {}), False),
        ("trading", expression("DoesNotExist"), ("trading", "a", {}), True),
        ("trading", expression("DoesNotExist"), ("trading", "a", DESK), False),
        (
            "trading",
            {
                "matchExpressions": [
                    *expression("Exists")["matchExpressions"],
                    *expression("In", "fx")["matchExpressions"],
                ]
            },
            ("trading", "a", DESK),
            True,
        ),
        (SYSTEM, {}, ("trading", "a", {}), False),
        (SYSTEM, {"scope": "Cluster"}, ("trading", "a", {}), True),
        (SYSTEM, {"scope": "Cluster", "names": ["a"]}, ("trading", "a", {}), True),
        (SYSTEM, {"scope": "Cluster", "names": ["a"]}, ("trading", "b", {}), False),
        (SYSTEM, {"scope": "Cluster", "matchLabels": DESK}, ("trading", "a", DESK), True),
        (SYSTEM, {"scope": "Cluster", "namespaces": ["research"]}, ("trading", "a", {}), False),
        (SYSTEM, {"scope": "Cluster", "namespaces": ["trading"]}, ("trading", "a", {}), True),
        ("trading", {"scope": "Cluster"}, ("trading", "a", {}), True),
        ("trading", {"scope": "Cluster"}, ("research", "a", {}), False),
        ("trading", {"scope": "Cluster", "namespaces": ["research"]}, ("research", "a", {}), False),
    ],
)
def test_a_selector_selects_agents_and_the_index_finds_the_same(
    namespace, selector, agent, expected
):
    found, index = read(namespace, selector=selector), HaltIndex()
    index.put(found)
    assert found.problems == ()
    assert found.selector.selects(*agent) is expected
    assert index.of(*agent) == ((found,) if expected else ())
    index.remove(found.uid)
    assert index.of(*agent) == ()


@pytest.mark.parametrize(
    ("namespace", "selector", "expected"),
    [
        ("trading", {}, True),
        ("trading", {"names": ["a"]}, True),
        ("trading", {"names": ["b"]}, False),
        ("trading", {"names": ["b"], "matchLabels": DESK}, False),
        ("trading", {"matchLabels": DESK}, True),
        ("trading", {"matchLabels": {"x0": "other"}}, True),
        ("trading", expression("In", "fx"), True),
        ("trading", expression("NotIn", "fx"), True),
        ("trading", expression("Exists"), True),
        ("trading", expression("DoesNotExist"), True),
        ("research", {"matchLabels": DESK}, False),
        (SYSTEM, {"matchLabels": DESK}, False),
        (SYSTEM, {"scope": "Cluster", "matchLabels": DESK}, True),
        (SYSTEM, {"scope": "Cluster", "namespaces": ["trading"], "matchLabels": DESK}, True),
        (SYSTEM, {"scope": "Cluster", "namespaces": ["research"], "matchLabels": DESK}, False),
    ],
)
def test_an_agent_with_too_many_labels_meets_each_condition_on_labels(
    namespace, selector, expected
):
    found, index, directory = read(namespace, selector=selector), HaltIndex(), AgentDirectory()
    labels = agent_labels({"labels": {f"x{number}": "" for number in range(65)}})
    index.put(found)
    assert index.of("trading", "a", labels) == ((found,) if expected else ())
    directory.upsert(NamespacedName("trading", "a"), labels)
    directory.follow(found)
    assert directory.selected(found.uid) == ([("trading", "a")] if expected else [])


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"selector": None}, "spec.selector is"),
        ({"selector": "momentum"}, "spec.selector is"),
        ({"selector": {"names": "momentum"}}, "names"),
        ({"selector": {"names": ["other", 5]}}, "names"),
        ({"selector": {"matchLabels": ["a"]}}, "matchLabels"),
        ({"selector": {"matchLabels": {"a": 1}}}, "matchLabels"),
        ({"selector": {"matchExpressions": {"a": 1}}}, "matchExpressions"),
        ({"selector": {"matchExpressions": ["a"]}}, "matchExpressions"),
        ({"selector": expression("Gt", "1")}, "matchExpressions"),
        ({"selector": expression("In")}, "matchExpressions"),
        ({"selector": expression("Exists", "fx")}, "matchExpressions"),
        (
            {"selector": {"matchExpressions": [{"operator": "Exists", "key": 1}]}},
            "matchExpressions",
        ),
        (
            {"selector": {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": "x"}]}},
            "matchExpressions",
        ),
        ({"selector": {"scope": "Galaxy"}}, "scope"),
        ({"level": "Freeze"}, "spec.level"),
        ({"level": None}, "spec.level"),
        ({"level": ["Stop"]}, "spec.level"),
        ({"reason": ""}, "spec.reason"),
        ({"reason": 5}, "spec.reason"),
        ({"expiresAt": "tomorrow"}, "spec.expiresAt"),
        ({"expiresAt": 5}, "spec.expiresAt"),
    ],
)
def test_an_unreadable_field_makes_a_halt_neither_weaker_nor_narrower(spec, field):
    found = read(**spec)
    assert [text for text in found.problems if field in text] == list(found.problems)
    assert len(found.problems) == 1
    assert found.mode is Mode.HALTED
    assert found.selector.selects("trading", "momentum", {})
    assert not found.selector.selects("research", "momentum", {})
    assert found.expires_at is None
    assert found.reason


def test_a_spec_that_is_not_an_object_halts_the_namespace():
    found = halt({**a_halt(), "spec": "x"}, operator_namespace=SYSTEM)
    assert len(found.problems) == 3
    assert found.selector.selects("trading", "momentum", {})


def test_one_unreadable_condition_leaves_the_others():
    selector = {"matchLabels": DESK, "matchExpressions": [{"key": "x", "operator": "Gt"}]}
    found = read(selector=selector)
    assert found.selector.selects("trading", "a", DESK)
    assert not found.selector.selects("trading", "a", {})


def test_the_level_and_flatten_decide_the_mode():
    assert (read().mode, read().flatten) == (Mode.HALTED, False)
    assert read(level="Stop").mode is Mode.STOPPED
    assert read(level="Stop", flatten=True).flatten
    assert not read(level="Stop", flatten="yes").flatten
    assert not read(flatten=True).flatten


def test_the_creator_is_the_oldest_manager_of_the_spec():
    manifest = a_halt(annotations={"purpleflea.com/requested-by": "ana@example.com"})
    manifest["metadata"]["managedFields"] = [
        {
            "manager": "purpleflea-operator",
            "time": "2026-01-01T00:00:00Z",
            "fieldsV1": {"f:status": {}},
        },
        {"manager": "edit", "time": "2026-01-01T00:00:02Z", "fieldsV1": {"f:spec": {}}},
        {"manager": "kubectl-create", "time": "2026-01-01T00:00:01Z", "fieldsV1": {"f:spec": {}}},
    ]
    found = halt(manifest, operator_namespace=SYSTEM)
    assert (found.created_by, found.requested_by) == ("kubectl-create", "ana@example.com")
    assert (read().created_by, read().requested_by) == ("", "")


def test_a_cluster_wide_halt_without_a_known_operator_namespace_is_limited():
    found = halt(a_halt(selector={"scope": "Cluster"}), operator_namespace="")
    assert found.is_limited
    assert not found.selector.selects("research", "a", {})


def test_the_strongest_halt_comes_first_then_the_oldest():
    def made(name, created="2026-01-01T00:00:00Z", **spec):
        return halt(a_halt(name, created=created, **spec), operator_namespace=SYSTEM)

    flat, stop = made("flat", level="Stop", flatten=True), made("stop", level="Stop")
    old, new = made("b"), made("a", "2026-01-02T00:00:00Z")
    unknown = made("c", "x")
    found = by_strength([new, old, unknown, stop, flat])
    assert [item.name for item in found] == ["flat", "stop", "c", "b", "a"]
    assert old.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert old.id == "trading/b"


def test_the_index_replaces_a_halt_and_ignores_an_unknown_one():
    index, first = HaltIndex(), read(selector={"names": ["a"]})
    index.put(first)
    assert first.uid in index
    second = read(selector={"names": ["b"]})
    index.put(second)
    assert index.of("trading", "a", {}) == ()
    assert index.of("trading", "b", {}) == (second,)
    index.remove("unknown")
    index.remove(second.uid)
    assert second.uid not in index


def test_the_end_of_one_of_two_halts_leaves_the_other_in_force():
    index, first = HaltIndex(), read(selector={"names": ["a"]})
    second = replace(first, uid="second", name="second")
    index.put(first)
    index.put(second)
    index.remove(first.uid)
    assert index.of("trading", "a", {}) == (second,)


def test_without_halts_nothing_applies():
    assert NO_HALTS.of("trading", "a", {}) == ()
    assert NO_HALTS.are_known("trading")
