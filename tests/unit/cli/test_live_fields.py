"""The fields of a live object that `kubectl purpleflea render` compares."""

import pytest

from kubectl_purpleflea.decisions.live_fields import compared, whole

CASES = [
    # live, former, new -> live as shown, new as shown
    pytest.param({"a": 1, "status": 2}, {"a": 1}, {"a": 2}, {"a": 1}, {"a": 2}, id="defaults"),
    pytest.param(
        {"a": 1, "b": 1}, {"a": 1, "b": 1}, {"a": 1}, {"a": 1, "b": 1}, {"a": 1}, id="removed"
    ),
    pytest.param({"a": 1}, {}, {"a": 1, "b": 1}, {"a": 1}, {"a": 1, "b": 1}, id="added"),
    pytest.param(
        {}, {}, {"a": {}, "b": [], "c": "", "d": False, "e": 0, "f": None}, {}, {}, id="not stored"
    ),
    pytest.param({"a": True}, {}, {"a": False}, {"a": True}, {"a": False}, id="false"),
    pytest.param(
        {"a": 1}, {}, {"a": 1, "b": True}, {"a": 1}, {"a": 1, "b": True}, id="true is not 1"
    ),
    pytest.param(
        {"env": [{"name": "A", "value": "1", "x": 1}, {"name": "I", "value": "9"}]},
        {"env": [{"name": "A", "value": "1"}]},
        {"env": [{"name": "A", "value": "2"}]},
        {"env": [{"name": "A", "value": "1"}]},
        {"env": [{"name": "A", "value": "2"}]},
        id="items of other clients",
    ),
    pytest.param(
        {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
        {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
        {"env": [{"name": "B", "value": "2"}]},
        {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
        {"env": [{"name": "B", "value": "2"}]},
        id="removed item",
    ),
    pytest.param(
        {"mounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b", "x": 1}]},
        {},
        {"mounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]},
        {"mounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]},
        {"mounts": [{"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/b"}]},
        id="a volume that is mounted twice",
    ),
    pytest.param(
        {"ports": [{"port": 1, "x": 1}, {"port": 2}]},
        {},
        {"ports": [{"port": 1}, {"port": 3, "y": ""}]},
        {"ports": [{"port": 1}, {"port": 2}]},
        {"ports": [{"port": 1}, {"port": 3}]},
        id="items without a key",
    ),
    pytest.param({"l": [1, 2]}, {}, {"l": [1]}, {"l": [1, 2]}, {"l": [1]}, id="lists of values"),
    pytest.param({"l": "x"}, {}, {"l": [1]}, {"l": "x"}, {"l": [1]}, id="another type"),
    pytest.param(
        {"l": [{"name": "a"}, 3]},
        {"l": 1},
        {"l": [{"name": "a"}]},
        {"l": [{"name": "a"}]},
        {"l": [{"name": "a"}]},
        id="items of another type",
    ),
]


@pytest.mark.parametrize(("live", "former", "new", "shown", "rendered"), CASES)
def test_a_live_object_is_reduced_to_the_fields_of_the_operator(live, former, new, shown, rendered):
    assert compared(live, former, new) == (shown, rendered)


def test_a_deleted_object_is_shown_without_its_status():
    live = {
        "kind": "ConfigMap",
        "metadata": {"name": "a", "uid": "u", "managedFields": [], "resourceVersion": "1"},
        "data": {"a": "b"},
        "status": {},
    }
    shown = {"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "b"}}
    assert whole(live) == shown
