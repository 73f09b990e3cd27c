"""No write is repeated without news, whatever the API server or a webhook does to it."""

import itertools
import json

import pytest

from support.builders import a_datadog_daemon_set, a_pod, an_agent

NS, NAME = "trading", "momentum"
KINDS = {
    "configmaps": "ConfigMap",
    "serviceaccounts": "ServiceAccount",
    "networkpolicies": "NetworkPolicy",
    "poddisruptionbudgets": "PodDisruptionBudget",
    "statefulsets": "StatefulSet",
}


def conditions(server):
    found = server.get("PurpleFleaAgent", NS, NAME).get("status", {}).get("conditions", [])
    return {item["type"]: item for item in found}


def is_ready(server):
    return conditions(server).get("Ready", {}).get("status") == "True"


def reason(server, kind):
    return conditions(server).get(kind, {}).get("reason")


def put_agent(server, **spec):
    server.put(a_datadog_daemon_set(host_ports=True))
    server.put(an_agent(**{"replicas": 2, "pod": {"serviceAccount": {}}, **spec}))


def writes(server, resource):
    return len(server.writes(resource=resource))


def stir(server, times=12):
    """Send events of children to the operator, which cause a pass each."""
    for number in range(times):
        pod = server.objects("Pod")[0]
        note = {"metadata": {"annotations": {"example.com/note": str(number)}}}
        seen = len(server.requests())
        server.patch("Pod", NS, pod["metadata"]["name"], note)
        for _ in range(6):
            try:
                server.wait_until(lambda seen=seen: len(server.requests()) > seen, timeout=0.1)
            except TimeoutError:
                break


def label(value):
    def change(obj):
        obj["metadata"]["labels"]["purpleflea.com/strategy"] = value()
        return obj

    return change


@pytest.mark.parametrize("resource", KINDS)
def test_a_field_that_a_webhook_changes_is_written_three_times_and_named(
    server, an_operator, resource
):
    server.add_webhook(KINDS[resource], label(lambda: "other"))
    put_agent(server)
    with an_operator():
        server.wait_until(lambda: reason(server, "Progressing") == "NotStored", timeout=20)
        server.wait_until(lambda: is_ready(server))
        before = writes(server, resource)
        stir(server)
        assert writes(server, resource) == before == 3
        found = conditions(server)["Progressing"]
        assert found["status"] == "False"
        assert (
            f"{KINDS[resource]} momentum is not stored as the operator writes it"
            in found["message"]
        )
        assert "metadata.labels.purpleflea.com/strategy should be" in found["message"]
        assert 'and is "other"' in found["message"]
        assert len(server.objects("Pod")) == 2

        # The command of the message is news.
        server.remove_webhooks()
        note = {"metadata": {"annotations": {"purpleflea.com/retry": "1"}}}
        server.patch(KINDS[resource], NS, NAME, note)
        server.wait_until(lambda: reason(server, "Progressing") == "Complete", timeout=20)


def test_a_change_of_the_spec_is_written_although_a_webhook_changes_a_field(server, an_operator):
    server.add_webhook("StatefulSet", label(lambda: "other"))
    put_agent(server)
    with an_operator():
        server.wait_until(lambda: reason(server, "Progressing") == "NotStored", timeout=20)
        server.patch("PurpleFleaAgent", NS, NAME, {"spec": {"replicas": 3}})
        server.wait_until(lambda: len(server.objects("Pod")) == 3)


@pytest.mark.parametrize("resource", ["networkpolicies", "statefulsets"])
def test_a_webhook_that_stores_another_value_each_time_causes_no_hot_loop(
    server, an_operator, resource
):
    numbers = itertools.count()
    server.add_webhook(KINDS[resource], label(lambda: f"v{next(numbers)}"))
    put_agent(server)
    with an_operator():
        server.wait_until(lambda: reason(server, "Progressing") == "NotStored", timeout=20)
        stir(server)
        assert writes(server, resource) == 3


def test_another_controller_that_changes_a_field_back_causes_no_hot_loop(server, an_operator):
    put_agent(server)
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        server.clear()
        for number in range(6):
            written = writes(server, "networkpolicies")
            server.patch(
                "NetworkPolicy",
                NS,
                NAME,
                {"metadata": {"labels": {"purpleflea.com/strategy": "x"}}},
            )
            # The creation was the first write.
            if number < 2:
                server.wait_until(lambda seen=written: writes(server, "networkpolicies") > seen)
        server.wait_until(lambda: reason(server, "Progressing") == "NotStored", timeout=20)
        assert writes(server, "networkpolicies") == 2


def test_a_rejected_write_is_repeated_with_backoff_and_not_for_each_event(server, an_operator):
    put_agent(server)
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        refused = server.fail_next(
            verb="write", resource="networkpolicies", status=403, message="no", times=None
        )
        server.delete("NetworkPolicy", NS, NAME)
        server.wait_until(lambda: reason(server, "WorkloadAvailable") == "ApplyFailed")
        stir(server, times=20)
        assert refused.hits <= 4
        server.clear_faults()
        server.wait_until(lambda: server.get("NetworkPolicy", NS, NAME), timeout=20)


def test_a_name_that_is_taken_is_looked_up_with_backoff_and_used_when_it_is_free(
    server, an_operator
):
    server.put({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": NAME, "namespace": NS},
        "spec": {},
    })  # fmt: skip
    put_agent(server)
    with an_operator():
        server.wait_until(lambda: reason(server, "WorkloadAvailable") == "NameTaken")
        stir(server, times=20)
        lookups = server.requests(resource="poddisruptionbudgets", verb="get")
        assert len(lookups) <= 4
        server.delete("PodDisruptionBudget", NS, NAME)
        server.wait_until(lambda: is_ready(server), timeout=20)


