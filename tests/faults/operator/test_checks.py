"""Each check of a cell fails if the fix that it watches over is taken out."""

import re

import pytest

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.decisions import plan
from purpleflea_operator.controllers.agent.decisions.write_ledger import WriteLedger
from purpleflea_operator.controllers.agent.former_identities import FormerIdentities
from purpleflea_operator.controllers.agent.reconciler import Reconciler
from purpleflea_operator.kube.object_cache import ObjectCache
from support.simulation import cells, matrix


def no_sweep(patch):
    patch.setattr(ObjectCache, "missing_in", lambda *_, **__: [])


def identities_free_at_once(patch):
    patch.setattr(FormerIdentities, "namespaces", lambda *_, **__: ())


def a_rejected_write_due_at_once(patch):
    patch.setattr(WriteLedger, "retry_after_s", lambda *_: 0.0)
    patch.setattr(timings, "FREE_REPEATS", 10**9)


def any_retry_after(patch):
    patch.setattr(timings, "LONGEST_RETRY_AFTER_S", 1e9)
    patch.setattr(timings, "CONTROL_BACKOFF_LIMIT_S", 1e9)


def watches_without_backoff(patch):
    patch.setattr(timings, "WATCH_BACKOFF_LIMIT_S", timings.WATCH_BACKOFF_BASE_S)


def nothing_as_desired(patch):
    patch.setattr(plan, "is_as_desired", lambda *_: False)


def an_error_in_each_pass(patch):
    def fail(*_):
        raise ValueError("planted")

    patch.setattr(Reconciler, "_report", fail)


def no_error(patch):
    """Change nothing."""


@pytest.mark.parametrize(
    ("error", "hazard", "operation", "message"),
    [
        (no_sweep, "watch-410-empty", "update", r"ConfigMap\.trading/momentum: .* != None"),
        (identities_free_at_once, "clock-forward", "move", "two pods of momentum-0"),
        (a_rejected_write_due_at_once, "write-403-statefulsets", "update", "a task never waits"),
        (any_retry_after, "write-429-long", "update", "halt after|was not halted"),
        (watches_without_backoff, "watch-ends-at-once", "update", "requests, the limit is"),
        (nothing_as_desired, "clock-forward", "update", "writes when idle"),
        (an_error_in_each_pass, "clock-forward", "update", "ValueError: planted"),
        (no_error, "write-409", "delete", "the fault had no effect"),
    ],
)
def test_a_planted_error_is_found(error, hazard, operation, message, monkeypatch):
    monkeypatch.setattr(cells, "_expected", {})
    error(monkeypatch)
    problems = matrix.run_cell(hazard, operation).problems
    assert [problem for problem in problems if re.search(message, problem)], problems
