"""The StatefulSet: each identity at most once, hardened to Pod Security "restricted".

Never a Deployment: it surges, and replaces pods of unreachable nodes, and so would trade twice.
"""

import hashlib

from purpleflea_contract import environment as env
from purpleflea_contract import kubernetes, routes
from purpleflea_operator.detect.connection import Connection
from purpleflea_operator.render import datadog, remembered
from purpleflea_operator.render.config import settings_text
from purpleflea_operator.render.identity import (
    Agent,
    Defaults,
    Manifest,
    image_of,
    labels,
    manifest,
    selector,
    unified_service_labels,
)

USER = 10001
CONFIG, API_KEY, API_TOKEN, STATE, TEMPORARY = "config", "api-key", "api-token", "state", "tmp"


def stateful_set(agent: Agent, defaults: Defaults, connection: Connection) -> Manifest:
    """The StatefulSet of the agent."""
    service_labels = unified_service_labels(agent, defaults)
    frame = manifest(agent, "apps/v1", "StatefulSet", more_labels=service_labels)
    frame["metadata"]["annotations"] = remembered.annotation(connection)
    spec: Manifest = {
        "replicas": agent.spec.replicas,
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "RollingUpdate"},
        "revisionHistoryLimit": 3,
        "selector": {"matchLabels": selector(agent.name)},
        "template": {
            "metadata": {
                "labels": {**labels(agent), **service_labels},
                "annotations": {
                    **datadog.annotations(agent),
                    kubernetes.ANNOTATION_SETTINGS_HASH: _digest(settings_text(agent)),
                },
            },
            "spec": _pod_spec(agent, defaults, connection),
        },
    }
    if agent.spec.storage is not None:
        spec["volumeClaimTemplates"] = [_claim(agent)]
        spec["persistentVolumeClaimRetentionPolicy"] = {
            "whenDeleted": "Retain",
            "whenScaled": "Retain",
        }
    return {**frame, "spec": spec}


def _pod_spec(agent: Agent, defaults: Defaults, connection: Connection) -> Manifest:
    pod = agent.spec.pod
    spec: Manifest = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": pod.termination_grace_period_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(agent, defaults, connection)],
        "volumes": _volumes(agent),
    }
    if pod.node_selector:
        spec["nodeSelector"] = dict(pod.node_selector)
    if pod.tolerations:
        spec["tolerations"] = [
            item.model_dump(by_alias=True, exclude_none=True) for item in pod.tolerations
        ]
    if pod.priority_class_name:
        spec["priorityClassName"] = pod.priority_class_name
    if agent.spec.image and agent.spec.image.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in agent.spec.image.pull_secrets]
    return spec


def _container(agent: Agent, defaults: Defaults, connection: Connection) -> Manifest:
    resources = agent.spec.pod.resources
    policy = agent.spec.image.pull_policy if agent.spec.image else defaults.image_pull_policy
    return {
        "name": kubernetes.CONTAINER,
        "image": image_of(agent, defaults),
        "imagePullPolicy": policy,
        "ports": [{"name": "http", "containerPort": env.HTTP_PORT, "protocol": "TCP"}],
        "env": [*_environment(agent), *datadog.environment(agent, connection)],
        "resources": {"requests": dict(resources.requests), "limits": dict(resources.limits)},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "startupProbe": _probe(routes.HEALTH.path, period=1, failures=60),
        "livenessProbe": _probe(routes.HEALTH.path, period=10, failures=3),
        "readinessProbe": _probe(routes.READY.path, period=2, failures=3),
        "volumeMounts": _mounts(agent),
    }


def _probe(path: str, *, period: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }


def _environment(agent: Agent) -> list[Manifest]:
    key_file = f"{env.DEFAULT_API_KEY_DIR}/{agent.spec.api.key_secret_ref.key}"
    found: list[Manifest] = [
        {"name": env.AGENT_ID, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": env.CONFIG_DIR, "value": env.DEFAULT_CONFIG_DIR},
        {"name": env.STATE_DIR, "value": env.DEFAULT_STATE_DIR},
        {"name": env.API_KEY_FILE, "value": key_file},
        {
            "name": env.GRACE_PERIOD_S,
            "value": str(agent.spec.pod.termination_grace_period_seconds),
        },
    ]
    if agent.spec.api.token_secret_ref:
        token_file = f"{env.DEFAULT_API_TOKEN_DIR}/token"
        found.append({"name": env.API_TOKEN_FILE, "value": token_file})
    return found


def _volumes(agent: Agent) -> list[Manifest]:
    found: list[Manifest] = [
        {"name": CONFIG, "configMap": {"name": agent.name}},
        {"name": API_KEY, "secret": {"secretName": agent.spec.api.key_secret_ref.name}},
        {"name": TEMPORARY, "emptyDir": {"sizeLimit": "64Mi"}},
    ]
    if agent.spec.api.token_secret_ref:
        found.append({"name": API_TOKEN, "secret": {"secretName": agent.spec.api.token_secret_ref}})
    if agent.spec.storage is None:
        found.append({"name": STATE, "emptyDir": {"sizeLimit": "1Gi"}})
    return found


def _mounts(agent: Agent) -> list[Manifest]:
    # Whole folders, never a subPath: only those follow a change of the ConfigMap or the Secret.
    found: list[Manifest] = [
        {"name": CONFIG, "mountPath": env.DEFAULT_CONFIG_DIR, "readOnly": True},
        {"name": API_KEY, "mountPath": env.DEFAULT_API_KEY_DIR, "readOnly": True},
        {"name": STATE, "mountPath": env.DEFAULT_STATE_DIR},
        {"name": TEMPORARY, "mountPath": env.TEMPORARY_DIR},
    ]
    if agent.spec.api.token_secret_ref:
        token = {"name": API_TOKEN, "mountPath": env.DEFAULT_API_TOKEN_DIR, "readOnly": True}
        found.append(token)
    return found


def _claim(agent: Agent) -> Manifest:
    storage = agent.spec.storage
    assert storage is not None  # noqa: S101 - the caller has looked
    spec: Manifest = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": storage.size}},
    }
    if storage.storage_class_name:
        spec["storageClassName"] = storage.storage_class_name
    return {"metadata": {"name": STATE}, "spec": spec}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