@pytest.mark.parametrize("size", ["1.5Gi", "1500m", "0.0005", "1.0001", "1000000k"])
def test_a_size_that_the_server_rounds_is_not_drift(server, an_operator, size):
    def rounded(obj):
        for template in obj["spec"].get("volumeClaimTemplates", ()):
            requests = template["spec"]["resources"]["requests"]
            requests["storage"] = {
                "1.5Gi": "1536Mi", "0.0005": "1m", "1.0001": "1001m", "1000000k": "1G",
            }.get(requests["storage"], requests["storage"])  # fmt: skip
        return obj

    server.add_webhook("StatefulSet", rounded)
    put_agent(server, storage={"size": size})
    with an_operator():
        server.wait_until(lambda: is_ready(server), timeout=20)
        stir(server)
        assert writes(server, "statefulsets") == 1


def test_a_claim_template_that_a_webhook_changes_is_recreated_once(server, an_operator):
    def other_class(obj):
        for template in obj["spec"].get("volumeClaimTemplates", ()):
            template["spec"]["storageClassName"] = "forced"
        return obj

    server.add_webhook("StatefulSet", other_class)
    put_agent(server, storage={"size": "1Gi"})
    with an_operator():
        server.wait_until(lambda: reason(server, "Progressing") == "RecreationDelayed", timeout=20)
        stir(server)
        deletions = server.requests(resource="statefulsets", verb="delete")
        assert len(deletions) == 1
        # The rest of the spec is applied meanwhile.
        server.patch("PurpleFleaAgent", NS, NAME, {"spec": {"replicas": 3}})
        server.wait_until(lambda: len(server.objects("Pod")) == 3)
        assert len(server.requests(resource="statefulsets", verb="delete")) == 1


def test_a_webhook_that_changes_the_mode_causes_no_hot_loop_and_is_named(server, an_operator):
    put_agent(server)
    with an_operator():
        server.wait_until(lambda: is_ready(server))

        def always_active(obj):
            obj["data"]["control.json"] = json.dumps({"mode": "Active", "generation": 0})
            return obj

        server.add_webhook("ConfigMap", always_active)
        server.clear()
        server.patch("PurpleFleaAgent", NS, NAME, {"spec": {"trading": {"mode": "Halted"}}})
        server.wait_until(lambda: reason(server, "WorkloadAvailable") == "ApplyFailed", timeout=20)
        assert "another control file" in conditions(server)["WorkloadAvailable"]["message"]
        stir(server)
        assert writes(server, "configmaps") < 12
        server.remove_webhooks()
        server.wait_until(lambda: reason(server, "TradingActive") == "Halted", timeout=20)


def without_field(status):
    status.pop("trading", None)


def without_condition(status):
    status["conditions"] = [item for item in status["conditions"] if item["type"] != "StorageReady"]


def with_another_reason(status):
    for item in status["conditions"]:
        item["reason"] = "Other" if item["type"] == "StorageReady" else item["reason"]


def with_a_default(status):
    status["added"] = 1


@pytest.mark.parametrize(
    "change", [without_field, without_condition, with_another_reason, with_a_default]
)
def test_a_status_that_the_server_stores_differently_is_not_written_again(
    server, an_operator, change
):
    def stored(obj):
        change(obj["status"])
        return obj

    server.add_webhook("PurpleFleaAgent", stored, subresource="status")
    put_agent(server)
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        stir(server, times=3)
        before = len(server.writes(resource="purplefleaagents"))
        stir(server)
        assert len(server.writes(resource="purplefleaagents")) == before


def test_a_stale_cache_creates_no_child_of_a_deleted_agent(server, an_operator):
    put_agent(server)
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        resources = ("purplefleaagents", *KINDS, "pods")
        for resource in resources:
            server.stall_watches(resource, also_new=True)
        for kind in ("PurpleFleaAgent", *KINDS.values()):
            if server.get(kind, NS, NAME):
                server.delete(kind, NS, NAME)
        for pod in server.objects("Pod"):
            server.delete("Pod", NS, pod["metadata"]["name"])
        server.clear()
        # The node agent offers another port, which is a change for every agent.
        server.put(a_datadog_daemon_set(host_ports=True, dogstatsd_port=9125))
        server.wait_until(
            lambda: [
                item for item in server.requests(resource="statefulsets") if item.status == 409
            ]
        )
        server.wait_until(lambda: server.requests(resource="purplefleaagents", verb="get"))
        for kind in KINDS.values():
            assert server.objects(kind) == []
        assert server.objects("Pod") == []
        refused = [item for item in server.writes() if item.resource in KINDS]
        assert len(refused) <= len(KINDS)
        assert json.dumps(refused[0].body)


def test_a_foreign_pod_with_the_labels_of_an_agent_delays_no_proof_of_a_halt(server, an_operator):
    put_agent(server)
    with an_operator():
        server.wait_until(lambda: is_ready(server))
        rogue = a_pod("copy-of-momentum")
        rogue["status"]["podIP"] = "10.9.9.9"
        server.put(rogue)
        server.patch("PurpleFleaAgent", NS, NAME, {"spec": {"trading": {"mode": "Halted"}}})
        server.wait_until(lambda: reason(server, "TradingActive") == "Halted", timeout=60)
        annotations = server.get("Pod", NS, "copy-of-momentum")["metadata"].get("annotations", {})
        assert "purpleflea.com/mode" not in annotations
