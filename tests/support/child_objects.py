"""Sends the children of an agent, and the pods and claims that follow from them, to an API server as a dry run."""

import json
from collections.abc import Iterator
from typing import Any

import aiohttp

from purpleflea_operator.datadog.detection.connection import Connection
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults

Manifest = dict[str, Any]
FOLDERS = {
    "ConfigMap": "api/v1",
    "NetworkPolicy": "apis/networking.k8s.io/v1",
    "PersistentVolumeClaim": "api/v1",
    "Pod": "api/v1",
    "PodDisruptionBudget": "apis/policy/v1",
    "ServiceAccount": "api/v1",
    "StatefulSet": "apis/apps/v1",
}
PLURALS = {"NetworkPolicy": "networkpolicies"}
APPLY = {"Content-Type": "application/apply-patch+yaml"}
REVISION = "7d5b8c9f6b"
"""Hash of a revision, as long as those of the StatefulSet controller."""


def objects(agent: Agent, connection: Connection) -> Iterator[Manifest]:
    """Yield the children as the operator applies them, and the last pod and its claim as controllers create them."""
    for child in children(agent, Defaults(image="localhost/agent:1"), connection):
        manifest: Manifest = json.loads(json.dumps(child))
        # The resource does not exist, and its UID is not checked.
        del manifest["metadata"]["ownerReferences"]
        yield manifest
        if manifest["kind"] == "StatefulSet":
            yield from _of_stateful_set(manifest)


def _of_stateful_set(stateful_set: Manifest) -> Iterator[Manifest]:
    name, namespace = stateful_set["metadata"]["name"], stateful_set["metadata"]["namespace"]
    spec = stateful_set["spec"]
    pod_name = f"{name}-{max(spec['replicas'] - 1, 0)}"
    template: Manifest = json.loads(json.dumps(spec["template"]))
    template["metadata"]["labels"] |= {
        "statefulset.kubernetes.io/pod-name": pod_name,
        "apps.kubernetes.io/pod-index": pod_name.rpartition("-")[2],
        "controller-revision-hash": f"{name}-{REVISION}",
    }
    # These two name objects of the cluster that do not exist.
    template["spec"].pop("priorityClassName", None)
    template["spec"] |= {"serviceAccountName": "default", "hostname": pod_name}
    for claim in spec.get("volumeClaimTemplates", ()):
        claim_name = f"{claim['metadata']['name']}-{pod_name}"
        source = {"persistentVolumeClaim": {"claimName": claim_name}}
        template["spec"]["volumes"].append({"name": claim["metadata"]["name"], **source})
        yield {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {**claim["metadata"], "name": claim_name, "namespace": namespace},
            "spec": claim["spec"],
        }
    template["metadata"] |= {"name": pod_name, "namespace": namespace}
    yield {"apiVersion": "v1", "kind": "Pod", **template}


async def refusal(session: aiohttp.ClientSession, server: str, manifest: Manifest) -> str:
    """Return the message with which the API server refuses the object; empty if it accepts it. Nothing is stored."""
    kind, metadata = manifest["kind"], manifest["metadata"]
    plural = PLURALS.get(kind, f"{kind.lower()}s")
    path = f"{FOLDERS[kind]}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}"
    options = {
        "dryRun": "All",
        "fieldManager": "test",
        "force": "true",
        "fieldValidation": "Strict",
    }
    request = session.patch(
        f"{server}/{path}", params=options, data=json.dumps(manifest), headers=APPLY
    )
    async with request as response:
        # An unread body closes the connection, and its transport may outlive the event loop of the test.
        answer = await response.json()
        return "" if response.status < 300 else str(answer["message"])
