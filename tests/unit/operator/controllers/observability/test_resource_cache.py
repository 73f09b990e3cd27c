from purpleflea_operator.controllers.observability.resource_cache import ResourceCache
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


def test_a_new_resource_and_a_change_of_its_spec_ask_for_a_pass():
    resources = ResourceCache()
    assert resources.see(a_resource(1))
    assert not resources.see(a_resource(1))
    assert resources.see(a_resource(2, generation=2))
    assert resources.see(a_resource(3, generation=2, deletionTimestamp="now"))
    assert "managedFields" not in resources.get(KEY)["metadata"]


def test_our_own_writes_ask_for_none():
    resources = ResourceCache()
    resources.see(a_resource(1))
    resources.keep(a_resource(2, finalizers=["x"]))
    assert not resources.see(a_resource(2, finalizers=["x"]))


def test_a_change_that_the_answer_to_our_own_write_showed_first_still_asks_for_a_pass():
    resources = ResourceCache()
    resources.see(a_resource(1))
    resources.keep(a_resource(3, generation=2))
    assert resources.see(a_resource(2, generation=2))
    assert resources.get(KEY)["metadata"]["resourceVersion"] == "3"


def test_an_older_version_replaces_no_newer_one():
    resources = ResourceCache()
    resources.see(a_resource(5))
    resources.keep(a_resource(4))
    assert resources.get(KEY)["metadata"]["resourceVersion"] == "5"


def test_only_the_incarnation_that_is_gone_is_forgotten():
    resources = ResourceCache()
    resources.see(a_resource(1, uid="a"))
    resources.see(a_resource(2, uid="b"))
    resources.drop(KEY, "a")
    assert list(resources) == [KEY]
    assert resources.uids() == {"b"}
    resources.drop(KEY, "b")
    resources.drop(KEY, "b")
    assert resources.get(KEY) is None


def test_a_list_forgets_what_it_no_longer_shows_but_not_what_is_newer():
    resources = ResourceCache()
    resources.see(a_resource(5))
    resources.keep_only([], version=4)
    assert resources.get(KEY) is not None
    resources.keep_only(["a"], version=9)
    assert resources.get(KEY) is not None
    resources.keep_only([], version=5)
    assert resources.get(KEY) is None
