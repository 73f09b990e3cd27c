"""Resource kinds of the fake API server, with the parts of their schemas that a client observes.

These are names, subresources, immutable fields, and the lists that merge by key under server-side apply. The module
must not hold objects.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FieldPath = tuple[str, ...]
Obj = dict[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Kind:
    """Served resource. Kinds are compared by identity, so a server can replace a kind by another."""

    group: str = ""
    version: str = "v1"
    plural: str
    kind: str
    namespaced: bool = True
    status: bool = False
    scale: bool = False
    counts_generations: bool = False
    short_names: tuple[str, ...] = ()
    immutable: tuple[FieldPath, ...] = ()
    list_keys: Mapping[FieldPath, tuple[str, ...]] = field(default_factory=dict)
    initial_status: Mapping[str, Any] | None = None
    is_review: bool = False
    """Whether a create is answered and not stored, as of SelfSubjectReview."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """Return the name in error messages, such as `statefulsets.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def subresources(self) -> tuple[str, ...]:
        return tuple(name for name in ("status", "scale") if getattr(self, name))

    @property
    def is_custom(self) -> bool:
        """Return True for a kind that a CRD defines. Such kinds do not support strategic merge patches."""
        return "." in self.group and not self.group.endswith(".k8s.io")


# (parent field, field) -> keys. An empty first part means any parent.
KEYED_LISTS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("", "containers"): ("name",),
    ("", "initContainers"): ("name",),
    ("", "ephemeralContainers"): ("name",),
    ("", "env"): ("name",),
    ("", "volumes"): ("name",),
    ("", "volumeMounts"): ("mountPath",),
    ("", "volumeDevices"): ("devicePath",),
    ("", "imagePullSecrets"): ("name",),
    ("", "hostAliases"): ("ip",),
    ("", "conditions"): ("type",),
    ("", "topologySpreadConstraints"): ("topologyKey", "whenUnsatisfiable"),
    ("metadata", "ownerReferences"): ("uid",),
    ("containers", "ports"): ("containerPort", "protocol"),
    ("initContainers", "ports"): ("containerPort", "protocol"),
    ("spec", "ports"): ("port", "protocol"),
}
KEY_DEFAULTS: Mapping[str, str] = {"protocol": "TCP"}
SET_LISTS = frozenset({("metadata", "finalizers")})
ATOMIC_MAPS = frozenset(
    {
        "selector",
        "labelSelector",
        "podSelector",
        "namespaceSelector",
        "nodeSelector",
        "fieldRef",
        "resourceFieldRef",
        "secretKeyRef",
        "configMapKeyRef",
        "ownerReferences",
    }
)


def list_keys(kind: Kind, path: FieldPath) -> tuple[str, ...] | None:
    """Return the keys that identify the items of the list at this path, or None if the list is atomic."""
    own = kind.list_keys.get(path)
    if own:
        return own
    parent = path[-2] if len(path) > 1 else ""
    return KEYED_LISTS.get((parent, path[-1])) or KEYED_LISTS.get(("", path[-1]))


PURPLE_FLEA_AGENT = Kind(
    group="purpleflea.com",
    version="v1alpha1",
    plural="purplefleaagents",
    kind="PurpleFleaAgent",
    status=True,
    scale=True,
    counts_generations=True,
    short_names=("pfa",),
)
PURPLE_FLEA_OBSERVABILITY = Kind(
    group="purpleflea.com",
    version="v1alpha1",
    plural="purplefleaobservabilities",
    kind="PurpleFleaObservability",
    status=True,
    counts_generations=True,
    short_names=("pfo",),
)
PURPLE_FLEA_HALT = Kind(
    group="purpleflea.com",
    version="v1alpha1",
    plural="purplefleahalts",
    kind="PurpleFleaHalt",
    status=True,
    counts_generations=True,
    short_names=("pfh",),
)
DATADOG_INSTRUMENTATION = Kind(
    group="datadoghq.com",
    version="v1alpha1",
    plural="datadoginstrumentations",
    kind="DatadogInstrumentation",
    status=True,
    counts_generations=True,
    short_names=("ddi",),
)
"""Not served until it is registered, as when the CRD of Datadog's operator is installed."""
STATEFUL_SET = Kind(
    group="apps",
    plural="statefulsets",
    kind="StatefulSet",
    status=True,
    scale=True,
    counts_generations=True,
    short_names=("sts",),
    immutable=(
        ("spec", "selector"),
        ("spec", "serviceName"),
        ("spec", "podManagementPolicy"),
        ("spec", "volumeClaimTemplates"),
    ),
)
POD = Kind(plural="pods", kind="Pod", status=True, initial_status={"phase": "Pending"})
NAMESPACE = Kind(
    plural="namespaces",
    kind="Namespace",
    namespaced=False,
    status=True,
    initial_status={"phase": "Active"},
)

PRESET: tuple[Kind, ...] = (
    PURPLE_FLEA_AGENT,
    PURPLE_FLEA_OBSERVABILITY,
    PURPLE_FLEA_HALT,
    STATEFUL_SET,
    POD,
    NAMESPACE,
    Kind(plural="configmaps", kind="ConfigMap", short_names=("cm",)),
    Kind(plural="services", kind="Service", status=True),
    Kind(plural="nodes", kind="Node", namespaced=False, status=True),
    Kind(plural="events", kind="Event"),
    Kind(plural="secrets", kind="Secret"),
    Kind(plural="serviceaccounts", kind="ServiceAccount"),
    Kind(plural="persistentvolumeclaims", kind="PersistentVolumeClaim", status=True),
    Kind(group="apps", plural="daemonsets", kind="DaemonSet", status=True, counts_generations=True),
    Kind(
        group="networking.k8s.io",
        plural="networkpolicies",
        kind="NetworkPolicy",
        counts_generations=True,
    ),
    Kind(
        group="policy",
        plural="poddisruptionbudgets",
        kind="PodDisruptionBudget",
        status=True,
        counts_generations=True,
    ),
    Kind(group="events.k8s.io", plural="events", kind="Event"),
    Kind(group="coordination.k8s.io", plural="leases", kind="Lease"),
    Kind(group="storage.k8s.io", plural="csidrivers", kind="CSIDriver", namespaced=False),
    Kind(
        group="apiextensions.k8s.io",
        plural="customresourcedefinitions",
        kind="CustomResourceDefinition",
        namespaced=False,
        status=True,
        counts_generations=True,
    ),
)
