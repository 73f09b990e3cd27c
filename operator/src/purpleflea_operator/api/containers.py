"""PurpleFleaAgent v1alpha1: containers, resources and probes, with the field names of Kubernetes.

Sidecars have only the fields and values that Pod Security "restricted" allows.
"""

from typing import Annotated, Literal

from pydantic import Field

from purpleflea_contract.settings import SpecModel
from purpleflea_operator.api.cel_rules import within_limits
from purpleflea_operator.api.env_vars import Variable, VariablesFrom
from purpleflea_operator.api.types import (
    FREE_FORM,
    DnsLabel,
    OrNone,
    Path,
    QualifiedName,
    ResourceList,
    by_key,
    exactly_one,
    rules,
)
from purpleflea_operator.api.volumes import Mount

Argument = Annotated[str, Field(max_length=1024)]


class Resources(SpecModel):
    """Compute resources of the agent container."""

    requests: ResourceList = {"cpu": "50m", "memory": "160Mi"}
    """Reserved resources by name: cpu, memory, ephemeral-storage (default cpu 50m, memory 160Mi)."""
    limits: ResourceList = {"cpu": "1", "memory": "320Mi"}
    """Maximum resources by name: cpu, memory, ephemeral-storage (default cpu 1, memory 320Mi)."""


class SidecarResources(SpecModel):
    """Compute resources of a sidecar."""

    requests: ResourceList = {"cpu": "10m", "memory": "32Mi"}
    """Reserved resources by name: cpu, memory, ephemeral-storage (default cpu 10m, memory 32Mi)."""
    limits: ResourceList = {"cpu": "200m", "memory": "128Mi"}
    """Maximum resources by name: cpu, memory, ephemeral-storage (default cpu 200m, memory 128Mi)."""


class HttpGet(SpecModel):
    """An HTTP request that succeeds if the response is 2xx or 3xx."""

    path: Path = "/"
    """Path of the request (default /)."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """Port of the container (1 to 65535)."""


class TcpSocket(SpecModel):
    """A TCP connection that succeeds if the container accepts it."""

    port: Annotated[int, Field(ge=1, le=65535)]
    """Port of the container (1 to 65535)."""


class Exec(SpecModel):
    """A command in the container that succeeds if its exit code is 0."""

    command: Annotated[tuple[Argument, ...], Field(min_length=1, max_length=32)]
    """Command and arguments (1 to 32 items)."""


Count = Annotated[int, Field(ge=1, le=3600)]


class Probe(SpecModel):
    """A probe with which the kubelet checks a container. Set one of httpGet, tcpSocket and exec."""

    http_get: HttpGet | None = None
    """An HTTP request that succeeds if the response is 2xx or 3xx."""
    tcp_socket: TcpSocket | None = None
    """A TCP connection that succeeds if the container accepts it."""
    exec: Exec | None = None
    """A command in the container that succeeds if its exit code is 0."""
    period_seconds: Count = 10
    """Seconds between two probes (1 to 3600, default 10)."""
    timeout_seconds: Count = 1
    """Seconds after which a probe fails (1 to 3600, default 1)."""
    failure_threshold: Count = 3
    """Number of consecutive failed probes after which the check fails (1 to 3600, default 3)."""
    initial_delay_seconds: Count | None = None
    """Seconds before the first probe (1 to 3600). If it is not set, there is no delay."""

    model_config = exactly_one("httpGet", "tcpSocket", "exec")


class Port(SpecModel):
    """A port that a sidecar listens on. The NetworkPolicy allows ingress to this port."""

    name: Annotated[str, Field(pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=15)]
    """Name of the port (at most 15 characters)."""
    container_port: Annotated[int, Field(ge=1, le=65535)]
    """Number of the port (1 to 65535)."""
    protocol: Literal["TCP", "UDP"] = "TCP"
    """Protocol of the port: TCP or UDP (default TCP)."""


class SecurityContext(SpecModel):
    """Security context of a sidecar. The operator adds the other settings of Pod Security "restricted": no privilege
    escalation, no capabilities, no root, and the seccomp profile of the runtime."""

    run_as_user: Annotated[int, Field(ge=1, le=2147483647)] | None = None
    """User id (1 to 2147483647). If it is not set, the user of pod.securityContext or of the
    image is used."""
    run_as_group: Annotated[int, Field(ge=1, le=2147483647)] | None = None
    """Group id (1 to 2147483647). If it is not set, the group of pod.securityContext or of the
    image is used."""
    read_only_root_filesystem: bool = True
    """If true, the container can write only to its volumes (default true)."""
    privileged: Literal[False] = False
    """Always false, because a privileged container violates Pod Security "restricted"."""
    allow_privilege_escalation: Literal[False] = False
    """Always false, because privilege escalation violates Pod Security "restricted"."""


class Sidecar(SpecModel):
    """A container beside the agent, such as a proxy or a signer. It is an init container with restartPolicy Always, so
    it starts before the agent and ends after it."""

    name: DnsLabel
    """Name of the container."""
    image: Annotated[str, Field(min_length=1, max_length=512)]
    """Image with its tag or digest."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When the node pulls the image: Always, IfNotPresent or Never (default IfNotPresent)."""
    command: Annotated[tuple[Argument, ...] | None, Field(max_length=32), OrNone] = None
    """Entry point that replaces the entry point of the image (at most 32 items)."""
    args: Annotated[tuple[Argument, ...] | None, Field(max_length=64), OrNone] = None
    """Arguments that replace the arguments of the image (at most 64)."""
    env: Annotated[
        tuple[Variable, ...], Field(max_length=64, json_schema_extra=by_key("name"))
    ] = ()
    """Environment variables of the sidecar by name (at most 64)."""
    env_from: Annotated[tuple[VariablesFrom, ...], Field(max_length=8)] = ()
    """Environment variables from Secrets and ConfigMaps (at most 8 sources). Variables of env take precedence."""
    ports: Annotated[
        tuple[Port, ...], Field(max_length=8, json_schema_extra=by_key("containerPort", "protocol"))
    ] = ()
    """Ports that the sidecar listens on (at most 8)."""
    resources: SidecarResources = SidecarResources()
    """Compute resources of the sidecar."""
    volume_mounts: Annotated[
        tuple[Mount, ...], Field(max_length=16, json_schema_extra=by_key("mountPath"))
    ] = ()
    """Mounts of volumes by path (at most 16)."""
    security_context: SecurityContext = SecurityContext()
    """Security context of the sidecar."""
    startup_probe: Annotated[Probe | None, Field(json_schema_extra=FREE_FORM)] = None
    """Probe that detects when the sidecar has started. The agent starts afterwards. Set httpGet, tcpSocket or exec, and
    the intervals."""
    liveness_probe: Annotated[Probe | None, Field(json_schema_extra=FREE_FORM)] = None
    """Probe after whose failure the kubelet restarts the sidecar."""
    readiness_probe: Annotated[Probe | None, Field(json_schema_extra=FREE_FORM)] = None
    """Probe that detects when the sidecar is ready. A pod is ready when all its containers are ready."""

    model_config = rules(
        within_limits("self.resources.requests", "self.resources.limits", ".resources.requests")
    )


class ServiceAccount(SpecModel):
    """A ServiceAccount that the operator creates with the name of the agent. The operator grants it no rights."""

    annotations: Annotated[
        dict[QualifiedName, Annotated[str, Field(max_length=1024)]], Field(max_length=16)
    ] = {}
    """Annotations of the ServiceAccount, such as the role of a cloud provider (at most 16)."""
