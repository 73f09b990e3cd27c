import json
import re
from typing import Annotated

import jsonschema
import pytest
import yaml
from pydantic import BaseModel, Field

from purpleflea_operator.api.types import rule, rules
from purpleflea_operator.codegen.crd import (
    FILE,
    OBSERVABILITY_FILE,
    agent_crd,
    crd_text,
    halt_crd,
    main,
    observability_crd,
)
from purpleflea_operator.codegen.structural_schema import UnsupportedSchemaError, structural

ROOT_SCHEMA = agent_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def walk(schema, path="."):
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from walk(child, f"{path}{name}.")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from walk(schema[key], f"{path}{key}.")


OTHER_SCHEMA = observability_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
FIELDS = [
    (f"{kind}{path}", schema)
    for kind, root in (("", ROOT_SCHEMA), ("pfo", OTHER_SCHEMA))
    for path, schema in walk(root)
    if path.startswith((".spec.", ".status."))
]


# The CRD has only bounds of their inner fields. Their descriptions are in the models and in the reference.
BOUNDS_ONLY = re.compile(
    r"\.(nodeAffinity|podAffinity|podAntiAffinity|secret|configMap|projected|csi|\w+Probe)\..+\."
)


def test_every_field_has_a_description_in_full_sentences():
    plain = [
        path
        for path, _ in FIELDS
        if "items" not in path.split(".")[-2]
        and "additionalProperties" not in path
        and not BOUNDS_ONLY.search(path)
    ]
    missing = [p for p in plain if not dict(FIELDS)[p].get("description", "").endswith((".", ")"))]
    assert missing == []


def test_every_string_list_and_map_is_bounded():
    unbounded = []
    for path, schema in FIELDS:
        kind = schema.get("type")
        if kind == "string" and not ({"maxLength", "enum"} & schema.keys()):
            unbounded.append(path)
        if kind == "array" and "maxItems" not in schema:
            unbounded.append(path)
        if kind == "object" and "additionalProperties" in schema and "maxProperties" not in schema:
            unbounded.append(path)
    assert unbounded == []


def test_every_node_has_a_type_or_is_int_or_string():
    untyped = [p for p, s in FIELDS if "type" not in s and not s.get("x-kubernetes-int-or-string")]
    assert untyped == []


def test_optional_fields_do_not_allow_null():
    assert "null" not in crd_text() + crd_text(observability_crd())


