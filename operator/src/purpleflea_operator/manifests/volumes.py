"""The operator's own volumes: their names, their mounts in the agent container, and the claim of the journal."""

from purpleflea_contract import environment as env
from purpleflea_contract import kubernetes
from purpleflea_operator.api.pod import Storage
from purpleflea_operator.manifests.metadata import Agent, selector
from purpleflea_operator.parsing import MutableManifest

CONFIG, API_KEY, API_TOKEN, STATE, TEMPORARY = "config", "api-key", "api-token", "state", "tmp"
NAMES = frozenset({CONFIG, API_KEY, API_TOKEN, STATE, TEMPORARY})
PATHS = (
    env.DEFAULT_CONFIG_DIR,
    env.DEFAULT_API_KEY_DIR,
    env.DEFAULT_API_TOKEN_DIR,
    env.DEFAULT_STATE_DIR,
    env.TEMPORARY_DIR,
)


def volumes(agent: Agent) -> list[MutableManifest]:
    """Return the operator's own volumes of the pod."""
    volumes: list[MutableManifest] = [
        {"name": CONFIG, "projected": {"sources": [_settings(), {"configMap": _control(agent)}]}},
        {"name": API_KEY, "secret": {"secretName": agent.spec.api.key_secret_ref.name}},
        {"name": TEMPORARY, "emptyDir": {"sizeLimit": "64Mi"}},
    ]
    if agent.spec.api.token_secret_ref:
        volumes.append(
            {"name": API_TOKEN, "secret": {"secretName": agent.spec.api.token_secret_ref}}
        )
    if agent.storage is None:
        volumes.append({"name": STATE, "emptyDir": {"sizeLimit": "1Gi"}})
    return volumes


def _settings() -> MutableManifest:
    path = f"metadata.annotations['{kubernetes.ANNOTATION_SETTINGS}']"
    file = {"path": env.SETTINGS_FILE, "fieldRef": {"fieldPath": path}}
    return {"downwardAPI": {"items": [file]}}


def _control(agent: Agent) -> MutableManifest:
    return {"name": agent.name, "items": [{"key": env.CONTROL_FILE, "path": env.CONTROL_FILE}]}


def mounts(agent: Agent) -> list[MutableManifest]:
    """Return the mounts of these volumes in the agent container."""
    # Mount folders without subPath: the kubelet does not update a file that is mounted with subPath.
    mounts: list[MutableManifest] = [
        {"name": CONFIG, "mountPath": env.DEFAULT_CONFIG_DIR, "readOnly": True},
        {"name": API_KEY, "mountPath": env.DEFAULT_API_KEY_DIR, "readOnly": True},
        {"name": STATE, "mountPath": env.DEFAULT_STATE_DIR},
        {"name": TEMPORARY, "mountPath": env.TEMPORARY_DIR},
    ]
    if agent.spec.api.token_secret_ref:
        token = {"name": API_TOKEN, "mountPath": env.DEFAULT_API_TOKEN_DIR, "readOnly": True}
        mounts.append(token)
    return mounts


def volume_claim_template(agent: Agent, storage: Storage) -> MutableManifest:
    """Return the claim template of the journal. The operator watches only claims with these labels."""
    spec: MutableManifest = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": storage.size}},
    }
    if storage.storage_class_name:
        spec["storageClassName"] = storage.storage_class_name
    labels = {**selector(agent.name), kubernetes.LABEL_MANAGED_BY: kubernetes.MANAGED_BY}
    return {"metadata": {"name": STATE, "labels": labels}, "spec": spec}
