import kubernetes_validate
import pytest

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.codegen.crd import agent_crd, observability_crd
from purpleflea_operator.datadog.detection.connection import (
    NO_CONNECTION,
    Connection,
    ConnectionMode,
)
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults
from support.builders import a_spec

CONNECTIONS = [
    NO_CONNECTION,
    Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125, apm_port=8126),
    Connection(
        mode=ConnectionMode.SERVICE,
        host="dd.datadog.svc.cluster.local",
        dogstatsd_port=8225,
        apm_port=8226,
    ),
]
SPECS = [
    {},
    {"storage": {"size": "1Gi", "storageClassName": "fast"}},
    {"image": {"repository": "acme/agent", "digest": "sha256:" + "ab" * 32, "pullSecrets": ["r"]}},
    {"pod": {"tolerations": [{"operator": "Exists"}], "nodeSelector": {"a": "b"}}},
    {"network": {"egressCidrs": []}},
    {"replicas": 3, "network": {"egressPorts": [443]}, "pod": {"serviceAccount": {}}},
    {
        "pod": {
            "affinity": {"podAntiAffinity": {}, "nodeAffinity": {}},
            "topologySpreadConstraints": [{"topologyKey": "zone"}],
            "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
            "envFrom": [{"secretRef": {"name": "s"}}],
            "volumes": [{"name": "x", "emptyDir": {}}],
            "volumeMounts": [{"name": "x", "mountPath": "/x"}],
            "sidecars": [
                {
                    "name": "proxy",
                    "image": "acme/proxy:1",
                    "ports": [{"name": "p", "containerPort": 3128}],
                    "readinessProbe": {"tcpSocket": {"port": 3128}},
                }
            ],
        }
    },
]


@pytest.mark.parametrize("connection", CONNECTIONS)
@pytest.mark.parametrize("changes", SPECS)
def test_every_child_matches_the_kubernetes_schema(connection, changes):
    spec = AgentSpec.model_validate(a_spec(**changes))
    agent = Agent(namespace="trading", name="momentum", uid="u", generation=1, spec=spec)
    for manifest in children(agent, Defaults(image="localhost/agent:1"), connection):
        kubernetes_validate.validate(manifest, "1.37", strict=True)


def test_the_crd_matches_the_kubernetes_schema():
    kubernetes_validate.validate(agent_crd(), "1.37", strict=True)
    kubernetes_validate.validate(observability_crd(), "1.37", strict=True)
