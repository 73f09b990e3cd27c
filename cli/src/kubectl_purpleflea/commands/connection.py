"""The flags of kubectl that every subcommand has, and the client that they configure."""

import functools
import re
from collections.abc import Callable
from typing import Any

import click

from kubectl_purpleflea.commands.names import OBJECT_NAME
from kubectl_purpleflea.kubectl.client import Kubectl
from kubectl_purpleflea.kubectl.processes import interruptible

_VALUES = (
    ("context", "Context of the kubeconfig."),
    ("kubeconfig", "Path of the kubeconfig."),
    ("cluster", "Cluster of the kubeconfig."),
    ("user", "User of the kubeconfig."),
    ("server", "Address of the API server."),
    ("as", "User to impersonate."),
    ("as-uid", "UID to impersonate."),
    ("certificate-authority", "File with the certificates of the API server."),
    ("tls-server-name", "Name in the certificate of the API server."),
    ("request-timeout", "Longest time of one request, such as 10s."),
)
_COMMON = {"context", "kubeconfig", "as", "request-timeout"}
_UNITS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
FAILED = 1
UNPROVEN = 3
"""Exit code if something was changed, and its effect is not proven."""


def with_kubectl(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags of kubectl to a subcommand, and pass a client as the argument `kubectl`."""

    @functools.wraps(command)
    def run(**arguments: Any) -> Any:
        values = {name: arguments.pop(_parameter(name)) for name, _ in _VALUES}
        flags = [f"--{name}={value}" for name, value in values.items() if value is not None]
        flags += [f"--as-group={group}" for group in arguments.pop("kubectl_as_group")]
        if arguments.pop("kubectl_insecure"):
            flags.append("--insecure-skip-tls-verify=true")
        client = Kubectl(
            flags=tuple(flags),
            namespace=arguments.pop("kubectl_namespace") or "",
            request_timeout_s=_seconds(values["request-timeout"]),
        )
        with interruptible():
            return command(kubectl=client, **arguments)

    wrapped = run
    for name, text in reversed(_VALUES):
        declaration = (f"--{name}", _parameter(name))
        wrapped = click.option(*declaration, help=text, hidden=name not in _COMMON)(wrapped)
    wrapped = click.option(
        "--as-group",
        "kubectl_as_group",
        multiple=True,
        help="Group to impersonate; may be repeated.",
    )(wrapped)
    wrapped = click.option(
        "--insecure-skip-tls-verify", "kubectl_insecure", is_flag=True, hidden=True
    )(wrapped)
    return click.option(
        "-n", "--namespace", "kubectl_namespace", type=OBJECT_NAME, help="Namespace of the agents."
    )(wrapped)


def _seconds(timeout: str | None) -> float | None:
    """Return a duration of Go, such as 1m30s; a text that kubectl will refuse counts as 0."""
    if timeout is None:
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|$)", timeout)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _parameter(name: str) -> str:
    return f"kubectl_{name.replace('-', '_')}"


def output_option(*forms: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option --output with these forms."""
    return click.option(
        "-o", "--output", "form", type=click.Choice(forms), help="Form of the output."
    )
