from datetime import UTC, datetime

import pytest

from kubectl_purpleflea.decisions.halts import (
    HaltRequest,
    Level,
    Proof,
    differs,
    expiry,
    halt_state,
)
from kubectl_purpleflea.decisions.selectors import SelectorError, Target, selects
from purpleflea_operator.api.halt import HaltSpec
from purpleflea_operator.controllers.halt.decisions.halt import halt as operator_halt
from purpleflea_operator.controllers.halt.decisions.progress import HaltProgress
from purpleflea_operator.controllers.halt.decisions.status import (
    AcknowledgedAt,
    Effect,
    next_status,
)
from support.builders import a_halt, an_agent

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        ("", {}),
        ("desk=fx", {"matchLabels": {"desk": "fx"}}),
        ("desk==fx", {"matchLabels": {"desk": "fx"}}),
        (" desk = fx , tier=a ", {"matchLabels": {"desk": "fx", "tier": "a"}}),
        ("desk=", {"matchLabels": {"desk": ""}}),
        (
            "desk!=fx",
            {"matchExpressions": [{"key": "desk", "operator": "NotIn", "values": ["fx"]}]},
        ),
        (
            "desk in (fx, crypto),x.y/z",
            {
                "matchExpressions": [
                    {"key": "desk", "operator": "In", "values": ["fx", "crypto"]},
                    {"key": "x.y/z", "operator": "Exists"},
                ]
            },
        ),
        (
            "desk notin (fx),!test",
            {
                "matchExpressions": [
                    {"key": "desk", "operator": "NotIn", "values": ["fx"]},
                    {"key": "test", "operator": "DoesNotExist"},
                ]
            },
        ),
        # The second requirement must not replace the first one.
        (
            "desk=fx,desk=crypto",
            {
                "matchLabels": {"desk": "fx"},
                "matchExpressions": [{"key": "desk", "operator": "In", "values": ["crypto"]}],
            },
        ),
    ],
)
def test_a_label_selector_becomes_the_fields_of_a_halt(text, selector):
    assert Target(labels=text).selector() == selector
    HaltSpec.model_validate({"level": "Halt", "reason": "x", "selector": selector})


@pytest.mark.parametrize(
    "text", ["desk>fx", "desk in fx", "=fx", "desk in ()", ",", "desk=fx,", "a b", "desk=f x", "!"]
)
def test_a_selector_that_cannot_be_read_is_refused(text):
    with pytest.raises(SelectorError):
        Target(labels=text).selector()


LABELS = ({}, {"desk": "fx"}, {"desk": "crypto", "test": ""}, {"desk": "", "x.y/z": "1"})


@pytest.mark.parametrize("names", [(), ("momentum",), ("other", "momentum"), ("other",)])
@pytest.mark.parametrize("is_cluster", [False, True])
@pytest.mark.parametrize(
    "text",
    ["", "desk=fx", "desk!=fx", "desk in (fx,crypto)", "desk notin (fx),!test", "x.y/z", "desk="],
)
def test_the_plugin_selects_the_agents_that_the_operator_selects(text, names, is_cluster):
    target = Target(labels=text, names=names, is_cluster=is_cluster)
    halt = a_halt(namespace="system", selector=target.selector())
    theirs = operator_halt(halt, operator_namespace="system").selector
    for labels in LABELS:
        for namespace in ("system", "trading"):
            agent = an_agent(namespace=namespace)
            agent["metadata"]["labels"] = labels
            ours = selects(halt["spec"]["selector"], "system", agent)
            assert ours == theirs.selects(namespace, "momentum", labels), (labels, namespace)


def test_namespaces_of_a_cluster_halt_restrict_it():
    selector = {"scope": "Cluster", "namespaces": ["trading"]}
    assert selects(selector, "system", an_agent(namespace="trading"))
    assert not selects(selector, "system", an_agent(namespace="other"))


def test_an_agent_with_too_many_labels_cannot_avoid_a_halt_without_the_operator():
    agent = an_agent(namespace="trading")
    for number, expected in ((64, False), (65, True)):
        agent["metadata"]["labels"] = {f"x{index}": "" for index in range(number)}
        assert selects({"matchLabels": {"desk": "fx"}}, "trading", agent) is expected
        assert not selects({"matchLabels": {"desk": "fx"}}, "other", agent)
        assert not selects({"names": ["z"], "matchLabels": {"desk": "fx"}}, "trading", agent)


