"""Merge the user's additions to the pods by key. A reserved key is ignored, and its field is reported.

A key is reserved if the operator or the agent's probes depend on it, even if the operator does not render it for this
spec. Otherwise a variable of the user could be effective now and be ignored after another change of the spec.
"""

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from purpleflea_contract import environment as env
from purpleflea_contract import kubernetes
from purpleflea_operator.api.containers import Sidecar
from purpleflea_operator.api.env_vars import Variable
from purpleflea_operator.api.volumes import Mount, Volume
from purpleflea_operator.manifests import autodiscovery, datadog_env, datadog_sockets, user_tags
from purpleflea_operator.manifests import volumes as manifest_volumes
from purpleflea_operator.manifests.metadata import Agent

RESERVED_DOMAINS = (
    f"{kubernetes.GROUP}/",
    "apps.kubernetes.io/",
    "statefulset.kubernetes.io/",
    # Datadog's webhooks would replace the addresses that the operator sets, or add a tracer.
    "admission.datadoghq.com/",
    f"tags.datadoghq.com/{kubernetes.CONTAINER}.",
)
RESERVED_ANNOTATIONS = re.compile(
    # Kubernetes copies the profiles of these annotations to the security context, for one container or for the pod.
    r"([a-z0-9.-]+\.)?security\.(alpha|beta)\.kubernetes\.io/.*"
    # Further networks of a pod, to which its NetworkPolicy does not apply.
    r"|([a-z0-9-]+\.)?v1\.(multus-)?cni\.(cncf\.)?io/.*"
    # CRI-O reads devices, namespaces and capabilities from annotations.
    r"|io\.kubernetes\.cri-o\..*|([a-z0-9.-]+\.)?crio\.io/.*"
)
"""Annotations that weaken the isolation of a pod, whatever its security context is."""
RESERVED_DATADOG_ANNOTATIONS = frozenset(
    f"ad.datadoghq.com/{name}"
    for name in (
        *("tags", "exclude", "logs_exclude", "metrics_exclude"),
        *(
            f"{kubernetes.CONTAINER}.{name}"
            for name in (
                *("tags", "exclude", "logs", "logs_exclude", "metrics_exclude"),
                *("env", "service", "version", "id"),
            )
        ),
    )
)
"""Annotations with which the node agent would ignore the agent container, or tag its telemetry differently."""
RESERVED_LABELS = frozenset(
    {
        kubernetes.LABEL_NAME,
        kubernetes.LABEL_INSTANCE,
        kubernetes.LABEL_COMPONENT,
        kubernetes.LABEL_PART_OF,
        kubernetes.LABEL_MANAGED_BY,
        kubernetes.DD_LABEL_ENV,
        kubernetes.DD_LABEL_SERVICE,
        kubernetes.DD_LABEL_VERSION,
        "controller-revision-hash",
        "pod-template-hash",
    }
)
UNRESERVED_VARIABLES = frozenset({env.DD_LOGS_INJECTION})
"""Variables of the contract that the operator never sets and does not depend on."""
RESERVED_VARIABLES: Mapping[str, str] = {
    **{item.name: item.unset for item in env.VARIABLES if item.name not in UNRESERVED_VARIABLES},
    **env.ALIASES,
}
"""Names that only the operator sets, each with the value that has the same effect as no variable."""
ADDRESS_VARIABLES = frozenset(
    {
        *(env.DD_AGENT_HOST, env.DD_DOGSTATSD_PORT, env.DD_DOGSTATSD_URL),
        *(env.DD_TRACE_AGENT_URL, env.DD_TRACE_AGENT_PORT, env.DD_TRACE_ENABLED),
        *("DD_AGENT_PORT", "DD_DOGSTATSD_HOST", "DD_TRACE_AGENT_HOSTNAME"),
    }
)
"""Variables of users that take precedence with connection Sidecar or Endpoint, because the operator detects nothing."""
RESERVED_PREFIX = "PURPLEFLEA_"
"""Prefix of the agent's own variables, also of variables of later versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserOverrides:
    """The user's additions that are effective, and the fields of those that are ignored."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    env: Sequence[Variable]
    volumes: Sequence[Volume]
    mounts: Sequence[Mount]
    sidecars: Sequence[Sidecar]
    ignored: tuple[str, ...]


