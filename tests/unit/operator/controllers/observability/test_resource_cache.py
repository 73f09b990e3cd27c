import pytest

from purpleflea_operator.controllers.observability.resource_cache import ResourceCache
from purpleflea_operator.kube import tombstones
from purpleflea_operator.kube.listing import Listing
from purpleflea_operator.kube.object_cache import NamespacedName

KEY = NamespacedName("trading", "fleet")


def a_resource(version=1, *, uid="a", generation=1, **metadata):
    return {
        "metadata": {
            "namespace": "trading",
            "name": "fleet",
            "uid": uid,
            "generation": generation,
            "resourceVersion": str(version),
            "managedFields": [{}],
            **metadata,
        }
    }


def test_a_new_resource_and_a_change_of_its_spec_need_a_pass():
    resources = ResourceCache()
    assert resources.observe(a_resource(1))
    assert not resources.observe(a_resource(1))
    assert resources.observe(a_resource(2, generation=2))
    assert resources.observe(a_resource(3, generation=2, deletionTimestamp="now"))
    assert "managedFields" not in resources.get(KEY)["metadata"]


def test_writes_of_the_operator_need_no_pass():
    resources = ResourceCache()
    resources.observe(a_resource(1))
    resources.store(a_resource(2, finalizers=["x"]))
    assert not resources.observe(a_resource(2, finalizers=["x"]))


def test_a_change_that_a_write_response_contained_first_still_needs_a_pass():
    resources = ResourceCache()
    resources.observe(a_resource(1))
    resources.store(a_resource(3, generation=2))
    assert resources.observe(a_resource(2, generation=2))
    assert resources.get(KEY)["metadata"]["resourceVersion"] == "3"


def test_an_older_version_does_not_replace_a_newer_one():
    resources = ResourceCache()
    resources.observe(a_resource(5))
    resources.store(a_resource(4))
    assert resources.get(KEY)["metadata"]["resourceVersion"] == "5"


def test_only_the_resource_with_the_deleted_uid_is_deleted():
    resources = ResourceCache()
    resources.observe(a_resource(1, uid="a"))
    resources.observe(a_resource(2, uid="b"))
    resources.delete(KEY, "a")
    assert list(resources) == [KEY]
    assert resources.uids() == {"b"}
    resources.delete(KEY, "b")
    resources.delete(KEY, "b")
    assert resources.get(KEY) is None


def listing(*uids, version, namespace=""):
    return Listing(uids=frozenset(uids), version=version, namespace=namespace)


def test_a_list_deletes_absent_resources_but_not_newer_ones():
    resources = ResourceCache()
    resources.observe(a_resource(5))
    resources.prune(listing(version=4))
    assert resources.get(KEY) is not None
    resources.prune(listing("a", version=9))
    resources.prune(listing(version=9, namespace="elsewhere"))
    assert resources.get(KEY) is not None
    assert resources.prune(listing(version=5)) == [KEY]
    assert resources.get(KEY) is None


LATE = [a_resource(1), a_resource(4), a_resource(6, deletionTimestamp="now")]


@pytest.mark.parametrize("late", LATE, ids=["first", "older", "after the deletion"])
@pytest.mark.parametrize("how", ["event", "list", "unknown before"])
@pytest.mark.parametrize("into", ["observe", "store"])
def test_a_late_version_does_not_restore_a_deleted_resource(how, late, into):
    resources = ResourceCache()
    if how != "unknown before":
        resources.observe(a_resource(4))
    if how == "list":
        resources.prune(Listing(uids=frozenset(), version=5))
    else:
        resources.delete(KEY, "a")
    assert not getattr(resources, into)(late)
    assert resources.get(KEY) is None
    assert resources.observe(a_resource(9, uid="b"))


def test_the_number_of_tombstones_is_limited(monkeypatch):
    monkeypatch.setattr(tombstones, "MAX_TOMBSTONES", 2)
    resources = ResourceCache()
    for uid in "abc":
        resources.delete(KEY, uid)
    assert [uid for uid in "abc" if resources.observe(a_resource(uid=uid))] == ["a"]
