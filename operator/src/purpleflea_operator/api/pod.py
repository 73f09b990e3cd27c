"""PurpleFleaAgent v1alpha1: spec.image, spec.pod, spec.storage and spec.network."""

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
    """The agent image. If it is not set, the operator's default image is used."""

    repository: Annotated[str, Field(pattern="^[a-z0-9][a-zA-Z0-9._/:-]*$", max_length=253)]
    """Repository without tag, such as ghcr.io/acme/agent."""
    tag: Annotated[str, Field(pattern="^[a-zA-Z0-9_][a-zA-Z0-9._-]*$", max_length=128)] | None = (
        None
    )
    """Tag of the image. Exactly one of tag and digest must be set."""
    digest: Annotated[str, Field(pattern="^sha256:[a-f0-9]{64}$", max_length=71)] | None = None
    """Digest of the image, such as sha256:0123. Exactly one of tag and digest must be set."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When the node pulls the image: Always, IfNotPresent or Never (default IfNotPresent)."""
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
        """Return the image as the value of the image field of a container."""
        return (
            f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"
        )


class Storage(SpecModel):
    """The volume of the trade journal. If it is not set, each identity has a volume with the defaults below. An agent
    that an earlier version of the operator created without storage keeps its journal in the pod until storage is set;
    the value {} is sufficient. Storage can be added to a running agent, but it cannot be removed again."""

    ephemeral: bool = False
    """If true, the journal is in the pod and is lost when the pod leaves its node (default false). It then forgets open
    orders, fills and the peak of the equity. It must be set when the agent is created, and it excludes size and
    storageClassName."""
    size: Quantity = "1Gi"
    """Size of the volume claim of each identity (default 1Gi)."""
    storage_class_name: DnsName | None = None
    """Storage class of the volume claims. If it is not set, the cluster's default class is used."""
    when_deleted: Literal["Retain", "Delete"] = "Retain"
    """Action on the volume claims when the agent resource is deleted: Retain keeps them, Delete deletes them (default
    Retain)."""
    when_scaled: Literal["Retain", "Delete"] = "Retain"
    """Action on the volume claim of an identity that scaling down removes (default Retain). Retain keeps the claim, and
    the identity gets it back when it is added again. Delete deletes it."""

    model_config = rules(
        rule(
            "!has(self.ephemeral) || !self.ephemeral || (!has(self.size) && !has(self.storageClassName))",
            "an ephemeral journal has no volume; remove size and storageClassName, or set ephemeral to false",
            fieldPath=".ephemeral",
        )
    )


class PodSecurityContext(SpecModel):
    """User and groups of the pods. The operator adds the other settings of Pod Security "restricted". A cluster that
    assigns them, such as OpenShift, needs none of these fields."""

    run_as_user: Annotated[int, Field(ge=1, le=2147483647)] | None = None
    """User id of the containers (1 to 2147483647). If it is not set, each container runs as the user of its image,
    which must be a number other than 0."""
    run_as_group: Annotated[int, Field(ge=1, le=2147483647)] | None = None
    """Group id of the containers (1 to 2147483647). If it is not set, the group of the image is used."""
    fs_group: Annotated[int, Field(ge=1, le=2147483647)] | None = None
    """Group id that owns the volumes, so that any user can write the journal (1 to 2147483647). If it is not set, the
    chart value agent.fsGroup is used, which is 10001 except on OpenShift."""
    supplemental_groups: Annotated[
        tuple[Annotated[int, Field(ge=1, le=2147483647)], ...], Field(max_length=16)
    ] = ()
    """Additional group ids of the containers (at most 16)."""


