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
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Defaults
from support.builders import an_agent

KEY = NamespacedName("trading", "momentum")
DEFAULTS = Defaults(image="agent:1")
HOST_IP = Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125, apm_port=8126)


def an_agent_value(**spec):
    return parsed(an_agent(**spec))[0]


def test_the_children_of_an_unchanged_agent_are_rendered_once():
    rendered = RenderedChildren(DEFAULTS)
    first = rendered.of(KEY, an_agent_value(), NO_CONNECTION)
    # Each pass has another value of the same agent.
    assert rendered.of(KEY, replace(an_agent_value()), NO_CONNECTION) is first
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
    rendered.of(KEY, an_agent_value(), NO_CONNECTION)
    assert rendered.of(KEY, agent, connection) == children(agent, DEFAULTS, connection)


def test_the_children_of_the_last_agents_only_are_kept(monkeypatch):
    monkeypatch.setattr(rendered_children, "LIMIT", 2)
    rendered, agent = RenderedChildren(DEFAULTS), an_agent_value()
    first, second, third = (NamespacedName("trading", name) for name in "abc")
    kept = {key: rendered.of(key, agent, NO_CONNECTION) for key in (first, second)}
    rendered.of(first, agent, NO_CONNECTION)
    rendered.of(third, agent, NO_CONNECTION)
    assert rendered.of(first, agent, NO_CONNECTION) is kept[first]
    assert rendered.of(second, agent, NO_CONNECTION) is not kept[second]
