"""Renders agents without a cluster. It runs the operator's renderer as a process, because the plugin has no copy."""

import importlib.util
import json
import shlex
import shutil
import sys
import time
from typing import Any

from kubectl_purpleflea.decisions.failures import KubectlError, error_line
from kubectl_purpleflea.decisions.objects import Manifest, mapping, namespace_of, uid_of
from kubectl_purpleflea.decisions.renderings import InvalidRenderingError, rendering
from kubectl_purpleflea.kubectl import processes
from kubectl_purpleflea.kubectl.operator_route import OperatorError
from purpleflea_contract.rendering import Rendering

LIMIT_S = 120.0
"""Limit of one rendering. A container engine may have to pull the image first."""
UNKNOWN_UID = "00000000-0000-0000-0000-000000000000"
"""The API server assigns the UID, which the owner references of the children have."""
_NO_RENDERER = (
    "--offline needs the renderer of the operator; name its image: --renderer 'docker run --rm -i IMAGE render', or "
    "install it beside the plugin: pipx inject kubectl-purpleflea ./operator"
)


def renderer(chosen: str) -> list[str]:
    """Return the command line of the renderer: the one of the user, or the operator that is installed here.

    Raises:
        OperatorError: There is none.
    """
    if chosen:
        try:
            command = shlex.split(chosen)
        except ValueError as error:
            raise OperatorError(f"--renderer cannot be read: {error}") from error
        if not command or shutil.which(command[0]) is None:
            raise OperatorError(f"the program of --renderer is not found: {chosen}")
        return command
    if importlib.util.find_spec("purpleflea_operator") is None:
        raise OperatorError(_NO_RENDERER)
    return [sys.executable, "-m", "purpleflea_operator", "render"]


def rendered_offline(command: list[str], manifest: Manifest, namespace: str) -> Rendering:
    """Return the children of a manifest.

    Raises:
        OperatorError: The renderer gives no usable answer.
    """
    metadata: dict[str, Any] = {
        **mapping(manifest.get("metadata")),
        "namespace": namespace_of(manifest) or namespace,
        "uid": uid_of(manifest) or UNKNOWN_UID,
    }
    document = json.dumps({**manifest, "metadata": metadata}, default=str)
    deadline = time.monotonic() + LIMIT_S
    try:
        code, output, errors = processes.completed(command, document, deadline, LIMIT_S)
    except KubectlError as error:
        text = str(error).replace("kubectl", command[0], 1)
        raise OperatorError(f"the renderer gave no answer: {text}") from error
    if code:
        raise OperatorError(f"the renderer ended with exit code {code}: {error_line(errors)}")
    try:
        return rendering(output)
    except InvalidRenderingError as error:
        raise OperatorError(
            "the answer of the renderer is not a rendering; use one of the same release"
        ) from error
