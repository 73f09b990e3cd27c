"""Children are rendered again if, and only if, anything differs from which they are rendered."""

from dataclasses import replace

import pytest

from purpleflea_contract.control import Control, Mode
from purpleflea_operator.controllers.agent import rendered_children
from purpleflea_operator.controllers.agent.decisions.gather import parsed
from purpleflea_operator.controllers.agent.rendered_children import RenderedChildren
from purpleflea_operator.datadog.detection.connection import (
    NO_CONNECTION,
    Connection,
    ConnectionMode,
)
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Defaults
from support.builders import an_agent

DEFAULTS = Defaults(image="agent:1")
HOST_IP = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125, apm_port=8126)


def an_agent_value(**spec):
    return parsed(an_agent(**spec))[0]


@pytest.fixture
def rendered_names(monkeypatch):
    """The names of the agents whose children were rendered, in sequence."""
    names = []

    def counted(agent, defaults, connection):
        names.append(agent.name)
        return children(agent, defaults, connection)

    monkeypatch.setattr(rendered_children, "children", counted)
    return names


def test_the_children_of_an_unchanged_agent_are_rendered_once(rendered_names):
    rendered = RenderedChildren(DEFAULTS)
    expected = children(an_agent_value(), DEFAULTS, NO_CONNECTION)
    # Each pass has another value of the same agent, and may change the children that it received.
    for _ in range(3):
        found = rendered.of(replace(an_agent_value()), NO_CONNECTION)
        assert found == expected
        found[0]["metadata"]["labels"].clear()
    assert rendered_names == ["momentum"]


@pytest.mark.parametrize(
    ("agent", "connection"),
    [
        (an_agent_value(replicas=3), NO_CONNECTION),
        (replace(an_agent_value(), uid="another"), NO_CONNECTION),
        (replace(an_agent_value(), control=Control(mode=Mode.HALTED)), NO_CONNECTION),
        (replace(an_agent_value(), is_halted=True), NO_CONNECTION),
        (an_agent_value(), HOST_IP),
    ],
    ids=["spec", "UID", "mode", "halt", "connection"],
)
def test_a_change_renders_the_children_again(agent, connection):
    rendered = RenderedChildren(DEFAULTS)
    rendered.of(an_agent_value(), NO_CONNECTION)
    assert rendered.of(agent, connection) == children(agent, DEFAULTS, connection)


def test_the_children_of_the_last_agents_only_are_kept(monkeypatch, rendered_names):
    monkeypatch.setattr(rendered_children, "LIMIT", 2)
    rendered = RenderedChildren(DEFAULTS)
    for name in "abacab":
        rendered.of(replace(an_agent_value(), name=name), NO_CONNECTION)
    assert rendered_names == ["a", "b", "c", "b"]
