"""Sidecar containers of users, within the limits of Pod Security "restricted".

They are init containers with restartPolicy Always. They start before the agent and end after it, so an order that is
still in flight at shutdown can use a proxy in a sidecar.
"""

from collections.abc import Iterable

from purpleflea_operator.api.containers import Sidecar
from purpleflea_operator.manifests.passthrough import as_manifest
from purpleflea_operator.manifests.security_context import container_security_context
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
    """Return the sidecars as init containers."""
    return [_container(item) for item in sidecars]


def _container(sidecar: Sidecar) -> MutableManifest:
    manifest = as_manifest(sidecar, only=_FIELDS)
    return {
        **{key: value for key, value in manifest.items() if value != []},
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
        **container_security_context(read_only_root=context.read_only_root_filesystem),
        **{key: value for key, value in ids.items() if value is not None},
    }
