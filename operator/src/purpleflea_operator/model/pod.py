"""PurpleFleaAgent v1alpha1: spec.image, spec.pod, spec.storage and spec.network, how the agents are run."""

from typing import Annotated, Literal

from pydantic import Field

from purpleflea_contract.settings import SpecModel
from purpleflea_operator.model.values import DnsName, Quantity, ResourceList, rule


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
    pull_secrets: Annotated[tuple[DnsName, ...], Field(max_length=8)] = ()
    """Names of Secrets with registry credentials, in the namespace of the agent."""

    model_config = {
        "json_schema_extra": {
            "x-kubernetes-validations": [
                rule(
                    "has(self.tag) != has(self.digest)",
                    "set exactly one of tag and digest",
                )
            ]
        }
    }

    @property
    def reference(self) -> str:
        """The image as a container's image field takes it."""
        return (
            f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"
        )


class Storage(SpecModel):
    """The volume of the trade journal. Left out, the journal is lost when its pod leaves the node."""

    size: Quantity = "1Gi"
    """Size of the volume claim of each agent."""
    storage_class_name: DnsName | None = None
    """Storage class of the volume claim. Left out, the cluster's default class is used."""


class Resources(SpecModel):
    """Compute resources of the agent container."""

    requests: ResourceList = {"cpu": "50m", "memory": "160Mi"}
    """Least resources the container needs, by name (cpu, memory, ephemeral-storage)."""
    limits: ResourceList = {"cpu": "1", "memory": "320Mi"}
    """Most resources the container may use, by name (cpu, memory, ephemeral-storage)."""


class Toleration(SpecModel):
    """A taint that the pods tolerate (Kubernetes: PodSpec.tolerations)."""

    key: Annotated[str, Field(max_length=253)] | None = None
    """Key of the taint; left out with operator Exists, every taint."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """How value is compared: Equal or Exists."""
    value: Annotated[str, Field(max_length=63)] | None = None
    """Value of the taint, with operator Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; left out, every effect."""


class Pod(SpecModel):
    """The pods of the agents: where they run and with how much."""

    resources: Resources = Resources()
    """Compute resources of the agent container."""
    node_selector: Annotated[
        dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=16)
    ] = {}
    """Labels that a node must have."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=16)] = ()
    """Taints that the pods tolerate."""
    priority_class_name: DnsName | None = None
    """Priority class of the pods."""
    termination_grace_period_seconds: Annotated[int, Field(ge=5, le=3600)] = 30
    """Seconds an agent has to resolve its orders in flight and stop (5 to 3600)."""


Cidr = Annotated[str, Field(pattern="^[0-9a-fA-F:.]+/[0-9]{1,3}$", max_length=43)]


class Network(SpecModel):
    """What the pods may talk to."""

    policy: Literal["Enforce", "None"] = "Enforce"
    """Enforce makes a NetworkPolicy: in, only the agent's HTTP port; out, only DNS, the Datadog node agent and
    egressCidrs. None makes none."""
    egress_cidrs: Annotated[tuple[Cidr, ...], Field(max_length=32)] = ("0.0.0.0/0",)
    """Address ranges the agents may reach over TCP (the Purple Flea services), such as 203.0.113.0/24."""