def user_overrides(agent: Agent) -> UserOverrides:
    """Return the user's additions to the pods of an agent."""
    pod, rendered = agent.spec.pod, datadog_env.reserved(agent)
    unused = autodiscovery.ignored(pod.annotations)

    def is_reserved_annotation(key: str) -> bool:
        is_datadog = bool(rendered) and key in RESERVED_DATADOG_ANNOTATIONS
        return key in rendered or is_datadog or _is_reserved_annotation(key)

    is_explicit = agent.spec.datadog.connection in ("Sidecar", "Endpoint")

    def is_reserved_variable(name: str) -> bool:
        is_address = is_explicit and name in ADDRESS_VARIABLES
        return not is_address and _is_reserved_variable(name)

    ignored = (
        *(f"spec.datadog.tags[{key}]" for key in user_tags.ignored(agent)),
        *_reserved_fields("labels", pod.labels, _is_reserved_label),
        *_reserved_fields("annotations", pod.annotations, is_reserved_annotation),
        *(
            f"spec.pod.annotations[{key}] ({reason})"
            for key, reason in unused.items()
            if not is_reserved_annotation(key)
        ),
        *_reserved_fields("env", (item.name for item in pod.env), is_reserved_variable),
        *_reserved_fields("volumes", (item.name for item in pod.volumes), _is_reserved_volume),
        *_reserved_fields(
            "volumeMounts", (item.mount_path for item in pod.volume_mounts), _is_reserved_path
        ),
        *_reserved_fields("sidecars", (item.name for item in pod.sidecars), _is_reserved_container),
    )
    return UserOverrides(
        labels={key: value for key, value in pod.labels.items() if not _is_reserved_label(key)},
        annotations={
            key: value
            for key, value in pod.annotations.items()
            if key not in unused and not is_reserved_annotation(key)
        },
        env=[item for item in pod.env if not is_reserved_variable(item.name)],
        volumes=[item for item in pod.volumes if not _is_reserved_volume(item.name)],
        mounts=[item for item in pod.volume_mounts if not _is_reserved_path(item.mount_path)],
        sidecars=[item for item in pod.sidecars if not _is_reserved_container(item.name)],
        ignored=ignored,
    )


def _reserved_fields(
    field: str, keys: Iterable[str], is_reserved: Callable[[str], bool]
) -> list[str]:
    return [f"spec.pod.{field}[{key}]" for key in keys if is_reserved(key)]


def _is_reserved_label(key: str) -> bool:
    return key in RESERVED_LABELS or key.startswith(RESERVED_DOMAINS)


def _is_reserved_annotation(key: str) -> bool:
    return key.startswith(RESERVED_DOMAINS) or bool(RESERVED_ANNOTATIONS.fullmatch(key))


def _is_reserved_variable(name: str) -> bool:
    is_own = name.startswith(RESERVED_PREFIX)
    return is_own or name in RESERVED_VARIABLES


def _is_reserved_volume(name: str) -> bool:
    return name in manifest_volumes.NAMES or name in datadog_sockets.PATHS


def _is_reserved_container(name: str) -> bool:
    return name in (kubernetes.CONTAINER, kubernetes.HOLD_CONTAINER)


def _is_reserved_path(path: str) -> bool:
    """Return True if a mount at `path` hides a folder of the operator, or is inside of such a folder."""
    mount = _resolved(path)
    return any(
        mount.is_relative_to(reserved) or reserved.is_relative_to(mount)
        for reserved in map(
            _resolved, (*manifest_volumes.PATHS, *datadog_sockets.PATHS.values(), *KERNEL_PATHS)
        )
    )


KERNEL_PATHS = ("/proc", "/sys", "/dev")
"""Folders that the container runtime mounts. A mount there hides devices or fails."""


def _resolved(path: str) -> PurePosixPath:
    """Return the folder that a mount path leads to: without `..` and `//`, and with the usual link of /var/run."""
    clean = posixpath.normpath("/" + path.lstrip("/"))
    if clean == "/var/run" or clean.startswith("/var/run/"):
        clean = clean.removeprefix("/var")
    return PurePosixPath(clean)
