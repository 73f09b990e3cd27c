from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from support.apiserver import ApiServer, Kind

AGENTS = "/apis/purpleflea.com/v1alpha1/namespaces/trading/purplefleaagents"
MAPS = "/api/v1/namespaces/trading/configmaps"


def an_agent(name: str = "momentum", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "purpleflea.com/v1alpha1",
        "kind": "PurpleFleaAgent",
        "metadata": {"name": name},
        "spec": {"strategy": "momentum", **spec},
    }


def a_map(name: str, *owners: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    references = [
        {"apiVersion": o["apiVersion"], "kind": o["kind"], **_identity(o)} for o in owners
    ]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "ownerReferences": references, **metadata},
    }


def _identity(obj: dict[str, Any]) -> dict[str, Any]:
    return {"name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"]}


def created(http: httpx.Client, url: str, body: dict[str, Any]) -> dict[str, Any]:
    reply = http.post(url, json=body)
    assert reply.status_code == 201, reply.text
    result: dict[str, Any] = reply.json()
    return result


def refusal(reply: httpx.Response) -> tuple[int, str]:
    assert reply.json()["kind"] == "Status"
    return reply.status_code, reply.json()["reason"]


def test_a_created_object_gets_the_fields_of_the_server(http: httpx.Client) -> None:
    agent = created(http, AGENTS, an_agent() | {"status": {"sent": "by a user"}})
    metadata = agent["metadata"]
    assert metadata["uid"]
    assert metadata["resourceVersion"]
    assert metadata["generation"] == 1
    assert metadata["namespace"] == "trading"
    assert datetime.fromisoformat(metadata["creationTimestamp"]).tzinfo == UTC
    assert "status" not in agent
    assert http.get(f"{AGENTS}/momentum").json() == agent


def test_a_second_object_of_the_same_name_already_exists(http: httpx.Client) -> None:
    created(http, AGENTS, an_agent())
    assert refusal(http.post(AGENTS, json=an_agent())) == (409, "AlreadyExists")


def test_generated_names_differ(http: httpx.Client) -> None:
    body = {"metadata": {"generateName": "event-"}}
    names = {created(http, MAPS, body)["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("event-") for name in names)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"kind": "ConfigMap", "metadata": {"name": "x"}}, 400),
        (an_agent() | {"metadata": {"name": "x", "namespace": "elsewhere"}}, 400),
        (an_agent() | {"metadata": {}}, 422),
        ("not an object", 400),
    ],
)
def test_an_object_that_does_not_match_its_path_is_rejected(
    http: httpx.Client, body: Any, code: int
) -> None:
    assert http.post(AGENTS, json=body).status_code == code


def test_a_missing_object_is_not_found(http: httpx.Client) -> None:
    for url in (f"{AGENTS}/nobody", "/apis/nothing.io/v1/things", f"{MAPS}/x/status"):
        assert refusal(http.get(url)) == (404, "NotFound")


def test_an_update_needs_the_current_version(http: httpx.Client) -> None:
    agent = created(http, AGENTS, an_agent())
    newer = http.put(f"{AGENTS}/momentum", json=agent | {"spec": {"strategy": "other"}})
    assert newer.status_code == 200
    assert refusal(http.put(f"{AGENTS}/momentum", json=agent)) == (409, "Conflict")
    assert refusal(http.put(f"{AGENTS}/momentum", json=an_agent())) == (422, "Invalid")
    assert http.get(f"{AGENTS}/momentum").json() == newer.json()


def test_a_write_that_changes_nothing_keeps_the_version(
    http: httpx.Client, apiserver: ApiServer
) -> None:
    agent = created(http, AGENTS, an_agent())
    for kind in ("merge-patch", "json-patch"):
        change: Any = {"spec": agent["spec"]} if kind == "merge-patch" else []
        reply = http.patch(
            f"{AGENTS}/momentum", json=change, headers={"Content-Type": f"application/{kind}+json"}
        )
        assert reply.json() == agent
    assert http.put(f"{AGENTS}/momentum", json=agent).json() == agent


def merged(http: httpx.Client, url: str, change: dict[str, Any]) -> dict[str, Any]:
    reply = http.patch(url, json=change, headers={"Content-Type": "application/merge-patch+json"})
    assert reply.status_code == 200, reply.text
    result: dict[str, Any] = reply.json()
    return result


