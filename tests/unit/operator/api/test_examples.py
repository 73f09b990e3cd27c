"""Example manifests: each is valid, and each field of a group is in at least one of them."""

from pathlib import Path

import pytest
import yaml

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.codegen.structural_schema import structural
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults
from purpleflea_operator.manifests.user_overrides import user_overrides
from support import charts

CHECKOUT = Path(__file__).parents[4]
FILES = sorted(CHECKOUT.glob("examples/**/*.yaml"))
SPEC = structural(AgentSpec)
# The examples have it only in a comment, because it excludes another field of its group.
ALTERNATIVES = {"pod.serviceAccountName"}


def agents_in(file):
    return [
        Agent(
            namespace="trading",
            name=item["metadata"]["name"],
            uid="u",
            generation=1,
            spec=AgentSpec.model_validate(item["spec"], extra="forbid"),
        )
        for item in yaml.safe_load_all(file.read_text())
        if item.get("kind") == "PurpleFleaAgent"
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_an_example_is_valid_and_none_of_its_fields_is_ignored(file):
    for agent in agents_in(file):
        assert user_overrides(agent).ignored == ()
        assert children(agent, Defaults(image="agent:1"), NO_CONNECTION)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_first_line_of_an_example_refers_to_the_editor_schema(file):
    if not agents_in(file):
        return
    mark, _, schema = file.read_text().splitlines()[0].partition("$schema=")
    assert mark == "# yaml-language-server: "
    assert (
        file.parent / schema
    ).resolve() == CHECKOUT / "docs/reference/purplefleaagent.schema.json"


def test_an_example_of_each_group_has_every_field_of_the_group():
    shown = set()
    for file in FILES:
        for item in yaml.safe_load_all(file.read_text()):
            if item.get("kind") != "PurpleFleaAgent":
                continue
            for group, value in item["spec"].items():
                shown |= {group}
                if isinstance(value, dict):
                    shown |= {f"{group}.{field}" for field in value}
    expected = set()
    for group, node in SPEC["properties"].items():
        expected |= {group} | {f"{group}.{field}" for field in node.get("properties", ())}
    assert expected - shown == ALTERNATIVES, "add the field to a manifest in examples/spec"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_an_agent_to_copy_keeps_its_journal_in_a_volume(file):
    if file.parent.name != "spec":
        assert all(agent.spec.storage for agent in agents_in(file))


def test_the_first_example_trades_paper_money_and_the_live_one_starts_halted():
    (paper,) = agents_in(CHECKOUT / "examples/momentum.yaml")
    assert {url.split("/")[2] for _, url in paper.spec.api.endpoints} == {
        "exchange.exchange.svc.cluster.local"
    }
    live = CHECKOUT / "examples/momentum-live.yaml"
    (agent,) = agents_in(live)
    assert agent.spec.trading.mode == "Halted"
    assert all(url.startswith("https://") for _, url in agent.spec.api.endpoints)
    assert "The only dialect of this version is that of the published page" in live.read_text()


def test_the_paper_exchange_has_the_address_of_the_first_example():
    found = charts.documents(charts.EXCHANGE, release="exchange", namespace="exchange")
    (service,) = (item["metadata"] for item in found if item["kind"] == "Service")
    assert (service["name"], service["namespace"]) == ("exchange", "exchange")
