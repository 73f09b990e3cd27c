"""Optional kinds that the API server does not serve, because their CRD or their API group is not installed.

The module asks at long intervals whether a kind is served now. It must not keep or interpret the objects.
"""

import asyncio
from collections.abc import Callable, Sequence

from purpleflea_operator import timings
from purpleflea_operator.kube import errors
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ResourceKind


async def wait_until_served(
    cluster: KubeClient, kinds: Sequence[ResourceKind], *, jitter: Callable[[], float]
) -> ResourceKind:
    """Return the first of these kinds that the API server serves. `jitter` returns numbers in [0, 1)."""
    while True:
        await asyncio.sleep(timings.MISSING_KIND_RETRY_S * (1 + jitter() / 2))
        for kind in kinds:
            try:
                await cluster.list_all(kind)
            except errors.ApiError:
                continue
            return kind
