"""Security contexts of pods and containers within Pod Security "restricted"."""

from purpleflea_operator.manifests.metadata import Agent, Defaults
from purpleflea_operator.parsing import MutableManifest


def pod_security_context(agent: Agent, defaults: Defaults) -> MutableManifest:
    """Return the security context of the pod.

    It has no user id unless the spec sets one, so the containers run as the user of their image, or as the user that
    the cluster assigns to the namespace. The group makes the volume of the journal writable for any user.
    """
    requested = agent.spec.pod.security_context
    group = requested.fs_group or defaults.fs_group
    ids = {
        "runAsUser": requested.run_as_user,
        "runAsGroup": requested.run_as_group,
        "fsGroup": group,
        "fsGroupChangePolicy": "OnRootMismatch" if group else None,
        "supplementalGroups": list(requested.supplemental_groups) or None,
    }
    return {
        "runAsNonRoot": True,
        **{key: value for key, value in ids.items() if value is not None},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security_context(*, read_only_root: bool = True) -> MutableManifest:
    """Return the security context of a container."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": read_only_root,
        "capabilities": {"drop": ["ALL"]},
    }
