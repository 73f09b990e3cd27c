"""The annotation of pods that makes their kubelets refresh the mounted control file within a second."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from purpleflea_operator.controllers.agent.decisions.observed_state import CONTROL_ANNOTATION
from purpleflea_operator.controllers.agent.decisions.plan import RefreshConfigMount
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ObjectRef
from purpleflea_operator.parsing import Manifest, mapping

logger = logging.getLogger(__name__)

CONCURRENT_NUDGES = 16
"""Concurrent annotations of one agent, because a request to halt must not be sent to the pods one by one."""


class RefreshError(Exception):
    """The ConfigMap has the desired mode, but a pod could not be annotated. `cause` is the error of that request."""

    def __init__(self, cause: errors.Transient) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _ignore(_: object) -> None:
    """Do nothing."""


async def refresh_config_mount(
    cluster: KubeClient,
    namespace: str,
    actions: Sequence[RefreshConfigMount],
    *,
    on_stored: Callable[[Manifest], object] = _ignore,
    on_gone: Callable[[str], object] = _ignore,
) -> None:
    """Annotate pods, so that their kubelets refresh the mounted control file; pods that are gone are skipped.

    `on_stored` receives each pod as stored. `on_gone` receives the UID of each pod that was deleted, or replaced by
    another one with its name, because the watch may report that much later, and the write would be due until then.
    """
    limit = asyncio.Semaphore(CONCURRENT_NUDGES)

    async def annotate(action: RefreshConfigMount) -> None:
        ref = ObjectRef(kind=resources.POD, namespace=namespace, name=action.pod.name)
        async with limit:
            try:
                stored = await cluster.annotate(ref, {CONTROL_ANNOTATION: action.nudge})
            except errors.NotFound:
                on_gone(action.pod.uid)
                return
        if stored["metadata"]["uid"] != action.pod.uid:
            on_gone(action.pod.uid)
        on_stored(stored)
        if mapping(stored["metadata"].get("annotations")).get(CONTROL_ANNOTATION) != action.nudge:
            # Without this check, a pass that waits would repeat the write without a pause.
            raise errors.Unavailable(
                f"the annotation {CONTROL_ANNOTATION} of pod {action.pod.name} is not stored, so the mode may reach "
                "the agent a minute late; correct the admission webhook that changes it"
            )
        logger.info("nudged", extra={"pod": action.pod.name, "mode": action.nudge})

    for result in await asyncio.gather(*map(annotate, actions), return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
