"""`python -m purpleflea_operator install-check`, as `helm test`: create a halted agent, wait until it runs, remove it.

The agent is ready as soon as its pod runs, also without an exchange, because it is halted and so sends no request for
an order. It has to acknowledge the mode to the operator. If Datadog is installed, its telemetry has to be proven, too.
"""

import asyncio
import signal
import sys
from collections.abc import Mapping
from typing import Any

from purpleflea_contract import kubernetes
from purpleflea_contract.control import Mode
from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.kube import credentials, errors, resources
from purpleflea_operator.kube.client import HttpKubeClient
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ObjectRef
from purpleflea_operator.parsing import Manifest, MutableManifest, mapping, mappings, text
from purpleflea_operator.settings import OperatorSettings

COMMAND = "install-check"
TIMEOUT_S = 180.0
POLL_S = 1.0
CLEANUP_S = 15.0
COMPONENT = "installation-check"
ENDPOINT = "https://exchange.invalid"
"""A host that never exists (RFC 2606)."""


class CheckError(Exception):
    """The installation does not work. The text has the cause and the remedy."""


def main(name: str) -> int:
    """Check the installation with an agent and a Secret of this name. Return 0, or 1 with the cause on stderr."""
    settings = OperatorSettings()
    namespace = next(iter(settings.watch_namespaces), settings.own_namespace)
    if not namespace or not name:
        print("not checked: PURPLEFLEA_OPERATOR_NAMESPACE or the name is empty", file=sys.stderr)
        return 1
    try:
        asyncio.run(_run(ObjectRef(kind=resources.AGENT, namespace=namespace, name=name)))
    except (CheckError, credentials.NotConnectedError, errors.ApiError) as error:
        print(f"the installation does not work: {error}", file=sys.stderr)
        return 1
    except asyncio.CancelledError:
        print("the check was canceled", file=sys.stderr)
        return 1
    print("the installation works")
    return 0


async def _run(ref: ObjectRef) -> None:
    info = credentials.credentials()
    task = asyncio.current_task()
    if task is not None:
        # The kubelet ends a pod with SIGTERM. The agent must be removed then, too.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with credentials.session(info) as session:
        await check(HttpKubeClient(info.server, session), ref)


async def check(
    cluster: KubeClient, ref: ObjectRef, *, timeout_s: float = TIMEOUT_S, poll_s: float = POLL_S
) -> None:
    """Create the agent, wait until it is proven to run, and delete it in any case.

    Raises:
        CheckError: It did not run in time, or its name is taken.
        ApiError: The API server refuses a request.
    """
    await _delete(cluster, ref)
    await cluster.create(ref, manifest(ref))
    try:
        await _wait(cluster, ref, timeout_s=timeout_s, poll_s=poll_s)
    finally:
        async with asyncio.timeout(CLEANUP_S):
            await _delete(cluster, ref)


def manifest(ref: ObjectRef) -> MutableManifest:
    """Return the agent of the check."""
    return {
        "apiVersion": kubernetes.API_VERSION,
        "kind": ref.kind.kind,
        "metadata": {
            "name": ref.name,
            "namespace": ref.namespace,
            "labels": {kubernetes.LABEL_COMPONENT: COMPONENT},
        },
        "spec": {
            "strategy": "momentum",
            "markets": ["BTC-USD"],
            "api": {
                "keySecretRef": {"name": ref.name},
                "endpoints": dict.fromkeys(("trading", "wallet", "escrow", "faucet"), ENDPOINT),
            },
            "trading": {"mode": str(Mode.HALTED)},
            "storage": {"ephemeral": True},
            "datadog": {"env": COMPONENT},
        },
    }


async def _wait(cluster: KubeClient, ref: ObjectRef, *, timeout_s: float, poll_s: float) -> None:
    shown = missing = "the operator has not written a status; read its log"
    try:
        async with asyncio.timeout(timeout_s):
            while missing:
                missing = unproven(mapping((await cluster.get(ref) or {}).get("status")))
                if missing and missing != shown:
                    shown = missing
                    print(missing, flush=True)
                await asyncio.sleep(poll_s if missing else 0)
    except TimeoutError as error:
        raise CheckError(f"after {timeout_s:.0f} s: {missing}") from error


def unproven(status: Manifest) -> str:
    """Return the first condition that is missing, with its message; empty if the agent is proven to run."""
    conditions = {text(item.get("type")): item for item in mappings(status.get("conditions"))}
    wanted = [ConditionType.SPEC_VALID, ConditionType.WORKLOAD_AVAILABLE, ConditionType.READY]
    if _is_true(conditions, ConditionType.DATADOG_INSTALLED):
        wanted.append(ConditionType.TELEMETRY_READY)
    for kind in wanted:
        if not _is_true(conditions, kind):
            return _described(kind, conditions)
    acknowledged = mapping(status.get("trading")).get("acknowledged")
    if not isinstance(acknowledged, int) or acknowledged < 1:
        return _described(ConditionType.TRADING_ACTIVE, conditions)
    return ""


def _is_true(conditions: Mapping[str, Any], kind: ConditionType) -> bool:
    return text(mapping(conditions.get(kind)).get("status")) == "True"


def _described(kind: ConditionType, conditions: Mapping[str, Any]) -> str:
    found = mapping(conditions.get(kind))
    if not found:
        return f"the operator has not written the condition {kind}; read its log"
    return f"{kind} is {text(found.get('status'))} ({text(found.get('reason'))}): {text(found.get('message'))}"


async def _delete(cluster: KubeClient, ref: ObjectRef) -> None:
    """Delete the agent of this or of an interrupted check.

    Raises:
        CheckError: Another agent has the name.
    """
    found = await cluster.get(ref)
    if found is None:
        return
    metadata = mapping(found.get("metadata"))
    if mapping(metadata.get("labels")).get(kubernetes.LABEL_COMPONENT) != COMPONENT:
        raise CheckError(
            f"a PurpleFleaAgent {ref.namespace}/{ref.name} exists that is not of this check; rename it, "
            "or set the chart value fullnameOverride"
        )
    await cluster.delete(ref, uid=text(metadata.get("uid")))
