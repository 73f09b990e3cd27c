"""Compare the RBAC rules of the chart with the requests of the operator in the whole run.

conftest runs this file last.
"""

import pytest

from support.rights import Right, granted, roles, used

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

VALUES = ("observability.secrets[0].namespace=any", "observability.secrets[0].name=any")
"""The values with which the tests of PurpleFleaObservability install the chart."""
AFTER_CONFLICT = (
    "A child is read if its name is taken, or if it changed since the cache received it."
)
NOT_SEEN: dict[Right, str] = {
    Right(group="", resource="configmaps", verb="get"): AFTER_CONFLICT,
    Right(group="policy", resource="poddisruptionbudgets", verb="get"): AFTER_CONFLICT,
    Right(group="", resource="serviceaccounts", verb="get"): AFTER_CONFLICT,
    Right(
        group="", resource="serviceaccounts", verb="patch"
    ): "A change by another client is reverted.",
}
"""Permissions that a run may not use, each with the reason why the operator needs it."""


@pytest.fixture(scope="module")
def requests(sandbox):
    """Return all requests of the cluster-wide operator for resources."""
    user = "system:serviceaccount:purpleflea-system:purpleflea-operator"
    return [entry for entry in sandbox.audit.entries(user=user) if entry.resource]


def test_no_request_of_the_operator_was_denied(requests):
    assert requests
    denied = {
        (entry.verb, entry.resource, entry.namespace) for entry in requests if entry.is_denied
    }
    # The PurpleFleaObservability of the pages names a Secret that the chart's values do not list. Its status says so.
    denied.discard(("get", "secrets", "trading"))
    assert denied == set()
    assert used(requests) <= granted(roles(*VALUES))


def test_every_permission_of_the_operator_was_used(requests, is_whole_tier):
    if not is_whole_tier:
        pytest.skip("only a run of the whole tier uses every right")
    unused = granted(roles(*VALUES)) - used(requests)
    assert unused <= NOT_SEEN.keys()
