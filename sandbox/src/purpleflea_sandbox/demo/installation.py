"""Installation steps of the demo and the end-to-end tests: Datadog stand-in, exchange, operator,
and the objects of a fleet.

Each step is idempotent: it changes only the objects that differ.
"""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from purpleflea_sandbox.demo.errors import DemoError
from purpleflea_sandbox.demo.secrets import SandboxKeys
from purpleflea_sandbox.demo.tools import Tools

DATADOG, EXCHANGE, OPERATOR = "datadog", "exchange", "purpleflea-system"
INTAKE_PORT, EXCHANGE_PORT = 30080, 30081
"""Node ports of the intake and the exchange."""
KEY_SECRET = "purpleflea-api-key"  # noqa: S105 - the name of a Secret
IMAGES_ANNOTATION = "purpleflea.com/image"
CHECK = "agent_check/purpleflea_agent.py"
"""Path of the Agent check for the agents, inside the checkout."""
ENFORCE = "pod-security.kubernetes.io/enforce"


def namespace(tools: Tools, name: str, *, level: str = "restricted") -> None:
    """Create a namespace that enforces a Pod Security level."""
    metadata = {"name": name, "labels": {ENFORCE: level}}
    tools.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})


def datadog(tools: Tools, charts: Path, keys: SandboxKeys, **values: str) -> None:
    """Install the Datadog stand-in with Helm like Datadog itself, with the values of Datadog's
    documentation and the Agent check.
    """
    # The node agent reads the logs of all pods from a folder of the node.
    namespace(tools, DATADOG, level="privileged")
    settings = {
        "datadog.apiKey": keys.datadog_key,
        "datadog.apm.portEnabled": "true",
        "datadog.dogstatsd.useHostPort": "true",
        "datadog.logs.enabled": "true",
        "sandbox.intake.nodePort": str(INTAKE_PORT),
        **values,
    }
    # Helm interprets a dot as a level of the values unless the dot is escaped.
    check = charts.parents[1] / CHECK
    files = {f"datadog.checksd.{check.stem}\\{check.suffix}": check}
    _install(tools, "datadog-agent", charts / "datadog", DATADOG, settings, files=files)


def exchange(tools: Tools, charts: Path, keys: SandboxKeys) -> None:
    """Install the paper exchange."""
    namespace(tools, EXCHANGE)
    settings = {
        "keys": f"{{{keys.exchange_key}}}",
        "adminToken": keys.exchange_admin_token,
        "service.type": "NodePort",
        "service.nodePort": str(EXCHANGE_PORT),
        # All agents share one API key here. With the default limit, a scaled-up fleet would be rate
        # limited and the monitors would alert.
        "settings.rateLimitPerMinute": "60000",
    }
    chart = charts.parents[1] / "charts" / "paper-exchange"
    _install(tools, "exchange", chart, EXCHANGE, settings)


def operator(tools: Tools, chart: Path, **values: str) -> None:
    """Install the operator with the given chart values."""
    namespace(tools, OPERATOR)
    _install(tools, "purpleflea-operator", chart, OPERATOR, values)


def api_key(tools: Tools, name: str, keys: SandboxKeys) -> None:
    """Create the Secret with the agents' API key in a namespace."""
    value = base64.b64encode(keys.exchange_key.encode()).decode()
    metadata = {"name": KEY_SECRET, "namespace": name}
    secret: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
    tools.apply({**secret, "data": {"api-key": value}})


def restart_if_image_changed(tools: Tools, name: str, image: str, workloads: str) -> bool:
    """Restart the workloads of a namespace if their image was rebuilt under the same tag; return
    whether they were restarted.
    """
    known = tools.get("namespace", name).get("metadata", {}).get("annotations", {})
    if known.get(IMAGES_ANNOTATION) == image:
        return False
    tools.kubectl("annotate", "namespace", name, f"{IMAGES_ANNOTATION}={image}", "--overwrite")
    if IMAGES_ANNOTATION not in known:
        return False
    tools.kubectl("rollout", "restart", f"--namespace={name}", workloads)
    return True


def _install(  # noqa: PLR0913 - the arguments of helm
    tools: Tools,
    release: str,
    chart: Path,
    name: str,
    settings: Mapping[str, str],
    *,
    files: Mapping[str, Path] | None = None,
) -> None:
    sets = [f"--set={key}={value}" for key, value in settings.items()]
    sets += [f"--set-file={key}={path}" for key, path in (files or {}).items()]
    # Without --reset-values and without values, Helm would keep those of the present revision, such
    # as the image tag that a rollback restored.
    options = (f"--namespace={name}", "--reset-values")
    tools.helm("upgrade", "--install", release, str(chart), *options, *sets)


def wait_for(tools: Tools, name: str, *workloads: str, timeout_s: int = 120) -> None:
    """Wait until the workloads have rolled out.

    Raises:
        DemoError: If a workload is not ready in time; the message lists the pods that are not ready
        and the reasons.
    """
    for workload in workloads:
        arguments = (f"--namespace={name}", f"--timeout={timeout_s}s")
        try:
            tools.kubectl("rollout", "status", workload, *arguments)
        except DemoError as error:
            raise DemoError(f"{workload} did not become ready: {_reasons(tools, name)}") from error


def _reasons(tools: Tools, name: str) -> str:
    """Return the reasons why containers of a namespace are waiting, and the command to read their
    logs.
    """
    reasons = []
    for pod in tools.get("pods", f"--namespace={name}").get("items", []):
        for container in pod["status"].get("containerStatuses", []):
            waiting = container["state"].get("waiting")
            if waiting:
                reasons.append(f"{pod['metadata']['name']} ({waiting['reason']})")
    return f"{', '.join(reasons) or 'no container is waiting'}; see kubectl -n {name} logs --previous POD"
