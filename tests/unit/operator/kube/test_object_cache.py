"""Memory of the cache, and the comparison with a list."""

import functools
import random
import tracemalloc

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


def test_agents_are_found_by_name_in_all_namespaces_while_an_object_exists():
    cache = ObjectCache()
    agent = an_agent(namespace="one", uid="agent")
    pods = [a_pod(namespace=item) for item in ("one", "two")]
    for number, pod in enumerate(pods):
        pod["metadata"]["uid"] = f"pod-{number}"
    for item in (agent, *pods):
        cache.put(item)
    one, two = NamespacedName("one", "momentum"), NamespacedName("two", "momentum")
    assert cache.owners_named("momentum") == (one, two)
    assert cache.owners_named("other") == ()
    cache.mark_deleted(resources.AGENT, "agent")
    assert cache.owners_named("momentum") == (one, two)
    cache.mark_deleted(resources.POD, "pod-0")
    assert cache.owners_named("momentum") == (two,)
    cache.mark_deleted(resources.POD, "pod-1")
    assert cache.owners_named("momentum") == ()
    assert cache._names == {}
