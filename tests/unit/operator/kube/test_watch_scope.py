import pytest
from pydantic import ValidationError

from purpleflea_operator.kube import resources
from purpleflea_operator.kube.watch_scope import CLUSTER_WIDE, WatchScope
from purpleflea_operator.runtime import health
from purpleflea_operator.settings import Settings

VARIABLE = "PURPLEFLEA_OPERATOR_WATCH_NAMESPACES"
BOUND = WatchScope(namespaces=("trading", "research"))


def test_the_whole_cluster_is_one_list():
    assert CLUSTER_WIDE.paths(resources.STATEFUL_SET) == ("/apis/apps/v1/statefulsets",)
    assert CLUSTER_WIDE.can_watch(resources.DAEMON_SET)


def test_each_namespace_is_a_list_of_its_own():
    assert BOUND.paths(resources.POD) == (
        "/api/v1/namespaces/trading/pods",
        "/api/v1/namespaces/research/pods",
    )


def test_what_lives_elsewhere_is_not_seen_from_namespaces():
    assert BOUND.watchable((resources.POD, resources.DAEMON_SET)) == (resources.POD,)


def test_a_deaf_watch_of_one_of_several_namespaces_is_named_with_it():
    silent = {"/api/v1/namespaces/trading/pods": 9.0, "/api/v1/namespaces": 9.0}
    assert health.stalled_watches(silent, limit_s=1) == (
        "stalled watch: no event or bookmark of namespaces for 9 s, pods in trading for 9 s"
    )


@pytest.mark.parametrize(
    ("text", "names"),
    [("", ()), ("trading", ("trading",)), (" a, b ,,a", ("a", "b"))],
)
def test_namespaces_are_written_with_commas(monkeypatch, text, names):
    monkeypatch.setenv(VARIABLE, text)
    assert Settings().watch_namespaces == names


def test_what_is_no_name_of_a_namespace_is_refused(monkeypatch):
    monkeypatch.setenv(VARIABLE, "trading,Not_A_Name")
    with pytest.raises(ValidationError, match="watch_namespaces"):
        Settings()
