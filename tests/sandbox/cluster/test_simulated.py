import json
import socket

from purpleflea_sandbox.cluster.simulated import ports, stages


def test_reserved_ports_are_distinct_and_usable() -> None:
    reserved = ports.reserve(5)

    assert len(set(reserved)) == 5
    for port in reserved:
        with socket.create_server((ports.HOST, port)):
            pass


def test_a_reserved_port_is_not_assigned_to_other_programs() -> None:
    reserved = set(ports.reserve(3))
    given = set()
    for _ in range(200):
        with socket.create_server((ports.HOST, 0)) as server:
            given.add(server.getsockname()[1])

    assert not reserved & given


def test_the_stages_of_pods_and_nodes_have_unique_names() -> None:
    documents = [json.loads(text) for text in stages.documents().split("\n---\n")]

    kinds = [document["spec"]["resourceRef"]["kind"] for document in documents]
    assert len({document["metadata"]["name"] for document in documents}) == len(documents)
    assert kinds.count("Pod") == 3
    assert kinds.count("Node") == 1


def test_a_simulated_node_is_marked_as_simulated() -> None:
    node = stages.node("simulated-1")

    [condition] = node["status"]["conditions"]
    assert condition == {"type": "Ready", "status": "True", "reason": "Simulated"}
    assert node["status"]["nodeInfo"]["containerRuntimeVersion"] == "simulated"
