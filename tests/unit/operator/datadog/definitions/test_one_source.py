"""Each parameter of the Datadog objects is written in one place; everything else is derived from it."""

import ast
import re
from collections import Counter
from dataclasses import fields
from pathlib import Path

import pytest
from pydantic.alias_generators import to_camel

import purpleflea_operator
from purpleflea_contract.links import RUNBOOKS_URL
from purpleflea_contract.settings import SpecModel
from purpleflea_operator.api.objective import Objective
from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.api.thresholds import Thresholds
from purpleflea_operator.datadog.definitions.parameters import Parameters

OPERATOR = Path(purpleflea_operator.__file__).parent
DATADOG = [
    path
    for folder in ("api", "controllers/observability", "datadog/definitions")
    for path in sorted((OPERATOR / folder).rglob("*.py"))
    if folder != "api" or path.name in ("observability.py", "objective.py", "thresholds.py")
]
SOURCES = {"api/observability.py", "api/objective.py", "api/thresholds.py"}
ALERTS = {f"datadog/definitions/{name}_alerts.py" for name in ("trading", "exchange", "health")}
USES = ALERTS | {"datadog/definitions/dashboard.py"}
"""The function of a monitor reads its thresholds, and a widget shows those of drawdown."""
OTHER_VALUES = Counter({("critical", 1): 1, ("critical", 0): 2})
"""Levels that cannot be chosen: anomaly monitors fire if all points (a share of 1) are unusual, wallet-unfunded if the
balance is zero, and operator-silent only if data is missing."""


def leaves(model):
    for name, value in model:
        if isinstance(value, SpecModel):
            yield from leaves(value)
        else:
            yield name, value


def defaults():
    spec = ObservabilitySpec.model_construct()
    for field in fields(Parameters):
        value = getattr(spec, field.name, None)
        if isinstance(value, SpecModel):
            yield from leaves(value)
        elif value is not None:
            yield field.name, value


def pairs(node):
    """Names and values that a node of the syntax tree binds."""
    match node:
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            yield name, value
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            yield name, value
        case ast.keyword(arg=str() as name, value=value):
            yield name, value
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant):
                    yield key.value, value


def bindings(path):
    for node in ast.walk(ast.parse(path.read_text())):
        for name, value in pairs(node):
            try:
                yield name, ast.literal_eval(value)
            except ValueError:
                continue


def words(path):
    """Identifiers and texts of a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Name(id=word) | ast.Attribute(attr=word) | ast.keyword(arg=word):
                yield word
            case ast.Constant(value=str() as word):
                yield word


def test_each_default_is_written_once():
    wanted = Counter(defaults())
    del wanted["runbooks_url", RUNBOOKS_URL]  # The contract has this default.
    assert len(wanted) > 40
    written = Counter(
        binding
        for path in DATADOG
        for binding in bindings(path)
        if binding[1].__hash__ and binding in wanted
    )
    assert written - OTHER_VALUES == wanted


def test_defaults_are_written_only_in_the_models_of_the_spec():
    wanted = set(defaults()) - set(OTHER_VALUES)
    places = {
        str(path.relative_to(OPERATOR))
        for path in DATADOG
        for binding in bindings(path)
        if binding[1].__hash__ and binding in wanted
    }
    assert places == SOURCES


@pytest.mark.parametrize("name", Thresholds.model_fields)
def test_thresholds_are_named_only_by_their_model_and_their_monitor(name):
    places = {str(path.relative_to(OPERATOR)) for path in DATADOG if name in words(path)}
    own = f"datadog/definitions/{name}.py"  # a monitor may have its own module
    catalog = "datadog/definitions/monitors.py"
    assert places - USES - {own, catalog} == {"api/thresholds.py"}
    assert places & (ALERTS | {own})


def field_names(model):
    return {to_camel(name): field.annotation for name, field in model.model_fields.items()}


def test_runbooks_name_existing_thresholds(repository):
    text = "".join(path.read_text() for path in (repository / "docs" / "runbooks").glob("*.md"))
    named = re.findall(r"`spec\.(thresholds|objective)\.(\w+)`", text)
    groups = {"thresholds": field_names(Thresholds), "objective": field_names(Objective)}
    assert len(named) >= 8
    assert [(group, name) for group, name in named if name not in groups[group]] == []