def test_status_and_spec_are_written_separately(http: httpx.Client) -> None:
    created(http, AGENTS, an_agent())
    both = {"spec": {"strategy": "new"}, "status": {"ready": 1}}
    through_status = merged(http, f"{AGENTS}/momentum/status", both)
    assert through_status["status"] == {"ready": 1}
    assert through_status["spec"] == {"strategy": "momentum"}
    through_main = merged(
        http, f"{AGENTS}/momentum", {"spec": {"strategy": "new"}, "status": {"ready": 9}}
    )
    assert through_main["status"] == {"ready": 1}
    assert through_main["spec"] == {"strategy": "new"}


def test_only_changes_of_the_spec_count_as_generations(http: httpx.Client) -> None:
    created(http, AGENTS, an_agent())
    url = f"{AGENTS}/momentum"
    generations = [
        merged(http, url, {"metadata": {"labels": {"a": "b"}}})["metadata"]["generation"],
        merged(http, f"{url}/status", {"status": {"x": 1}})["metadata"]["generation"],
        merged(http, url, {"spec": {"replicas": 2}})["metadata"]["generation"],
    ]
    assert generations == [1, 1, 2]
    assert "generation" not in created(http, MAPS, a_map("plain"))["metadata"]


def test_the_scale_of_an_object_can_be_read_and_changed(http: httpx.Client) -> None:
    created(http, AGENTS, an_agent(replicas=3))
    merged(http, f"{AGENTS}/momentum/status", {"status": {"replicas": 2, "selector": "a=b"}})
    scale = http.get(f"{AGENTS}/momentum/scale").json()
    assert (scale["kind"], scale["spec"]) == ("Scale", {"replicas": 3})
    assert scale["status"] == {"replicas": 2, "selector": "a=b"}
    merged(http, f"{AGENTS}/momentum/scale", {"spec": {"replicas": 5}})
    agent = http.get(f"{AGENTS}/momentum").json()
    assert agent["spec"]["replicas"] == 5
    assert agent["metadata"]["generation"] == 2


def test_an_object_exists_until_its_finalizers_are_removed(http: httpx.Client) -> None:
    held = an_agent() | {"metadata": {"name": "momentum", "finalizers": ["purpleflea.com/x"]}}
    created(http, AGENTS, held)
    marked = http.delete(f"{AGENTS}/momentum").json()
    assert marked["metadata"]["deletionTimestamp"]
    assert marked["metadata"]["generation"] == 2
    assert http.get(f"{AGENTS}/momentum").status_code == 200
    merged(http, f"{AGENTS}/momentum", {"metadata": {"finalizers": None}})
    assert http.get(f"{AGENTS}/momentum").status_code == 404


def test_a_delete_with_a_uid_does_not_delete_a_recreated_object(http: httpx.Client) -> None:
    agent = created(http, AGENTS, an_agent())
    for name, wrong in (("uid", "another"), ("resourceVersion", "1")):
        reply = http.request("DELETE", f"{AGENTS}/momentum", json={"preconditions": {name: wrong}})
        assert refusal(reply) == (409, "Conflict")
    right = {"preconditions": {"uid": agent["metadata"]["uid"]}}
    gone = http.request("DELETE", f"{AGENTS}/momentum", json=right)
    assert gone.json()["status"] == "Success"


def test_children_are_deleted_with_their_last_owner(
    http: httpx.Client, apiserver: ApiServer
) -> None:
    first, second = (created(http, AGENTS, an_agent(name)) for name in ("first", "second"))
    child = created(http, MAPS, a_map("child", first))
    created(http, MAPS, a_map("grandchild", child))
    created(http, MAPS, a_map("shared", first, second))
    http.delete(f"{AGENTS}/first")
    (left,) = apiserver.objects("ConfigMap")
    assert left["metadata"]["name"] == "shared"
    assert [r["name"] for r in left["metadata"]["ownerReferences"]] == ["second"]


def test_a_child_created_after_its_owner_is_deleted_is_collected(
    http: httpx.Client, apiserver: ApiServer
) -> None:
    owner = created(http, AGENTS, an_agent())
    http.delete(f"{AGENTS}/momentum")
    created(http, AGENTS, an_agent())
    created(http, MAPS, a_map("late", owner))
    assert apiserver.objects("ConfigMap") == []


def test_orphaned_children_are_not_deleted(http: httpx.Client, apiserver: ApiServer) -> None:
    created(http, MAPS, a_map("child", created(http, AGENTS, an_agent())))
    http.delete(f"{AGENTS}/momentum", params={"propagationPolicy": "Orphan"})
    (left,) = apiserver.objects("ConfigMap")
    assert not left["metadata"]["ownerReferences"]


