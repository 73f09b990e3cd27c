"""The texts of fields repeat defaults and ranges for `kubectl explain`; they must equal those of the schema."""

import re

import pytest

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.codegen.structural_schema import structural


def fields(schema, path="spec"):
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from fields(child, f"{path}.{name}")
        if isinstance(child.get("items"), dict):
            yield from fields(child["items"], f"{path}.{name}[]")


FIELDS = dict(fields(structural(AgentSpec, include_free_form=True)))
DEFAULT = re.compile(r"[(,] ?default ([^,;)\s]+)")
RANGE = re.compile(r"\((\d+) to (\d+)")
AT_MOST = re.compile(r"\(at most (\d+)")


def bound(schema, *keywords):
    return next((schema[keyword] for keyword in keywords if keyword in schema), None)


DEFAULTS = {
    path: (schema.get("default", False), match[1])
    for path, schema in FIELDS.items()
    if (match := DEFAULT.search(schema["description"]))
    and not isinstance(schema.get("default"), list | dict)
}


@pytest.mark.parametrize("path", DEFAULTS)
def test_a_default_in_the_text_is_the_default_of_the_schema(path):
    default, text = DEFAULTS[path]
    assert text.lower() == str(default).lower()


@pytest.mark.parametrize("path", [p for p, s in FIELDS.items() if RANGE.search(s["description"])])
def test_a_range_in_the_text_is_the_range_of_the_schema(path):
    schema = FIELDS[path]
    low, high = RANGE.search(schema["description"]).groups()
    assert bound(schema, "minimum", "minItems") == int(low)
    assert bound(schema, "maximum", "maxItems") == int(high)


@pytest.mark.parametrize("path", [p for p, s in FIELDS.items() if AT_MOST.search(s["description"])])
def test_a_limit_in_the_text_is_the_limit_of_the_schema(path):
    schema = FIELDS[path]
    limit = bound(schema, "maxItems", "maxProperties", "maxLength")
    assert limit == int(AT_MOST.search(schema["description"])[1])
