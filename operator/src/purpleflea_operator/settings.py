"""The operator's own settings, from the environment; nothing else reads it."""

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from purpleflea_operator import __version__

Namespace = Annotated[str, Field(pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
Url = Annotated[str, Field(pattern="^https?://[^ ]+$", max_length=253)]


class Settings(BaseSettings):
    """Settings of the operator process; each is an environment variable PURPLEFLEA_OPERATOR_<NAME>."""

    model_config = SettingsConfigDict(env_prefix="PURPLEFLEA_OPERATOR_", frozen=True)

    agent_image: Annotated[str, Field(pattern="^[^:@ ]+([:@]|/).+$", max_length=512)] = (
        f"localhost/purpleflea-agent:{__version__}"
    )
    """Image of agents whose spec names none."""
    agent_image_pull_policy: Annotated[str, Field(pattern="^(Always|IfNotPresent|Never)$")] = (
        "IfNotPresent"
    )
    """When nodes pull that image."""
    watch_namespaces: Annotated[tuple[Namespace, ...], NoDecode, Field(max_length=64)] = ()
    """Namespaces the operator is bound to, with commas between; empty: the whole cluster."""
    datadog_urls: Annotated[tuple[Url, ...], NoDecode, Field(max_length=64)] = ()
    """Values of spec.url that keys for Datadog may be sent to, with commas between; Datadog's own sites are always."""
    workers: Annotated[int, Field(ge=1, le=64)] = 8
    """Agents reconciled at once."""
    health_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """Port of /livez, /readyz and /metrics; 0 starts no server."""
    lease_namespace: Annotated[str, Field(max_length=63)] = ""
    """Namespace of the Lease by which replicas agree who works; empty: there is only this one."""
    lease_name: Annotated[
        str, Field(pattern="^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)
    ] = "purpleflea-operator"
    """Name of that Lease."""
    lease_s: Annotated[int, Field(ge=1, le=300)] = 15
    """Seconds after which a leader that is not heard of is replaced."""
    watch_silence_s: Annotated[float, Field(gt=0, le=3600)] = 180.0
    """Seconds without event or bookmark after which a watch counts as deaf; API servers send a bookmark a minute."""
    log_level: Annotated[str, Field(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"
    """Least severe level that is logged."""

    @field_validator("watch_namespaces", "datadog_urls", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """Split what stands in the variable; a name that is there twice counts once."""
        if not isinstance(value, str):
            return value
        return tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
