from typing import Any

import httpx
import pytest

from support.apiserver import ApiServer

SETS = "/apis/apps/v1/namespaces/trading/statefulsets"
AGENTS = "/apis/purpleflea.com/v1alpha1/namespaces/trading/purplefleaagents"


def applied(
    http: httpx.Client, body: dict[str, Any], manager: str = "operator", *, force: bool = False
) -> httpx.Response:
    url = f"{SETS}/momentum"
    return http.patch(
        url,
        params={"fieldManager": manager, "force": str(force).lower()},
        json=body,
        headers={"Content-Type": "application/apply-patch+yaml"},
    )


def a_set(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "momentum"},
        "spec": spec,
    }


def with_containers(*containers: dict[str, Any]) -> dict[str, Any]:
    return a_set(template={"spec": {"containers": list(containers)}})


def spec_of(reply: httpx.Response) -> dict[str, Any]:
    assert reply.status_code in (200, 201), reply.text
    result: dict[str, Any] = reply.json()["spec"]
    return result


def container_of(reply: httpx.Response) -> dict[str, Any]:
    result: dict[str, Any] = spec_of(reply)["template"]["spec"]["containers"][0]
    return result


def patched(http: httpx.Client, change: Any, kind: str = "merge") -> httpx.Response:
    suffix = "patch+json" if kind == "json" else "merge-patch+json"
    word = {"json": "json-", "merge": "", "strategic": "strategic-"}[kind]
    return http.patch(
        f"{SETS}/momentum",
        content=httpx.Request("POST", "http://x", json=change).content,
        headers={"Content-Type": f"application/{word}{suffix}", "User-Agent": "kubectl/1.37"},
    )


def managers(obj: dict[str, Any]) -> dict[tuple[str, str], Any]:
    entries = obj["metadata"].get("managedFields", ())
    return {(entry["manager"], entry["operation"]): entry["fieldsV1"] for entry in entries}


def test_an_apply_creates_and_then_merges(http: httpx.Client) -> None:
    first = applied(http, a_set(replicas=1))
    assert first.status_code == 201
    second = applied(http, a_set(replicas=2, paused=True))
    assert (second.status_code, spec_of(second)) == (200, {"replicas": 2, "paused": True})
    assert second.json()["metadata"]["generation"] == 2


def test_an_apply_that_changes_nothing_keeps_version_and_time(http: httpx.Client) -> None:
    body = with_containers({"name": "agent", "env": [{"name": "A", "value": "1"}]})
    assert applied(http, body).json() == applied(http, body).json()


def test_the_body_of_an_apply_may_be_yaml(http: httpx.Client) -> None:
    reply = http.patch(
        f"{SETS}/momentum?fieldManager=x",
        content="apiVersion: apps/v1\nkind: StatefulSet\nspec: {replicas: 4}\n",
        headers={"Content-Type": "application/apply-patch+yaml"},
    )
    assert spec_of(reply) == {"replicas": 4}


def test_fields_no_longer_applied_are_removed_and_others_stay(http: httpx.Client) -> None:
    applied(http, a_set(replicas=1, minReadySeconds=5))
    applied(http, a_set(paused=True), "someone")
    assert spec_of(applied(http, a_set(replicas=1))) == {"replicas": 1, "paused": True}


def test_maps_that_become_empty_are_removed(http: httpx.Client) -> None:
    labelled = a_set(replicas=1)
    labelled["metadata"]["annotations"] = {"a": "b"}
    assert applied(http, labelled).json()["metadata"]["annotations"] == {"a": "b"}
    assert "annotations" not in applied(http, a_set(replicas=1)).json()["metadata"]


def test_a_field_of_two_managers_stays_until_both_stop_applying_it(http: httpx.Client) -> None:
    applied(http, a_set(replicas=3, paused=True))
    applied(http, a_set(replicas=3), "other")
    assert spec_of(applied(http, a_set(paused=True))) == {"replicas": 3, "paused": True}
    assert spec_of(applied(http, a_set(), "other")) == {"paused": True}


def test_fields_from_a_create_are_not_removed_by_an_apply(http: httpx.Client) -> None:
    """A create and an apply of the same manager are separate owners, so mixing them keeps old fields."""
    http.post(SETS, json=a_set(replicas=1, paused=True), params={"fieldManager": "operator"})
    applied(http, a_set(replicas=1, paused=True))
    assert spec_of(applied(http, a_set(replicas=1))) == {"replicas": 1, "paused": True}


