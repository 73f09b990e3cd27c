"""`python -m purpleflea_operator uninstall-check`: refuse an uninstallation that would leave finalizers behind.

The chart runs it before `helm uninstall`. Only the operator removes the finalizer of a PurpleFleaObservability, so
without the operator such a resource, its namespace and its CustomResourceDefinition could not be deleted. The command
reads two kinds of resources and changes nothing. If it cannot read them, it allows the uninstallation, because a broken
cluster must not prevent it.
"""

import asyncio
import sys
from collections.abc import Sequence

from purpleflea_operator.controllers.observability.status_writer import FINALIZER
from purpleflea_operator.kube import credentials, errors, resources
from purpleflea_operator.kube.client import HttpKubeClient
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.kube.watch_scope import WatchScope
from purpleflea_operator.parsing import Manifest
from purpleflea_operator.settings import OperatorSettings

COMMAND = "uninstall-check"
TIMEOUT_S = 30.0
MAX_LISTED = 20
"""Number of resources that the message lists."""
SKIP = "helm uninstall --no-hooks"


def main() -> int:
    """Print the findings; return 1 if the uninstallation must wait, otherwise 0."""
    settings = OperatorSettings()
    try:
        found, lines = asyncio.run(_with_timeout(settings))
    except (credentials.NotConnectedError, TimeoutError, ValueError) as error:
        found, lines = False, (f"not checked: {type(error).__name__}: {error}",)
    for line in lines:
        print(line, file=sys.stderr if found else sys.stdout)
    return int(found)


async def _with_timeout(settings: OperatorSettings) -> tuple[bool, Sequence[str]]:
    info = credentials.credentials()
    async with asyncio.timeout(TIMEOUT_S), credentials.session(info) as session:
        scope = WatchScope(namespaces=settings.watch_namespaces)
        return await check(HttpKubeClient(info.server, session, scope))


async def check(cluster: KubeClient) -> tuple[bool, Sequence[str]]:
    """Return whether finalizers would be left behind, and the lines to print."""
    observabilities = await _all(cluster, resources.OBSERVABILITY)
    agents = await _all(cluster, resources.AGENT)
    if isinstance(observabilities, str):
        return False, (f"not checked: {observabilities}",)
    blocked = [item for item in observabilities if FINALIZER in _finalizers(item)]
    if blocked:
        return True, _refusal(blocked)
    count = len(agents) if not isinstance(agents, str) else 0
    if count:
        return False, (
            f"{count} PurpleFleaAgents keep running without the operator. Changes of their spec, also of "
            "trading.mode, have no effect until it is installed again.",
        )
    return False, ("no resource needs the operator",)


def _refusal(blocked: Sequence[Manifest]) -> Sequence[str]:
    names = sorted((item["metadata"]["namespace"], item["metadata"]["name"]) for item in blocked)
    more = len(names) - MAX_LISTED
    return (
        f"{len(names)} PurpleFleaObservability resources have a finalizer that only the operator removes. Without the "
        "operator, they and their namespaces could never be deleted.",
        "Delete them first. The operator then removes their objects from Datadog, within ten minutes at most:",
        *(
            f"  kubectl delete purplefleaobservability {name} --namespace {namespace}"
            for namespace, name in names[:MAX_LISTED]
        ),
        *((f"  and {more} more",) if more > 0 else ()),
        "To keep the objects in Datadog, first set spec.deletionPolicy to Retain.",
        f"To uninstall anyway: {SKIP}. docs/uninstall.md has the command that removes the finalizers afterwards.",
    )


async def _all(cluster: KubeClient, kind: ResourceKind) -> Sequence[Manifest] | str:
    """Return all resources of a kind, or the reason why they cannot be read."""
    try:
        return (await cluster.list_all(kind)).manifests
    except errors.NotFound:
        return ()  # The definition is not installed, so there are no resources.
    except errors.ApiError as error:
        return f"{kind.plural} cannot be read: {error}"


def _finalizers(resource: Manifest) -> Sequence[str]:
    found: Sequence[str] = resource["metadata"].get("finalizers", ())
    return found
