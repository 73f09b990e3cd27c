"""The responder of the benchmark proves a halt only as a real pod could: after ConfigMap and refresh."""

import json

import pytest
from benchmarks.scale import phases
from benchmarks.scale.workloads import acknowledges, has_mode, is_agent_ready
from benchmarks.scale.world import World

from purpleflea_contract.control import Mode
from purpleflea_operator.controllers.agent.decisions.observed_state import CONTROL_ANNOTATION
from support.builders import a_pod

ADDRESS = "127.128.0.1"


def a_config_map(mode):
    return {"metadata": {"name": "momentum"}, "data": {"control.json": json.dumps({"mode": mode})}}


def pod(refresh=None):
    manifest = a_pod(annotations={CONTROL_ANNOTATION: refresh} if refresh else {})
    manifest["status"]["podIP"] = ADDRESS
    return manifest


def a_world():
    world = World()
    world.receiver("configmaps")("ADDED", a_config_map("Active"))
    world.receiver("pods")("ADDED", pod())
    return world


def answer(world):
    return json.loads(world.respond(ADDRESS, "/v1/control"))


def test_an_agent_starts_with_the_mode_of_its_config_map():
    assert answer(a_world()) == {
        "mode": "Active",
        "generation": 0,
        "sending": False,
        "at_rest": False,
    }


def test_a_config_map_alone_changes_no_running_agent():
    world = a_world()
    world.receiver("configmaps")("MODIFIED", a_config_map("Halted"))
    assert answer(world)["mode"] == "Active"


@pytest.mark.parametrize("refresh", ["Halted", "Halted.3"])
def test_config_map_and_refresh_halt_an_agent(refresh):
    world = a_world()
    world.receiver("configmaps")("MODIFIED", a_config_map("Halted"))
    world.receiver("pods")("MODIFIED", pod(refresh))
    assert answer(world) == {"mode": "Halted", "generation": 0, "sending": False, "at_rest": True}


def test_the_refresh_may_be_received_before_the_config_map():
    world = a_world()
    world.receiver("pods")("MODIFIED", pod("Halted"))
    assert answer(world)["mode"] == "Active"
    world.receiver("configmaps")("MODIFIED", a_config_map("Halted"))
    assert answer(world)["mode"] == "Halted"


def test_a_replaced_pod_starts_with_the_present_mode():
    world = a_world()
    world.receiver("pods")("DELETED", pod())
    assert world.respond(ADDRESS, "/v1/control") is None
    world.receiver("configmaps")("MODIFIED", a_config_map("Halted"))
    world.receiver("pods")("ADDED", pod())
    assert answer(world)["mode"] == "Halted"


def test_an_address_belongs_to_the_pod_that_had_it_last():
    world = a_world()
    successor = pod()
    successor["metadata"]["name"] = "other-0"
    successor["metadata"]["labels"]["app.kubernetes.io/instance"] = "other"
    world.receiver("pods")("ADDED", successor)
    world.receiver("pods")("DELETED", pod())
    assert answer(world)["mode"] == "Active"


def test_an_expectation_is_met_by_each_object_once():
    world = World()
    expectation = world.expect("configmaps", ["momentum"], has_mode(Mode.HALTED))
    receive = world.receiver("configmaps")
    receive("MODIFIED", a_config_map("Active"))
    assert not expectation.done.is_set()
    receive("MODIFIED", a_config_map("Halted"))
    assert expectation.done.is_set()
    assert expectation.times.keys() == {"momentum"}


def agent(generation=2, **conditions):
    found = [
        {"type": kind, "status": status, "reason": reason}
        for kind, (status, reason) in conditions.items()
    ]
    return {
        "metadata": {"generation": generation},
        "status": {"observedGeneration": 2, "conditions": found},
    }


def test_an_agent_is_ready_at_its_generation_without_a_rollout():
    complete, rolling = ("True", "Complete"), ("True", "RollingOut")
    assert is_agent_ready(agent(Ready=("True", "Ready"), Progressing=complete))
    assert is_agent_ready(agent(Ready=("True", "Ready")))
    assert not is_agent_ready(agent(Ready=("True", "Ready"), Progressing=rolling))
    assert not is_agent_ready(agent(Ready=("False", "Progressing"), Progressing=complete))
    assert not is_agent_ready(agent(generation=3, Ready=("True", "Ready")))


@pytest.mark.parametrize(("mode", "status"), [(Mode.HALTED, "False"), (Mode.ACTIVE, "True")])
def test_only_a_proven_mode_is_acknowledged(mode, status):
    proven = acknowledges(mode)
    assert proven(agent(TradingActive=(status, mode)))
    assert not proven(agent(TradingActive=("Unknown", mode)))


def test_raw_stateful_sets_are_only_created():
    assert phases.of("raw", list(phases.PHASES)) == ["create"]
    assert phases.of("baseline", ["idle", "takeover"]) == ["idle"]
    assert phases.of("ours", ["takeover", "create"]) == ["create", "takeover"]
