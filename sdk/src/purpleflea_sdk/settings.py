"""The environment and settings.json of the agent. Nothing else reads the environment.

The names are those of the contract. The trading mode and the API key are not here, because they change while the agent
runs: see control and exchange.key_file.
"""

import os
import platform
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from purpleflea_contract import environment as names
from purpleflea_contract.settings import Settings

UNKNOWN_STRATEGY = "unknown"


class SettingsError(Exception):
    """A setting cannot be used; the text names it and the remedy."""


class Environment(BaseSettings):
    """The environment variables that the agent reads. An empty variable counts as absent."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", case_sensitive=True, env_ignore_empty=True
    )

    agent_id: Annotated[
        str, Field(validation_alias=AliasChoices(names.AGENT_ID, names.PAGE_AGENT_ID))
    ] = platform.node() or "agent"
    """Identity; outside Kubernetes the name of the host."""
    config_dir: Annotated[Path, Field(validation_alias=names.CONFIG_DIR)] = Path(
        names.DEFAULT_CONFIG_DIR
    )
    state_dir: Annotated[Path, Field(validation_alias=names.STATE_DIR)] = Path(
        names.DEFAULT_STATE_DIR
    )
    api_key_file: Annotated[Path, Field(validation_alias=names.API_KEY_FILE)] = (
        Path(names.DEFAULT_API_KEY_DIR) / "api-key"
    )
    api_token_file: Annotated[Path | None, Field(validation_alias=names.API_TOKEN_FILE)] = None
    http_host: Annotated[str, Field(validation_alias=names.HTTP_HOST)] = names.DEFAULT_HTTP_HOST
    http_port: Annotated[int, Field(validation_alias=names.HTTP_PORT_VARIABLE, ge=0, le=65535)] = (
        names.HTTP_PORT
    )
    grace_period_s: Annotated[
        float, Field(validation_alias=names.GRACE_PERIOD_S, ge=1, le=3600)
    ] = names.DEFAULT_GRACE_PERIOD_S
    """Time from SIGTERM to SIGKILL."""
    legacy_histograms: Annotated[bool, Field(validation_alias=names.LEGACY_HISTOGRAMS)] = False
    dd_agent_host: Annotated[str | None, Field(validation_alias=names.DD_AGENT_HOST)] = None
    dd_dogstatsd_url: Annotated[str | None, Field(validation_alias=names.DD_DOGSTATSD_URL)] = None
    dd_trace_agent_url: Annotated[str | None, Field(validation_alias=names.DD_TRACE_AGENT_URL)] = (
        None
    )
    dd_trace_enabled: Annotated[bool, Field(validation_alias=names.DD_TRACE_ENABLED)] = True
    dd_remote_configuration_enabled: Annotated[
        bool, Field(validation_alias=names.DD_REMOTE_CONFIGURATION_ENABLED)
    ] = False
    """True if Datadog's servers may change the configuration of ddtrace in this process."""
    dd_env: Annotated[str | None, Field(validation_alias=names.DD_ENV)] = None
    dd_service: Annotated[str | None, Field(validation_alias=names.DD_SERVICE)] = None
    dd_version: Annotated[str | None, Field(validation_alias=names.DD_VERSION)] = None

    @property
    def metrics_have_a_receiver(self) -> bool:
        """True if the environment has the address of a DogStatsD server."""
        return bool(self.dd_agent_host or self.dd_dogstatsd_url)

    @property
    def traces_have_a_receiver(self) -> bool:
        """True if the environment has the address of a trace agent, and tracing is enabled."""
        return self.dd_trace_enabled and bool(self.dd_agent_host or self.dd_trace_agent_url)

    @property
    def requests_timeout_s(self) -> float:
        """Share of the grace period for open HTTP requests."""
        return self.grace_period_s / 6

    @property
    def drain_timeout_s(self) -> float:
        """Share of the grace period for settling orders and closing positions; the rest is for telemetry."""
        return self.grace_period_s / 2

    @property
    def exit_timeout_s(self) -> float:
        """Time from SIGTERM to the exit deadline, when all shares are used and before SIGKILL."""
        return self.grace_period_s * 5 / 6

    @property
    def settings_file(self) -> Path:
        """The mounted settings.json."""
        return self.config_dir / names.SETTINGS_FILE

    @property
    def control_file(self) -> Path:
        """The mounted control.json."""
        return self.config_dir / names.CONTROL_FILE


def read_environment() -> Environment:
    """Read the environment of this process.

    Raises:
        SettingsError: A variable is not valid.
    """
    try:
        return Environment()
    except ValidationError as error:
        raise SettingsError(f"environment: {_first_problem(error)}") from error


def partial_environment() -> Environment:
    """Return the identity from an environment that is not valid, for a log line about it."""
    identity = {
        field: os.environ[name]
        for field, name in (
            ("agent_id", names.PAGE_AGENT_ID),
            ("agent_id", names.AGENT_ID),  # the last one that is set is used
            ("dd_env", names.DD_ENV),
            ("dd_service", names.DD_SERVICE),
            ("dd_version", names.DD_VERSION),
        )
        if os.environ.get(name)
    }
    return Environment.model_construct(**identity)  # type: ignore[arg-type] # these four are strings


def read_settings(path: Path) -> Settings:
    """Read and validate settings.json.

    Raises:
        SettingsError: The file cannot be read, or a field is not valid.
    """
    try:
        return Settings.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise SettingsError(f"{path}: {_first_problem(error)}") from error
    except OSError as error:
        remedy = f"mount the agent's ConfigMap there, or set {names.CONFIG_DIR}"
        raise SettingsError(f"{path} cannot be read ({error.strerror}): {remedy}") from error


def strategy_name(path: Path) -> str:
    """Return the strategy in settings.json, for tags; `unknown` if the file is not valid."""
    try:
        return read_settings(path).strategy
    except SettingsError:
        return UNKNOWN_STRATEGY


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in problem["loc"]) or "the whole document"
    return f"{field}: {problem['msg']}"
