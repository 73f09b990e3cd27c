"""Settings of the operator process from environment variables and arguments. No other module may read settings."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from purpleflea_operator import __version__, timings
from purpleflea_operator.datadog.detection.trust import DEFAULT_NAMESPACES
from purpleflea_operator.kube.watch_scope import WatchScope
from purpleflea_operator.manifests.metadata import Defaults

Namespace = Annotated[str, Field(pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
TrustedNamespace = Annotated[
    str, Field(pattern=r"^(\*|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$", max_length=63)
]
Url = Annotated[str, Field(pattern="^https?://[^ ]+$", max_length=253)]


SecretName = Annotated[str, Field(pattern="^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]


class ArgumentError(ValueError):
    """An argument of the command line is not a setting. The text has the argument and the remedy."""


class OperatorSettings(BaseSettings):
    """Settings of the operator process. Each is the environment variable PURPLEFLEA_OPERATOR_<NAME>, or the argument
    --<name>=<value>, which takes precedence.
    """

    model_config = SettingsConfigDict(env_prefix="PURPLEFLEA_OPERATOR_", frozen=True)

    agent_image: Annotated[str, Field(pattern="^[^:@ ]+([:@]|/).+$", max_length=512)] = (
        f"localhost/purpleflea-agent:{__version__}"
    )
    """Image of agents whose spec does not name an image."""
    agent_image_pull_policy: Annotated[str, Field(pattern="^(Always|IfNotPresent|Never)$")] = (
        "IfNotPresent"
    )
    """Pull policy of that image: Always, IfNotPresent or Never."""
    agent_image_pull_secrets: Annotated[tuple[SecretName, ...], NoDecode, Field(max_length=8)] = ()
    """Names of Secrets with registry credentials for that image, separated by commas."""
    agent_fs_group: Annotated[int, Field(ge=1, le=2147483647)] | None = 10001
    """Group that owns the volumes of agents. If empty, the cluster assigns it, as OpenShift does."""
    agent_dns_ports: Annotated[
        tuple[Annotated[int, Field(ge=1, le=65535)], ...], NoDecode, Field(max_length=16)
    ] = (53, 1053, 5353)
    """Ports of DNS servers that the NetworkPolicies of agents allow, separated by commas."""
    agent_upgrade_policy: Literal["Paced", "Manual"] = "Paced"
    """When agents get the pod template of another version of the operator: Paced or Manual."""
    agent_restart_percent: Annotated[int, Field(ge=1, le=100)] = timings.RESTART_PERCENT
    """Percentage of the agents of an env that may restart at a time without a change by a user, at least one agent."""
    watch_namespaces: Annotated[tuple[Namespace, ...], NoDecode, Field(max_length=64)] = ()
    """Namespaces that the operator watches, separated by commas. Empty means the whole cluster."""
    telemetry_rights: bool = False
    """True if an operator that is bound to namespaces may read node agents, pods and nodes of the whole cluster."""
    datadog_urls: Annotated[tuple[Url, ...], NoDecode, Field(max_length=64)] = ()
    """Values of spec.url to which Datadog keys may be sent, separated by commas. Datadog's sites are always allowed."""
    datadog_namespaces: Annotated[tuple[TrustedNamespace, ...], NoDecode, Field(max_length=64)] = (
        DEFAULT_NAMESPACES
    )
    """Namespaces whose Datadog node agents are trusted, separated by commas. `*` trusts all. It cannot be empty."""
    workers: Annotated[int, Field(ge=1, le=64)] = 8
    """Number of agents that are reconciled concurrently."""
    health_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port of /livez, /readyz and /metrics. If 0, the server is not started."""
    namespace: Annotated[str, Field(max_length=63)] = ""
    """Namespace of the operator. A PurpleFleaHalt with scope Cluster applies only there, and the NetworkPolicies of
    agents admit the operator only from there. If empty, the namespace of the Lease is used."""
    lease_namespace: Annotated[str, Field(max_length=63)] = ""
    """Namespace of the Lease for leader election. If empty, there is no election, and only one replica may run."""
    lease_name: Annotated[
        str, Field(pattern="^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)
    ] = "purpleflea-operator"
    """Name of that Lease."""
    lease_s: Annotated[int, Field(ge=1, le=300)] = 10
    """Seconds without a renewal after which a standby replaces the leader."""
    watch_silence_s: Annotated[float, Field(gt=0, le=3600)] = 180.0
    """Seconds without an event or bookmark after which a watch is stalled and /livez fails. API servers send a bookmark
    about once a minute."""
    log_level: Annotated[str, Field(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"
    """Lowest level that is logged: DEBUG, INFO, WARNING or ERROR."""

    @classmethod
    def of_arguments(cls, arguments: Iterable[str]) -> Self:
        """Return the settings with those of the command line, such as --log-level=DEBUG.

        Raises:
            ArgumentError: An argument is not a setting, or has no value.
            ValidationError: A value is not valid.
        """
        values: dict[str, Any] = {}
        for argument in arguments:
            flag, separator, value = argument.partition("=")
            name = flag.removeprefix("--").replace("-", "_")
            if not flag.startswith("--") or not separator or name not in cls.model_fields:
                raise ArgumentError(
                    f"{flag[:100]!r} is not a setting of the operator; write --NAME=VALUE, such as --log-level=DEBUG"
                )
            values[name] = value
        return cls(**values)

    @property
    def watch_scope(self) -> WatchScope:
        """Return the namespaces that the operator watches."""
        return WatchScope(
            namespaces=self.watch_namespaces,
            telemetry_namespaces=self.telemetry_namespaces,
            operator_namespace=self.own_namespace,
        )

    @property
    def telemetry_namespaces(self) -> tuple[str, ...]:
        """Return the namespaces of node agents that an operator bound to other namespaces also watches."""
        is_extended = self.telemetry_rights and bool(self.watch_namespaces)
        return self.datadog_namespaces if is_extended else ()

    @property
    def own_namespace(self) -> str:
        """Return the namespace of the operator; empty if it runs outside a cluster."""
        return self.namespace or self.lease_namespace

    @property
    def defaults(self) -> Defaults:
        """Return the values that apply to agents whose spec does not set them."""
        return Defaults(
            image=self.agent_image,
            image_pull_policy=self.agent_image_pull_policy,
            image_pull_secrets=self.agent_image_pull_secrets,
            fs_group=self.agent_fs_group,
            dns_ports=self.agent_dns_ports,
            operator_namespace=self.own_namespace,
            datadog_namespaces=self.datadog_namespaces,
        )

    @field_validator("agent_fs_group", mode="before")
    @classmethod
    def _or_none(cls, value: object) -> object:
        """Read an empty variable as no group."""
        return None if value == "" else value

    @field_validator(
        "watch_namespaces",
        "datadog_urls",
        "datadog_namespaces",
        "agent_dns_ports",
        "agent_image_pull_secrets",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        """Split the value at commas and remove duplicates."""
        if not isinstance(value, str):
            return value
        return tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))

    @field_validator("datadog_namespaces")
    @classmethod
    def _is_explicit(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse an empty list, which a reader could take for all or for none."""
        if not value:
            raise ValueError(
                "the list is empty; name the namespaces of the Datadog node agents, or write * to trust all"
            )
        return value

    @model_validator(mode="after")
    def _names_node_agents(self) -> Self:
        """Refuse every namespace together with bound namespaces, because it would add the pods of the whole cluster."""
        if "*" in self.telemetry_namespaces:
            raise ValueError(
                "with watch_namespaces and telemetry_rights, datadog_namespaces must name the namespaces of the "
                "Datadog node agents; replace * by their names"
            )
        return self
