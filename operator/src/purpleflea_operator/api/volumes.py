"""PurpleFleaAgent v1alpha1: volumes that users add, in the words of Kubernetes.

Only kinds that Pod Security "restricted" allows can be said.
"""

from typing import Annotated, Literal

from pydantic import Field

from purpleflea_contract.settings import SpecModel
from purpleflea_operator.api.env_vars import NameRef
from purpleflea_operator.api.types import (
    FREE_FORM,
    DataKey,
    DnsLabel,
    DnsName,
    Flag,
    OrNone,
    Path,
    Quantity,
    exactly_one,
)

FileMode = Annotated[int, Field(ge=0, le=511)]


class Item(SpecModel):
    """One key as a file."""

    key: DataKey
    """Key in the Secret or ConfigMap."""
    path: Annotated[str, Field(pattern="^[^/].*$", max_length=253)]
    """Path of the file in the volume."""
    mode: FileMode | None = None
    """Permissions of the file as a decimal number (0 to 511)."""


Items = Annotated[tuple[Item, ...] | None, Field(max_length=32), OrNone]


class SecretVolume(SpecModel):
    """A Secret as files."""

    secret_name: DnsName
    """Name of the Secret."""
    items: Items = None
    """Keys to take; left out, all (at most 32)."""
    default_mode: FileMode | None = None
    """Permissions of the files as a decimal number (0 to 511)."""
    optional: Flag = None
    """Whether the pod also starts without it."""


class ConfigMapVolume(SpecModel):
    """A ConfigMap as files."""

    name: DnsName
    """Name of the ConfigMap."""
    items: Items = None
    """Keys to take; left out, all (at most 32)."""
    default_mode: FileMode | None = None
    """Permissions of the files as a decimal number (0 to 511)."""
    optional: Flag = None
    """Whether the pod also starts without it."""


class EmptyDir(SpecModel):
    """An empty folder that goes with the pod."""

    medium: Literal["Memory"] | None = None
    """Memory keeps it in memory, which counts against the limit; left out, it is on the node's disk."""
    size_limit: Quantity = "64Mi"
    """Most that it may hold."""


class ClaimVolume(SpecModel):
    """A volume claim that exists. All pods of the agent mount the same one."""

    claim_name: DnsName
    """Name of the PersistentVolumeClaim."""
    read_only: Flag = None
    """Whether it is mounted read-only."""


class Token(SpecModel):
    """A token of the pods' ServiceAccount for somebody else than the Kubernetes API."""

    path: Annotated[str, Field(pattern="^[^/].*$", max_length=253)]
    """Path of the file in the volume."""
    audience: Annotated[str | None, Field(max_length=253), OrNone] = None
    """For whom the token is; left out, for the Kubernetes API."""
    expiration_seconds: Annotated[int, Field(ge=600, le=86400)] | None = None
    """Life of the token in seconds (600 to 86400); it is renewed in time."""


class ProjectedSource(SpecModel):
    """One of the things that a projected volume puts together."""

    service_account_token: Token | None = None
    """A token of the pods' ServiceAccount."""
    secret: NameRef | None = None
    """A Secret."""
    config_map: NameRef | None = None
    """A ConfigMap."""

    model_config = exactly_one("serviceAccountToken", "secret", "configMap")


class ProjectedVolume(SpecModel):
    """Several things in one folder."""

    sources: Annotated[tuple[ProjectedSource, ...], Field(min_length=1, max_length=8)]
    """What is put together (1 to 8)."""
    default_mode: FileMode | None = None
    """Permissions of the files as a decimal number (0 to 511)."""


class CsiVolume(SpecModel):
    """A volume of a CSI driver that goes with the pod."""

    driver: DnsName
    """Name of the driver."""
    read_only: Flag = None
    """Whether it is mounted read-only."""
    volume_attributes: Annotated[
        dict[str, Annotated[str, Field(max_length=253)]] | None, Field(max_length=16), OrNone
    ] = None
    """What the driver wants to know (at most 16)."""


class Volume(SpecModel):
    """A volume of the pods. There is no hostPath: Pod Security "restricted" forbids it."""

    name: DnsLabel
    """Name of the volume."""
    secret: Annotated[SecretVolume | None, Field(json_schema_extra=FREE_FORM)] = None
    """A Secret as files: secretName, items, defaultMode, optional."""
    config_map: Annotated[ConfigMapVolume | None, Field(json_schema_extra=FREE_FORM)] = None
    """A ConfigMap as files: name, items, defaultMode, optional."""
    empty_dir: EmptyDir | None = None
    """An empty folder that goes with the pod."""
    persistent_volume_claim: ClaimVolume | None = None
    """A volume claim that exists."""
    projected: Annotated[ProjectedVolume | None, Field(json_schema_extra=FREE_FORM)] = None
    """Several things in one folder: sources (serviceAccountToken, secret, configMap), defaultMode."""
    csi: Annotated[CsiVolume | None, Field(json_schema_extra=FREE_FORM)] = None
    """A volume of a CSI driver: driver, readOnly, volumeAttributes."""

    model_config = exactly_one(
        "secret", "configMap", "emptyDir", "persistentVolumeClaim", "projected", "csi"
    )


class Mount(SpecModel):
    """Where a volume is seen in a container."""

    name: DnsLabel
    """Name of the volume, one of spec.pod.volumes or, in sidecars, also of the agent's own: state, config."""
    mount_path: Path
    """Absolute path in the container."""
    sub_path: Annotated[str | None, Field(pattern="^([^/].*)?$", max_length=253), OrNone] = None
    """Path in the volume; a file mounted by it does not follow changes of its Secret or ConfigMap."""
    read_only: Flag = None
    """Whether the container may only read."""