def test_another_managers_value_is_a_conflict_unless_forced(http: httpx.Client) -> None:
    applied(http, a_set(replicas=1))
    patched(http, {"spec": {"replicas": 7}})
    refused = applied(http, a_set(replicas=1))
    assert refused.status_code == 409
    assert refused.json()["details"]["causes"][0]["field"] == ".spec.replicas"
    assert 'conflict with "kubectl"' in refused.json()["message"]
    taken = applied(http, a_set(replicas=1), force=True)
    assert spec_of(taken) == {"replicas": 1}
    assert managers(taken.json()) == {("operator", "Apply"): {"f:spec": {"f:replicas": {}}}}


def test_the_manager_that_changes_a_field_is_its_only_owner(http: httpx.Client) -> None:
    applied(http, a_set(replicas=1, paused=True))
    now = managers(patched(http, {"spec": {"replicas": 2}}).json())
    assert now[("operator", "Apply")] == {"f:spec": {"f:paused": {}}}
    assert now[("kubectl", "Update")] == {"f:spec": {"f:replicas": {}}}


def test_managed_fields_can_be_cleared(http: httpx.Client) -> None:
    applied(http, a_set(replicas=1))
    cleared = patched(http, {"metadata": {"managedFields": [{}]}}).json()
    assert managers(cleared) == {}
    assert cleared["spec"] == {"replicas": 1}


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        ("env", {"name": "A", "value": "1"}, {"name": "B", "value": "2"}),
        ("ports", {"containerPort": 80}, {"containerPort": 80, "protocol": "UDP"}),
        ("volumeMounts", {"mountPath": "/a", "name": "x"}, {"mountPath": "/b", "name": "x"}),
    ],
)
def test_items_of_keyed_lists_have_separate_owners(
    http: httpx.Client, field: str, one: dict[str, Any], other: dict[str, Any]
) -> None:
    mine = with_containers({"name": "agent", "image": "a", field: [one]})
    applied(http, mine)
    both = applied(http, with_containers({"name": "agent", field: [other]}), "sidecar")
    assert container_of(both)[field] == [one, other]
    less = applied(http, with_containers({"name": "agent", "image": "a"}))
    assert container_of(less) == {"name": "agent", "image": "a", field: [other]}


def test_an_item_without_other_owners_is_removed(http: httpx.Client) -> None:
    applied(http, with_containers({"name": "agent"}, {"name": "helper", "image": "x"}))
    spec = spec_of(applied(http, with_containers({"name": "agent"})))
    assert spec["template"]["spec"]["containers"] == [{"name": "agent"}]


def test_an_item_keeps_only_the_fields_of_other_owners(http: httpx.Client) -> None:
    helper = {"name": "helper", "image": "x", "tty": True}
    applied(http, with_containers({"name": "agent"}, helper))
    change = [{"op": "replace", "path": "/spec/template/spec/containers/1/image", "value": "y"}]
    assert patched(http, change, "json").status_code == 200
    spec = spec_of(applied(http, with_containers({"name": "agent"})))
    assert spec["template"]["spec"]["containers"][1] == {"name": "helper", "image": "y"}


def test_items_keep_the_sequence_of_the_apply(http: httpx.Client) -> None:
    def env(*names: str) -> dict[str, Any]:
        return with_containers({"name": "agent", "env": [{"name": n} for n in names]})

    applied(http, env("A", "B"))
    applied(http, env("X"), "other")
    found = container_of(applied(http, env("B", "C", "A")))["env"]
    assert [item["name"] for item in found] == ["B", "C", "A", "X"]


def test_atomic_lists_and_maps_are_replaced_whole(http: httpx.Client) -> None:
    first = {"selector": {"matchLabels": {"a": "b"}}, "template": {"spec": {"tolerations": [1]}}}
    applied(http, a_set(**first))
    second = {**first, "template": {"spec": {"tolerations": [2, 3], "nodeSelector": {"x": "y"}}}}
    applied(http, a_set(**second))
    third = {**first, "template": {"spec": {"tolerations": [3], "nodeSelector": {"z": "y"}}}}
    assert spec_of(applied(http, a_set(**third))) == third


