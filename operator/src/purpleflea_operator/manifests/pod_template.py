"""The pod template of an agent: the agent container within Pod Security "restricted", and the user's overrides."""

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
    content_hash,
    image_of,
    labels,
    selector,
    unified_service_labels,
)
from purpleflea_operator.manifests.passthrough import as_manifest, as_manifests
from purpleflea_operator.manifests.security_context import (
    container_security_context,
    pod_security_context,
)
from purpleflea_operator.manifests.user_overrides import (
    RESERVED_VARIABLES,
    UserOverrides,
    user_overrides,
)
from purpleflea_operator.parsing import MutableManifest


def pod_template(agent: Agent, defaults: Defaults, connection: Connection) -> MutableManifest:
    """Return the pod template of an agent, with its hash. Every change of it restarts the agents."""
    template = _template(agent, defaults, connection)
    template["metadata"]["annotations"][kubernetes.ANNOTATION_TEMPLATE_HASH] = content_hash(
        template
    )
    return template


def _template(agent: Agent, defaults: Defaults, connection: Connection) -> MutableManifest:
    overrides = user_overrides(agent)
    return {
        "metadata": {
            "labels": {
                **overrides.labels,
                **labels(agent),
                **unified_service_labels(agent, defaults),
                kubernetes.DD_LABEL_ADMISSION: "false",
            },
            "annotations": {
                **overrides.annotations,
                **datadog_env.annotations(agent),
                kubernetes.ANNOTATION_SETTINGS: settings_text(agent),
            },
        },
        "spec": _pod_spec(agent, defaults, connection, overrides),
    }


def _pod_spec(
    agent: Agent, defaults: Defaults, connection: Connection, overrides: UserOverrides
) -> MutableManifest:
    spec: MutableManifest = {
        **service_account.pod_fields(agent),
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": agent.spec.pod.termination_grace_period_seconds,
        "securityContext": pod_security_context(agent, defaults),
        "containers": [_container(agent, defaults, connection, overrides)],
        "volumes": [
            *volumes.volumes(agent),
            *datadog_sockets.volumes(connection),
            *as_manifests(overrides.volumes),
        ],
        **_placement(agent),
    }
    # Sidecars are first, because a sidecar can provide the network that is needed to reach the node agent.
    init_containers = [
        *sidecars.containers(overrides.sidecars),
        *telemetry_gate.init_containers(agent, defaults, connection),
    ]
    if init_containers:
        spec["initContainers"] = init_containers
    secrets = _pull_secrets(agent, spec, defaults)
    if secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in secrets]
    return spec


def _pull_secrets(agent: Agent, spec: MutableManifest, defaults: Defaults) -> tuple[str, ...]:
    """Return the Secrets of the agent's image, and those of the default image if a container uses it."""
    own = agent.spec.image.pull_secrets if agent.spec.image else ()
    containers = (*spec["containers"], *spec.get("initContainers", ()))
    uses_default = any(item.get("image") == defaults.image for item in containers)
    return tuple(dict.fromkeys((*own, *(defaults.image_pull_secrets if uses_default else ()))))


def _placement(agent: Agent) -> MutableManifest:
    pod = agent.spec.pod
    fields: MutableManifest = {}
    if pod.node_selector:
        fields["nodeSelector"] = dict(pod.node_selector)
    if pod.tolerations:
        fields["tolerations"] = as_manifests(pod.tolerations)
    if pod.affinity is not None:
        fields["affinity"] = as_manifest(pod.affinity)
    if pod.topology_spread_constraints:
        fields["topologySpreadConstraints"] = [
            {
                **as_manifest(item),
                "labelSelector": {"matchLabels": selector(agent.name)},
                # Without this key, pods of the old revision count during a rollout.
                "matchLabelKeys": ["controller-revision-hash"],
            }
            for item in pod.topology_spread_constraints
        ]
    if pod.priority_class_name:
        fields["priorityClassName"] = pod.priority_class_name
    return fields


def _container(
    agent: Agent, defaults: Defaults, connection: Connection, overrides: UserOverrides
) -> MutableManifest:
    resources = agent.spec.pod.resources
    policy = agent.spec.image.pull_policy if agent.spec.image else defaults.image_pull_policy
    own = {item.name for item in overrides.env}
    variables = [
        item
        for item in (*_environment(agent), *datadog_env.environment(agent, connection))
        # Only with an explicit connection may a user set a variable that the operator renders.
        if item["name"] not in own
    ]
    container: MutableManifest = {
        "name": kubernetes.CONTAINER,
        "image": image_of(agent, defaults),
        "imagePullPolicy": policy,
        "ports": [{"name": "http", "containerPort": env.HTTP_PORT, "protocol": "TCP"}],
        "env": [
            *variables,
            *_protection(agent, own | {item["name"] for item in variables}),
            *as_manifests(overrides.env),
        ],
        "resources": {"requests": dict(resources.requests), "limits": dict(resources.limits)},
        "securityContext": container_security_context(),
        "startupProbe": _probe(routes.HEALTH.path, period=1, failures=60),
        "livenessProbe": _probe(routes.HEALTH.path, period=10, failures=3),
        "readinessProbe": _probe(routes.READY.path, period=2, failures=3),
        "volumeMounts": [
            *volumes.mounts(agent),
            *datadog_sockets.mounts(connection),
            *as_manifests(overrides.mounts),
        ],
    }
    if agent.spec.pod.env_from:
        container["envFrom"] = as_manifests(agent.spec.pod.env_from)
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
    variables: list[MutableManifest] = [
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
        variables.append({"name": env.API_TOKEN_FILE, "value": token_file})
    return variables


def _protection(agent: Agent, names: set[str]) -> list[MutableManifest]:
    """Return the reserved variables besides `names`, each with the value without an effect, if there is envFrom.

    A Secret or ConfigMap of envFrom can contain any name, but a variable of `env` takes precedence.
    """
    if not agent.spec.pod.env_from:
        return []
    # The API server does not store an empty value, so it would be reported as drift.
    return [
        {"name": name, "value": value} if value else {"name": name}
        for name, value in sorted(RESERVED_VARIABLES.items())
        if name not in names
    ]
