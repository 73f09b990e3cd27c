"""PurpleFleaAgent v1alpha1: containers, their resources and probes, in the words of Kubernetes.

Of sidecars only what Pod Security "restricted" allows can be said.
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
    """Least resources the container needs, by name (cpu, memory, ephemeral-storage)."""
    limits: ResourceList = {"cpu": "1", "memory": "320Mi"}
    """Most resources the container may use, by name (cpu, memory, ephemeral-storage)."""


class SidecarResources(SpecModel):
    """Compute resources of a sidecar."""

    requests: ResourceList = {"cpu": "10m", "memory": "32Mi"}
    """Least resources the container needs, by name (cpu, memory, ephemeral-storage)."""
    limits: ResourceList = {"cpu": "200m", "memory": "128Mi"}
    """Most resources the container may use, by name (cpu, memory, ephemeral-storage)."""


class HttpGet(SpecModel):
    """A request that must be answered with 2xx or 3xx."""

    path: Path = "/"
    """Path of the request."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """Port of the container (1 to 65535)."""


class TcpSocket(SpecModel):
    """A connection that must be accepted."""

    port: Annotated[int, Field(ge=1, le=65535)]
    """Port of the container (1 to 65535)."""


class Exec(SpecModel):
    """A command that must end with 0."""

    command: Annotated[tuple[Argument, ...], Field(min_length=1, max_length=32)]
    """The command and its arguments (1 to 32)."""


Count = Annotated[int, Field(ge=1, le=3600)]


class Probe(SpecModel):
    """How the kubelet tells that a container is well."""

    http_get: HttpGet | None = None
    """A request that must be answered."""
    tcp_socket: TcpSocket | None = None
    """A connection that must be accepted."""
    exec: Exec | None = None
    """A command that must end with 0."""
    period_seconds: Count = 10
    """Seconds between two looks (1 to 3600)."""
    timeout_seconds: Count = 1
    """Seconds after which a look has failed (1 to 3600)."""
    failure_threshold: Count = 3
    """Failed looks in a row that count (1 to 3600)."""
    initial_delay_seconds: Count | None = None
    """Seconds before the first look (1 to 3600)."""

    model_config = exactly_one("httpGet", "tcpSocket", "exec")


class Port(SpecModel):
    """A port that a sidecar listens on; the NetworkPolicy lets in what is declared here."""

    name: Annotated[str, Field(pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=15)]
    """Name of the port (at most 15 characters)."""
    container_port: Annotated[int, Field(ge=1, le=65535)]
    """Number of the port (1 to 65535)."""
    protocol: Literal["TCP", "UDP"] = "TCP"
    """Protocol of the port: TCP or UDP."""


class SecurityContext(SpecModel):
    """What a sidecar may do. The rest of Pod Security "restricted" is filled in: no new privileges, no capabilities,
    no root, the runtime's seccomp profile."""

    run_as_user: Annotated[int, Field(ge=1, le=2147483647)] | None = None
    """User id, never 0. Left out, that of the agent (10001)."""
    run_as_group: Annotated[int, Field(ge=1, le=2147483647)] | None = None
    """Group id. Left out, that of the agent (10001)."""
    read_only_root_filesystem: bool = True
    """Whether the container cannot write outside its volumes."""
    privileged: Literal[False] = False
    """Always false: a privileged container would undo Pod Security "restricted"."""
    allow_privilege_escalation: Literal[False] = False
    """Always false, for the same reason."""


class Sidecar(SpecModel):
    """A container beside the agent, such as a proxy or a signer. It starts before the agent and ends after it
    (Kubernetes: an init container with restartPolicy Always)."""

    name: DnsLabel
    """Name of the container."""
    image: Annotated[str, Field(min_length=1, max_length=512)]
    """Image with tag or digest."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When the node pulls the image: Always, IfNotPresent or Never."""
    command: Annotated[tuple[Argument, ...] | None, Field(max_length=32), OrNone] = None
    """Entry point instead of the image's (at most 32)."""
    args: Annotated[tuple[Argument, ...] | None, Field(max_length=64), OrNone] = None
    """Arguments instead of the image's (at most 64)."""
    env: Annotated[
        tuple[Variable, ...], Field(max_length=64, json_schema_extra=by_key("name"))
    ] = ()
    """Environment variables, by name (at most 64)."""
    env_from: Annotated[tuple[VariablesFrom, ...], Field(max_length=8)] = ()
    """Environment variables from Secrets and ConfigMaps; env wins over them (at most 8)."""
    ports: Annotated[
        tuple[Port, ...], Field(max_length=8, json_schema_extra=by_key("containerPort", "protocol"))
    ] = ()
    """Ports that it listens on (at most 8)."""
    resources: SidecarResources = SidecarResources()
    """Compute resources of the sidecar."""
    volume_mounts: Annotated[
        tuple[Mount, ...], Field(max_length=16, json_schema_extra=by_key("mountPath"))
    ] = ()
    """Volumes that it sees, by path (at most 16)."""
    security_context: SecurityContext = SecurityContext()
    """What it may do."""
    startup_probe: Annotated[Probe | None, Field(json_schema_extra=FREE_FORM)] = None
    """When it has started, and the agent may: httpGet, tcpSocket or exec, and its times."""
    liveness_probe: Annotated[Probe | None, Field(json_schema_extra=FREE_FORM)] = None
    """When it is to be restarted."""
    readiness_probe: Annotated[Probe | None, Field(json_schema_extra=FREE_FORM)] = None
    """When it is ready; a pod is ready when all its containers are."""

    model_config = rules(within_limits("self.resources", ".resources.requests"))


class ServiceAccount(SpecModel):
    """A ServiceAccount of the agent's own, made by the operator and named like the agent. It gets no rights."""

    annotations: Annotated[
        dict[str, Annotated[str, Field(max_length=1024)]], Field(max_length=16)
    ] = {}
    """Annotations of the ServiceAccount, such as the role of a cloud provider (at most 16)."""
