"""Descriptions of the PurpleFleaObservability have the range and the default of each field."""

from typing import Annotated

import pytest
from pydantic import Field

from purpleflea_operator.api.documented import DocumentedModel
from purpleflea_operator.codegen.crd import observability_crd


class Example(DocumentedModel):
    """Example."""

    rate: Annotated[float, Field(ge=1, le=1000)] = 14.4
    """Rate."""
    limit: Annotated[int, Field(ge=0, le=1_000_000_000)] = 5_000_000
    """Limit."""
    enabled: bool = False
    """Enable it."""
    names: tuple[str, ...] = ("a", "b")
    """Names."""
    others: tuple[str, ...] = ()
    """Others."""
    url: str | None = None
    """URL."""
    key: str = "key"


@pytest.mark.parametrize(
    ("field", "description"),
    [
        ("rate", "Rate. Range: 1 to 1000. Default: 14.4."),
        ("limit", "Limit. Range: 0 to 1000000000. Default: 5000000."),
        ("enabled", "Enable it. Default: false."),
        ("names", "Names. Default: a, b."),
        ("others", "Others."),
        ("url", "URL."),
        ("key", None),
    ],
)
def test_a_description_ends_with_range_and_default(field, description):
    schema = Example.model_json_schema()
    assert schema["properties"][field].get("description") == description
    assert "x-kubernetes-validations" not in schema


def scalars(schema):
    for field in schema.get("properties", {}).values():
        if field["type"] == "object":
            yield from scalars(field)
        else:
            yield field


def test_every_default_of_the_resource_is_described():
    (version,) = observability_crd()["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    fields = [field for field in scalars(spec) if field.get("default") not in (None, [])]
    assert len(fields) > 60
    assert [field for field in fields if "Default: " not in field["description"]] == []
