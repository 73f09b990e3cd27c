import threading
from datetime import UTC, datetime

import httpx
import pytest

from support.apiserver import ApiServer

MAPS = "/api/v1/namespaces/a/configmaps"
MERGE = {"Content-Type": "application/merge-patch+json"}


def make(http: httpx.Client, name: str) -> int:
    return http.post(MAPS, json={"metadata": {"name": name}}).status_code


def test_a_planned_failure_applies_only_to_matching_requests(
    http: httpx.Client, apiserver: ApiServer
) -> None:
    apiserver.fail_next(verb="create", resource="configmaps", status=429, retry_after=3)
    assert http.get(MAPS).status_code == 200
    refused = http.post(MAPS, json={"metadata": {"name": "x"}})
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "3")
    assert refused.json()["details"]["retryAfterSeconds"] == 3
    assert apiserver.count("ConfigMap") == 0
    assert make(http, "x") == 201


@pytest.mark.parametrize("status", [401, 403, 404, 409, 410, 422, 500, 503])
def test_any_status_can_be_planned(http: httpx.Client, apiserver: ApiServer, status: int) -> None:
    apiserver.fail_next(status=status, path="/apis")
    reply = http.get("/apis")
    assert (reply.status_code, reply.json()["code"]) == (status, status)
    assert http.get("/apis").status_code == 200


def test_faults_count_skip_and_repeat_exactly(http: httpx.Client, apiserver: ApiServer) -> None:
    fault = apiserver.fail_next(verb="write", status=500, times=2, skip=1, every=2)
    codes = [make(http, f"m{i}") for i in range(7)]
    assert codes == [201, 500, 201, 500, 201, 201, 201]
    assert fault.hits == 2
    endless = apiserver.fail_next(status=503, times=None)
    assert [make(http, "z"), make(http, "z")] == [503, 503]
    endless.cancel()
    assert make(http, "z") == 201


def test_a_request_with_a_lost_reply_is_committed(http: httpx.Client, apiserver: ApiServer) -> None:
    apiserver.lose_reply(verb="create")
    with pytest.raises(httpx.TransportError):
        make(http, "x")
    assert apiserver.get("ConfigMap", "a", "x") is not None
    (write,) = apiserver.writes()
    assert (write.status, write.reply_lost) == (201, True)


def test_a_cut_request_is_not_committed(http: httpx.Client, apiserver: ApiServer) -> None:
    apiserver.cut(verb="create")
    with pytest.raises(httpx.TransportError):
        make(http, "x")
    assert apiserver.count("ConfigMap") == 0
    assert [write.status for write in apiserver.writes()] == [0]


def test_a_hanging_request_continues_when_the_fault_is_canceled(
    http: httpx.Client, apiserver: ApiServer
) -> None:
    fault = apiserver.hang(verb="create")
    codes: list[int] = []
    caller = threading.Thread(target=lambda: codes.append(make(http, "x")))
    caller.start()
    apiserver.wait_until(lambda: fault.hits == 1)
    assert apiserver.count("ConfigMap") == 0
    fault.cancel()
    caller.join(10)
    assert codes == [201]


def test_a_delayed_request_exceeds_the_timeout_of_the_client(apiserver: ApiServer) -> None:
    apiserver.delay(5, resource="configmaps")
    with (
        httpx.Client(base_url=apiserver.url, timeout=0.1) as http,
        pytest.raises(httpx.ReadTimeout),
    ):
        make(http, "x")
    assert apiserver.count("ConfigMap") == 0


def test_stop_does_not_wait_for_hanging_requests() -> None:
    with ApiServer() as server:
        server.hang(path="/version", times=None)
        with (
            httpx.Client(base_url=server.url, timeout=0.1) as http,
            pytest.raises(httpx.ReadTimeout),
        ):
            http.get("/version")


def test_requests_are_recorded_and_counted(http: httpx.Client, apiserver: ApiServer) -> None:
    make(http, "x")
    http.patch(f"{MAPS}/x?fieldManager=me", json={"data": {"a": "b"}}, headers=MERGE)
    http.put(f"{MAPS}/x", json={"metadata": {"name": "x"}})
    http.get(f"{MAPS}/x")
    http.get(MAPS)
    http.get("/api/v1/pods", params={"watch": "true", "timeoutSeconds": "0.01"})
    http.delete(f"{MAPS}/x")
    http.get(f"{MAPS}/x")
    assert apiserver.counts() == {
        ("create", "configmaps"): 1,
        ("patch", "configmaps"): 1,
        ("update", "configmaps"): 1,
        ("get", "configmaps"): 2,
        ("list", "configmaps"): 1,
        ("watch", "pods"): 1,
        ("delete", "configmaps"): 1,
    }
    verbs = [write.verb for write in apiserver.writes(resource="configmaps", name="x")]
    assert verbs == ["create", "patch", "update", "delete"]
    assert (len(apiserver.lists()), len(apiserver.watches(resource="pods"))) == (1, 1)
    (patch,) = apiserver.requests(verb="patch", user_agent="kubectl")
    assert (patch.method, patch.namespace, patch.name) == ("PATCH", "a", "x")
    assert (patch.content_type, patch.query) == (MERGE["Content-Type"], {"fieldManager": "me"})
    assert (patch.body, patch.status) == ({"data": {"a": "b"}}, 200)
    apiserver.clear()
    assert apiserver.requests() == []


def test_applies_and_subresources_are_distinguished(
    http: httpx.Client, apiserver: ApiServer
) -> None:
    url = "/apis/apps/v1/namespaces/a/statefulsets/s"
    apply = {"Content-Type": "application/apply-patch+yaml"}
    http.patch(f"{url}?fieldManager=me", json={"spec": {}}, headers=apply)
    http.patch(f"{url}/status", json={"status": {"replicas": 1}}, headers=MERGE)
    assert [r.full_resource for r in apiserver.requests(verb="apply")] == ["statefulsets"]
    assert len(apiserver.writes(resource="statefulsets/status")) == 1


def test_timestamps_come_from_the_given_clock() -> None:
    with ApiServer(now=lambda: datetime(2030, 1, 2, tzinfo=UTC)) as server:
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}
        assert server.put(body)["metadata"]["creationTimestamp"] == "2030-01-02T00:00:00Z"


def test_a_condition_that_is_never_met_ends_the_wait(apiserver: ApiServer) -> None:
    with pytest.raises(TimeoutError, match="condition not met within"):
        apiserver.wait_until(lambda: False, timeout=0.05)


async def test_the_server_works_as_an_async_context_manager() -> None:
    async with ApiServer() as server, httpx.AsyncClient(base_url=server.url) as http:
        reply = await http.post(MAPS, json={"metadata": {"name": "x"}})
        await server.until(lambda: server.count("ConfigMap") == 1)
    assert reply.status_code == 201