def test_deleting_a_namespace_deletes_its_content_and_waits_for_finalizers(
    http: httpx.Client, apiserver: ApiServer
) -> None:
    created(http, "/api/v1/namespaces", {"metadata": {"name": "trading"}})
    created(http, MAPS, a_map("held", finalizers=["purpleflea.com/x"]))
    created(http, MAPS, a_map("free"))
    http.delete("/api/v1/namespaces/trading")
    assert [o["metadata"]["name"] for o in apiserver.objects("ConfigMap")] == ["held"]
    assert http.get("/api/v1/namespaces/trading").json()["status"]["phase"] == "Terminating"
    assert refusal(http.post(MAPS, json=a_map("new"))) == (403, "Forbidden")
    merged(http, f"{MAPS}/held", {"metadata": {"finalizers": []}})
    assert http.get("/api/v1/namespaces/trading").status_code == 404


def test_changes_of_immutable_fields_of_a_statefulset_are_rejected(http: httpx.Client) -> None:
    url = "/apis/apps/v1/namespaces/trading/statefulsets"
    created(http, url, {"metadata": {"name": "a"}, "spec": {"serviceName": "x", "replicas": 1}})
    reply = http.patch(
        f"{url}/a",
        json={"spec": {"serviceName": "y"}},
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert refusal(reply) == (422, "Invalid")
    assert merged(http, f"{url}/a", {"spec": {"replicas": 2}})["spec"]["replicas"] == 2


def test_kinds_are_discovered_registered_and_removed(
    http: httpx.Client, apiserver: ApiServer
) -> None:
    assert http.get("/readyz").text == "ok"
    assert http.get("/version").json()["major"] == "1"
    assert "v1" in http.get("/api").json()["versions"]
    groups = {group["name"] for group in http.get("/apis").json()["groups"]}
    assert {"purpleflea.com", "apps", "coordination.k8s.io"} <= groups
    names = {r["name"] for r in http.get("/apis/purpleflea.com/v1alpha1").json()["resources"]}
    assert names == {
        "purplefleaagents",
        "purplefleaagents/status",
        "purplefleaagents/scale",
        "purplefleaobservabilities",
        "purplefleaobservabilities/status",
        "purplefleahalts",
        "purplefleahalts/status",
    }

    apiserver.unregister("PurpleFleaHalt")
    apiserver.unregister("PurpleFleaObservability")
    apiserver.unregister("PurpleFleaAgent")
    assert http.get(AGENTS).status_code == 404
    assert http.get("/apis/purpleflea.com/v1alpha1").status_code == 404
    apiserver.register(
        Kind(group="purpleflea.com", version="v1alpha1", plural="purplefleahalts", kind="Halt")
    )
    assert http.get("/apis/purpleflea.com/v1alpha1/purplefleahalts").json()["items"] == []


def test_tests_can_access_objects_directly(http: httpx.Client, apiserver: ApiServer) -> None:
    stored = apiserver.put(an_agent() | {"status": {"ready": 3}})
    assert stored["metadata"]["namespace"] == "default"
    changed = apiserver.patch("PurpleFleaAgent", "default", "momentum", {"status": {"ready": 4}})
    assert changed["status"] == {"ready": 4}
    assert changed["metadata"]["uid"] == stored["metadata"]["uid"]
    assert apiserver.get("purplefleaagents", "default", "momentum") == changed
    assert apiserver.count("PurpleFleaAgent") == 1
    apiserver.delete("PurpleFleaAgent", "default", "momentum")
    assert apiserver.get("PurpleFleaAgent", "default", "momentum") is None
    assert apiserver.requests() == []


def test_a_dry_run_returns_the_object_and_stores_nothing(
    http: httpx.Client, apiserver: ApiServer
) -> None:
    dry = {"dryRun": "All"}
    assert http.post(MAPS, json=a_map("x"), params=dry).status_code == 201
    assert apiserver.get("ConfigMap", "default", "x") is None
    stored = http.post(MAPS, json=a_map("x")).json()
    merge = {"Content-Type": "application/merge-patch+json"}
    patch = '{"data": {"a": "2"}}'
    found = http.patch(f"{MAPS}/x", content=patch, headers=merge, params=dry).json()
    assert found["data"]["a"] == "2"
    assert http.get(f"{MAPS}/x").json() == stored
    assert http.delete(f"{MAPS}/x", params=dry).status_code == 400


def test_unsupported_requests_are_rejected(http: httpx.Client, apiserver: ApiServer) -> None:
    assert http.post(f"{MAPS}/x", json=a_map("x")).status_code == 405
    with pytest.raises(LookupError, match="does not serve Job"):
        apiserver.objects("Job")
