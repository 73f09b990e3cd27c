"""Thresholds that the API server and the operator refuse, because their monitors could never alert."""

import json

import pytest
from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from purpleflea_operator.api import objective, thresholds
from purpleflea_operator.api.documented import DocumentedModel
from purpleflea_operator.api.objective import Objective
from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.api.thresholds import Thresholds
from purpleflea_operator.codegen.crd import observability_crd
from support.refused_parameters import REFUSED


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


CRD_TEXT = json.dumps(observability_crd())


@pytest.mark.parametrize("row", [row for row in REFUSED if row.spec is not None], ids=str)
def test_the_operator_or_a_rule_of_the_crd_refuses_the_value(row):
    """The end-to-end test creates each of these objects; here a message of the API server must at least exist."""
    spec = {"keysSecretRef": {"name": "keys"}, **row.spec}
    try:
        ObservabilitySpec.model_validate(spec)
    except ValidationError:
        return
    assert row.admission in CRD_TEXT


WINDOWED = [
    value
    for module in (thresholds, objective)
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, DocumentedModel)
    if any(name.endswith("window") for name in value.model_fields)
]


@pytest.mark.parametrize("kind", WINDOWED, ids=lambda kind: kind.__name__)
def test_each_window_has_limits_or_is_shorter_than_a_window_with_limits(kind):
    text = json.dumps(kind.cel_rules())
    windows = [to_camel(name) for name in kind.model_fields if name.endswith("window")]
    assert [name for name in windows if f"duration(self.{name}) <" not in text] == []


def test_a_resource_of_an_older_crd_with_a_refused_window_is_invalid():
    with pytest.raises(ValidationError, match="window must be at most 168h"):
        Thresholds.model_validate({"operatorSilent": {"window": "169h"}})
    with pytest.raises(ValidationError, match="longWindow must be from 1h to 48h"):
        Objective.model_validate({"slowBurn": {"longWindow": "59m", "shortWindow": "1m"}})
    with pytest.raises(ValidationError, match="shortWindow must be shorter"):
        Objective.model_validate({"slowBurn": {"shortWindow": "6h"}})
