"""PurpleFleaAgent v1alpha1: spec.image, spec.pod, spec.storage and spec.network, how the agents are run."""

from typing import Annotated, Literal

from pydantic import Field

from purpleflea_contract.settings import SpecModel
from purpleflea_operator.api.containers import Resources, ServiceAccount, Sidecar
from purpleflea_operator.api.env_vars import Variable, VariablesFrom
from purpleflea_operator.api.scheduling import Affinity, Toleration, TopologySpread
from purpleflea_operator.api.types import (
    DnsName,
    LabelValue,
    QualifiedName,
    Quantity,
    by_key,
    rule,
    rules,
)
from purpleflea_operator.api.volumes import Mount, Volume


class Image(SpecModel):
    """The agent image. Left out, the operator's default image is used."""

    repository: Annotated[str, Field(pattern="^[a-z0-9][a-zA-Z0-9._/:-]*$", max_length=253)]
    """Repository without tag, such as ghcr.io/acme/agent."""
    tag: Annotated[str, Field(pattern="^[a-zA-Z0-9_][a-zA-Z0-9._-]*$", max_length=128)] | None = (
        None
    )
    """Tag of the image. Exactly one of tag and digest must be set."""
    digest: Annotated[str, Field(pattern="^sha256:[a-f0-9]{64}$", max_length=71)] | None = None
    """Digest of the image, such as sha256:0123. Exactly one of tag and digest must be set."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When the node pulls the image: Always, IfNotPresent or Never."""
    pull_secrets: Annotated[
        tuple[DnsName, ...],
        Field(max_length=8, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = ()
    """Names of Secrets with registry credentials, in the namespace of the agent (at most 8)."""

    model_config = rules(
        rule("has(self.tag) != has(self.digest)", "set exactly one of tag and digest")
    )

    @property
    def reference(self) -> str:
        """The image as a container's image field takes it."""
        return (
            f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"
        )


class Storage(SpecModel):
    """The volume of the trade journal. Left out, the journal is lost when its pod leaves the node. May be added to an
    agent that runs, but not removed again."""

    size: Quantity = "1Gi"
    """Size of the volume claim of each agent."""
    storage_class_name: DnsName | None = None
    """Storage class of the volume claim. Left out, the cluster's default class is used."""
    when_deleted: Literal["Retain", "Delete"] = "Retain"
    """What becomes of the journals when the agent resource is deleted: Retain keeps the volume claims, Delete deletes
    them."""
    when_scaled: Literal["Retain", "Delete"] = "Retain"
    """What becomes of the journal of an identity that scaling down takes away. Retain gives it back when the identity
    returns."""


class Pod(SpecModel):
    """The pods of the agents: where they run, with how much, and what runs beside them.

    What the operator needs itself wins over labels, annotations, env, volumes, volumeMounts and sidecars that are
    given here; the condition SpecValid and an Event name what was ignored.
    """

    resources: Resources = Resources()
    """Compute resources of the agent container."""
    node_selector: Annotated[
        dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=16)
    ] = {}
    """Labels that a node must have (at most 16)."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=16)] = ()
    """Taints that the pods tolerate (at most 16)."""
    affinity: Affinity | None = None
    """Which nodes and pods the agents are to be near to."""
    topology_spread_constraints: Annotated[
        tuple[TopologySpread, ...],
        Field(max_length=4, json_schema_extra=by_key("topologyKey", "whenUnsatisfiable")),
    ] = ()
    """How evenly the pods of this agent are spread (at most 4)."""
    priority_class_name: DnsName | None = None
    """Priority class of the pods."""
    termination_grace_period_seconds: Annotated[int, Field(ge=5, le=3600)] = 30
    """Seconds an agent has to resolve its orders in flight and stop (5 to 3600)."""
    service_account_name: DnsName | None = None
    """ServiceAccount that exists and that the pods run as. Left out, the namespace's default, without a token."""
    service_account: ServiceAccount | None = None
    """Has the operator make a ServiceAccount for this agent alone; {} is enough."""
    automount_service_account_token: bool = False
    """Whether the pods get a token for the Kubernetes API. Agents need none; a sidecar may."""
    labels: Annotated[dict[QualifiedName, LabelValue], Field(max_length=32)] = {}
    """More labels of the pods (at most 32)."""
    annotations: Annotated[
        dict[QualifiedName, Annotated[str, Field(max_length=4096)]], Field(max_length=32)
    ] = {}
    """More annotations of the pods (at most 32)."""
    env: Annotated[
        tuple[Variable, ...], Field(max_length=64, json_schema_extra=by_key("name"))
    ] = ()
    """More environment variables of the agent container, by name (at most 64)."""
    env_from: Annotated[tuple[VariablesFrom, ...], Field(max_length=8)] = ()
    """More environment variables of the agent container, from Secrets and ConfigMaps; env and the operator's own
    variables win over them (at most 8)."""
    volumes: Annotated[
        tuple[Volume, ...], Field(max_length=16, json_schema_extra=by_key("name"))
    ] = ()
    """More volumes of the pods, by name (at most 16)."""
    volume_mounts: Annotated[
        tuple[Mount, ...], Field(max_length=16, json_schema_extra=by_key("mountPath"))
    ] = ()
    """More volumes that the agent container sees, by path (at most 16)."""
    sidecars: Annotated[
        tuple[Sidecar, ...], Field(max_length=8, json_schema_extra=by_key("name"))
    ] = ()
    """Containers beside the agent, by name (at most 8)."""


Cidr = Annotated[str, Field(pattern="^[0-9a-fA-F:.]+/[0-9]{1,3}$", max_length=43)]


class Network(SpecModel):
    """What the pods may talk to."""

    policy: Literal["Enforce", "None"] = "Enforce"
    """Enforce makes a NetworkPolicy: in, only the agent's HTTP port and the ports of sidecars; out, only DNS, the
    Datadog node agent and egressCidrs. None makes none."""
    egress_cidrs: Annotated[
        tuple[Cidr, ...], Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "set"})
    ] = ("0.0.0.0/0",)
    """Address ranges the agents may reach over TCP (the Purple Flea services), such as 203.0.113.0/24 (at most 32)."""
    egress_ports: Annotated[
        tuple[Annotated[int, Field(ge=1, le=65535)], ...],
        Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = ()
    """TCP ports the agents may reach in egressCidrs, such as 443 (at most 16). Left out, every port."""
