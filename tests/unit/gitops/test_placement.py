"""The examples for many clusters, the check of the placement, and the objects of users that the operator writes."""

import subprocess
import sys

import pytest
import yaml

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.api.observability import ObservabilitySpec
from support.rights import granted, rendered, roles


@pytest.fixture(scope="session")
def examples(repository):
    return repository / "examples" / "gitops"


def check(examples, folder):
    done = subprocess.run(
        [sys.executable, examples / "check_placement.py", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def agent(cluster, name="momentum", **datadog):
    spec = {"datadog": {"cluster": cluster, **datadog}}
    return resource("PurpleFleaAgent", name, spec)


def resource(kind, name="fleet", spec=None):
    return {
        "apiVersion": "purpleflea.com/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "trading"},
        "spec": spec or {},
    }


def observability(**spec):
    return resource("PurpleFleaObservability", spec=spec)


TOKYO = ("tokyo/agents.yaml", agent("tokyo"))


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ((TOKYO, ("london/agents.yaml", agent("london", env="production-london"))), None),
        ((TOKYO, ("london/agents.yaml", agent("london", "other"))), None),
        ((TOKYO, ("london/agents.yaml", agent("london"))), "same name, env and service"),
        ((TOKYO, ("london/x/a.yml", agent("london", env="Production"))), "same name, env"),
        ((TOKYO, ("tokyo/second.yaml", agent("tokyo"))), "same name, env and service"),
        ((("tokyo/agents.yaml", agent("london")),), "set spec.datadog.cluster: tokyo"),
        ((("tokyo/agents.yaml", resource("PurpleFleaAgent")),), "spec.datadog.cluster None"),
        ((TOKYO, ("tokyo/halt.yaml", resource("PurpleFleaHalt"))), "halts do not belong in git"),
        (
            (
                ("tokyo/o.yaml", observability()),
                ("london/o.yaml", observability(site="datadoghq.com")),
            ),
            "observes the same env",
        ),
        (
            (("tokyo/o.yaml", observability()), ("london/o.yaml", observability(env="london"))),
            None,
        ),
        (
            (
                ("tokyo/o.yaml", observability()),
                ("london/o.yaml", observability(site="datadoghq.eu")),
            ),
            None,
        ),
        ((("tokyo/values.yaml", {"kind": "ConfigMap"}), ("tokyo/empty.yaml", None)), None),
        (
            (TOKYO, ("london/list.yaml", {"kind": "List", "items": [agent("london")]})),
            "same name, env and service",
        ),
        ((("tokyo/list.yaml", {"kind": "List", "items": None}),), None),
        ((TOKYO, ("london/agents.json", agent("london"))), "same name, env and service"),
        ((("tokyo/agents.yaml", {**agent("tokyo"), "metadata": None}),), "has no metadata.name"),
        ((("tokyo/agents.yaml", {**agent("tokyo"), "spec": None}),), "spec.datadog.cluster None"),
    ],
)
def test_each_agent_is_placed_in_one_cluster(examples, tmp_path, files, problem):
    for name, manifest in files:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("" if manifest is None else yaml.safe_dump(manifest))
    code, output = check(examples, tmp_path)
    assert code == (0 if problem is None else 1), output
    assert (problem or "each agent is in one cluster") in output


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe", b"a: b: c"])
def test_a_file_that_is_not_yaml_is_named(examples, tmp_path, content):
    (tmp_path / "tokyo").mkdir()
    (tmp_path / "tokyo" / "agents.yaml").write_bytes(content)
    code, output = check(examples, tmp_path)
    assert code == 1
    assert output.startswith("tokyo/agents.yaml: not readable")


def test_the_example_is_placed_correctly_and_a_missing_folder_is_an_error(examples, tmp_path):
    assert check(examples, examples / "clusters") == (0, "each agent is in one cluster\n")
    assert check(examples, tmp_path / "missing")[0] == 2


def test_the_resources_of_the_example_are_valid(examples):
    models = {"PurpleFleaAgent": AgentSpec, "PurpleFleaObservability": ObservabilitySpec}
    found = [
        item
        for file in sorted(examples.glob("clusters/*/*.yaml"))
        for item in yaml.safe_load_all(file.read_text())
    ]
    for item in found:
        if item["kind"] in models:
            models[item["kind"]].model_validate(item["spec"], extra="forbid")
    names = {item["metadata"]["name"] for item in found if item["kind"] == "PurpleFleaAgent"}
    assert names == {"momentum-asia", "momentum-europe"}


def values_in(examples):
    """Yield the chart values of the Argo CD applications and of the Flux release."""
    for item in yaml.safe_load_all((examples / "argocd" / "applicationsets.yaml").read_text()):
        helm = item["spec"]["template"]["spec"]["source"].get("helm")
        if helm:
            yield helm["valuesObject"]
    release = yaml.safe_load((examples / "flux" / "operator" / "helmrelease.yaml").read_text())
    yield release["spec"]["values"]


def test_the_chart_accepts_the_values_of_the_examples(examples):
    for values in values_in(examples):
        values["datadog"]["cluster"] = "tokyo"
        flat = (
            f"{group}.{name}={value}"
            for group, items in values.items()
            for name, value in items.items()
        )
        (deployment,) = (item for item in rendered(*flat) if item["kind"] == "Deployment")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        variables = {item["name"]: item.get("value") for item in container["env"]}
        assert variables["PURPLEFLEA_OPERATOR_CLUSTER"] == "tokyo"


def test_waves_of_the_applications_cover_every_cluster_once(examples):
    for item in yaml.safe_load_all((examples / "argocd" / "applicationsets.yaml").read_text()):
        steps = item["spec"]["strategy"]["rollingSync"]["steps"]
        rules = [
            (rule["key"], rule["operator"], rule["values"])
            for step in steps
            for rule in step["matchExpressions"]
        ]
        key = "purpleflea.com/wave"
        assert rules == [(key, "In", ["canary"]), (key, "NotIn", ["canary"])]
        assert key in item["spec"]["template"]["metadata"]["labels"]


def test_the_operator_cannot_write_the_spec_of_agents_and_halts():
    """So a GitOps tool needs no ignoreDifferences for the operator."""
    writes = {
        (right.resource, right.verb)
        for right in granted(roles())
        if right.group == "purpleflea.com" and right.verb not in ("get", "list", "watch")
    }
    assert {name for name, _ in writes} == {
        "purplefleaagents/status",
        "purplefleahalts/status",
        "purplefleaobservabilities",
        "purplefleaobservabilities/status",
        *(name for name, _ in writes if name.endswith("/finalizers")),
    }
    assert {verb for name, verb in writes if name == "purplefleaobservabilities"} == {"patch"}
