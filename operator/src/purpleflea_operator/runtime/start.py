"""What stands between a replica and its work: the lease and the first lists, and why it cannot start, in one line."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from purpleflea_operator.cluster import errors, kinds
from purpleflea_operator.runtime.elector import Elector

logger = logging.getLogger(__name__)

PATIENCE_S = 1.0
"""Where the API server asks for patience and does not say how much."""

Prime = Callable[[], Awaitable[None]]


class StartError(Exception):
    """The operator cannot start; the text is one line that says why and what to do."""


async def acquired(elector: Elector) -> None:
    """Stand by until this replica leads."""
    try:
        await elector.acquire()
    except errors.Forbidden as error:
        raise StartError(
            f"a right is missing: {error}; install the chart's Role (helm upgrade --install)"
        ) from error
    except errors.ApiError as error:
        raise StartError(
            f"the lease is refused: {error}; check PURPLEFLEA_OPERATOR_LEASE_NAMESPACE"
        ) from error


async def primed(primes: Iterable[Prime]) -> None:
    """Read the first lists; where the API server asks for patience, have it."""
    try:
        for prime in primes:
            while not await _is_done(prime):
                logger.warning("the API server asks for patience with the first lists")
    except errors.NotFound as error:
        crd = f"{kinds.AGENT.plural}.{kinds.AGENT.api_version.partition('/')[0]}"
        raise StartError(
            f"the custom resource {crd} is not installed: kubectl apply --server-side -f crds/"
        ) from error
    except errors.Forbidden as error:
        raise StartError(
            f"a right is missing: {error}; install the chart's roles (helm upgrade --install)"
        ) from error
    except errors.ApiError as error:
        raise StartError(f"the API server cannot be reached: {error}") from error


async def _is_done(prime: Prime) -> bool:
    try:
        await prime()
    except errors.Throttled as error:
        await asyncio.sleep(error.retry_after_s or PATIENCE_S)
        return False
    return True
