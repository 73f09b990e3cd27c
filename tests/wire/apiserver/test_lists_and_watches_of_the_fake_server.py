import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from support.apiserver import ApiServer

PODS = "/api/v1/pods"


def a_pod(name: str, namespace: str = "a", **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"nodeName": f"node-of-{name}"},
    }


class Stream:
    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.iter_lines()

    def next(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(next(self._lines))
        return event

    def summary(self) -> tuple[str, str]:
        event = self.next()
        return event["type"], event["object"]["metadata"].get("name", "")

    def rest(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._lines]


@contextmanager
def watching(http: httpx.Client, url: str = PODS, **query: Any) -> Iterator[Stream]:
    with http.stream("GET", url, params={"watch": "true", **query}) as response:
        assert response.status_code == 200
        yield Stream(response)


def names(http: httpx.Client, url: str = PODS, **query: Any) -> list[str]:
    return [item["metadata"]["name"] for item in http.get(url, params=query).json()["items"]]


def version(http: httpx.Client) -> str:
    found: str = http.get(PODS).json()["metadata"]["resourceVersion"]
    return found


@pytest.fixture
def three_pods(apiserver: ApiServer) -> ApiServer:
    apiserver.put(a_pod("one", app="x", tier="gold"))
    apiserver.put(a_pod("two", app="x"))
    apiserver.put(a_pod("three", "b", app="y"))
    return apiserver


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, ["one", "two", "three"]),
        ({"labelSelector": "app=x"}, ["one", "two"]),
        ({"labelSelector": "app==y"}, ["three"]),
        ({"labelSelector": "app!=x"}, ["three"]),
        ({"labelSelector": "tier"}, ["one"]),
        ({"labelSelector": "!tier"}, ["two", "three"]),
        ({"labelSelector": "app in (x, z),tier"}, ["one"]),
        ({"labelSelector": "app notin (x)"}, ["three"]),
        ({"fieldSelector": "metadata.name=two"}, ["two"]),
        ({"fieldSelector": "metadata.namespace!=a"}, ["three"]),
        ({"fieldSelector": "spec.nodeName=node-of-one"}, ["one"]),
        ({"labelSelector": "app=x", "fieldSelector": "metadata.name=three"}, []),
    ],
)
def test_selectors_filter_objects(
    http: httpx.Client, three_pods: ApiServer, query: dict[str, str], expected: list[str]
) -> None:
    assert names(http, **query) == expected


def test_an_invalid_selector_is_rejected(http: httpx.Client) -> None:
    for query in ({"labelSelector": "a in"}, {"labelSelector": "="}, {"fieldSelector": "x"}):
        assert http.get(PODS, params=query).status_code == 400


def test_a_list_of_a_namespace_has_only_its_objects(
    http: httpx.Client, three_pods: ApiServer
) -> None:
    assert names(http, "/api/v1/namespaces/b/pods") == ["three"]


def test_pages_of_a_list_are_from_one_snapshot(http: httpx.Client, three_pods: ApiServer) -> None:
    first = http.get(PODS, params={"limit": 2}).json()
    assert first["metadata"]["remainingItemCount"] == 1
    three_pods.delete("Pod", "b", "three")
    second = http.get(PODS, params={"limit": 2, "continue": first["metadata"]["continue"]}).json()
    assert [item["metadata"]["name"] for item in second["items"]] == ["three"]
    assert "continue" not in second["metadata"]
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_a_list_token_expires_with_its_history(http: httpx.Client, three_pods: ApiServer) -> None:
    token = http.get(PODS, params={"limit": 1}).json()["metadata"]["continue"]
    three_pods.compact()
    late = http.get(PODS, params={"limit": 1, "continue": token})
    assert (late.status_code, late.json()["reason"]) == (410, "Expired")


def test_a_watch_sends_missed_and_new_changes(http: httpx.Client, three_pods: ApiServer) -> None:
    since = version(http)
    three_pods.put(a_pod("four"))
    with watching(http, resourceVersion=since) as stream:
        assert stream.summary() == ("ADDED", "four")
        three_pods.patch("Pod", "a", "four", {"spec": {"x": 1}})
        assert stream.summary() == ("MODIFIED", "four")
        three_pods.delete("Pod", "a", "four")
        gone = stream.next()
    assert gone["type"] == "DELETED"
    assert int(gone["object"]["metadata"]["resourceVersion"]) > int(since) + 2


def test_a_watch_without_a_version_starts_with_all_objects(
    http: httpx.Client, three_pods: ApiServer
) -> None:
    with watching(http, resourceVersion="0", labelSelector="app=x") as stream:
        assert [stream.summary() for _ in range(2)] == [("ADDED", "one"), ("ADDED", "two")]


