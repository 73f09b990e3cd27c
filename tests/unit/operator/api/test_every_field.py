"""Models, editor schema and the schemas of Kubernetes agree on every field of the spec."""

import jsonschema
import kubernetes_validate
import pytest

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.codegen.editor_schema import editor_schema
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults
from support import spec_fields

EDITOR = jsonschema.Draft202012Validator(editor_schema()["properties"]["spec"])
PATHS = {spec_fields.name(path): path for path in spec_fields.paths()}


def specs(field):
    return [
        spec_fields.spec_with(PATHS[field], value) for value in spec_fields.values(PATHS[field])
    ]


@pytest.mark.parametrize("field", sorted(PATHS))
def test_models_and_schema_accept_the_same_values(field):
    for spec in specs(field):
        AgentSpec.model_validate(spec, extra="forbid")
        assert list(EDITOR.iter_errors(spec)) == []


def test_the_children_of_a_spec_with_all_fields_match_the_kubernetes_schemas():
    spec = AgentSpec.model_validate(spec_fields.full_spec(), extra="forbid")
    agent = Agent(namespace="trading", name="momentum", uid="u", generation=1, spec=spec)
    manifests = children(agent, Defaults(image="localhost/agent:1"), NO_CONNECTION)
    assert {"ServiceAccount", "PodDisruptionBudget", "StatefulSet"} <= {
        m["kind"] for m in manifests
    }
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.37", strict=True)


@pytest.mark.parametrize("field", sorted(field for field in PATHS if "." in field))
def test_a_misspelled_name_beside_a_field_is_rejected_by_both(field):
    *parents, _ = PATHS[field]
    (spec, *_) = specs(field)
    inner = spec
    for key in parents:
        inner = inner[0] if key == "[]" else inner[key]
    inner["misspelled"] = 1
    with pytest.raises(ValueError, match="misspelled"):
        AgentSpec.model_validate(spec, extra="forbid")
    assert not EDITOR.is_valid(spec)