def test_finalizers_are_a_set(http: httpx.Client) -> None:
    def held(*names: str) -> dict[str, Any]:
        body = a_set(replicas=1)
        body["metadata"]["finalizers"] = list(names)
        return body

    applied(http, held("a/a"))
    both = applied(http, held("b/b"), "other").json()["metadata"]["finalizers"]
    assert both == ["a/a", "b/b"]
    assert applied(http, a_set(replicas=1)).json()["metadata"]["finalizers"] == ["b/b"]


def test_status_is_applied_by_its_own_endpoint_and_owner(http: httpx.Client) -> None:
    def status(state: dict[str, Any]) -> httpx.Response:
        return http.patch(
            f"{AGENTS}/momentum/status",
            params={"fieldManager": "operator-status", "force": "true"},
            json={"spec": {"strategy": "ignored"}, "status": state},
            headers={"Content-Type": "application/apply-patch+yaml"},
        )

    assert status({"ready": 1}).status_code == 404
    http.post(AGENTS, json={"metadata": {"name": "momentum"}, "spec": {"strategy": "m"}})
    ready = {"type": "Ready", "status": "True"}
    status({"ready": 1, "conditions": [ready]})
    agent = status({"conditions": [ready]}).json()
    assert (agent["spec"], agent["status"]) == ({"strategy": "m"}, {"conditions": [ready]})
    assert agent["metadata"]["generation"] == 1
    entry = next(e for e in agent["metadata"]["managedFields"] if e["operation"] == "Apply")
    assert entry["subresource"] == "status"


def test_an_apply_can_require_a_version(http: httpx.Client) -> None:
    version = applied(http, a_set(replicas=1)).json()["metadata"]["resourceVersion"]
    body = a_set(replicas=2)
    body["metadata"]["resourceVersion"] = version
    assert applied(http, body).status_code == 200
    assert applied(http, body | {"spec": {"replicas": 3}}).status_code == 409


def test_an_apply_needs_a_manager(http: httpx.Client) -> None:
    reply = http.patch(
        f"{SETS}/momentum",
        json=a_set(),
        headers={"Content-Type": "application/apply-patch+yaml"},
    )
    assert reply.status_code == 422


def test_a_json_patch_whose_test_fails_is_invalid(http: httpx.Client, apiserver: ApiServer) -> None:
    applied(http, a_set(replicas=1))
    guarded = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "0"},
        {"op": "replace", "path": "/spec/replicas", "value": 9},
    ]
    assert patched(http, guarded, "json").status_code == 422
    live = apiserver.get("StatefulSet", "trading", "momentum")
    assert live is not None
    assert live["spec"] == {"replicas": 1}
    guarded[0]["value"] = live["metadata"]["resourceVersion"]
    assert spec_of(patched(http, guarded, "json")) == {"replicas": 9}


def test_strategic_patches_merge_lists_by_key_and_fail_for_custom_kinds(
    http: httpx.Client,
) -> None:
    applied(http, with_containers({"name": "a"}, {"name": "b"}))
    change = {"spec": {"template": {"spec": {"containers": [{"name": "b", "image": "x"}]}}}}
    spec = spec_of(patched(http, change, "strategic"))
    assert spec["template"]["spec"]["containers"] == [{"name": "a"}, {"name": "b", "image": "x"}]
    http.post(AGENTS, json={"metadata": {"name": "m"}, "spec": {}})
    refused = http.patch(
        f"{AGENTS}/m",
        json={},
        headers={"Content-Type": "application/strategic-merge-patch+json"},
    )
    assert refused.status_code == 415


def test_a_merge_patch_with_an_old_version_conflicts(http: httpx.Client) -> None:
    applied(http, a_set(replicas=1))
    assert patched(http, {"metadata": {"resourceVersion": "1"}}).status_code == 409


def test_an_apply_with_a_uid_does_not_create_an_object(http: httpx.Client) -> None:
    body = a_set(replicas=1)
    body["metadata"]["uid"] = "uid-of-a-deleted-object"
    reply = applied(http, body)
    assert reply.status_code == 409
    assert "no existing object was found" in reply.json()["message"]
    assert applied(http, a_set(replicas=1)).status_code == 201
