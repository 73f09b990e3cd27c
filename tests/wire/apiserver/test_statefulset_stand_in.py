from typing import Any

from support.apiserver import ApiServer, Obj, is_ready


def a_set(replicas: int = 3, **template: Any) -> Obj:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "momentum"},
        "spec": {
            "replicas": replicas,
            "serviceName": "momentum",
            "template": {
                "metadata": {"labels": {"app": "momentum"}},
                "spec": {"containers": [{"name": "agent", "image": "a:1"}], **template},
            },
        },
    }


def pods(server: ApiServer) -> dict[str, Obj]:
    return {pod["metadata"]["name"]: pod for pod in server.objects("Pod")}


def status(server: ApiServer) -> Obj:
    found = server.get("StatefulSet", "default", "momentum")
    assert found is not None
    result: Obj = found.get("status", {})
    return result


def settled(server: ApiServer, replicas: int) -> bool:
    now = status(server)
    live = server.get("StatefulSet", "default", "momentum") or {}
    return (
        server.count("Pod") == replicas
        and now.get("observedGeneration") == live["metadata"]["generation"]
        and now["replicas"] == now["readyReplicas"] == now["updatedReplicas"] == replicas
    )


def test_a_statefulset_gets_its_pods_and_a_status(running_apiserver: ApiServer) -> None:
    server = running_apiserver
    for node in ("n1", "n2"):
        server.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})
    owner = server.put(a_set())
    server.wait_until(lambda: settled(server, 3))
    found = pods(server)
    assert list(found) == ["momentum-0", "momentum-1", "momentum-2"]
    pod = found["momentum-1"]
    revision = status(server)["updateRevision"]
    assert pod["metadata"]["labels"] == {
        "app": "momentum",
        "controller-revision-hash": revision,
        "statefulset.kubernetes.io/pod-name": "momentum-1",
        "apps.kubernetes.io/pod-index": "1",
    }
    assert pod["metadata"]["ownerReferences"][0]["uid"] == owner["metadata"]["uid"]
    assert (pod["spec"]["nodeName"], is_ready(pod)) == ("n2", True)
    assert status(server)["currentRevision"] == revision


def test_scaling_down_deletes_the_highest_ordinals(running_apiserver: ApiServer) -> None:
    server = running_apiserver
    server.put(a_set())
    server.wait_until(lambda: settled(server, 3))
    before = {name: pod["metadata"]["uid"] for name, pod in pods(server).items()}
    for replicas in (5, 1):
        server.patch("StatefulSet", "default", "momentum", {"spec": {"replicas": replicas}})
        server.wait_until(lambda wanted=replicas: settled(server, wanted))
    ((name, pod),) = pods(server).items()
    assert (name, pod["metadata"]["uid"]) == ("momentum-0", before["momentum-0"])


def test_a_new_template_replaces_pods_one_by_one_from_the_top(
    running_apiserver: ApiServer,
) -> None:
    server = running_apiserver
    server.put(a_set())
    server.wait_until(lambda: settled(server, 3))
    old = status(server)["currentRevision"]
    server.statefulsets.let_ready(
        lambda pod: pod["metadata"]["labels"]["controller-revision-hash"] == old
    )
    server.put(a_set(priorityClassName="new"))
    server.wait_until(lambda: status(server)["updatedReplicas"] == 1)
    assert status(server)["currentRevision"] == old
    outdated = [name for name, pod in pods(server).items() if is_ready(pod)]
    assert outdated == ["momentum-0", "momentum-1"]
    server.statefulsets.let_ready(lambda pod: True)
    server.wait_until(lambda: settled(server, 3))
    assert status(server)["currentRevision"] == status(server)["updateRevision"] != old


def test_the_test_controls_the_readiness_of_pods(running_apiserver: ApiServer) -> None:
    server = running_apiserver
    server.put(a_set(2))
    server.wait_until(lambda: settled(server, 2))
    server.statefulsets.let_ready(lambda pod: pod["metadata"]["name"] != "momentum-0")
    server.wait_until(lambda: status(server)["readyReplicas"] == 1)
    server.statefulsets.let_ready(lambda pod: True)
    server.wait_until(lambda: settled(server, 2))


def test_a_deleted_pod_is_recreated_and_a_deleted_set_deletes_its_pods(
    running_apiserver: ApiServer,
) -> None:
    server = running_apiserver
    server.put(a_set(2))
    server.wait_until(lambda: settled(server, 2))
    old = pods(server)["momentum-1"]["metadata"]["uid"]
    server.delete("Pod", "default", "momentum-1")
    server.wait_until(lambda: settled(server, 2))
    assert pods(server)["momentum-1"]["metadata"]["uid"] != old
    server.delete("StatefulSet", "default", "momentum")
    server.wait_until(lambda: server.count("Pod") == 0)


def test_a_terminating_pod_blocks_its_ordinal(running_apiserver: ApiServer) -> None:
    """No second pod with the same identity is created, as if its node is unreachable."""
    server = running_apiserver
    server.put(a_set(1))
    server.wait_until(lambda: settled(server, 1))
    held = {"metadata": {"finalizers": ["test/held"]}}
    server.patch("Pod", "default", "momentum-0", held)
    server.delete("Pod", "default", "momentum-0")
    server.put(a_set(1, priorityClassName="new"))
    server.wait_until(lambda: status(server)["observedGeneration"] == 2)
    assert "deletionTimestamp" in pods(server)["momentum-0"]["metadata"]
    server.patch("Pod", "default", "momentum-0", {"metadata": {"finalizers": None}})
    server.wait_until(lambda: settled(server, 1))
