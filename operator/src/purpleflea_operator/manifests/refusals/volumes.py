"""Volumes and mounts: sources, unknown volumes, paths, and volumes that belong to the operator.

A user's mount of one of the operator's volumes must be read-only. Otherwise a sidecar could change the journal, which
decides if an order is sent again.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from purpleflea_operator.api.volumes import Mount, ProjectedVolume, Volume
from purpleflea_operator.manifests import volumes as own
from purpleflea_operator.manifests.metadata import Agent
from purpleflea_operator.manifests.refusals.quantities import value
from purpleflea_operator.manifests.refusals.refusal import (
    Refusal,
    descends,
    duplicates,
    exactly_one,
)
from purpleflea_operator.manifests.user_overrides import user_overrides

SOURCES = ("secret", "config_map", "empty_dir", "persistent_volume_claim", "projected", "csi")
DRIVER_LIMIT = 63
JOURNAL_CLAIM = re.compile(rf"{own.STATE}-.+-[0-9]+")
"""Names of the claims of journals: the volume, the agent and the ordinal."""
UNSAFE_PATH = "the path must be relative and must not contain '..'; correct it"


def refusals(agent: Agent) -> Iterator[Refusal]:
    """Yield the refused volumes and mounts."""
    pod = agent.spec.pod
    yield from duplicates("spec.pod.volumes", (item.name for item in pod.volumes), "the name")
    for index, volume in enumerate(pod.volumes):
        yield from _volume(f"spec.pod.volumes.{index}", volume)
    if pod.volume_mounts or pod.sidecars:
        yield from _all_mounts(agent)
    if agent.spec.storage is not None and value(agent.spec.storage.size) == 0:
        yield Refusal("spec.storage.size", "the size must be greater than 0, such as 1Gi")


def _all_mounts(agent: Agent) -> Iterator[Refusal]:
    """Yield the refused mounts of all containers. Ignored mounts are not rendered, so they are not checked."""
    overrides = user_overrides(agent)
    writable = {item.name for item in overrides.volumes}
    known = _known(agent, writable)
    yield from _mounts("spec.pod.volumeMounts", overrides.mounts, known, writable)
    for index, sidecar in enumerate(overrides.sidecars):
        field = f"spec.pod.sidecars.{index}.volumeMounts"
        yield from _mounts(field, sidecar.volume_mounts, known, writable)


def _known(agent: Agent, added: Iterable[str]) -> set[str]:
    names = {*own.NAMES, *added}
    return names if agent.spec.api.token_secret_ref else names - {own.API_TOKEN}


def _volume(field: str, volume: Volume) -> Iterator[Refusal]:
    yield from exactly_one(field, volume, *SOURCES)
    for name, source in (("secret", volume.secret), ("configMap", volume.config_map)):
        for index, item in enumerate((source and source.items) or ()):
            if not _is_file(item.path):
                yield Refusal(f"{field}.{name}.items.{index}.path", UNSAFE_PATH)
    if volume.projected is not None:
        yield from _projected(f"{field}.projected", volume.projected)
    if volume.csi is not None and len(volume.csi.driver) > DRIVER_LIMIT:
        yield Refusal(f"{field}.csi.driver", f"the name has more than {DRIVER_LIMIT} characters")
    claim = volume.persistent_volume_claim
    if claim is not None and JOURNAL_CLAIM.fullmatch(claim.claim_name) and not claim.read_only:
        yield Refusal(
            f"{field}.persistentVolumeClaim.readOnly",
            f"{claim.claim_name} is the name of a journal, which only its own identity may write; set readOnly to "
            "true, or use another claim",
        )


def _projected(field: str, projected: ProjectedVolume) -> Iterator[Refusal]:
    paths = []
    for index, source in enumerate(projected.sources):
        at = f"{field}.sources.{index}"
        yield from exactly_one(at, source, "service_account_token", "secret", "config_map")
        token = source.service_account_token
        if token is not None:
            paths.append(token.path)
            if not _is_file(token.path):
                yield Refusal(f"{at}.serviceAccountToken.path", UNSAFE_PATH)
    yield from duplicates(f"{field}.sources", paths, "the path")


def _is_file(path: str) -> bool:
    # Kubernetes keeps its own files in such a volume, and their names begin with two dots.
    return descends(path) and not path.startswith("..")


def _mounts(
    field: str, mounts: Sequence[Mount], known: set[str], writable: set[str]
) -> Iterator[Refusal]:
    yield from duplicates(field, (item.mount_path for item in mounts), "the path")
    for index, mount in enumerate(mounts):
        at = f"{field}.{index}"
        if mount.name not in known:
            yield Refusal(
                f"{at}.name",
                f"there is no volume {mount.name}; add it to spec.pod.volumes, or correct the name",
            )
        elif mount.name not in writable and not mount.read_only:
            yield Refusal(
                f"{at}.readOnly",
                f"the volume {mount.name} belongs to the operator; set readOnly to true",
            )
        if mount.sub_path and not descends(mount.sub_path):
            yield Refusal(f"{at}.subPath", UNSAFE_PATH)
