"""The admission policy of the chart that bounds the metadata of resources, evaluated with CEL."""

import pytest
from cel_expr_python import cel

from purpleflea_contract import kubernetes
from support.rights import rendered

LIMITS = {"annotations": 128, "finalizers": 16, "labels": 64, "ownerReferences": 16}
LISTS = ("finalizers", "ownerReferences")


@pytest.fixture(scope="module")
def policy():
    (found,) = (
        item
        for item in rendered()
        if item["kind"] == "ValidatingAdmissionPolicy"
        and item["metadata"]["name"] == "purpleflea-operator-metadata-size"
    )
    return found["spec"]


@pytest.fixture(scope="module")
def is_allowed(policy):
    """Return a function that evaluates the policy for the new and the former object."""
    environment = cel.NewEnv(variables=dict.fromkeys(("object", "oldObject"), cel.Type.DYN))
    rules = [environment.compile(item["expression"]) for item in policy["validations"]]

    def evaluate(new, former=None):
        data = {"object": new, "oldObject": former}
        return all(rule.eval(data=data).value() is True for rule in rules)

    return evaluate


def an_object(field, number):
    if number is None:
        return {"metadata": {"name": "a"}}
    items = [f"x-{index}" for index in range(number)]
    return {"metadata": {field: items if field in LISTS else dict.fromkeys(items, "")}}


@pytest.mark.parametrize("field", LIMITS)
@pytest.mark.parametrize(
    ("more", "former", "expected"),
    [
        (None, None, True),
        (0, None, True),
        (1, None, False),
        # An object that is too large already can be changed, such as halted, and can only lose items.
        (100, 100, True),
        (99, 100, True),
        (101, 100, False),
        (1, 0, False),
        (0, 100, True),
        (None, 100, True),
    ],
)
def test_the_items_of_a_field_are_bounded_and_may_become_fewer(
    field, more, former, expected, is_allowed
):
    number = None if more is None else LIMITS[field] + more
    old = None if former is None else an_object(field, LIMITS[field] + former)
    assert is_allowed(an_object(field, number), old) is expected


def test_a_former_object_without_the_field_does_not_lift_the_bound(is_allowed):
    for field, limit in LIMITS.items():
        assert not is_allowed(an_object(field, limit + 1), an_object(field, None))


def test_the_policy_refuses_all_kinds_and_has_the_bound_of_the_operator(policy):
    (rule,) = policy["matchConstraints"]["resourceRules"]
    assert rule["resources"] == [
        "purplefleaagents",
        "purplefleahalts",
        "purplefleaobservabilities",
    ]
    assert rule["operations"] == ["CREATE", "UPDATE"]
    assert LIMITS["labels"] == kubernetes.MAX_AGENT_LABELS
    (binding,) = (
        item
        for item in rendered()
        if item["kind"] == "ValidatingAdmissionPolicyBinding"
        and item["spec"]["policyName"].endswith("metadata-size")
    )
    assert binding["spec"]["validationActions"] == ["Deny"]
