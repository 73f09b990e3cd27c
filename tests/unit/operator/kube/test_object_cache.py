"""Memory of the cache, and the comparison with a list."""

import functools
import random
import tracemalloc

import pytest

from purpleflea_operator.kube import resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from support.builders import a_pod, an_agent


def versioned(manifest, version):
    return {**manifest, "metadata": {**manifest["metadata"], "resourceVersion": str(version)}}


def test_an_object_is_missing_in_a_list_of_its_namespace_unless_it_is_newer():
    cache = ObjectCache()
    old, new = a_pod("momentum-0"), a_pod("momentum-1")
    cache.put(versioned(old, 5))
    cache.put(versioned(new, 20))
    missing = functools.partial(cache.missing_in, resources.POD, version=10)
    assert missing([]) == [old["metadata"]["uid"]]
    assert missing([], namespace="trading") == [old["metadata"]["uid"]]
    assert missing([], namespace="elsewhere") == []
    assert missing([old["metadata"]["uid"]]) == []


class Counted(frozenset):
    """The UIDs of a list, which count how often they are compared."""

    def __init__(self, *_):
        self.compared = 0

    def __contains__(self, uid):
        self.compared += 1
        return super().__contains__(uid)


def a_filled_cache(namespaces, pods, **options):
    cache = ObjectCache(**options)
    for space in range(namespaces):
        for number in range(pods):
            item = a_pod(f"momentum-{number}", namespace=f"space-{space}")
            item["metadata"]["uid"] = f"{space}-{number}"
            cache.put(versioned(item, 5))
    return cache


@pytest.mark.parametrize("namespaces", [1, 40])
def test_a_list_of_a_namespace_is_compared_with_the_objects_of_this_namespace_only(namespaces):
    cache = a_filled_cache(namespaces, 3, has_namespaces=True)
    alive = Counted({"0-0"})
    missing = cache.missing_in(resources.POD, alive, version=10, namespace="space-0")
    assert missing == ["0-1", "0-2"]
    assert alive.compared == 3


def test_a_list_of_the_cluster_is_compared_with_all_objects():
    for options in ({}, {"has_namespaces": True}):
        cache = a_filled_cache(4, 3, **options)
        alive = Counted({f"{space}-0" for space in range(4)})
        assert len(cache.missing_in(resources.POD, alive, version=10)) == 8
        assert alive.compared == 12


def test_removed_objects_leave_no_entry_in_the_index_of_their_namespace():
    cache = a_filled_cache(2, 2, has_namespaces=True)
    cache.drop(resources.POD, "0-0")
    cache.mark_deleted(resources.POD, "0-1")
    missing = functools.partial(cache.missing_in, resources.POD, [], version=10)
    assert missing(namespace="space-0") == []
    assert missing(namespace="space-1") == ["1-0", "1-1"]
    assert missing(namespace="space-2") == []


def test_the_agents_of_a_namespace_are_found_without_a_scan():
    cache = ObjectCache()
    for number in range(6):
        space = f"space-{number % 2}"
        cache.put(an_agent(f"agent-{number}", uid=f"{number}", namespace=space))
    assert [key.name for key in cache.agents_in("space-0")] == ["agent-0", "agent-2", "agent-4"]
    cache.drop(resources.AGENT, "2")
    cache.mark_deleted(resources.AGENT, "4")
    assert cache.agents_in("space-0") == [NamespacedName("space-0", "agent-0")]
    cache.drop(resources.AGENT, "0")
    assert cache.agents_in("space-0") == cache.agents_in("elsewhere") == []
    assert len(cache.agent_keys()) == 3


def test_similar_objects_share_their_common_content():
    cache, count = ObjectCache(), 200
    text = "".join(f"{number:x}" for number in range(3000))
    for number in range(count):
        cache.put(an_agent(f"agent-{number}", uid=f"{number}", strategy=text))
    tracemalloc.start()
    for number in range(count, 2 * count):
        cache.put(an_agent(f"agent-{number}", uid=f"{number}", strategy=text))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size < 1500 * count < len(text) * count
    for number in (0, 1, 2 * count - 1):
        agent = cache.agent(NamespacedName("trading", f"agent-{number}"))
        assert agent["spec"] == an_agent(strategy=text)["spec"]


def test_objects_that_have_nothing_in_common_are_stored_unchanged():
    chance = random.Random(4)  # noqa: S311
    cache = ObjectCache()
    texts = [chance.randbytes(chance.randrange(1, 3000)).hex() for _ in range(300)]
    for number, text in enumerate(texts):
        cache.put(an_agent(f"agent-{number}", uid=f"{number}", strategy=text))
    for number, text in enumerate(texts):
        agent = cache.agent(NamespacedName("trading", f"agent-{number}"))
        assert agent["spec"]["strategy"] == text


def test_an_object_is_found_by_its_uid():
    cache = ObjectCache()
    cache.put(a_pod())
    assert cache.get(resources.POD, "uid-momentum-0")["metadata"]["name"] == "momentum-0"
    cache.mark_deleted(resources.POD, "uid-momentum-0")
    assert cache.get(resources.POD, "uid-momentum-0") is None
    assert cache._owners == {}


def test_metadata_of_an_agent_that_no_decision_needs_is_not_kept():
    """Users may write 1.4 MB into each of these fields."""
    cache, agent = ObjectCache(), an_agent()
    agent["metadata"] |= {
        "finalizers": [f"example.com/{number}" for number in range(50_000)],
        "ownerReferences": [{"kind": "ConfigMap", "name": "a", "uid": "u"}],
        "annotations": {"example.com/note": "x" * 200_000, "purpleflea.com/reason": "drawdown"},
        "labels": {"desk": "crypto"},
    }
    cache.put(agent)
    (found,) = cache.all(resources.AGENT)
    assert not found["metadata"].keys() & {"finalizers", "ownerReferences"}
    assert found["metadata"]["annotations"] == {"purpleflea.com/reason": "drawdown"}
    assert found["metadata"]["labels"] == {"desk": "crypto"}
    assert "finalizers" in agent["metadata"]


@pytest.mark.parametrize(
    ("number", "kept"), [(0, 0), (1, 1), (64, 64), (65, 1), (1000, 1), (100_000, 1)]
)
def test_no_more_labels_of_an_agent_are_kept_than_it_may_have(number, kept):
    cache, agent = ObjectCache(), an_agent()
    agent["metadata"]["labels"] = {f"desk-{index}": "fx" for index in range(number)}
    cache.put(agent)
    (found,) = cache.all(resources.AGENT)
    labels = found["metadata"]["labels"]
    assert len(labels) == kept
    assert (labels == {"purpleflea.com/too-many-labels": "true"}) is (number > kept)
    assert len(agent["metadata"]["labels"]) == number
