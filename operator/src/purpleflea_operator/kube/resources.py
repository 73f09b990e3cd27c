"""Resource kinds that the operator works with, and the paths of their objects on the API server."""

from dataclasses import dataclass

from purpleflea_contract import kubernetes
from purpleflea_operator.parsing import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceKind:
    """Kind of a Kubernetes object."""

    api_version: str
    kind: str
    plural: str
    labelled: bool = True
    """If true, the operator watches only objects with its managed-by label."""
    outside_agent_namespaces: bool = False
    """If true, the objects are cluster-scoped or in other namespaces than agents, so an operator that is bound to
    namespaces does not watch them."""
    optional: bool = False
    """If true, the operator works without this kind, so a missing kind or permission does not end the start."""

    @property
    def prefix(self) -> str:
        """Path of the API group, such as /apis/apps/v1."""
        return (
            f"/api/{self.api_version}" if self.api_version == "v1" else f"/apis/{self.api_version}"
        )


AGENT = ResourceKind(
    api_version=kubernetes.API_VERSION,
    kind="PurpleFleaAgent",
    plural="purplefleaagents",
    labelled=False,
)
CONFIG_MAP = ResourceKind(api_version="v1", kind="ConfigMap", plural="configmaps")
POD = ResourceKind(api_version="v1", kind="Pod", plural="pods")
CLAIM = ResourceKind(
    api_version="v1", kind="PersistentVolumeClaim", plural="persistentvolumeclaims"
)
SERVICE = ResourceKind(api_version="v1", kind="Service", plural="services", labelled=False)
EVENT = ResourceKind(api_version="v1", kind="Event", plural="events", labelled=False)
STATEFUL_SET = ResourceKind(api_version="apps/v1", kind="StatefulSet", plural="statefulsets")
DAEMON_SET = ResourceKind(
    api_version="apps/v1",
    kind="DaemonSet",
    plural="daemonsets",
    labelled=False,
    outside_agent_namespaces=True,
    optional=True,
)
NETWORK_POLICY = ResourceKind(
    api_version="networking.k8s.io/v1", kind="NetworkPolicy", plural="networkpolicies"
)
SERVICE_ACCOUNT = ResourceKind(api_version="v1", kind="ServiceAccount", plural="serviceaccounts")
DISRUPTION_BUDGET = ResourceKind(
    api_version="policy/v1", kind="PodDisruptionBudget", plural="poddisruptionbudgets"
)
INSTRUMENTATION = ResourceKind(
    api_version=kubernetes.DD_INSTRUMENTATION_VERSION,
    kind=kubernetes.DD_INSTRUMENTATION_KIND,
    plural="datadoginstrumentations",
    optional=True,
)

SECRET = ResourceKind(api_version="v1", kind="Secret", plural="secrets", labelled=False)
OBSERVABILITY = ResourceKind(
    api_version=kubernetes.API_VERSION,
    kind="PurpleFleaObservability",
    plural="purplefleaobservabilities",
    labelled=False,
    optional=True,
)
HALT = ResourceKind(
    api_version=kubernetes.API_VERSION,
    kind="PurpleFleaHalt",
    plural="purplefleahalts",
    labelled=False,
    optional=True,
)
NODE = ResourceKind(
    api_version="v1",
    kind="Node",
    plural="nodes",
    labelled=False,
    outside_agent_namespaces=True,
    optional=True,
)
NAMESPACE = ResourceKind(
    api_version="v1",
    kind="Namespace",
    plural="namespaces",
    labelled=False,
    outside_agent_namespaces=True,
    optional=True,
)
CSI_DRIVER = ResourceKind(
    api_version="storage.k8s.io/v1",
    kind="CSIDriver",
    plural="csidrivers",
    labelled=False,
    outside_agent_namespaces=True,
    optional=True,
)

CHILDREN = (
    *(CONFIG_MAP, SERVICE_ACCOUNT, NETWORK_POLICY, DISRUPTION_BUDGET),
    *(INSTRUMENTATION, STATEFUL_SET),
)
"""Kinds that the operator creates for an agent, in the sequence in which they are applied."""

_KNOWN = (
    *(AGENT, OBSERVABILITY, HALT, POD, CLAIM, SERVICE, EVENT),
    *(DAEMON_SET, NODE, NAMESPACE, CSI_DRIVER),
)
_BY_NAME = {kind.kind: kind for kind in (*_KNOWN, *CHILDREN)}


def kind_of(manifest: Manifest) -> ResourceKind:
    """Return the kind of `manifest`."""
    return _BY_NAME[manifest["kind"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRef:
    """Kind, namespace and name of an object."""

    kind: ResourceKind
    namespace: str
    name: str

    @property
    def path(self) -> str:
        """Path of the object on the API server."""
        return f"{self.kind.prefix}/namespaces/{self.namespace}/{self.kind.plural}/{self.name}"


def ref_of(manifest: Manifest) -> ObjectRef:
    """Return the reference to `manifest`."""
    metadata = manifest["metadata"]
    return ObjectRef(kind=kind_of(manifest), namespace=metadata["namespace"], name=metadata["name"])
