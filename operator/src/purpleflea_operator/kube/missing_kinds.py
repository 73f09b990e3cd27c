"""Kinds of users that the API server does not serve, because their CRD is not installed.

The module reads the discovery document of the API group, which lists no objects. It must not keep or interpret objects.
"""

import asyncio
from collections.abc import Callable, Collection

from purpleflea_operator import timings
from purpleflea_operator.kube import errors
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ResourceKind


async def served(cluster: KubeClient, kinds: Collection[ResourceKind]) -> tuple[ResourceKind, ...]:
    """Return the kinds that the API server serves.

    Raises:
        ApiError: The discovery document could not be read.
    """
    versions = {kind.api_version for kind in kinds}
    plurals = {version: await cluster.served_plurals(version) for version in versions}
    return tuple(kind for kind in kinds if kind.plural in plurals[kind.api_version])


async def wait_until_served(
    cluster: KubeClient, kinds: Collection[ResourceKind], *, jitter: Callable[[], float]
) -> tuple[ResourceKind, ...]:
    """Return those of these kinds that the API server serves, as soon as it serves one. `jitter` is in [0, 1)."""
    while True:
        await asyncio.sleep(timings.MISSING_KIND_RETRY_S * (1 + jitter() / 2))
        try:
            found = await served(cluster, kinds)
        except errors.ApiError:
            continue
        if found:
            return found
