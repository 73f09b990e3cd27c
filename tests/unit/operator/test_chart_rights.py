import pytest

from support.rights import Right, granted, rendered, roles

BOUND = "watchNamespaces={trading,research}"


def rules(kind, *values, namespace=None):
    found = [
        item
        for item in roles(*values)
        if item["kind"] == kind and item["metadata"].get("namespace") == namespace
    ]
    return granted(found)


@pytest.mark.parametrize("values", [(), (BOUND,)], ids=["cluster-wide", "bound"])
def test_no_role_has_a_wildcard(values):
    for right in granted(roles(*values)):
        assert "*" not in (right.group, right.resource, right.verb)


@pytest.mark.parametrize("values", [(), (BOUND,)], ids=["cluster-wide", "bound"])
def test_no_role_reads_secrets_except_by_name(values):
    for role in roles(*values):
        for rule in role["rules"]:
            if "secrets" in rule["resources"]:
                assert (role["kind"], rule["verbs"]) == ("Role", ["get"])
                assert rule["resourceNames"]


def test_with_watched_namespaces_there_is_no_cluster_role():
    kinds = {item["kind"] for item in rendered(BOUND)}
    assert kinds.isdisjoint({"ClusterRole", "ClusterRoleBinding"})


def test_each_watched_namespace_has_the_same_role_and_a_binding_to_the_operator():
    trading, research = (rules("Role", BOUND, namespace=name) for name in ("trading", "research"))
    assert trading == research
    assert Right("purpleflea.com", "purplefleaagents/status", "patch") in trading
    subjects = {
        item["metadata"]["namespace"]: item["subjects"]
        for item in rendered(BOUND)
        if item["kind"] == "RoleBinding"
    }
    operator = {
        "kind": "ServiceAccount",
        "name": "purpleflea-operator",
        "namespace": "purpleflea-system",
    }
    assert subjects.keys() == {"trading", "research", "purpleflea-system"}
    assert all(found == [operator] for found in subjects.values())


def test_rights_in_watched_namespaces_equal_the_cluster_wide_rights_but_for_reads_elsewhere():
    everywhere, there = rules("ClusterRole"), rules("Role", BOUND, namespace="trading")
    assert there < everywhere
    assert Right("apps", "daemonsets", "watch") in everywhere - there
    assert {right.verb for right in everywhere - there} <= {"get", "list", "watch"}


def test_the_watched_namespaces_are_passed_to_the_operator():
    (deployment,) = (item for item in rendered(BOUND) if item["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    variables = {item["name"]: item.get("value") for item in container["env"]}
    assert variables["PURPLEFLEA_OPERATOR_WATCH_NAMESPACES"] == "trading,research"


def test_the_chart_sets_no_namespaces_for_a_cluster_wide_operator():
    assert {item["metadata"].get("namespace") for item in roles()} == {None, "purpleflea-system"}