class Pod(SpecModel):
    """Settings of the pods: scheduling, resources, and additions such as sidecars.

    The operator ignores labels, annotations, env, volumes, volumeMounts and sidecars with a key that it reserves for
    itself. The condition SpecValid and an Event list the ignored fields.
    """

    resources: Resources = Resources()
    """Compute resources of the agent container."""
    node_selector: Annotated[dict[QualifiedName, LabelValue], Field(max_length=16)] = {}
    """Labels that a node must have (at most 16)."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=16)] = ()
    """Taints that the pods tolerate (at most 16)."""
    affinity: Affinity | None = None
    """Affinity of the pods to nodes and to other pods."""
    topology_spread_constraints: Annotated[
        tuple[TopologySpread, ...],
        Field(max_length=4, json_schema_extra=by_key("topologyKey", "whenUnsatisfiable")),
    ] = ()
    """Constraints for an even distribution of the pods of this agent (at most 4)."""
    priority_class_name: DnsName | None = None
    """Priority class of the pods. If it is not set, the cluster's default class is used."""
    termination_grace_period_seconds: Annotated[int, Field(ge=5, le=3600)] = 30
    """Seconds in which an agent must resolve its orders in flight and stop (5 to 3600, default 30)."""
    min_ready_seconds: Annotated[int, Field(ge=0, le=3600)] | None = None
    """Seconds for which a new pod must be ready before a rolling update replaces the next pod of the agent, and before
    an upgrade of the operator continues with the next agent (0 to 3600). If it is not set, 75 s apply. A change
    restarts no pod."""
    security_context: PodSecurityContext = PodSecurityContext()
    """User and groups of the pods."""
    service_account_name: DnsName | None = None
    """Name of an existing ServiceAccount for the pods. If it is not set, the default ServiceAccount of the namespace is
    used, without a token."""
    service_account: ServiceAccount | None = None
    """If it is set, the operator creates a ServiceAccount for this agent only. The value {} is sufficient."""
    automount_service_account_token: bool = False
    """If true, the pods get a token for the Kubernetes API (default false). Agents need no token, but a sidecar may
    need one."""
    labels: Annotated[dict[QualifiedName, LabelValue], Field(max_length=32)] = {}
    """Additional labels of the pods (at most 32)."""
    annotations: Annotated[
        dict[QualifiedName, Annotated[str, Field(max_length=4096)]], Field(max_length=32)
    ] = {}
    """Additional annotations of the pods (at most 32)."""
    env: Annotated[
        tuple[Variable, ...], Field(max_length=64, json_schema_extra=by_key("name"))
    ] = ()
    """Additional environment variables of the agent container by name (at most 64)."""
    env_from: Annotated[tuple[VariablesFrom, ...], Field(max_length=8)] = ()
    """Additional environment variables of the agent container from Secrets and ConfigMaps (at most 8 sources).
    Variables of env and of the operator take precedence."""
    volumes: Annotated[
        tuple[Volume, ...], Field(max_length=16, json_schema_extra=by_key("name"))
    ] = ()
    """Additional volumes of the pods by name (at most 16)."""
    volume_mounts: Annotated[
        tuple[Mount, ...], Field(max_length=16, json_schema_extra=by_key("mountPath"))
    ] = ()
    """Additional mounts of volumes in the agent container by path (at most 16)."""
    sidecars: Annotated[
        tuple[Sidecar, ...], Field(max_length=8, json_schema_extra=by_key("name"))
    ] = ()
    """Containers that run beside the agent, by name (at most 8)."""


IngressNamespace = Annotated[
    str, Field(pattern=r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$", max_length=63)
]
Cidr = Annotated[str, Field(pattern="^[0-9a-fA-F:.]+/[0-9]{1,3}$", max_length=43)]


class Network(SpecModel):
    """Network access of the pods."""

    policy: Literal["Enforce", "None"] = "Enforce"
    """Enforce or None (default Enforce). Enforce creates a NetworkPolicy that allows ingress only to the HTTP port of
    the agent, from the operator, from the namespaces of the Datadog node agents if they run a check, and from
    ingressNamespaces, and to the ports of sidecars. It allows egress only to DNS, the Datadog node agent and
    egressCidrs. None creates no NetworkPolicy."""
    ingress_namespaces: Annotated[
        tuple[IngressNamespace, ...],
        Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = ()
    """Namespaces whose pods may also reach the HTTP port of the agents, such as the namespace of Prometheus (at most
    16). The value * allows all pods of the cluster."""
    egress_cidrs: Annotated[
        tuple[Cidr, ...], Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "set"})
    ] = ("0.0.0.0/0", "::/0")
    """Address ranges that the agents may reach over TCP for the Purple Flea services, such as 203.0.113.0/24 (at most
    32, default 0.0.0.0/0 and ::/0)."""
    egress_ports: Annotated[
        tuple[Annotated[int, Field(ge=1, le=65535)], ...],
        Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "set"}),
    ] = ()
    """TCP ports that the agents may reach in egressCidrs, such as 443 (at most 16). If it is not set, every port is
    allowed."""
