"""Composition root: settings -> session -> cluster -> cache, queue, workers -> kopf."""

import asyncio
import contextlib
import logging
import random
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, cast

import kopf

from purpleflea_operator import handlers
from purpleflea_operator.cluster import connection, errors, kinds
from purpleflea_operator.cluster.cache import Cache, Key
from purpleflea_operator.cluster.http import HttpCluster
from purpleflea_operator.reconcile.reconciler import Reconciler
from purpleflea_operator.render.identity import Defaults
from purpleflea_operator.runtime import health
from purpleflea_operator.runtime.informer import Informer
from purpleflea_operator.runtime.queue import Queue
from purpleflea_operator.runtime.workers import work
from purpleflea_operator.settings import Settings

logger = logging.getLogger(__name__)


class StartError(Exception):
    """The operator cannot start; the text is one line that says why and what to do."""


Stop = asyncio.Event | threading.Event
Connect = Callable[[], kopf.ConnectionInfo]


async def run(
    settings: Settings, *, stop: Stop | None = None, connect: Connect = connection.credentials
) -> None:
    """Run the operator until it is told to stop: by `stop`, else by SIGTERM or SIGINT (kopf listens for them).

    Raises:
        StartError: No cluster, no rights, or no CRD.
    """
    probes = health.Health()
    async with contextlib.AsyncExitStack() as stack:
        if settings.health_port:
            runner = await health.serve(probes, settings.health_port)
            stack.push_async_callback(runner.cleanup)
        cluster = await stack.enter_async_context(_cluster(connect))
        cache, queue = Cache(), Queue[Key](jitter=random.random)
        stack.callback(queue.close)
        informer = Informer(cluster, cache, queue)
        await _prime(informer)
        probes.primed = True
        reconciler = Reconciler(
            cluster, cache, _defaults(settings), facts=informer.facts, now=lambda: datetime.now(UTC)
        )
        await _work(settings, informer, queue, reconciler, _kopf(informer, connect, stop))


async def _work(
    settings: Settings,
    informer: Informer,
    queue: Queue[Key],
    reconciler: Reconciler,
    serve: Coroutine[Any, Any, None],
) -> None:
    """Workers and kopf side by side. kopf cancels tasks that start after it, so it starts last."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(informer.run(), name="informer")]
        tasks += [
            group.create_task(work(queue, reconciler.reconcile), name=f"worker-{number}")
            for number in range(settings.workers)
        ]
        # A task gets its turn only once this one waits; then kopf may look which tasks exist.
        await asyncio.sleep(0)
        logger.info("started", extra={"workers": settings.workers})
        try:
            await serve
        finally:
            for task in tasks:
                task.cancel()
            logger.info("stopped")


async def _kopf(informer: Informer, connect: Connect, stop: Stop | None) -> None:
    registry = kopf.OperatorRegistry()
    handlers.register(registry, informer, connect)
    await kopf.operator(
        registry=registry,
        settings=handlers.select(handlers.settings()),
        clusterwide=True,
        standalone=True,
        # By default kopf asks for the user's name, and in a container there is no such user.
        identity=cast(Any, socket.gethostname()),
        stop_flag=stop,
    )


@contextlib.asynccontextmanager
async def _cluster(connect: Connect) -> AsyncIterator[HttpCluster]:
    try:
        info = connect()
        session = connection.session(info)
    except connection.NotConnectedError as error:
        raise StartError(str(error)) from error
    async with session:
        yield HttpCluster(info.server, session)


async def _prime(informer: Informer) -> None:
    try:
        await informer.prime()
    except errors.NotFound as error:
        crd = f"{kinds.AGENT.plural}.{kinds.AGENT.api_version.partition('/')[0]}"
        raise StartError(
            f"the custom resource {crd} is not installed: kubectl apply --server-side -f crds/"
        ) from error
    except errors.Forbidden as error:
        raise StartError(
            f"a right is missing: {error}; install the chart's ClusterRole (helm upgrade --install)"
        ) from error
    except errors.ApiError as error:
        raise StartError(f"the API server cannot be reached: {error}") from error


def _defaults(settings: Settings) -> Defaults:
    return Defaults(image=settings.agent_image, image_pull_policy=settings.agent_image_pull_policy)
