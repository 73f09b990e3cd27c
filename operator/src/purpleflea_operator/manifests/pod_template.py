"""The pod template: the agent container, hardened to Pod Security "restricted", and what users add to it."""

from purpleflea_contract import environment as env
from purpleflea_contract import kubernetes, routes
from purpleflea_operator.datadog.detection.connection import Connection
from purpleflea_operator.manifests import (
    datadog_env,
    datadog_sockets,
    service_account,
    sidecars,
    telemetry_gate,
    volumes,
)
from purpleflea_operator.manifests.config_map import settings_text
from purpleflea_operator.manifests.metadata import (
    Agent,
    Defaults,
    image_of,
    labels,
    selector,
    unified_service_labels,
)
from purpleflea_operator.manifests.passthrough import all_passed_on, passed_on
from purpleflea_operator.manifests.user_overrides import UserOverrides, user_overrides
from purpleflea_operator.parsing import MutableManifest

USER = 10001


def pod_template(agent: Agent, defaults: Defaults, connection: Connection) -> MutableManifest:
    """The pod template of an agent; any change of it restarts the agents."""
    added = user_overrides(agent)
    return {
        "metadata": {
            "labels": {**added.labels, **labels(agent), **unified_service_labels(agent, defaults)},
            "annotations": {
                **added.annotations,
                **datadog_env.annotations(agent),
                kubernetes.ANNOTATION_SETTINGS: settings_text(agent),
            },
        },
        "spec": _pod_spec(agent, defaults, connection, added),
    }


def _pod_spec(
    agent: Agent, defaults: Defaults, connection: Connection, added: UserOverrides
) -> MutableManifest:
    spec: MutableManifest = {
        **service_account.identity_of_pods(agent),
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": agent.spec.pod.termination_grace_period_seconds,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(agent, defaults, connection, added)],
        "volumes": [
            *volumes.volumes(agent),
            *datadog_sockets.volumes(connection),
            *all_passed_on(added.volumes),
        ],
        **_placement(agent),
    }
    # Sidecars first: one that brings the network is needed to reach the node agent.
    init_containers = [
        *sidecars.containers(added.sidecars),
        *telemetry_gate.init_containers(agent, defaults, connection),
    ]
    if init_containers:
        spec["initContainers"] = init_containers
    if agent.spec.image and agent.spec.image.pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in agent.spec.image.pull_secrets]
    return spec


def _placement(agent: Agent) -> MutableManifest:
    pod = agent.spec.pod
    found: MutableManifest = {}
    if pod.node_selector:
        found["nodeSelector"] = dict(pod.node_selector)
    if pod.tolerations:
        found["tolerations"] = all_passed_on(pod.tolerations)
    if pod.affinity is not None:
        found["affinity"] = passed_on(pod.affinity)
    if pod.topology_spread_constraints:
        found["topologySpreadConstraints"] = [
            {
                **passed_on(item),
                "labelSelector": {"matchLabels": selector(agent.name)},
                # Without it the pods of the old revision would count while a new one rolls out.
                "matchLabelKeys": ["controller-revision-hash"],
            }
            for item in pod.topology_spread_constraints
        ]
    if pod.priority_class_name:
        found["priorityClassName"] = pod.priority_class_name
    return found


def _container(
    agent: Agent, defaults: Defaults, connection: Connection, added: UserOverrides
) -> MutableManifest:
    resources = agent.spec.pod.resources
    policy = agent.spec.image.pull_policy if agent.spec.image else defaults.image_pull_policy
    container: MutableManifest = {
        "name": kubernetes.CONTAINER,
        "image": image_of(agent, defaults),
        "imagePullPolicy": policy,
        "ports": [{"name": "http", "containerPort": env.HTTP_PORT, "protocol": "TCP"}],
        "env": [
            *_environment(agent),
            *datadog_env.environment(agent, connection),
            *all_passed_on(added.env),
        ],
        "resources": {"requests": dict(resources.requests), "limits": dict(resources.limits)},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "startupProbe": _probe(routes.HEALTH.path, period=1, failures=60),
        "livenessProbe": _probe(routes.HEALTH.path, period=10, failures=3),
        "readinessProbe": _probe(routes.READY.path, period=2, failures=3),
        "volumeMounts": [
            *volumes.mounts(agent),
            *datadog_sockets.mounts(connection),
            *all_passed_on(added.mounts),
        ],
    }
    if agent.spec.pod.env_from:
        container["envFrom"] = all_passed_on(agent.spec.pod.env_from)
    return container


def _probe(path: str, *, period: int, failures: int) -> MutableManifest:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "timeoutSeconds": 3,
        "failureThreshold": failures,
    }


def _environment(agent: Agent) -> list[MutableManifest]:
    key_file = f"{env.DEFAULT_API_KEY_DIR}/{agent.spec.api.key_secret_ref.key}"
    found: list[MutableManifest] = [
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
    if agent.spec.pod.env_from:
        # What a Secret says cannot be seen from here: probes and NetworkPolicy rely on this address.
        found.append({"name": env.HTTP_HOST, "value": env.DEFAULT_HTTP_HOST})
        found.append({"name": env.HTTP_PORT_VARIABLE, "value": str(env.HTTP_PORT)})
    return found
