import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from purpleflea_operator.datadog.definitions import export
from purpleflea_operator.datadog.definitions.parameters import Parameters

HELM = Path(sys.executable).with_name("helm")
CHECK = (Path(__file__).parents[5] / "agent_check" / "purpleflea_agent.py").read_text()
FILES = export.files(Parameters(), CHECK)


def test_the_files_in_the_repository_are_those_that_make_observability_writes(repository):
    folder = repository / "observability"
    on_disk = {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert sorted(on_disk) == sorted(FILES)
    assert [name for name, text in FILES.items() if on_disk[name] != text] == []


def test_writing_deletes_obsolete_files(tmp_path):
    stale = tmp_path / "monitors" / "old.json"
    stale.parent.mkdir()
    stale.write_text("{}")
    for _ in range(2):
        export.write(tmp_path, Parameters(), CHECK)
    assert not stale.exists()
    assert (tmp_path / "dashboard.json").is_file()


@pytest.mark.parametrize("name", sorted(name for name in FILES if name.endswith(".json")))
def test_only_files_in_the_reference_folders_have_references(name):
    text = FILES[name]
    assert isinstance(json.loads(text), dict)
    by_reference = name.startswith(("monitors/by-reference/", "scanner/"))
    assert ("<monitor:" in text or "<slo:" in text or "<scanner" in text) == by_reference


def test_the_helm_values_have_no_key_and_no_service(repository):
    values = yaml.safe_load(FILES["datadog-values.yaml"])
    assert "apiKey" not in values["datadog"]
    assert "appKey" not in values["datadog"]
    assert values["datadog"]["apiKeyExistingSecret"] == "datadog-secret"
    assert not [tag for tag in values["datadog"]["tags"] if tag.startswith("service:")]


def test_the_helm_values_collect_the_resources_of_this_project(repository):
    values = yaml.safe_load(FILES["datadog-values.yaml"])["datadog"]
    crds = [yaml.safe_load(path.read_text()) for path in (repository / "crds").glob("*.yaml")]
    served = {
        f"{crd['spec']['group']}/{version['name']}/{crd['spec']['names']['plural']}": crd
        for crd in crds
        for version in crd["spec"]["versions"]
    }
    explored = values["orchestratorExplorer"]["customResources"]
    assert set(explored) == set(served)
    (collected,) = values["kubeStateMetricsCore"]["collectCrMetrics"]
    kind = collected["groupVersionKind"]
    halts = served[f"{kind['group']}/{kind['version']}/{kind['resource']}"]
    assert halts["spec"]["names"]["kind"] == kind["kind"]
    (metric,) = collected["metrics"]
    schema = halts["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for name in metric["each"]["gauge"]["path"]:
        schema = schema["properties"][name]
    assert set(schema["items"]["properties"]) >= {"type", "status"}
    assert values["networkMonitoring"] == {"enabled": True}
    assert values["processAgent"] == {"processCollection": True}


def test_the_helm_values_have_the_agent_check(repository):
    text = FILES["datadog-values.yaml"]
    values = yaml.safe_load(text)
    assert values["datadog"]["checksd"] == {"purpleflea_agent.py": CHECK}
    assert "    purpleflea_agent.py: |\n" in text
    assert "confd" not in values["datadog"]


def test_the_chart_of_the_stand_in_accepts_the_values(repository):
    chart = repository / "sandbox" / "charts" / "datadog"
    values = repository / "observability" / "datadog-values.yaml"
    done = subprocess.run(
        [str(HELM), "template", "datadog-agent", str(chart), "-n", "datadog", "-f", str(values)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    objects = [item for item in yaml.safe_load_all(done.stdout) if item]
    (checks,) = (item for item in objects if item["metadata"]["name"] == "datadog-agent-checksd")
    assert checks["data"] == {"purpleflea_agent.py": CHECK}
    pods = next(item for item in objects if item["kind"] == "DaemonSet")["spec"]["template"]["spec"]
    assert {"operator": "Exists"} in pods["tolerations"]
    ports = {
        port["name"]: port.get("hostPort")
        for container in pods["containers"]
        for port in container.get("ports", [])
    }
    assert ports["dogstatsdport"] == 8125
    assert ports["traceport"] == 8126
    agent = next(item for item in pods["containers"] if item["name"] == "agent")
    wanted = yaml.safe_load(values.read_text())["agents"]["containers"]["agent"]
    assert agent["resources"] == wanted["resources"]
    variables = {item["name"]: item.get("value") for item in agent["env"]}
    assert variables["DD_LOGS_ENABLED"] == "true"
    assert variables["DD_LOGS_CONFIG_CONTAINER_COLLECT_ALL"] == "false"


def test_facets_and_views_are_listed():
    text = FILES["facets.md"]
    assert "| `@escrow.status` | string |" in text
    assert "@event_type:trade_executed" in text
