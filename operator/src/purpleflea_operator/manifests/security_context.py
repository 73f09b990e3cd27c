"""Security contexts of pods and containers within Pod Security "restricted"."""

from purpleflea_operator.parsing import MutableManifest

USER = 10001
"""Id of the user and of the group that the containers run as; the agent image uses the same id."""


def pod_security_context() -> MutableManifest:
    """Return the security context of the pod."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security_context(*, read_only_root: bool = True) -> MutableManifest:
    """Return the security context of a container."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": read_only_root,
        "capabilities": {"drop": ["ALL"]},
    }