def test_initial_events_end_with_an_annotated_bookmark(
    http: httpx.Client, three_pods: ApiServer
) -> None:
    query = {"sendInitialEvents": "true", "allowWatchBookmarks": "true"}
    with watching(http, resourceVersionMatch="NotOlderThan", **query) as stream:
        assert [stream.next()["type"] for _ in range(3)] == ["ADDED"] * 3
        mark = stream.next()
    assert mark["type"] == "BOOKMARK"
    assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


def test_objects_that_enter_or_leave_a_selector_are_added_or_deleted(
    http: httpx.Client, three_pods: ApiServer
) -> None:
    query = {"resourceVersion": version(http), "labelSelector": "tier=gold"}
    with watching(http, "/api/v1/namespaces/a/pods", **query) as stream:
        three_pods.patch("Pod", "a", "two", {"metadata": {"labels": {"tier": "gold"}}})
        three_pods.patch("Pod", "b", "three", {"metadata": {"labels": {"tier": "gold"}}})
        three_pods.patch("Pod", "a", "one", {"metadata": {"labels": {"tier": None}}})
        assert stream.summary() == ("ADDED", "two")
        assert stream.summary() == ("DELETED", "one")


def test_bookmarks_are_sent_on_request_and_the_stream_ends_at_its_timeout(
    three_pods: ApiServer,
) -> None:
    server = ApiServer(bookmark_interval_s=0.05)
    with server, httpx.Client(base_url=server.url) as http:
        with watching(http, timeoutSeconds=0.4, allowWatchBookmarks="true") as stream:
            marks = stream.rest()
        with watching(http, timeoutSeconds=0.2) as stream:
            assert stream.rest() == []
    assert marks
    assert {mark["type"] for mark in marks} == {"BOOKMARK"}
    assert marks[0]["object"]["metadata"]["resourceVersion"]


def test_a_version_older_than_history_is_gone(http: httpx.Client, three_pods: ApiServer) -> None:
    since = version(http)
    three_pods.compact()
    with watching(http, resourceVersion=since) as stream:
        (event,) = stream.rest()
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)
    three_pods.put(a_pod("five"))
    assert int(version(http)) > int(since)


def test_history_has_a_limit() -> None:
    with ApiServer(history_limit=2) as server, httpx.Client(base_url=server.url) as http:
        since = version(http)
        for name in ("one", "two", "three"):
            server.put(a_pod(name))
        with watching(http, resourceVersion=since) as stream:
            assert stream.next()["object"]["code"] == 410


def test_dropped_watches_end_and_can_resume(http: httpx.Client, three_pods: ApiServer) -> None:
    since = version(http)
    with watching(http, resourceVersion=since) as stream:
        assert three_pods.drop_watches("services") == 0
        assert three_pods.drop_watches("pods") == 1
        assert stream.rest() == []
    three_pods.wait_until(lambda: three_pods.open_watches() == 0)
    three_pods.put(a_pod("six"))
    with watching(http, resourceVersion=since) as stream:
        assert stream.summary() == ("ADDED", "six")


def test_a_cut_watch_ends_with_a_connection_error(
    http: httpx.Client, three_pods: ApiServer
) -> None:
    with watching(http, resourceVersion=version(http)) as stream:
        three_pods.drop_watches(cut=True)
        with pytest.raises(httpx.TransportError):
            stream.rest()


def test_a_stalled_watch_stays_open_and_sends_nothing() -> None:
    server = ApiServer(bookmark_interval_s=0.02)
    with server, httpx.Client(base_url=server.url, timeout=0.3) as http:
        server.put(a_pod("one"))
        query = {"allowWatchBookmarks": "true", "timeoutSeconds": "0.1"}
        with watching(http, resourceVersion=version(http), **query) as stream:
            assert server.stall_watches("pods") == 1
            server.put(a_pod("two"))
            events: list[dict[str, Any]] = []
            with pytest.raises(httpx.ReadTimeout):
                events.extend(iter(stream.next, None))
            assert {event["type"] for event in events} <= {"BOOKMARK"}, "sent before the stall"
        with watching(http) as stream:
            assert stream.summary() == ("ADDED", "one")


def test_the_stream_of_a_disconnected_client_is_removed(
    http: httpx.Client, apiserver: ApiServer
) -> None:
    with watching(http):
        apiserver.wait_until(lambda: apiserver.open_watches("pods") == 1)
    apiserver.wait_until(lambda: apiserver.open_watches() == 0)


def test_a_kind_that_is_no_longer_served_ends_its_watches(
    http: httpx.Client, apiserver: ApiServer
) -> None:
    with watching(http, "/apis/purpleflea.com/v1alpha1/purplefleaagents") as stream:
        apiserver.unregister("PurpleFleaAgent")
        assert stream.rest() == []


def test_deletecollection_deletes_all_selected_objects(
    http: httpx.Client, three_pods: ApiServer
) -> None:
    gone = http.delete("/api/v1/namespaces/a/pods", params={"labelSelector": "tier"})
    assert gone.status_code == 200
    assert names(http) == ["two", "three"]
    assert [write.verb for write in three_pods.writes()] == ["deletecollection"]
