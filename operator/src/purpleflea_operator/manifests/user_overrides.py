"""What users add to the pods, merged by key: what the operator needs itself wins, and what gave way is named.

Own are not only the names that are rendered at the moment, but all that the operator or the agent's probes rely on:
otherwise a variable would win today and lose tomorrow.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from purpleflea_contract import environment as env
from purpleflea_contract import kubernetes
from purpleflea_operator.api.containers import Sidecar
from purpleflea_operator.api.env_vars import Variable
from purpleflea_operator.api.volumes import Mount, Volume
from purpleflea_operator.manifests import datadog_env, datadog_sockets
from purpleflea_operator.manifests import volumes as manifest_volumes
from purpleflea_operator.manifests.metadata import Agent

OWN_DOMAINS = (f"{kubernetes.GROUP}/", "apps.kubernetes.io/", "statefulset.kubernetes.io/")
OWN_LABELS = frozenset(
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
    }
)
OPEN_VARIABLES = frozenset({env.DD_LOGS_INJECTION})
"""Variables of the contract that the operator never sets and does not rely on."""
OWN_VARIABLES = frozenset(item.name for item in env.VARIABLES) - OPEN_VARIABLES


@dataclass(frozen=True, slots=True, kw_only=True)
class UserOverrides:
    """What of the user's additions takes effect, and the fields of what does not."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    env: Sequence[Variable]
    volumes: Sequence[Volume]
    mounts: Sequence[Mount]
    sidecars: Sequence[Sidecar]
    ignored: tuple[str, ...]


def user_overrides(agent: Agent) -> UserOverrides:
    """The user's additions to the pods of an agent."""
    pod, rendered = agent.spec.pod, datadog_env.annotations(agent).keys()

    def is_own_annotation(key: str) -> bool:
        return key in rendered or key.startswith(OWN_DOMAINS)

    ignored = (
        *_named("labels", pod.labels, _is_own_label),
        *_named("annotations", pod.annotations, is_own_annotation),
        *_named("env", (item.name for item in pod.env), _is_own_variable),
        *_named("volumes", (item.name for item in pod.volumes), _is_own_volume),
        *_named("volumeMounts", (item.mount_path for item in pod.volume_mounts), _is_own_path),
        *_named("sidecars", (item.name for item in pod.sidecars), _is_own_container),
    )
    return UserOverrides(
        labels={key: value for key, value in pod.labels.items() if not _is_own_label(key)},
        annotations={
            key: value for key, value in pod.annotations.items() if not is_own_annotation(key)
        },
        env=[item for item in pod.env if not _is_own_variable(item.name)],
        volumes=[item for item in pod.volumes if not _is_own_volume(item.name)],
        mounts=[item for item in pod.volume_mounts if not _is_own_path(item.mount_path)],
        sidecars=[item for item in pod.sidecars if not _is_own_container(item.name)],
        ignored=ignored,
    )


def _named(field: str, keys: Iterable[str], is_own: Callable[[str], bool]) -> list[str]:
    return [f"spec.pod.{field}[{key}]" for key in keys if is_own(key)]


def _is_own_label(key: str) -> bool:
    return key in OWN_LABELS or key.startswith(OWN_DOMAINS)


def _is_own_variable(name: str) -> bool:
    return name in OWN_VARIABLES


def _is_own_volume(name: str) -> bool:
    return name in manifest_volumes.NAMES or name in datadog_sockets.PATHS


def _is_own_container(name: str) -> bool:
    return name in (kubernetes.CONTAINER, kubernetes.HOLD_CONTAINER)


def _is_own_path(path: str) -> bool:
    """Whether a mount at `path` would hide, or lie in, a folder of the operator's."""
    wanted = PurePosixPath(path)
    return any(
        wanted.is_relative_to(own) or PurePosixPath(own).is_relative_to(wanted)
        for own in (*manifest_volumes.PATHS, *datadog_sockets.PATHS.values())
    )