def test_conditions_are_a_list_map_by_type():
    conditions = ROOT_SCHEMA["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]


def test_a_one_value_literal_becomes_an_enum():
    dialect = ROOT_SCHEMA["properties"]["spec"]["properties"]["api"]["properties"]["dialect"]
    assert dialect["enum"] == ["Seed"]


def test_a_quantity_may_be_a_number_and_keeps_its_pattern():
    pod = ROOT_SCHEMA["properties"]["spec"]["properties"]["pod"]["properties"]
    quantity = pod["resources"]["properties"]["limits"]["additionalProperties"]
    assert quantity["x-kubernetes-int-or-string"] is True
    assert quantity["pattern"].startswith("^[0-9]")
    assert "type" not in quantity


def test_a_union_of_types_is_rejected_with_the_path_of_the_field():
    class Model(BaseModel):
        either: int | str

    with pytest.raises(UnsupportedSchemaError, match=r"Model\.either: anyOf of 2"):
        structural(Model)


def test_an_unknown_keyword_is_rejected_with_its_name():
    class Model(BaseModel):
        odd: Annotated[int, Field(json_schema_extra={"x-odd": 1})]

    with pytest.raises(UnsupportedSchemaError, match=r"Model\.odd: x-odd"):
        structural(Model)


@pytest.mark.parametrize("folder", ["crds", "charts/purpleflea-operator/files/crds"])
def test_the_checked_in_crd_equals_the_generated_crd(repository, folder):
    written = (repository / folder / FILE).read_text()
    assert written == crd_text(), "stale: run `make crds`"
    other = (repository / folder / OBSERVABILITY_FILE).read_text()
    assert other == crd_text(observability_crd()), "stale: run `make crds`"


def test_the_command_writes_the_crd_into_each_folder(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    main([str(tmp_path / "a"), str(tmp_path / "b")])
    assert (tmp_path / "a" / FILE).read_text() == (tmp_path / "b" / FILE).read_text() == crd_text()


def test_a_default_is_complete_if_the_object_has_a_rule():
    class Inner(BaseModel):
        low: int = 1
        high: int = 2
        note: str | None = None

    class Ruled(Inner):
        model_config = rules(rule("self.low < self.high", "low must be below high"))

    class Outer(BaseModel):
        plain: Inner = Inner()
        ruled: Ruled = Ruled()
        other: Inner = Inner(high=9)

    class Model(BaseModel):
        outer: Outer = Outer()

    outer = structural(Model)["properties"]["outer"]
    assert outer["default"] == {}
    found = {name: child["default"] for name, child in outer["properties"].items()}
    assert found == {
        "plain": {},
        "ruled": {"low": 1, "high": 2},
        "other": {"low": 1, "high": 9},
    }


@pytest.mark.parametrize("folder", ["crds", "charts/purpleflea-operator/files/crds"])
def test_no_object_with_a_rule_has_an_empty_default(repository, folder):
    for file in (repository / folder).glob("*.yaml"):
        (version,) = yaml.safe_load(file.read_text())["spec"]["versions"]
        for path, schema in walk(version["schema"]["openAPIV3Schema"]):
            assert not (schema.get("default") == {} and "x-kubernetes-validations" in schema), path


@pytest.mark.parametrize("folder", ["crds", "charts/purpleflea-operator/files/crds"])
def test_a_default_is_valid_for_its_field(repository, folder):
    for file in (repository / folder).glob("*.yaml"):
        (version,) = yaml.safe_load(file.read_text())["spec"]["versions"]
        for path, schema in walk(version["schema"]["openAPIV3Schema"]):
            if schema.get("default", {}) == {}:
                continue
            assert "format" not in schema, f"{path}: no default is known to be of a format"
            required = {key: value for key, value in schema.items() if key != "required"}
            assert jsonschema.Draft202012Validator(required).is_valid(schema["default"]), path


def test_the_crd_stays_compact():
    # Each API server keeps the CRD in memory and parses it at each change. A pod schema alone is over 400 kB.
    assert len(json.dumps(agent_crd(), separators=(",", ":"))) < 70_000


@pytest.mark.parametrize("make", [agent_crd, observability_crd, halt_crd])
def test_no_field_of_a_crd_is_free_form(make):
    # Without a bound, an object of 1.5 MB can have 700,000 values, whose errors take a gigabyte of memory.
    (version,) = make()["spec"]["versions"]
    assert "preserve-unknown-fields" not in json.dumps(version["schema"])


def test_the_crd_adds_no_defaults_to_an_agent_except_those_that_clients_read():
    (version,) = agent_crd()["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    found = {path: schema["default"] for path, schema in walk(spec) if "default" in schema}
    stored = {path: default for path, default in found.items() if "items." not in path}
    assert stored == {".replicas.": 1, ".trading.": {}, ".trading.mode.": "Active"}


def test_a_rule_uses_the_default_of_a_field_that_is_not_set():
    (version,) = agent_crd()["spec"]["versions"]
    rules = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-validations"]
    (faucet,) = [item["rule"] for item in rules if item["fieldPath"] == ".faucet.belowUsd"]
    assert (
        '((has(self.faucet) && has(self.faucet.belowUsd)) ? self.faucet.belowUsd : "50")' in faucet
    )


@pytest.mark.parametrize("make", [agent_crd, observability_crd])
def test_the_schema_of_a_status_has_no_defaults(make):
    (version,) = make()["spec"]["versions"]
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    assert "default:" not in yaml.safe_dump(status["properties"])


def test_an_agent_without_a_status_is_not_ready():
    # Tools such as Helm and Flux take an object without conditions for ready.
    (version,) = agent_crd()["spec"]["versions"]
    status = version["schema"]["openAPIV3Schema"]["properties"]["status"]
    (initial,) = status["default"]["conditions"]
    assert (initial["type"], initial["status"], initial["reason"]) == (
        "Ready",
        "Unknown",
        "WaitingForOperator",
    )
    assert initial.keys() == status["properties"]["conditions"]["items"]["properties"].keys()
