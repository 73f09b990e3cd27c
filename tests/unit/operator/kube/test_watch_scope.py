import pytest
from pydantic import ValidationError

from purpleflea_operator.kube import resources
from purpleflea_operator.kube.watch_scope import CLUSTER_WIDE, WatchScope
from purpleflea_operator.runtime import health
from purpleflea_operator.settings import OperatorSettings

VARIABLE = "PURPLEFLEA_OPERATOR_WATCH_NAMESPACES"
BOUND = WatchScope(namespaces=("trading", "research"))


def test_the_whole_cluster_is_watched_with_one_list_per_kind():
    assert CLUSTER_WIDE.paths(resources.STATEFUL_SET) == ("/apis/apps/v1/statefulsets",)
    assert CLUSTER_WIDE.can_watch(resources.DAEMON_SET)


def test_each_namespace_has_a_separate_list():
    assert BOUND.paths(resources.POD) == (
        "/api/v1/namespaces/trading/pods",
        "/api/v1/namespaces/research/pods",
    )


def test_kinds_outside_the_namespaces_are_not_watched():
    assert BOUND.watchable((resources.POD, resources.DAEMON_SET)) == (resources.POD,)


def test_with_telemetry_rights_a_bound_operator_also_watches_node_agents_and_nodes():
    scope = WatchScope(namespaces=("trading",), telemetry_namespaces=("datadog", "trading"))
    assert scope.paths(resources.NODE) == ("/api/v1/nodes",)
    assert scope.paths(resources.DAEMON_SET) == ("/apis/apps/v1/daemonsets",)
    assert scope.paths(resources.POD) == (
        "/api/v1/namespaces/trading/pods",
        "/api/v1/namespaces/datadog/pods",
    )
    assert scope.paths(resources.STATEFUL_SET) == ("/apis/apps/v1/namespaces/trading/statefulsets",)


@pytest.mark.parametrize(
    ("watched", "granted", "expected"),
    [
        ((), True, ()),
        (("trading",), False, ()),
        (("trading",), True, ("datadog", "datadog-agent")),
    ],
)
def test_telemetry_rights_matter_only_to_a_bound_operator(watched, granted, expected):
    settings = OperatorSettings(watch_namespaces=watched, telemetry_rights=granted)
    assert settings.watch_scope.telemetry_namespaces == expected


def test_telemetry_rights_need_the_names_of_namespaces():
    with pytest.raises(ValidationError, match="replace \\* by their names"):
        OperatorSettings(
            watch_namespaces=("trading",), telemetry_rights=True, datadog_namespaces=("*",)
        )


def test_a_stalled_watch_is_named_with_its_namespace():
    idle = {"/api/v1/namespaces/trading/pods": 9.0, "/api/v1/namespaces": 9.0}
    assert health.stalled_watches(idle, limit_s=1) == (
        "stalled watch: no event or bookmark of namespaces for 9 s, pods in trading for 9 s"
    )


@pytest.mark.parametrize(
    ("text", "names"),
    [("", ()), ("trading", ("trading",)), (" a, b ,,a", ("a", "b"))],
)
def test_namespaces_are_separated_by_commas(monkeypatch, text, names):
    monkeypatch.setenv(VARIABLE, text)
    assert OperatorSettings().watch_namespaces == names


def test_an_invalid_namespace_is_rejected(monkeypatch):
    monkeypatch.setenv(VARIABLE, "trading,Not_A_Name")
    with pytest.raises(ValidationError, match="watch_namespaces"):
        OperatorSettings()
