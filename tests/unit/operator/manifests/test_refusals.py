"""A spec whose children would be refused later is refused with the field."""

import pytest

from purpleflea_operator.controllers.agent.decisions.gather import parsed
from support.builders import a_spec, an_agent

LONG_DOMAIN = ".".join(["y" * 63] * 4)


def error(name="momentum", **changes):
    agent, found = parsed(an_agent(name, spec=a_spec(**changes)))
    assert (agent is None) == bool(found)
    return found


def pod(**fields):
    return {"pod": fields}


def sidecar(**fields):
    return pod(sidecars=[{"name": "signer", "image": "acme/signer:1", **fields}])


def variable(**fields):
    return pod(env=[{"name": "A", **fields}])


def field_path(path):
    return variable(valueFrom={"fieldRef": {"fieldPath": path}})


def volume(**source):
    return pod(volumes=[{"name": "x", **source}])


def mount(**fields):
    return pod(
        volumes=[{"name": "x", "emptyDir": {}}],
        volumeMounts=[{"name": "x", "mountPath": "/x", **fields}],
    )


def affinity(kind, term):
    return pod(affinity={kind: {"requiredDuringSchedulingIgnoredDuringExecution": term}})


def nodes(**requirement):
    return affinity("nodeAffinity", {"nodeSelectorTerms": [{"matchExpressions": [requirement]}]})


def node_field(**requirement):
    return affinity("nodeAffinity", {"nodeSelectorTerms": [{"matchFields": [requirement]}]})


def preferred_nodes(**requirement):
    preferred = [{"weight": 1, "preference": {"matchExpressions": [requirement]}}]
    rule = {"preferredDuringSchedulingIgnoredDuringExecution": preferred}
    return pod(affinity={"nodeAffinity": rule})


def pods(**term):
    return affinity("podAntiAffinity", [{"topologyKey": "a", **term}])


