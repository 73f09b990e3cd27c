"""The reference page and the editor schema, which are generated from the models."""

import json

import jsonschema
import pytest
import yaml

from purpleflea_operator.codegen import editor_schema as codegen_editor_schema
from purpleflea_operator.codegen import reference_docs
from purpleflea_operator.codegen.editor_schema import editor_schema, editor_text
from purpleflea_operator.codegen.reference_docs import halt_page, page
from support.builders import a_spec, an_agent

PAGE = "docs/reference/purplefleaagent.md"
HALT_PAGE = "docs/reference/purplefleahalt.md"
SCHEMA = "docs/reference/purplefleaagent.schema.json"


def rows_of(heading):
    section = page().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return {line.split("`")[1]: line for line in lines}


def test_the_page_equals_the_generated_page(repository):
    assert (repository / PAGE).read_text() == page(), "stale: run `make docs`"


def test_the_editor_schema_equals_the_generated_schema(repository):
    assert (repository / SCHEMA).read_text() == editor_text(), "stale: run `make crds`"


def test_a_row_has_type_default_bounds_meaning_and_effect_of_a_change():
    row = rows_of("spec.trading")["mode"]
    assert (
        '| string | `"Active"` | `Active`, `Halted`, `Stopped` | Active, Halted or Stopped (default Active).'
        in row
    )
    assert row.endswith("| control |")


def test_required_fields_maps_quantities_and_lists_are_marked():
    assert "| required |" in rows_of("spec")["strategy"]
    assert "| map of string | `{}` | 0 to 16 keys |" in rows_of("spec.datadog")["tags"]
    assert "| list of string | required | 1 to 32 items |" in rows_of("spec")["markets"]
    assert '| quantity | `"1Gi"` |' in rows_of("spec.storage")["size"]


def test_fields_that_the_crd_omits_are_on_the_page():
    names = rows_of("spec.pod")
    assert "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution" in names
    assert "sidecars[].env[].valueFrom.secretKeyRef.name" in names


def test_the_inner_fields_of_kubernetes_are_folded_and_ours_are_not():
    section = page().partition("## spec.pod\n")[2].partition("\n## ")[0]
    shown, *folded = section.split('<details markdown="1">')
    names = [line.split("`")[1] for line in shown.splitlines() if line.startswith("| `")]
    assert {"affinity", "sidecars", "resources.limits", "serviceAccount.annotations"} <= set(names)
    assert not any(name.startswith(("affinity.", "sidecars[].")) for name in names)
    summaries = [part.partition("<code>")[2].partition("</code>")[0] for part in folded]
    assert sorted(summaries) == sorted(reference_docs.OF_KUBERNETES)
    assert all(part.rstrip().endswith("</details>") for part in folded)
    assert page().count("<details") == len(folded)


def test_every_rule_of_the_crd_is_on_the_page():
    assert "| `spec.image` | set exactly one of tag and digest |" in page()


def test_the_page_of_halts_equals_the_generated_page_and_has_every_field_and_rule(repository):
    stored = (repository / HALT_PAGE).read_text()
    assert stored == halt_page(), "stale: run `make docs`"
    for name in ("level", "selector.matchExpressions[].operator", "expiresAt", "createdBy"):
        assert f"| `{name}` |" in stored
    assert "| `level` | string | required | `Halt`, `Stop` |" in stored
    assert "| `spec` | the spec of a PurpleFleaHalt is immutable" in stored


def test_each_command_writes_its_files(tmp_path):
    reference_docs.main([str(tmp_path / "purplefleahalt.md")])
    assert (tmp_path / "purplefleahalt.md").read_text() == halt_page()
    reference_docs.main([str(tmp_path / "page.md")])
    codegen_editor_schema.main([str(tmp_path / "schema.json")])
    assert (tmp_path / "page.md").read_text() == page()
    assert json.loads((tmp_path / "schema.json").read_text()) == editor_schema()


VALIDATOR = jsonschema.Draft202012Validator(editor_schema())


def problems(manifest):
    return [error.json_path for error in VALIDATOR.iter_errors(manifest)]


def a_manifest(**changes):
    found = an_agent(spec={**a_spec(), **changes})
    return {**found, "metadata": {"name": "momentum"}}


def test_the_editor_schema_is_a_valid_json_schema():
    jsonschema.Draft202012Validator.check_schema(editor_schema())
    assert "x-kubernetes" not in editor_text()


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"stratgy": "x"}, "$.spec"),
        ({"pod": {"affinity": {"nodeAffinity": {"required": {}}}}}, "$.spec.pod.affinity.nodeAffinity"),
        ({"replicas": "3"}, "$.spec.replicas"),
        ({"trading": {"mode": "Sleeping"}}, "$.spec.trading.mode"),
        ({"storage": {"size": []}}, "$.spec.storage.size"),
    ],
)  # fmt: skip
def test_the_editor_schema_rejects_an_invalid_manifest(changes, path):
    assert problems(a_manifest(**changes)) == [path]


def test_the_editor_schema_accepts_every_example(repository):
    for file in sorted((repository / "examples").rglob("*.yaml")):
        for manifest in yaml.safe_load_all(file.read_text()):
            if manifest.get("kind") == "PurpleFleaAgent":
                assert problems(manifest) == [], file.name
