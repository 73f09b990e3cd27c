"""Requests to the operator through `kubectl port-forward`, because its route answers only clients in its pod."""

import contextlib
import json
import urllib.error
from collections.abc import Callable, Iterator
from typing import Any

from kubectl_purpleflea.decisions import renderings
from kubectl_purpleflea.decisions.objects import at, items, mapping, name_of, text
from kubectl_purpleflea.decisions.operator_health import OPERATOR_LABELS, Installation
from kubectl_purpleflea.kubectl.agents import AgentError, ForwardedPort, forwarded
from kubectl_purpleflea.kubectl.client import Kubectl
from kubectl_purpleflea.kubectl.cluster import lease_of, readable
from purpleflea_contract import rendering

ANSWER_TIMEOUT_S = 10.0
MAX_ANSWER = 16 * 1024 * 1024
MAX_REFUSAL = 64 * 1024

Render = Callable[[dict[str, Any]], rendering.Rendering]


class OperatorError(Exception):
    """The operator did not answer. The text is the reason and the remedy."""


@contextlib.contextmanager
def renderer(kubectl: Kubectl, installation: Installation) -> Iterator[Render]:
    """Yield a function that sends an agent to the leading replica, and returns its children.

    Raises:
        OperatorError: No replica can be reached. The function raises it if the operator gives no usable answer.
        KubectlError: A request failed.
    """
    pod = _leader(kubectl, installation)
    try:
        with forwarded(kubectl, installation.namespace, pod, rendering.PORT) as port:
            yield lambda agent: _ask(port, agent)
    except AgentError as error:
        raise OperatorError(
            f"no connection to pod {pod} in namespace {installation.namespace}: {error}"
        ) from error


def _leader(kubectl: Kubectl, installation: Installation) -> str:
    """Return the pod that leads: by the Lease, or the only pod that is ready."""
    holder = text(at(lease_of(kubectl, installation), "spec", "holderIdentity"))
    if holder:
        # The identity is the name of the pod, an underscore and a random number.
        return holder.rpartition("_")[0] or holder
    there = kubectl.in_namespace(installation.namespace)
    pods: list[dict[str, Any]] = readable(
        lambda: there.items("pods", f"--selector={OPERATOR_LABELS}"), []
    )
    ready = [name_of(item) for item in pods if _is_ready(item)]
    if not ready:
        raise OperatorError(
            f"no replica of the operator leads in namespace {installation.namespace}; check it: "
            "kubectl purpleflea doctor"
        )
    return ready[0]


def _is_ready(pod: Any) -> bool:
    conditions = items(at(pod, "status", "conditions"))
    return any(item.get("type") == "Ready" and item.get("status") == "True" for item in conditions)


def _ask(port: ForwardedPort, agent: dict[str, Any]) -> rendering.Rendering:
    data = json.dumps(agent).encode()
    try:
        answer = port.answer(
            rendering.PATH, limit=MAX_ANSWER, timeout_s=ANSWER_TIMEOUT_S, data=data
        )
        return renderings.rendering(answer)
    except renderings.InvalidRenderingError as error:
        raise OperatorError("the answer of the operator is not a rendering") from error
    except urllib.error.HTTPError as error:
        with error:
            raise OperatorError(_refusal(error.code, error.read(MAX_REFUSAL))) from error
    except AgentError as error:
        raise OperatorError(f"the operator did not respond: {error}") from error


def _refusal(status: int, body: bytes) -> str:
    if status in (404, 405):
        return "this version of the operator cannot render; upgrade its chart"
    try:
        reason = text(mapping(json.loads(body)).get("error"))
    except ValueError:
        reason = ""
    return f"the operator responded with status {status}: {reason or 'no reason'}"