@pytest.mark.parametrize(
    ("request_", "spec"),
    [
        (
            HaltRequest(name="a", level=Level.HALT, target=Target(), reason="x"),
            {"level": "Halt", "selector": {}, "reason": "x"},
        ),
        (
            HaltRequest(
                name="a",
                level=Level.STOP,
                target=Target(names=("b", "b", "a"), is_cluster=True),
                reason="x",
                flatten=True,
                expires_at="2030-01-01T00:00:00Z",
            ),
            {
                "level": "Stop",
                "selector": {"scope": "Cluster", "names": ["b", "a"]},
                "reason": "x",
                "flatten": True,
                "expiresAt": "2030-01-01T00:00:00Z",
            },
        ),
    ],
)
def test_the_halt_has_the_requested_fields(request_, spec):
    assert request_.manifest()["spec"] == spec
    HaltSpec.model_validate(spec)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("30s", "2026-01-01T12:00:30Z"),
        ("30m", "2026-01-01T12:30:00Z"),
        ("2h", "2026-01-01T14:00:00Z"),
        (" 1d ", "2026-01-02T12:00:00Z"),
        ("2026-01-01T15:00:00+02:00", "2026-01-01T13:00:00Z"),
        ("2030-01-01T12:00:00Z", "2030-01-01T12:00:00Z"),
    ],
)
def test_the_end_of_a_halt_is_a_duration_or_a_time(text, time):
    assert expiry(text, NOW) == time


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0m",
        "-1h",
        "1w",
        "tomorrow",
        "2030-01-01",
        "2030-01-01T12:00:00",
        "2025-01-01T00:00:00Z",
        "9999999d",
    ],
)
def test_an_end_without_a_time_zone_or_in_the_past_is_refused(text):
    with pytest.raises(ValueError, match=r"duration|zone|passed"):
        expiry(text, NOW)


def reported(progress, *, expired=False, limited=False, **spec):
    """Return a halt with the status that the operator writes."""
    namespace = "trading"
    selector = {"scope": "Cluster"} if limited else {}
    made = a_halt(namespace=namespace, **{"selector": selector, **spec})
    found = operator_halt(made, operator_namespace="system")
    times = AcknowledgedAt(first=NOW, last=NOW, count=progress.acknowledged)
    effect = Effect(progress=progress, is_expired=expired, times=times, operator_namespace="system")
    return {**made, "status": next_status({}, found, effect, now=NOW)}


DONE = {"matched": 1, "running": 2, "acknowledged": 2, "drained": 2}
CASES = [
    (reported(HaltProgress(**DONE)), True, True, ""),
    (
        reported(HaltProgress(**{**DONE, "drained": 1, "open": ("trading/a-1: x",)})),
        True,
        False,
        "",
    ),
    (reported(HaltProgress(**{**DONE, "acknowledged": 1, "drained": 1})), False, False, ""),
    (reported(HaltProgress(**{**DONE, "unwritten": 1})), False, False, ""),
    (reported(HaltProgress()), False, False, "no agent matches"),
    (reported(HaltProgress(matched=1)), True, True, ""),
    (reported(HaltProgress(**DONE), expired=True), False, False, "expired"),
    (reported(HaltProgress(**DONE), limited=True), False, False, "scope Cluster applies only"),
    (reported(HaltProgress(**DONE), level="Freeze"), False, False, "neither Halt nor Stop"),
    (a_halt(), False, False, ""),
    ({**a_halt(), "status": {"conditions": "nonsense"}}, False, False, ""),
]


@pytest.mark.parametrize(("halt", "halted", "drained", "problem"), CASES)
def test_only_a_complete_status_of_the_operator_proves_a_halt(halt, halted, drained, problem):
    state = halt_state(halt)
    assert (state.proves(Proof.HALTED), state.proves(Proof.DRAINED)) == (halted, drained)
    assert problem in state.problem
    assert bool(state.problem) is bool(problem)


def test_a_status_of_an_earlier_generation_proves_nothing():
    halt = reported(HaltProgress(**DONE))
    halt["metadata"]["generation"] = 2
    assert not halt_state(halt).is_reported


def test_named_agents_that_do_not_match_make_a_halt_unproven():
    halt = reported(HaltProgress(**DONE))
    assert not halt_state(halt, ("a", "b")).proves(Proof.HALTED)
    assert halt_state(halt, ("a", "a")).proves(Proof.HALTED)


def test_fields_that_were_not_stored_are_named():
    wanted = a_halt(level="Stop", flatten=True)
    stored = a_halt(level="Stop")
    assert differs(stored, wanted) == ["spec.flatten"]
    assert differs(wanted, wanted) == []
    # The API server adds defaults.
    defaults = a_halt(selector={"scope": "Namespace", "names": []}, flatten=False)
    assert differs(defaults, a_halt()) == []
    # A halt of one agent is not a halt of all.
    assert differs(a_halt(selector={"names": ["a"]}), a_halt()) == ["spec.selector"]
    assert differs(a_halt(expiresAt="2030-01-01T00:00:00Z"), a_halt()) == ["spec.expiresAt"]
