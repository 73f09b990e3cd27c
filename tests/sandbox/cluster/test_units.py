import pytest

from purpleflea_sandbox.cluster.units import Unit, Units


def unit(name: str, *, after: tuple[str, ...] = (), once: bool = False) -> Unit:
    return Unit(name=name, argv=(f"/bin/{name}",), after=after, once=once)


def names(units: list[Unit]) -> list[str]:
    return [each.name for each in units]


def test_a_unit_without_dependencies_is_due_immediately() -> None:
    assert names(Units.of([unit("etcd")]).due(0.0)) == ["etcd"]


def test_a_unit_waits_until_its_dependencies_have_succeeded() -> None:
    units = Units.of([unit("setup", once=True), unit("etcd", after=("setup",))])
    assert names(units.due(0.0)) == ["setup"]
    units.started("setup", 11, 0.0)
    assert units.due(0.1) == []

    units.ended(11, 0, 0.2)

    assert names(units.due(0.2)) == ["etcd"]


def test_a_failed_once_unit_blocks_its_dependents_and_is_not_retried() -> None:
    units = Units.of([unit("setup", once=True), unit("etcd", after=("setup",))])
    units.started("setup", 11, 0.0)

    units.ended(11, 3, 0.2)

    assert units.due(100.0) == []
    assert units.next_due(100.0) is None
    assert units.report()["setup"] == {"phase": "failed", "pid": 0, "deaths": 0, "last_exit": 3}


def test_an_exited_daemon_is_restarted_with_backoff() -> None:
    units = Units.of([unit("kubelet")])
    now, pauses = 0.0, []
    for pid in range(10, 18):
        units.started("kubelet", pid, now)
        units.ended(pid, -9, now)
        pause = units.next_due(now)
        assert pause is not None
        pauses.append(pause)
        now += pause
        assert names(units.due(now)) == ["kubelet"]

    assert pauses == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0])
    assert units.report()["kubelet"]["deaths"] == 8


def test_the_backoff_is_reset_after_a_long_run() -> None:
    units = Units.of([unit("kubelet")])
    for pid, now in ((1, 0.0), (2, 1.0), (3, 2.0)):
        units.started("kubelet", pid, now)
        units.ended(pid, 1, now)
    units.started("kubelet", 4, 10.0)

    units.ended(4, 1, 100.0)

    assert units.next_due(100.0) == pytest.approx(0.2)


def test_the_exit_of_an_orphan_changes_nothing() -> None:
    units = Units.of([unit("kubelet")])
    units.started("kubelet", 10, 0.0)
    before = units.report()

    units.ended(4711, 0, 1.0)

    assert units.report() == before


def test_a_dependency_on_an_unknown_unit_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"kubelet depends on unknown units \['api'\]"):
        Units.of([unit("kubelet", after=("api",))])
