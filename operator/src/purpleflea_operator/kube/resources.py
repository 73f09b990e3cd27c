"""The kinds the operator works with, and how their URLs are built."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from purpleflea_contract import kubernetes

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of Kubernetes object."""

    api_version: str
    kind: str
    plural: str
    labelled: bool = True
    """Whether the operator watches only objects that carry its managed-by label."""
    elsewhere: bool = False
    """Whether objects live outside the namespaces of agents, or in none: seen only where the operator sees all."""

    @property
    def prefix(self) -> str:
        """Path of the API group, such as /apis/apps/v1."""
        return (
            f"/api/{self.api_version}" if self.api_version == "v1" else f"/apis/{self.api_version}"
        )


AGENT = Kind(
    api_version=kubernetes.API_VERSION,
    kind="PurpleFleaAgent",
    plural="purplefleaagents",
    labelled=False,
)
CONFIG_MAP = Kind(api_version="v1", kind="ConfigMap", plural="configmaps")
POD = Kind(api_version="v1", kind="Pod", plural="pods")
CLAIM = Kind(api_version="v1", kind="PersistentVolumeClaim", plural="persistentvolumeclaims")
SERVICE = Kind(api_version="v1", kind="Service", plural="services", labelled=False)
EVENT = Kind(api_version="v1", kind="Event", plural="events", labelled=False)
STATEFUL_SET = Kind(api_version="apps/v1", kind="StatefulSet", plural="statefulsets")
DAEMON_SET = Kind(
    api_version="apps/v1",
    kind="DaemonSet",
    plural="daemonsets",
    labelled=False,
    elsewhere=True,
)
NETWORK_POLICY = Kind(
    api_version="networking.k8s.io/v1", kind="NetworkPolicy", plural="networkpolicies"
)
SERVICE_ACCOUNT = Kind(api_version="v1", kind="ServiceAccount", plural="serviceaccounts")
DISRUPTION_BUDGET = Kind(
    api_version="policy/v1", kind="PodDisruptionBudget", plural="poddisruptionbudgets"
)

SECRET = Kind(api_version="v1", kind="Secret", plural="secrets", labelled=False)
OBSERVABILITY = Kind(
    api_version=kubernetes.API_VERSION,
    kind="PurpleFleaObservability",
    plural="purplefleaobservabilities",
    labelled=False,
)
NODE = Kind(api_version="v1", kind="Node", plural="nodes", labelled=False, elsewhere=True)
NAMESPACE = Kind(
    api_version="v1", kind="Namespace", plural="namespaces", labelled=False, elsewhere=True
)
CSI_DRIVER = Kind(
    api_version="storage.k8s.io/v1",
    kind="CSIDriver",
    plural="csidrivers",
    labelled=False,
    elsewhere=True,
)

CHILDREN = (CONFIG_MAP, SERVICE_ACCOUNT, NETWORK_POLICY, DISRUPTION_BUDGET, STATEFUL_SET)
"""Kinds the operator makes for an agent, in the order in which they are applied."""

_KNOWN = (AGENT, OBSERVABILITY, POD, CLAIM, SERVICE, EVENT, DAEMON_SET, NODE, NAMESPACE, CSI_DRIVER)
_BY_NAME = {kind.kind: kind for kind in (*_KNOWN, *CHILDREN)}


def kind_of(manifest: Manifest) -> Kind:
    """The kind of `manifest`."""
    return _BY_NAME[manifest["kind"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ref:
    """The address of one object."""

    kind: Kind
    namespace: str
    name: str

    @property
    def path(self) -> str:
        """Path of the object on the API server."""
        return f"{self.kind.prefix}/namespaces/{self.namespace}/{self.kind.plural}/{self.name}"


def ref_of(manifest: Manifest) -> Ref:
    """The address of `manifest`."""
    metadata = manifest["metadata"]
    return Ref(kind=kind_of(manifest), namespace=metadata["namespace"], name=metadata["name"])
