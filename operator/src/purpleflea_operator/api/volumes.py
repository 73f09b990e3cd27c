"""PurpleFleaAgent v1alpha1: volumes that users add, with the field names of Kubernetes.

Only the types of volumes that Pod Security "restricted" allows are defined.
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
    """A key that becomes a file."""

    key: DataKey
    """Key in the Secret or ConfigMap."""
    path: Annotated[str, Field(pattern="^[^/].*$", max_length=253)]
    """Path of the file in the volume."""
    mode: FileMode | None = None
    """Permissions of the file as a decimal number (0 to 511). If it is not set, defaultMode is used."""


Items = Annotated[tuple[Item, ...] | None, Field(max_length=32), OrNone]


class SecretVolume(SpecModel):
    """A Secret as files."""

    secret_name: DnsName
    """Name of the Secret."""
    items: Items = None
    """Keys that become files (at most 32). If it is not set, all keys are used."""
    default_mode: FileMode | None = None
    """Permissions of the files as a decimal number (0 to 511; Kubernetes defaults to 420)."""
    optional: Flag = None
    """If true, the pod starts even if the object or a key does not exist (default false)."""


class ConfigMapVolume(SpecModel):
    """A ConfigMap as files."""

    name: DnsName
    """Name of the ConfigMap."""
    items: Items = None
    """Keys that become files (at most 32). If it is not set, all keys are used."""
    default_mode: FileMode | None = None
    """Permissions of the files as a decimal number (0 to 511; Kubernetes defaults to 420)."""
    optional: Flag = None
    """If true, the pod starts even if the object or a key does not exist (default false)."""


class EmptyDir(SpecModel):
    """An empty folder that is deleted with the pod."""

    medium: Literal["Memory"] | None = None
    """Memory stores the files in memory, which counts against the memory limit. If it is not set, they are on the disk
    of the node."""
    size_limit: Quantity = "64Mi"
    """Maximum size of the files (default 64Mi)."""


class ClaimVolume(SpecModel):
    """An existing volume claim. All pods of the agent mount the same claim."""

    claim_name: DnsName
    """Name of the PersistentVolumeClaim."""
    read_only: Flag = None
    """If true, the volume is mounted read-only (default false)."""


class Token(SpecModel):
    """A token of the pods' ServiceAccount, usually for another service than the Kubernetes API."""

    path: Annotated[str, Field(pattern="^[^/].*$", max_length=253)]
    """Path of the file in the volume."""
    audience: Annotated[str | None, Field(max_length=253), OrNone] = None
    """Audience of the token. If it is not set, it is the Kubernetes API."""
    expiration_seconds: Annotated[int, Field(ge=600, le=86400)] | None = None
    """Lifetime of the token in seconds (600 to 86400; Kubernetes defaults to 3600). The kubelet renews the token in
    time."""


class ProjectedSource(SpecModel):
    """A source of a projected volume."""

    service_account_token: Token | None = None
    """A token of the pods' ServiceAccount."""
    secret: NameRef | None = None
    """A Secret."""
    config_map: NameRef | None = None
    """A ConfigMap."""

    model_config = exactly_one("serviceAccountToken", "secret", "configMap")


class ProjectedVolume(SpecModel):
    """Several sources in one folder."""

    sources: Annotated[tuple[ProjectedSource, ...], Field(min_length=1, max_length=8)]
    """Sources of the volume (1 to 8)."""
    default_mode: FileMode | None = None
    """Permissions of the files as a decimal number (0 to 511; Kubernetes defaults to 420)."""


class CsiVolume(SpecModel):
    """A volume of a CSI driver that is deleted with the pod."""

    driver: DnsName
    """Name of the driver."""
    read_only: Flag = None
    """If true, the volume is mounted read-only (default false)."""
    volume_attributes: Annotated[
        dict[str, Annotated[str, Field(max_length=253)]] | None, Field(max_length=16), OrNone
    ] = None
    """Parameters for the driver (at most 16)."""


class Volume(SpecModel):
    """A volume of the pods. There is no field hostPath, because Pod Security "restricted" forbids it."""

    name: DnsLabel
    """Name of the volume."""
    secret: Annotated[SecretVolume | None, Field(json_schema_extra=FREE_FORM)] = None
    """A Secret as files: secretName, items, defaultMode, optional."""
    config_map: Annotated[ConfigMapVolume | None, Field(json_schema_extra=FREE_FORM)] = None
    """A ConfigMap as files: name, items, defaultMode, optional."""
    empty_dir: EmptyDir | None = None
    """An empty folder that is deleted with the pod."""
    persistent_volume_claim: ClaimVolume | None = None
    """An existing volume claim."""
    projected: Annotated[ProjectedVolume | None, Field(json_schema_extra=FREE_FORM)] = None
    """Several sources in one folder: sources (serviceAccountToken, secret, configMap), defaultMode."""
    csi: Annotated[CsiVolume | None, Field(json_schema_extra=FREE_FORM)] = None
    """A volume of a CSI driver: driver, readOnly, volumeAttributes."""

    model_config = exactly_one(
        "secret", "configMap", "emptyDir", "persistentVolumeClaim", "projected", "csi"
    )


class Mount(SpecModel):
    """A mount of a volume in a container."""

    name: DnsLabel
    """Name of a volume of spec.pod.volumes. The volumes of the operator, such as state and config, can be mounted with
    readOnly: true."""
    mount_path: Path
    """Absolute path in the container."""
    sub_path: Annotated[str | None, Field(pattern="^([^/].*)?$", max_length=253), OrNone] = None
    """Path in the volume. A file that is mounted with subPath does not follow changes of its Secret or ConfigMap."""
    read_only: Flag = None
    """If true, the container may only read the volume (default false)."""
