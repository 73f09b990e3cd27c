"""Thresholds that the API server and the operator refuse, because their monitors could never alert."""

import pytest
from pydantic import ValidationError

from purpleflea_operator.api import thresholds
from purpleflea_operator.api.thresholds import Objective, Thresholds
from purpleflea_operator.codegen.crd import observability_crd


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("drawdown", {"critical": 100}),
        ("errorRate", {"critical": 100}),
        ("balance", {"critical": 0}),
        ("heartbeat", {"critical": 0}),
        ("heartbeat", {"critical": -0.0}),
    ],
)
def test_a_level_that_no_value_passes_is_refused(name, levels):
    with pytest.raises(ValidationError, match="can never alert"):
        Thresholds.model_validate({name: levels})


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("drawdown", {"critical": 99.9}),
        ("errorRate", {"critical": 99.999}),
        ("balance", {"critical": 0.000000001}),
        ("orderLatency", {"critical": 1_000_000_000}),
        ("escrowFailures", {"critical": 0}),
    ],
)
def test_a_level_that_a_value_can_pass_is_accepted(name, levels):
    assert Thresholds.model_validate({name: levels})


@pytest.mark.parametrize(
    ("target", "rate", "is_accepted"),
    [
        (99, 100, False),
        (99, 99.9999, True),
        (99, 14.4, True),
        (99.9, 1000, False),
        (99.9, 999.9, True),
        (99.95, 1000, True),
        (99.999, 1000, True),
        (90, 10, False),
        (90, 9.99, True),
        (50, 2, False),
        (50, 1.9, True),
        (95, 20, False),
    ],
)
@pytest.mark.parametrize("burn", ["fastBurn", "slowBurn"])
def test_a_burn_rate_must_be_below_that_of_failing_calls_only(burn, target, rate, is_accepted):
    spec = {
        "target": target,
        "warning": 99.9995,
        "fastBurn": {"rate": 1.5},
        "slowBurn": {"rate": 1.5},
    }
    spec[burn] = {"rate": rate}
    if is_accepted:
        assert Objective.model_validate(spec)
    else:
        with pytest.raises(ValidationError, match=f"{burn}.rate must be less than"):
            Objective.model_validate(spec)


def test_the_defaults_can_alert():
    assert Objective.model_validate({})
    assert Thresholds.model_validate({})


CLASSES = [
    value
    for value in vars(thresholds).values()
    if isinstance(value, type) and issubclass(value, thresholds.MonitorThresholds)
    if value is not thresholds.MonitorThresholds
]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_the_api_server_refuses_the_same_levels(kind):
    rules = [item["rule"] for item in kind.cel_rules()]
    bound = kind.bound()
    assert (f"self.critical {bound[0]} {float(bound[1])}" in rules) if bound else True
    assert any("level == 0.0 || level >= 0.000000001" in rule for rule in rules)
    assert any(rule.startswith("duration(self.window) <=") for rule in rules)


def test_the_rules_are_part_of_the_crd():
    (version,) = observability_crd()["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    rules = [item["rule"] for item in spec["objective"]["x-kubernetes-validations"]]
    assert "self.fastBurn.rate * (100.0 - self.target) < 99.999999" in rules
    assert "self.warning < 100.0" in rules
    burn = spec["objective"]["properties"]["fastBurn"]["x-kubernetes-validations"]
    assert "duration(self.shortWindow) < duration(self.longWindow)" in [
        item["rule"] for item in burn
    ]