def preferred_pods(**term):
    preferred = [{"weight": 1, "podAffinityTerm": {"topologyKey": "a", **term}}]
    return pod(
        affinity={"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    )


def items(*paths):
    return {"secretName": "s", "items": [{"key": "a", "path": path} for path in paths]}


def token(path):
    return {"serviceAccountToken": {"path": path}}


def endpoint(url, **api):
    """Return a spec whose wallet service has this address."""
    return {"api": {"keySecretRef": {"name": "key"}, "endpoints": {"wallet": url}, **api}}


REFUSED = [
    # Names and metadata
    (pod(annotations={f"a/{n}": "é" * 4096 for n in range(32)}), "spec.pod.annotations:"),
    (
        pod(
            serviceAccount={"annotations": {f"a/{n}": "\U0001f600" * 1024 for n in range(16)} | {}}
        ),
        "",
    ),
    (pod(labels={LONG_DOMAIN + "/a": "x"}), "spec.pod.labels."),
    (pod(labels={"a..b/c": "x"}), "spec.pod.labels."),
    (pod(annotations={"a b": "x"}), "spec.pod.annotations."),
    (pod(serviceAccount={"annotations": {"a/b/c": "x"}}), "spec.pod.serviceAccount.annotations."),
    (pod(nodeSelector={"a b": "x"}), "spec.pod.nodeSelector."),
    (pod(nodeSelector={"a": "x-"}), "spec.pod.nodeSelector.a"),
    (pod(priorityClassName="a..b"), "spec.pod.priorityClassName:"),
    (pod(serviceAccountName="a.-b"), "spec.pod.serviceAccountName:"),
    (
        {"image": {"repository": "a", "tag": "1", "pullSecrets": ["a", "a"]}},
        "spec.image.pullSecrets: the Secret 'a' occurs 2 times",
    ),
    ({"api": {"keySecretRef": {"name": "a", "key": ".."}}}, "spec.api.keySecretRef.key:"),
    ({"api": {"keySecretRef": {"name": "a", "key": "."}}}, "spec.api.keySecretRef.key:"),
    ({"api": {"keySecretRef": {"name": "a", "key": "..a"}}}, "spec.api.keySecretRef.key:"),
    # Volumes and mounts
    (volume(), "spec.pod.volumes.0: set exactly one of secret, configMap"),
    (volume(emptyDir={}, secret={"secretName": "a"}), "spec.pod.volumes.0: set exactly one of"),
    (
        pod(volumes=[{"name": "x", "emptyDir": {}}, {"name": "x", "emptyDir": {}}]),
        "spec.pod.volumes: the name 'x' occurs 2 times",
    ),
    (volume(secret=items("../a")), "spec.pod.volumes.0.secret.items.0.path:"),
    (volume(secret=items("a", "a/..")), "spec.pod.volumes.0.secret.items.1.path:"),
    (volume(secret=items("..a")), "spec.pod.volumes.0.secret.items.0.path:"),
    (
        volume(configMap={"name": "c", "items": [{"key": "a", "path": "a/../b"}]}),
        "spec.pod.volumes.0.configMap.items.0.path:",
    ),
    (volume(projected={"sources": [{}]}), "spec.pod.volumes.0.projected.sources.0: set exactly"),
    (
        volume(projected={"sources": [token("../a")]}),
        "spec.pod.volumes.0.projected.sources.0.serviceAccountToken.path:",
    ),
    (
        volume(projected={"sources": [token("a"), token("a")]}),
        "spec.pod.volumes.0.projected.sources: the path 'a' occurs 2 times",
    ),
    (volume(csi={"driver": "x" * 64}), "spec.pod.volumes.0.csi.driver:"),
    (
        volume(persistentVolumeClaim={"claimName": "state-other-0"}),
        "spec.pod.volumes.0.persistentVolumeClaim.readOnly: state-other-0 is the name of a journal",
    ),
    (mount(name="y"), "spec.pod.volumeMounts.0.name: there is no volume y"),
    (mount(name="api-token"), "spec.pod.volumeMounts.0.name: there is no volume api-token"),
    (mount(name="node-agent"), "spec.pod.volumeMounts.0.name: there is no volume node-agent"),
    (mount(name="state"), "spec.pod.volumeMounts.0.readOnly: the volume state belongs"),
    (mount(subPath="../a"), "spec.pod.volumeMounts.0.subPath:"),
    (mount(subPath="a/../../b"), "spec.pod.volumeMounts.0.subPath:"),
    (mount(subPath="/a"), "spec.pod.volumeMounts.0.subPath:"),
    (mount(mountPath="a"), "spec.pod.volumeMounts.0.mountPath:"),
    (mount(mountPath="/a:b"), "spec.pod.volumeMounts.0.mountPath:"),
    (
        pod(
            volumes=[{"name": "x", "emptyDir": {}}],
            volumeMounts=[{"name": "x", "mountPath": "/x"}, {"name": "x", "mountPath": "/x"}],
        ),
        "spec.pod.volumeMounts: the path '/x' occurs 2 times",
    ),
    *(
        (
            sidecar(volumeMounts=[{"name": name, "mountPath": "/journal"}]),
            f"spec.pod.sidecars.0.volumeMounts.0.readOnly: the volume {name} belongs",
        )
        for name in ("state", "tmp", "config", "api-key")
    ),
    (
        sidecar(volumeMounts=[{"name": "state", "mountPath": "/x", "readOnly": False}]),
        "spec.pod.sidecars.0.volumeMounts.0.readOnly:",
    ),
    (
        sidecar(volumeMounts=[{"name": "other", "mountPath": "/x"}]),
        "spec.pod.sidecars.0.volumeMounts.0.name: there is no volume other",
    ),
    ({"storage": {"size": "0"}}, "spec.storage.size: the size must be greater than 0"),
    ({"storage": {"size": "0.0Gi"}}, "spec.storage.size:"),
    ({"storage": {"size": "-1"}}, "spec.storage.size:"),
    # Variables
    (variable(name=".", value="x"), "spec.pod.env.0.name:"),
    (variable(name="..a", value="x"), "spec.pod.env.0.name:"),
    (variable(value="a\0b"), "spec.pod.env.0.value: a NUL character"),
    (
        variable(value="x", valueFrom={"fieldRef": {"fieldPath": "metadata.name"}}),
        "spec.pod.env.0:",
    ),
    (variable(valueFrom={}), "spec.pod.env.0.valueFrom: set exactly one of secretKeyRef"),
    (pod(env=[{"name": "A"}, {"name": "A"}]), "spec.pod.env: the name 'A' occurs 2 times"),
    (pod(envFrom=[{}]), "spec.pod.envFrom.0: set exactly one of secretRef, configMapRef"),
    (pod(envFrom=[{"secretRef": {"name": "a"}, "prefix": ".."}]), "spec.pod.envFrom.0.prefix:"),
    *(
        (field_path(path), "spec.pod.env.0.valueFrom.fieldRef.fieldPath: a variable cannot have")
        for path in (
            *("", "x", "metadata.labels", "metadata.labels[a]", "metadata.labels['a b']"),
            *("status.phase", "spec.containers", "metadata.uid['a']", "Metadata.name"),
            *("metadata.annotations['A.b/c']", f"metadata.labels['{'x' * 64}']"),
        )
    ),
    *(
        (
            variable(valueFrom={"resourceFieldRef": {"resource": name}}),
            "spec.pod.env.0.valueFrom.resourceFieldRef.resource:",
        )
        for name in ("", "cpu", "limits", "limits.pods", "LIMITS.CPU", "limits.hugepages-2Mi")
    ),
    (
        sidecar(env=[{"name": "A", "valueFrom": {}}]),
        "spec.pod.sidecars.0.env.0.valueFrom: set exactly one of",
    ),
    # Containers
    (
        pod(sidecars=[{"name": "a", "image": "x"}, {"name": "a", "image": "y"}]),
        "spec.pod.sidecars: the name 'a' occurs 2 times",
    ),
    (sidecar(image=" a"), "spec.pod.sidecars.0.image:"),
    (sidecar(command=["\0"]), "spec.pod.sidecars.0.command:"),
    (sidecar(args=["a\0"]), "spec.pod.sidecars.0.args:"),
    *(
        (sidecar(ports=[{"name": name, "containerPort": 1}]), "spec.pod.sidecars.0.ports.0.name:")
        for name in ("1", "12", "a--b", "A", "-a", "a-", "x" * 16, "")
    ),
    (
        sidecar(ports=[{"name": "a", "containerPort": n} for n in (1, 2)]),
        "spec.pod.sidecars.0.ports: the name 'a' occurs 2 times",
    ),
    (
        sidecar(ports=[{"name": name, "containerPort": 1} for name in "ab"]),
        "spec.pod.sidecars.0.ports: the port '1/TCP' occurs 2 times",
    ),
    (
        sidecar(ports=[{"name": "a", "containerPort": 8000}]),
        "spec.pod.sidecars.0.ports.0.containerPort: the agent listens on 8000",
    ),
    *(
        (sidecar(**{kind: probe}), f"spec.pod.sidecars.0.{kind}: set exactly one of httpGet")
        for kind in ("startupProbe", "livenessProbe", "readinessProbe")
        for probe in ({}, {"tcpSocket": {"port": 1}, "exec": {"command": ["x"]}})
    ),
    (
        sidecar(livenessProbe={"exec": {"command": ["\0"]}}),
        "spec.pod.sidecars.0.livenessProbe.exec.command:",
    ),
    *(
        (pod(resources={"limits": {name: "1"}}), f"spec.pod.resources.limits.{name}:")
        for name in (
            *(
                "hugepages-2Mi",
                "storage",
                "pods",
                "x",
                "kubernetes.io/x",
                "a.kubernetes.io/x",
                "a/",
            ),
            *("requests.cpu", "requests.example.com/a", "A.com/x", "CPU", "y" * 250 + "/a"),
        )
    ),
    (
        pod(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}}),
        "spec.pod.resources.requests.cpu: the request 2 is larger than the limit 1500m",
    ),
    (
        pod(resources={"requests": {"memory": "1Gi"}, "limits": {"memory": "1G"}}),
        "spec.pod.resources.requests.memory:",
    ),
    (
        pod(resources={"requests": {"example.com/a": "1"}, "limits": {}}),
        "spec.pod.resources.requests.example.com/a: this resource needs a limit",
    ),
    (
        pod(resources={"requests": {"example.com/a": "1"}, "limits": {"example.com/a": "2"}}),
        "spec.pod.resources.requests.example.com/a: this resource needs a limit",
    ),
    (
        pod(resources={"limits": {"example.com/a": "500m"}}),
        "spec.pod.resources.limits.example.com/a: the amount",
    ),
    (
        pod(resources={"limits": {"example.com/a": "999999999999999Ei"}}),
        "spec.pod.resources.limits.example.com/a: the amount",
    ),
    (
        sidecar(resources={"requests": {"cpu": "1"}, "limits": {"cpu": "1m"}}),
        "spec.pod.sidecars.0.resources.requests.cpu:",
    ),
    # Scheduling
    (pod(tolerations=[{"key": "a b", "operator": "Exists"}]), "spec.pod.tolerations.0.key:"),
    (
        pod(tolerations=[{"key": LONG_DOMAIN + "/a", "operator": "Exists"}]),
        "spec.pod.tolerations.0.key:",
    ),
    (pod(tolerations=[{"value": "x"}]), "spec.pod.tolerations.0.key: operator Equal needs a key"),
    (pod(tolerations=[{"key": "a", "value": "x-"}]), "spec.pod.tolerations.0.value:"),
    (
        pod(tolerations=[{"operator": "Exists", "value": "x"}]),
        "spec.pod.tolerations.0.value: operator Exists must not",
    ),
    (
        pod(tolerations=[{"operator": "Exists", "tolerationSeconds": 1}]),
        "spec.pod.tolerations.0.tolerationSeconds:",
    ),
    (
        pod(topologySpreadConstraints=[{"topologyKey": "a"}, {"topologyKey": "a"}]),
        "spec.pod.topologySpreadConstraints: the constraint",
    ),
    (nodes(key="a", operator="In"), "spec.pod.affinity.nodeAffinity."),
    (nodes(key="a", operator="Exists", values=["x"]), "spec.pod.affinity.nodeAffinity."),
    (nodes(key="a", operator="Gt", values=["1", "2"]), "spec.pod.affinity.nodeAffinity."),
    (preferred_nodes(key="a", operator="NotIn"), "spec.pod.affinity.nodeAffinity.preferred"),
    (node_field(key="x", operator="In", values=["a"]), "spec.pod.affinity.nodeAffinity."),
    (node_field(key="metadata.name", operator="Exists"), "spec.pod.affinity.nodeAffinity."),
    (node_field(key="metadata.name", operator="In", values=["a", "b"]), "spec.pod.affinity."),
    (node_field(key="metadata.name", operator="In", values=["A_b"]), "spec.pod.affinity."),
    (
        pods(labelSelector={"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}),
        "spec.pod.affinity.podAntiAffinity.required",
    ),
    (
        preferred_pods(namespaceSelector={"matchExpressions": [{"key": "a", "operator": "In"}]}),
        "spec.pod.affinity.podAffinity.preferred",
    ),
    # Network and checks
    *(
        ({"network": {"egressCidrs": [cidr]}}, "spec.network.egressCidrs.0: ")
        for cidr in (
            *("300.0.0.0/8", "10.0.0.0/33", "::/129", "10.0.0/8", "1:2/64", ":::/0", "010.0.0.0/8"),
            *("::ffff:10.0.0.0/104", "10.0.0.0", "example.com/8", "fe80::1%eth0/64"),
        )
    ),
    # Plain HTTP outside the cluster
    *(
        (endpoint(f"http://{host}"), "spec.api.endpoints.wallet: http://")
        for host in (
            *("wallet.purpleflea.com", "example.com:8080", "example.com./path", "8.8.8.8"),
            *("10.0.0.7", "192.168.1.1:80", "172.16.0.1", "[fd00::1]", "[2001:db8::1]:80"),
            # Other notations of addresses.
            *("2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::ffff:127.0.0.1]"),
            # Names that only look like names of the cluster.
            *("a.svc.example.com", "svc.cluster.local.example.com", "a.svcx"),
            *("a.b.svc.cluster.locale", "wallet.namespace", "cluster.local", "a..svc", ".svc"),
            *("a\uff0esvc.evil", "ex\u00e4mple"),
        )
    ),
    ({"network": {"egressCidrs": ["10.0.0.0/8", "1/1"]}}, "spec.network.egressCidrs.1: "),
    ({"network": {"ingressNamespaces": ["a.b"]}}, "spec.network.ingressNamespaces.0:"),
    (
        {"datadog": {"openMetrics": {"metrics": [".+", "a("]}}},
        "spec.datadog.openMetrics.metrics.1: the regular expression is invalid",
    ),
]


@pytest.mark.parametrize(("changes", "expected"), REFUSED, ids=lambda item: str(item)[:60])
def test_a_value_that_would_be_refused_later_is_refused_with_the_field(changes, expected):
    assert error(**changes).startswith(expected)


@pytest.mark.parametrize("name", ["x" * 53, "x" * 63, "a.b"])
def test_a_name_that_pods_cannot_have_is_refused(name):
    assert error(name).startswith("metadata.name: the name")


@pytest.mark.parametrize(
    "changes",
    [
        *(
            endpoint(f"http://{host}")
            for host in (
                *("wallet", "wallet-1:8080", "Wallet/base/path", "localhost:8000", "127.0.0.1"),
                *("127.8.9.10:80", "[::1]", "[::1]:8080/x", "a.b.svc", "a.b.svc:80", "a.b.svc."),
                *("exchange.exchange.svc.cluster.local", "a.b.c.svc.cluster.local./x"),
            )
        ),
        endpoint("https://wallet.purpleflea.com"),
        endpoint("https://10.0.0.7"),
        endpoint("http://10.0.0.7", allowInsecureEndpoints=True),
        {"network": {"egressCidrs": ["10.0.0.1/8", "fe80::1/64", "10.0.0.0/08", "::1.2.3.4/128"]}},
        pod(resources={"requests": {"cpu": 1}, "limits": {"cpu": "1000m"}}),
        pod(resources={"limits": {"nvidia.com/gpu": "1"}, "requests": {"nvidia.com/gpu": "1"}}),
        pod(resources={"limits": {}, "requests": {}}),
        {"storage": {"size": "1Pi"}},
        {"storage": {"size": "1Ei"}},
        mount(subPath="a/b..c", readOnly=True),
        pod(volumeMounts=[{"name": "state", "mountPath": "/x", "readOnly": True}]),
        sidecar(volumeMounts=[{"name": "config", "mountPath": "/x", "readOnly": True}]),
        {
            **sidecar(volumeMounts=[{"name": "api-token", "mountPath": "/x", "readOnly": True}]),
            "api": {"keySecretRef": {"name": "a", "key": ".a"}, "tokenSecretRef": "b"},
        },
        volume(persistentVolumeClaim={"claimName": "state-other-0", "readOnly": True}),
        volume(persistentVolumeClaim={"claimName": "state-other"}),
        volume(projected={"sources": [token("a"), {"secret": {"name": "s"}}]}),
        volume(secret={"secretName": "s"}),
        volume(csi={"driver": "x"}),
        # The operator ignores this mount, so its volume need not exist.
        pod(volumeMounts=[{"name": "y", "mountPath": "/tmp/x"}]),
        field_path("metadata.labels['a.b/C']"),
        variable(value="x"),
        sidecar(env=[{"name": "A", "value": "x"}]),
        field_path("status.hostIPs"),
        variable(valueFrom={"resourceFieldRef": {"resource": "limits.memory"}}),
        variable(valueFrom={"secretKeyRef": {"name": "a", "key": "b"}}),
        pod(envFrom=[{"configMapRef": {"name": "a"}, "prefix": "A_"}]),
        sidecar(
            ports=[{"name": n, "containerPort": 53, "protocol": n.upper()} for n in ("tcp", "udp")]
        ),
        sidecar(ports=[{"name": "udp", "containerPort": 8000, "protocol": "UDP"}]),
        sidecar(
            readinessProbe={"httpGet": {"port": 1}}, livenessProbe={"exec": {"command": ["x"]}}
        ),
        pod(tolerations=[{"key": "a/b", "value": "x"}, {"operator": "Exists"}]),
        pod(tolerations=[{"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1}]),
        nodes(key="a", operator="Gt", values=["1"]),
        nodes(key="a", operator="DoesNotExist"),
        node_field(key="metadata.name", operator="NotIn", values=["node-1.example.com"]),
        pods(labelSelector={"matchLabels": {"a": ""}}, namespaceSelector={}),
        pod(affinity={"nodeAffinity": {}, "podAffinity": {}, "podAntiAffinity": {}}),
    ],
    ids=lambda item: str(item)[:70],
)
def test_a_valid_value_is_accepted(changes):
    assert error(**changes) == ""
