import pytest

from purpleflea_operator.datadog.detection.placement import daemon_set_placement, node, placement
from support.installations import a_node, helm


def placement_of(**spec):
    return placement(spec)


def affinity(*terms):
    selector = {"nodeSelectorTerms": list(terms)}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": selector}}


def expression(operator, *values, key="pool"):
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


CPU = node(a_node(labels={"pool": "cpu", "size": "8"}))


@pytest.mark.parametrize(
    ("term", "fits"),
    [
        (expression("In", "cpu", "gpu"), True),
        (expression("In", "gpu"), False),
        (expression("NotIn", "gpu"), True),
        (expression("NotIn", "cpu"), False),
        (expression("NotIn", "x", key="absent"), True),
        (expression("Exists"), True),
        (expression("Exists", key="absent"), False),
        (expression("DoesNotExist", key="absent"), True),
        (expression("DoesNotExist"), False),
        (expression("Gt", "4", key="size"), True),
        (expression("Gt", "8", key="size"), False),
        (expression("Lt", "9", key="size"), True),
        (expression("Lt", "9"), False),
        (expression("Gt", key="size"), False),
        (expression("Nonsense"), False),
        ({}, False),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]}, True),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["x"]}]}, False),
        ({"matchFields": [{"key": "spec.other", "operator": "In", "values": ["node-1"]}]}, False),
    ],
)
def test_required_node_affinity(term, fits):
    reason = placement_of(affinity=affinity(term)).exclusion_reason(CPU)
    assert (reason == "") is fits


def test_one_matching_term_is_sufficient_and_no_terms_match_no_node():
    assert (
        placement_of(
            affinity=affinity(expression("In", "x"), expression("Exists"))
        ).exclusion_reason(CPU)
        == ""
    )
    assert (
        placement_of(affinity=affinity()).exclusion_reason(CPU)
        == "required node affinity does not match"
    )


def test_preferred_affinity_excludes_no_node():
    spec = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
    assert placement_of(affinity=spec).exclusion_reason(CPU) == ""


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "dedicated", "operator": "Exists"}, True),
        ({"key": "dedicated", "value": "gpu"}, True),
        ({"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}, True),
        ({"key": "dedicated", "value": "gpu", "effect": "NoExecute"}, False),
        ({"key": "dedicated", "value": "other"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"value": ""}, False),
    ],
)
def test_a_taint_excludes_pods_that_do_not_tolerate_it(toleration, tolerated):
    tainted = node(a_node(taints=["dedicated=gpu:NoSchedule"]))
    reason = placement_of(tolerations=[toleration]).exclusion_reason(tainted)
    assert reason == ("" if tolerated else "taint dedicated=gpu:NoSchedule not tolerated")


def test_a_taint_without_a_value_is_written_without_one():
    tainted = node(a_node(taints=["dedicated:NoExecute"]))
    assert placement_of().exclusion_reason(tainted) == "taint dedicated:NoExecute not tolerated"


def test_a_taint_with_prefer_no_schedule_excludes_no_pod():
    assert placement_of().exclusion_reason(node(a_node(taints=["busy=yes:PreferNoSchedule"]))) == ""


CORDONED = node(a_node(taints=["node.kubernetes.io/unschedulable:NoSchedule"]))
OFFLINE = node(a_node(taints=["node.kubernetes.io/network-unavailable:NoSchedule"]))


def test_a_daemon_set_runs_on_a_cordoned_node_but_an_agent_does_not():
    assert daemon_set_placement(helm()).exclusion_reason(CORDONED) == ""
    assert placement_of().exclusion_reason(CORDONED) != ""


def test_only_pods_with_host_network_tolerate_a_missing_pod_network():
    assert daemon_set_placement(helm(host_network=True)).exclusion_reason(OFFLINE) == ""
    assert daemon_set_placement(helm()).exclusion_reason(OFFLINE) != ""


def test_frequently_changing_fields_are_not_part_of_a_node():
    node_after_heartbeat = a_node()
    node_after_heartbeat["status"]["conditions"][0]["lastHeartbeatTime"] = "2026-01-01T00:00:00Z"
    node_after_heartbeat["status"]["images"] = [{"names": ["x"]}]
    assert node(node_after_heartbeat) == node(a_node())
    assert node(a_node(ready=False)) != node(a_node())
