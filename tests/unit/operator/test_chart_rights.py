import pytest

from support.rights import Right, granted, rendered, roles, user_roles

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


def test_a_bound_operator_has_only_the_rights_on_halts_and_its_lease_in_its_own_namespace():
    own = rules("Role", BOUND, namespace="purpleflea-system")
    halts = {(item.resource, item.verb) for item in own if item.group != "coordination.k8s.io"}
    assert halts == {
        ("purplefleahalts", "list"),
        ("purplefleahalts", "watch"),
        ("purplefleahalts/status", "patch"),
        ("events", "create"),
    }
    cluster_wide = rules("Role", namespace="purpleflea-system")
    assert {item.group for item in cluster_wide} == {"coordination.k8s.io"}


def test_the_watched_namespaces_are_passed_to_the_operator():
    (deployment,) = (item for item in rendered(BOUND) if item["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    variables = {item["name"]: item.get("value") for item in container["env"]}
    assert variables["PURPLEFLEA_OPERATOR_WATCH_NAMESPACES"] == "trading,research"


def test_the_chart_sets_no_namespaces_for_a_cluster_wide_operator():
    assert {item["metadata"].get("namespace") for item in roles()} == {None, "purpleflea-system"}


def halt_verbs(rights):
    return {right.verb for right in rights if right.resource == "purplefleahalts"}


def test_the_right_to_halt_is_separate_from_the_right_to_resume():
    found = {name: halt_verbs(rights) for (_, name), rights in user_roles().items()}
    assert found == {
        "purpleflea-halter": {"create", "get", "list", "watch"},
        "purpleflea-resumer": {"delete", "get", "list", "patch", "watch"},
        "purpleflea-view": {"get", "list", "watch"},
        "purpleflea-edit": {"create"},
    }


def test_the_roles_of_users_are_added_to_those_of_kubernetes_and_grant_no_other_group():
    labels = {
        item["metadata"]["name"]: sorted(
            key.rpartition("-")[2]
            for key in item["metadata"]["labels"]
            if key.startswith("rbac.authorization.k8s.io/aggregate-to-")
        )
        for item in rendered()
        if item["kind"] == "ClusterRole"
    }
    assert labels["purpleflea-view"] == ["admin", "edit", "view"]
    assert labels["purpleflea-edit"] == ["admin", "edit"]
    assert labels["purpleflea-halter"] == labels["purpleflea-resumer"] == []
    groups = {right.group for rights in user_roles().values() for right in rights}
    assert groups == {"purpleflea.com"}


def test_with_watched_namespaces_the_roles_of_users_are_in_them():
    found = {key: halt_verbs(rights) for key, rights in user_roles(BOUND).items()}
    assert found.keys() == {
        (namespace, f"purpleflea-{role}")
        for namespace in ("trading", "research", "purpleflea-system")
        for role in ("halter", "resumer")
    }


def test_the_roles_of_users_and_the_policies_can_be_left_out():
    assert user_roles("userRoles=false") == {}
    kinds = {item["kind"] for item in rendered("admissionPolicies=false")}
    assert not {kind for kind in kinds if "AdmissionPolicy" in kind}


def test_the_user_is_recorded_if_the_api_server_can_mutate():
    version = "--api-versions=admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
    names = {
        item["metadata"]["name"]
        for item in rendered(options=[version])
        if item["kind"] == "MutatingAdmissionPolicy"
    }
    assert names == {"purpleflea-operator-halt-requester"}
    assert "MutatingAdmissionPolicy" not in {item["kind"] for item in rendered()}


def test_the_policies_of_a_bound_operator_apply_only_in_its_namespaces():
    for item in rendered(BOUND):
        if item["kind"] == "ValidatingAdmissionPolicy":
            (scope,) = item["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"]
            assert scope["values"] == ["trading", "research", "purpleflea-system"]
