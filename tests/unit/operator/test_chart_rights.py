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
def test_no_role_is_about_everything(values):
    for right in granted(roles(*values)):
        assert "*" not in (right.group, right.resource, right.verb)


@pytest.mark.parametrize("values", [(), (BOUND,)], ids=["cluster-wide", "bound"])
def test_no_role_opens_secrets_but_by_their_name(values):
    for role in roles(*values):
        for rule in role["rules"]:
            if "secrets" in rule["resources"]:
                assert (role["kind"], rule["verbs"]) == ("Role", ["get"])
                assert rule["resourceNames"]


def test_bound_to_namespaces_there_is_no_cluster_role():
    kinds = {item["kind"] for item in rendered(BOUND)}
    assert kinds.isdisjoint({"ClusterRole", "ClusterRoleBinding"})


def test_bound_to_namespaces_each_has_the_same_role_and_a_binding_to_the_operator():
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


def test_bound_to_namespaces_it_may_do_there_what_it_may_do_everywhere_but_not_look_elsewhere():
    everywhere, there = rules("ClusterRole"), rules("Role", BOUND, namespace="trading")
    assert there < everywhere
    assert Right("apps", "daemonsets", "watch") in everywhere - there
    assert {right.verb for right in everywhere - there} <= {"get", "list", "watch"}


def test_the_operator_is_told_its_namespaces():
    (deployment,) = (item for item in rendered(BOUND) if item["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    told = {item["name"]: item.get("value") for item in container["env"]}
    assert told["PURPLEFLEA_OPERATOR_WATCH_NAMESPACES"] == "trading,research"


def test_cluster_wide_the_chart_names_no_namespace():
    assert {item["metadata"].get("namespace") for item in roles()} == {None, "purpleflea-system"}
