"""The documentation agrees with the contract."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from purpleflea_contract import docs, environment, events, metrics, routes, spans
from purpleflea_contract.control import Control, Mode
from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.datadog.detection.connection import Connection, ConnectionMode
from purpleflea_operator.datadog.detection.facts import Socket
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults
from support.builders import a_spec

PAGES = ("telemetry.md", "bring-your-own-agent.md")
NEVER = ("never", "never yet")


@pytest.fixture(params=PAGES)
def page(repository: Path, request: pytest.FixtureRequest) -> str:
    return (repository / "docs" / request.param).read_text()


def test_the_tables_are_up_to_date(page: str) -> None:
    assert docs.with_tables(page) == page, "stale: run `make docs`"


def test_every_table_is_on_a_page(repository: Path) -> None:
    pages = "".join((repository / "docs" / name).read_text() for name in PAGES)
    assert set(re.findall("<!-- generated: ([a-z-]+) -->", pages)) == set(docs.TABLES)


def test_an_unknown_table_is_an_error() -> None:
    with pytest.raises(KeyError, match="nosuch"):
        docs.with_tables("<!-- generated: nosuch -->\n<!-- end -->")


def test_every_name_of_the_contract_is_in_the_tables() -> None:
    tables = "".join(render() for render in docs.TABLES.values())
    names = [item.name for item in (*metrics.METRICS, *spans.SPANS, *events.EVENTS)]
    names += [item.exposed_name for item in metrics.METRICS]
    names += [route.path for route in routes.ROUTES]
    assert [name for name in names if f"`{name}`" not in tables and name not in tables] == []


def test_every_variable_of_the_contract_has_a_row() -> None:
    constants = {
        value
        for name, value in vars(environment).items()
        if name.isupper() and isinstance(value, str) and re.match("(PURPLEFLEA|DD)_[A-Z_]+$", value)
    }
    assert constants == {variable.name for variable in environment.VARIABLES}


BY_PORT = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8225, apm_port=8226)
BY_SOCKET = Connection(
    mode=ConnectionMode.SOCKET,
    dogstatsd_socket=Socket(folder="/var/run/datadog", name="dsd.socket"),
    apm_socket=Socket(folder="/var/run/elsewhere", name="apm.socket"),
)


def rendered(way: Connection = BY_PORT, **changes: object) -> dict[str, Any]:
    spec = AgentSpec.model_validate(a_spec(**changes))
    agent = Agent(namespace="trading", name="momentum", uid="uid", generation=1, spec=spec)
    found = {item["kind"]: item for item in children(agent, Defaults(image="i:1"), way)}
    container = found["StatefulSet"]["spec"]["template"]["spec"]["containers"][0]
    return dict(container)


def test_the_operator_sets_exactly_the_variables_of_the_table() -> None:
    known = {variable.name: variable for variable in environment.VARIABLES}
    always = {name for name, variable in known.items() if variable.set == "always"}
    plain = {item["name"] for item in rendered()["env"]}
    assert always <= plain <= known.keys()
    everything = rendered(
        api={"keySecretRef": {"name": "k"}, "tokenSecretRef": "t"},
        datadog={
            "legacyHistograms": True,
            "apm": {"sampleRate": "0.5", "runtimeMetrics": True, "profiling": True},
        },
    )
    by_socket = rendered(BY_SOCKET)
    most = {item["name"] for item in (*everything["env"], *by_socket["env"])}
    never = {name for name, variable in known.items() if variable.set in NEVER}
    assert most == known.keys() - never - {environment.DD_TRACE_ENABLED}
    mounted = (*everything["volumeMounts"], *by_socket["volumeMounts"])
    mounts = {mount["mountPath"] for mount in mounted}
    assert mounts == {mount.path for mount in environment.MOUNTS}


def test_every_mode_is_explained_and_the_examples_of_json_are_valid(repository: Path) -> None:
    page = (repository / "docs" / "bring-your-own-agent.md").read_text()
    assert all(f"| `{mode.value}` |" in page for mode in Mode)
    for text in re.findall("```json\n(.*?)\n```", page, re.DOTALL):
        Control.model_validate(json.loads(text))
