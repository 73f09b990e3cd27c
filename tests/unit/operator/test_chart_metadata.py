"""Artifact Hub's annotations and the objects for clusters without Helm follow from the charts."""

import subprocess
from pathlib import Path

import pytest
import yaml

from purpleflea_operator.codegen import chart_metadata
from support import charts

CHECKOUT = Path(__file__).parents[3]
ITEMS = {
    charts.OPERATOR: chart_metadata.operator_items(CHECKOUT),
    charts.EXCHANGE: chart_metadata.exchange_items(CHECKOUT),
}


@pytest.fixture(params=ITEMS, ids=lambda chart: chart.name)
def chart(request):
    return request.param


def metadata(chart):
    return yaml.safe_load((chart / "Chart.yaml").read_text(encoding="utf-8"))


def test_the_annotations_are_current(chart):
    text = (chart / "Chart.yaml").read_text(encoding="utf-8")
    assert chart_metadata.page(text, ITEMS[chart]) == text, "run make docs"


def test_each_annotation_is_a_text_with_valid_yaml(chart):
    found = metadata(chart)["annotations"]
    assert all(isinstance(value, str) for value in found.values())
    for name in ("links", "crds", "crdsExamples", "images"):
        assert all(yaml.safe_load(found.get(f"artifacthub.io/{name}", "[a]")))


def test_home_sources_icon_and_maintainers_are_set(chart):
    found = metadata(chart)
    assert found["home"] in found["sources"]
    assert all(item["name"] and item["url"] for item in found["maintainers"])
    assert found["icon"].endswith(f"/charts/{chart.name}/icon.svg")
    icon = (chart / "icon.svg").read_text(encoding="utf-8")
    assert icon.startswith("<svg ")
    assert icon.endswith("</svg>\n")


def test_every_kind_has_an_example():
    found = ITEMS[charts.OPERATOR]
    kinds = {item["kind"] for item in found["crds"]}
    assert kinds == {item["kind"] for item in found["crdsExamples"]}
    assert kinds == {"PurpleFleaAgent", "PurpleFleaHalt", "PurpleFleaObservability"}


def test_a_chart_without_the_mark_is_refused():
    with pytest.raises(ValueError, match="has no annotations"):
        chart_metadata.page("apiVersion: v2\n", {})


@pytest.fixture(scope="module")
def static():
    return (CHECKOUT / "deploy" / "install.yaml").read_text(encoding="utf-8")


def test_the_objects_without_helm_are_those_of_the_chart(static):
    script = CHECKOUT / "deploy" / "generate.sh"
    environment = {"HELM": str(charts.HELM), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == static, "run make chart"


def test_the_objects_without_helm_have_their_namespace_and_no_mark_of_helm(static):
    objects = [item for item in yaml.load_all(static, yaml.CSafeLoader) if item]
    namespaces = {item["metadata"].get("namespace") for item in objects}
    assert namespaces == {None, "purpleflea-system"}
    assert objects[0]["metadata"]["name"] == "purpleflea-system"
    rendered = charts.documents(
        charts.OPERATOR, {"uninstallCheck": False, "test": {"enabled": False}}
    )
    assert len(objects) == len(rendered) + 1
    assert "helm.sh" not in static
    assert "managed-by: Helm" not in static


def test_the_kustomize_base_has_all_objects():
    base = yaml.safe_load((CHECKOUT / "deploy" / "kustomization.yaml").read_text())
    assert base["resources"] == ["install.yaml"]
