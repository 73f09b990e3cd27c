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


def test_the_children_of_an_unchanged_agent_are_rendered_once():
    rendered = RenderedChildren(DEFAULTS)
    first = rendered.of(an_agent_value(), NO_CONNECTION)
    # Each pass has another value of the same agent.
    assert rendered.of(replace(an_agent_value()), NO_CONNECTION) is first
    assert first == children(an_agent_value(), DEFAULTS, NO_CONNECTION)


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


def test_the_children_of_the_last_agents_only_are_kept(monkeypatch):
    monkeypatch.setattr(rendered_children, "LIMIT", 2)
    rendered = RenderedChildren(DEFAULTS)
    first, second, third = (replace(an_agent_value(), name=name) for name in "abc")
    kept = {agent.name: rendered.of(agent, NO_CONNECTION) for agent in (first, second)}
    rendered.of(first, NO_CONNECTION)
    rendered.of(third, NO_CONNECTION)
    assert rendered.of(first, NO_CONNECTION) is kept[first.name]
    assert rendered.of(second, NO_CONNECTION) is not kept[second.name]
