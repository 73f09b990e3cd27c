"""The lists and events of halts: what counts as read, and which events are outdated."""

import time

import pytest

from purpleflea_operator import timings
from purpleflea_operator.controllers.halt.controller import HaltController
from purpleflea_operator.controllers.halt.watches import HaltReads, HaltScope
from purpleflea_operator.kube import resources, tombstones
from purpleflea_operator.kube.listing import Listing
from purpleflea_operator.kube.watch_scope import WatchScope
from purpleflea_operator.kube.watch_state import WatchStates
from purpleflea_operator.runtime.workers import Times
from support.builders import a_halt

SYSTEM = "purpleflea-system"
CLUSTER, BOUND = (), ("trading",)


class Observer:
    """An observer of watches that does nothing."""

    def on_event(self, path, event_type, manifest):
        pass

    def on_listed(self, path, listing):
        pass

    def on_refused(self, path, *, status):
        pass


class Setting:
    """What was read of the halts, in an operator with these namespaces."""

    def __init__(self, namespaces=CLUSTER, *, own=SYSTEM):
        self.now_s = 100.0
        scope = WatchScope(namespaces=namespaces, operator_namespace=own)
        self.paths = scope.paths_by_namespace(resources.HALT)
        self.states = WatchStates(clock=lambda: self.now_s, jitter=lambda: 0.0)
        self.scope = HaltScope(operator_namespace=own, paths=self.paths, states=self.states)
        self.reads = HaltReads(self.scope, clock=lambda: self.now_s)

    def serve(self):
        self.states.add(self.paths.values(), Observer())

    def state(self, namespace=""):
        return self.states.get(self.paths[namespace])


def listed(*halts, version=100, namespace=""):
    uids = frozenset(item["metadata"]["uid"] for item in halts)
    return Listing(uids=uids, version=version, namespace=namespace)


def test_a_kind_that_is_not_served_has_no_halts():
    found = Setting()
    assert found.reads.unread_reason("trading") == ""
    assert not found.reads.are_known("trading")


@pytest.mark.parametrize("is_listed", [True, False])
def test_a_kind_that_is_not_found_any_more_may_have_halts(is_listed):
    found = Setting()
    found.serve()
    if is_listed:
        found.reads.on_listed(listed())
    found.state().fail("no", status=404, is_refusal=True)
    text = found.reads.unread_reason("trading")
    assert "of the cluster (HTTP 404)" in text
    assert "kubectl apply --server-side -f crds/" in text


def test_halts_are_unread_until_they_are_listed():
    found = Setting()
    found.serve()
    assert "are not listed yet" in found.reads.unread_reason("trading")
    assert found.reads.on_listed(listed())
    assert found.reads.unread_reason("trading") == ""
    assert found.reads.are_known("trading")
    assert not found.reads.on_listed(listed(version=200))


def test_a_refused_watch_is_unread_until_its_events_have_arrived():
    found = Setting()
    found.serve()
    found.reads.on_listed(listed())
    found.state().fail("no", status=403, is_refusal=True)
    text = found.reads.unread_reason("trading")
    assert "of the cluster (HTTP 403)" in text
    assert "grant list and watch on purplefleahalts" in text
    found.state().recover()
    found.reads.on_readable()
    assert "are not listed yet" in found.reads.unread_reason("trading")
    found.now_s += timings.HALT_CATCH_UP_S
    assert found.reads.unread_reason("trading") == ""


def test_an_operator_that_is_bound_to_namespaces_reads_the_halts_of_its_own_namespace_too():
    found = Setting(BOUND)
    assert found.paths.keys() == {"trading", SYSTEM}
    found.serve()
    found.reads.on_listed(listed(namespace="trading"))
    assert f"of namespace {SYSTEM}" in found.reads.unread_reason("trading")
    assert not found.reads.are_known("trading")
    found.reads.on_listed(listed(namespace=SYSTEM))
    assert found.reads.unread_reason("trading") == ""
    assert found.reads.are_known("trading")
    assert Setting((*BOUND, SYSTEM)).paths.keys() == {"trading", SYSTEM}
    assert Setting(BOUND, own="").paths.keys() == {"trading"}


def versioned(version, name="incident", *, uid=None, **spec):
    item = a_halt(name, **spec)
    item["metadata"] |= {"resourceVersion": str(version), **({"uid": uid} if uid else {})}
    return item


@pytest.fixture
async def halts():
    found = Setting()
    found.serve()
    times = Times(now=lambda: None, clock=time.monotonic)
    controller = HaltController(None, times, queue_agent=lambda key: None, scope=found.scope)
    yield controller
    controller.close()


def names(controller):
    return [item.name for item in controller.of("trading", "momentum", {})]


ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([(ADDED, versioned(10)), (DELETED, versioned(20))], []),
        ([(DELETED, versioned(20)), (ADDED, versioned(10))], []),
        ([(ADDED, versioned(10)), (DELETED, versioned(20)), (MODIFIED, versioned(15))], []),
        ([(ADDED, versioned(10)), (DELETED, versioned(5)), (MODIFIED, versioned(15))], []),
        ([(None, versioned(10)), listed(), (MODIFIED, versioned(15))], []),
        ([listed(version=100), (ADDED, versioned(10))], []),
        ([(ADDED, versioned(10)), (DELETED, versioned(20)), (None, versioned(10))], []),
        ([(DELETED, versioned(20)), (None, versioned(10)), listed(versioned(10), version=15)], []),
        ([(None, versioned(10)), listed(version=100), (None, versioned(10))], []),
        ([listed(version=100), (None, versioned(10)), listed(versioned(10), version=90)], []),
        (
            [(ADDED, versioned(10)), (DELETED, versioned(20)), (None, versioned(30, uid="new"))],
            ["incident"],
        ),
        ([listed(version=100), (ADDED, versioned(101))], ["incident"]),
        ([(ADDED, versioned(101)), listed(version=100)], ["incident"]),
        ([(None, versioned(10)), listed(versioned(10)), (MODIFIED, versioned(15))], ["incident"]),
        (
            [(ADDED, versioned(10)), (DELETED, versioned(20)), (ADDED, versioned(30, uid="new"))],
            ["incident"],
        ),
        (
            [(ADDED, versioned(10)), (ADDED, versioned(30, uid="new")), (DELETED, versioned(20))],
            ["incident"],
        ),
        (
            [(ADDED, versioned(30, uid="new")), (ADDED, versioned(10)), (DELETED, versioned(20))],
            ["incident"],
        ),
        (
            [(ADDED, versioned(10)), (ADDED, versioned(30, uid="new")), (MODIFIED, versioned(40))],
            ["incident"],
        ),
    ],
)
async def test_the_halts_only_move_forward(halts, steps, expected):
    for step in steps:
        if isinstance(step, Listing):
            halts.on_listed(resources.HALT, step)
        else:
            halts.on_event(resources.HALT, *step)
    assert names(halts) == expected


async def test_an_older_version_does_not_replace_a_newer_one(halts):
    halts.on_event(resources.HALT, ADDED, versioned(20, level="Stop"))
    halts.on_event(resources.HALT, MODIFIED, versioned(10, level="Halt"))
    (found,) = halts.of("trading", "momentum", {})
    assert found.mode == "Stopped"


def test_the_number_of_tombstones_is_limited(monkeypatch):
    monkeypatch.setattr(tombstones, "MAX_TOMBSTONES", 2)
    found = Setting()
    for uid in "abc":
        found.reads.mark_deleted(uid)
    assert [uid for uid in "abc" if found.reads.is_outdated("trading", uid, 1)] == ["b", "c"]
