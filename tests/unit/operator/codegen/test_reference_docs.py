"""The reference page and the editor schema, which are generated from the models."""

import json

import jsonschema
import pytest
import yaml

from purpleflea_operator.codegen import editor_schema as codegen_editor_schema
from purpleflea_operator.codegen import reference_docs
from purpleflea_operator.codegen.editor_schema import editor_schema, editor_text
from purpleflea_operator.codegen.reference_docs import PAGES
from purpleflea_operator.codegen.structural_schema import structural
from support.builders import a_spec, an_agent

SCHEMA = "docs/reference/purplefleaagent.schema.json"


def page():
    return PAGES["purplefleaagent"].text()


def rows_of(heading, text=None):
    section = (text or page()).partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return {line.split("`")[1]: line for line in lines}


@pytest.mark.parametrize("name", PAGES)
def test_each_page_equals_the_generated_page(repository, name):
    stored = (repository / "docs" / "reference" / f"{name}.md").read_text()
    assert stored == PAGES[name].text(), "stale: run `make docs`"


def test_each_kind_of_the_crds_has_a_page_that_is_listed_and_on_the_site(repository):
    crds = [yaml.safe_load(path.read_text()) for path in (repository / "crds").glob("*.yaml")]
    assert {crd["spec"]["names"]["singular"] for crd in crds} == set(PAGES)
    for name in PAGES:
        for file in ("docs/README.md", "website/zensical.toml", "Makefile"):
            assert f"reference/{name}.md" in (repository / file).read_text(), file


def fields_of(node, path=""):
    """Yield the path of each field of a schema, as the pages write it."""
    for name, child in node.get("properties", {}).items():
        inner = f"{path}.{name}" if path else name
        yield inner
        content, mark = (child["items"], "[]") if "items" in child else (child, "")
        yield from fields_of(content, f"{inner}{mark}")


@pytest.mark.parametrize("name", PAGES)
def test_each_page_has_every_field_of_spec_and_status_once(name):
    text = PAGES[name].text()
    for part, model in (("spec", PAGES[name].spec), ("status", PAGES[name].status)):
        node = structural(model, include_free_form=True)
        groups = {field for field, child in node["properties"].items() if "properties" in child}
        for field in fields_of(node):
            group, _, rest = field.partition(".")
            is_grouped = part == "spec" and group in groups
            if is_grouped and not rest:
                continue
            rows = rows_of(f"spec.{group}", text) if is_grouped else rows_of(part, text)
            assert (rest if is_grouped else field) in rows, field


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
    assert {*summaries, "conditions", "matchExpressions"} == reference_docs.OF_KUBERNETES
    assert all(part.rstrip().endswith("</details>") for part in folded)


@pytest.mark.parametrize("name", PAGES)
def test_the_fields_of_conditions_are_folded_in_the_status_of_each_page(name):
    section = PAGES[name].text().partition("## status\n")[2]
    shown, folded = section.split('<details markdown="1">')
    assert "| `conditions` |" in shown
    assert "`conditions[]." not in shown
    assert "`conditions[].reason`" in folded


def test_every_rule_of_the_crd_is_on_the_page():
    assert "| `spec.image` | set exactly one of tag and digest |" in page()


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("purplefleahalt", "| `level` | string | required | `Halt`, `Stop` |"),
        ("purplefleahalt", "| `spec` | the spec of a PurpleFleaHalt is immutable"),
        ("purplefleahalt", "| `matchExpressions[].operator` | string | required |"),
        ("purplefleaobservability", '| `mode` | string | `"Manage"` | `Manage`, `Plan` |'),
        ("purplefleaobservability", "| `drawdown` | object | - |"),
        ("purplefleaobservability", "| `drawdown.critical` | number |"),
        ("purplefleaobservability", "| `spec` | site and url cannot be changed"),
        ("purplefleaobservability", "| `objects[].lastError` | string |"),
    ],
)
def test_a_page_has_a_row(name, row):
    assert row in PAGES[name].text()


def test_each_command_writes_its_files(tmp_path):
    files = [tmp_path / f"{name}.md" for name in PAGES]
    reference_docs.main([str(file) for file in files])
    assert [file.read_text() for file in files] == [item.text() for item in PAGES.values()]
    codegen_editor_schema.main([str(tmp_path / "schema.json")])
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
