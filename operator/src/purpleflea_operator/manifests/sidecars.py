"""Containers that users put beside the agent, kept within Pod Security "restricted".

They are init containers that are restarted always: they start before the agent and end after it, so that an order on
its way at the end still finds its proxy.
"""

from collections.abc import Iterable

from purpleflea_operator.api.containers import Sidecar
from purpleflea_operator.manifests.passthrough import passed_on
from purpleflea_operator.parsing import MutableManifest

_FIELDS = {
    "name",
    "image",
    "image_pull_policy",
    "command",
    "args",
    "env",
    "env_from",
    "ports",
    "volume_mounts",
    "startup_probe",
    "liveness_probe",
    "readiness_probe",
}


def containers(sidecars: Iterable[Sidecar]) -> list[MutableManifest]:
    """The sidecars as init containers."""
    return [_container(item) for item in sidecars]


def _container(sidecar: Sidecar) -> MutableManifest:
    said = passed_on(sidecar, only=_FIELDS)
    return {
        **{key: value for key, value in said.items() if value != []},
        "restartPolicy": "Always",
        "resources": {
            "requests": dict(sidecar.resources.requests),
            "limits": dict(sidecar.resources.limits),
        },
        "securityContext": _security_context(sidecar),
    }


def _security_context(sidecar: Sidecar) -> MutableManifest:
    context = sidecar.security_context
    ids = {"runAsUser": context.run_as_user, "runAsGroup": context.run_as_group}
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": context.read_only_root_filesystem,
        "capabilities": {"drop": ["ALL"]},
        **{key: value for key, value in ids.items() if value is not None},
    }
