"""Command line of the image: one clear line if a setting is missing, and a clean exit on a signal."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from purpleflea_sandbox.datadog import intake_app
from purpleflea_sandbox.datadog.__main__ import main
from purpleflea_sandbox.datadog.node_agent.settings import NodeAgentSettingsError, from_environment

LEAST = {"DD_DD_URL": "http://datadog-intake/", "DD_API_KEY": "k"}


def test_settings_follow_datadogs_variables() -> None:
    settings = from_environment(
        LEAST
        | {
            "DD_TAGS": "team:trading a:b",
            "DD_DOGSTATSD_NON_LOCAL_TRAFFIC": "true",
            "DD_LOGS_ENABLED": "true",
            "DD_APM_RECEIVER_PORT": "8226",
            "SANDBOX_NODE_NAME": "node-1",
            "KUBERNETES_SERVICE_HOST": "fd00::1",
            "KUBERNETES_SERVICE_PORT": "443",
        }
    )

    assert settings.intake_url == "http://datadog-intake"
    assert settings.host_tags == ("team:trading", "a:b")
    assert (settings.bind_host, settings.logs_enabled) == ("0.0.0.0", True)
    assert settings.trace_agent_url == "http://127.0.0.1:8226"
    assert (settings.hostname, settings.kubernetes_url) == ("node-1", "https://[fd00::1]:443")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DD_DD_URL", ""),
        ("DD_API_KEY", " "),
        ("DD_DOGSTATSD_PORT", "99999"),
        ("DD_LOGS_ENABLED", "maybe"),
        ("DD_DOGSTATSD_TAG_CARDINALITY", "huge"),
        ("SANDBOX_FLUSH_INTERVAL", "0"),
    ],
)
def test_error_names_the_invalid_variable(name: str, value: str) -> None:
    with pytest.raises(NodeAgentSettingsError, match=name):
        from_environment(LEAST | {name: value})


@pytest.mark.parametrize(
    ("role", "variables"),
    [
        ("node-agent", {"DD_DD_URL": None}),
        ("intake", {"SANDBOX_INTAKE_PORT": "x"}),
        ("intake", {"SANDBOX_WEBHOOKS": "desk=ftp://x"}),
        ("intake", {"SANDBOX_WEBHOOKS": "http://nameless"}),
    ],
)
def test_invalid_environment_exits_with_one_line(
    role: str, variables: dict[str, str | None]
) -> None:
    result = CliRunner().invoke(main, [role], env=variables)

    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
    assert result.output.count("\n") == 1


def test_webhooks_are_named_addresses() -> None:
    settings = intake_app.from_environment({"SANDBOX_WEBHOOKS": "a=http://x/1?b=c d=https://y"})
    assert settings.webhooks == {"a": "http://x/1?b=c", "d": "https://y"}


@pytest.mark.parametrize("role", ["node-agent", "intake"])
async def test_command_starts_and_exits_cleanly_on_a_signal(role: str, tmp_path: Path) -> None:
    variables = {
        "DD_DD_URL": "http://127.0.0.1:9",
        "DD_API_KEY": "k",
        "DD_DOGSTATSD_PORT": "0",
        "DD_HEALTH_PORT": "0",
        "DD_APM_ENABLED": "false",
        "SANDBOX_TRACE_LISTEN_PORT": "0",
        "SANDBOX_INTAKE_PORT": "0",
        "DD_RUN_PATH": str(tmp_path),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "purpleflea_sandbox.datadog",
        role,
        env={**os.environ, **variables},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    first = await process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    remaining = await process.stderr.read()

    assert b"listen" in first
    assert (await process.wait(), b"Traceback" in remaining) == (0, False)
