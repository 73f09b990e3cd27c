"""A replica that must end does so within 2 s, and releases the lease if it still holds it."""

import pytest

from purpleflea_operator.runtime.leader_election.elector import LeaseLostError
from support.simulation.matrix import ends

LIMIT_S = 2.0
RENEW_DEADLINE_S, RENEW_S = 6.7, 4.0
"""Longest time without a renewal, and between two renewals, with the default lease."""


ENDLESS = ("reflector", "watches of kopf", "renewal of the lease")
"""Loops without an end, so they cannot return."""
CASES = [(name, False) for name in ends.BUGS] + [
    (name, True) for name in ends.BUGS if name not in ENDLESS
]


@pytest.mark.parametrize(("name", "returns"), CASES)
def test_a_task_that_ends_unexpectedly_ends_the_replica(name, returns):
    end = ends.end_of_bug(name, returns=returns)
    assert end.error is not None
    assert (end.after_s < LIMIT_S, end.holder) == (True, "")


def test_without_credentials_the_replica_ends_at_the_renew_deadline():
    end = ends.end_without_credentials()
    assert isinstance(end.error, LeaseLostError)
    assert end.after_s < RENEW_DEADLINE_S + LIMIT_S


def test_a_replica_that_lost_its_lease_ends_with_an_error_and_leaves_the_lease():
    end = ends.end_with_lost_lease()
    assert isinstance(end.error, LeaseLostError)
    assert (end.after_s < RENEW_S + LIMIT_S, end.holder) == (True, ends.OTHER)


@pytest.mark.parametrize("resource", ["", "purplefleaagents", "pods", "nodes"])
def test_sigterm_ends_the_replica_without_an_error_even_during_the_first_lists(resource):
    end = ends.end_by_sigterm(resource)
    assert (end.error, end.holder) == (None, "")
    assert end.after_s < LIMIT_S
