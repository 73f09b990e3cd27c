"""Defaults of the spec. A published default does not change within an API version.

settings.json leaves defaults out, so after a change of a default an agent whose image has another version would use
another value than the reference shows. A new field is added to the file with:

    UPDATE_DEFAULTS=1 .venv/bin/python -m pytest -q tests/unit/operator/api/test_defaults.py
"""

import json
import os
from pathlib import Path

from purpleflea_contract.settings import Settings
from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.codegen.structural_schema import structural
from support.builders import a_spec

FILE = Path(__file__).parents[3] / "data" / "spec-defaults.json"


def defaults(schema, path="spec"):
    found = {}
    for name, child in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        if "default" in child and "properties" not in child:
            found[here] = child["default"]
        found |= defaults(child, here)
        found |= defaults(child.get("items", {}), f"{here}[]")
    return found


def test_no_published_default_has_changed():
    found = defaults(structural(AgentSpec))
    if os.environ.get("UPDATE_DEFAULTS") == "1":
        FILE.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")
    assert found == json.loads(FILE.read_text())


def test_an_agent_applies_the_defaults_of_the_spec():
    spec = AgentSpec.model_validate(a_spec())
    text = spec.settings().model_dump_json(by_alias=True, exclude_defaults=True)
    read = Settings.model_validate_json(text)
    assert read == spec.settings()
    assert json.loads(text) == {"strategy": "momentum", "markets": ["BTC-USD"]}
    assert read.risk.max_drawdown_pct == defaults(structural(AgentSpec))["spec.risk.maxDrawdownPct"]


def test_settings_contain_the_values_that_differ_from_their_defaults():
    spec = AgentSpec.model_validate(
        a_spec(risk={"maxDrawdownPct": 7, "maxOrderUsd": "1000"}, trading={"mode": "Halted"})
    )
    text = spec.settings().model_dump_json(by_alias=True, exclude_defaults=True)
    assert json.loads(text) == {
        "strategy": "momentum",
        "markets": ["BTC-USD"],
        "risk": {"maxDrawdownPct": 7},
    }
