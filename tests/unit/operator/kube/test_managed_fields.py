import pytest

from purpleflea_operator.kube import managed_fields, resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache

OURS, THEIRS = "purpleflea-operator", "kubectl-edit"


def entry(manager=OURS, operation="Update", **more):
    return {"manager": manager, "operation": operation, "apiVersion": "v1", **more}


def a_config_map(*entries):
    metadata = {
        "name": "momentum",
        "namespace": "trading",
        "uid": "u",
        "resourceVersion": "1",
        "labels": {"app.kubernetes.io/instance": "momentum"},
        "managedFields": list(entries),
    }
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([entry()], True),
        ([entry(operation="Apply"), entry()], True),
        ([entry(operation="Apply")], False),
        ([entry(THEIRS)], False),
        ([entry(subresource="status")], False),
        ([], False),
    ],
)
def test_only_fields_of_a_post_by_the_operator_need_a_conversion(entries, expected):
    assert managed_fields.needs_conversion(a_config_map(*entries)) is expected
    cache = ObjectCache()
    cache.put(a_config_map(*entries))
    (cached,) = cache.owned(resources.CONFIG_MAP, NamespacedName("trading", "momentum"))
    assert managed_fields.needs_conversion(cached) is expected
    assert "fieldsV1" not in str(cached)


def test_the_fields_of_a_post_become_fields_of_an_apply():
    created = {"f:data": {"f:a": {}, "f:b": {}}}
    found = managed_fields.converted([entry(THEIRS, fieldsV1={"f:x": {}}), entry(fieldsV1=created)])
    assert found == [
        entry(THEIRS, fieldsV1={"f:x": {}}),
        entry(operation="Apply", fieldsV1=created),
    ]


def test_fields_of_an_earlier_apply_are_kept():
    found = managed_fields.converted(
        [
            entry(operation="Apply", fieldsV1={"f:data": {"f:a": {}}}),
            entry(fieldsV1={"f:data": {"f:b": {"f:c": {}}}, "f:metadata": {}}),
        ]
    )
    fields = {"f:data": {"f:a": {}, "f:b": {"f:c": {}}}, "f:metadata": {}}
    assert found == [entry(operation="Apply", fieldsV1=fields)]


def test_nothing_is_converted_if_the_operator_owns_no_field():
    assert managed_fields.converted([entry(THEIRS, fieldsV1={})]) == [entry(THEIRS, fieldsV1={})]
