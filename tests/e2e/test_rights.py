"""The chart's rules against what the operator did in the whole run. Put last by conftest."""

import pytest

from support.rights import Right, granted, roles, used

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

VALUES = ("observability.secrets[0].namespace=any", "observability.secrets[0].name=any")
"""As the tests of PurpleFleaObservability install the chart."""
NOT_SEEN: dict[Right, str] = {}
"""Rights that no test on a cluster uses, each with the reason why the operator has them all the same."""


@pytest.fixture(scope="module")
def requests(sandbox):
    """All requests of the cluster-wide operator that are about objects."""
    user = "system:serviceaccount:purpleflea-system:purpleflea-operator"
    return [entry for entry in sandbox.audit.entries(user=user) if entry.resource]


def test_the_operator_never_asked_for_what_it_may_not_do(requests):
    assert requests
    denied = {(entry.verb, entry.resource) for entry in requests if entry.is_denied}
    assert denied == set()
    assert used(requests) <= granted(roles(*VALUES))


def test_every_right_of_the_operator_was_used(requests, is_whole_tier):
    if not is_whole_tier:
        pytest.skip("only a run of the whole tier uses every right")
    unused = granted(roles(*VALUES)) - used(requests)
    assert unused == NOT_SEEN.keys()
