"""Random specs near the limits of the fields: most values are valid, and some are what a user may write by mistake.

The specs are a function of the seed. Each has a few random fields, so that a single invalid value does not hide the
others.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from support.builders import a_spec

Spec = dict[str, Any]

# In each table, the values of the first half are usually valid.
NAMES = (
    *("a", "app", "a-b", "x" * 63, "0", "1a", "a--b", "123", "c", "d", "state", "b"),
    *(
        "a.b",
        "a..b",
        "a.-b",
        "-a",
        "a-",
        "A",
        "a_b",
        "",
        "x" * 64,
        "kube-root-ca.crt",
        "node-agent",
        "http",
    ),
)
TEXTS = (
    *("a", "A.b_c", "x" * 63, "null", "true", "0", "a-b", "1.0", "b", "z--z", "a..b", "1"),
    *(
        "",
        "-a",
        "a-",
        "a b",
        "é",
        "a/b",
        "a:b",
        "x" * 64,
        "a\n",
        "'",
        "$(A)",
        "a=b",
        "..",
        "../a",
        ".",
        "/a",
    ),
)
KEYS = (
    *("a", "a/b", "a.b/c", "x" * 63, "kubernetes.io/os", "acme.io/Owner_1.2", "A", "b"),
    *(
        "example.com/" + "x" * 63,
        "node-role.kubernetes.io/x",
        "y" * 253 + "/a",
        "0/0",
        "c",
        "d",
        "a-b/c_d",
    ),
    *("A/b", "a..b/c", "-a", "a-", "a/b/c", "/a", "a/", "x" * 64, "é", "a b", ".a/b", "a_b/c"),
    *(".".join(["y" * 63] * 4) + "/a", "y" * 254 + "/a"),
)
QUANTITIES = (
    *(
        "1",
        "500m",
        "1.5",
        "0.1",
        "0.0001",
        "0.000001",
        "1Gi",
        "1.5Gi",
        "1k",
        "1E",
        "1Ei",
        "1P",
        "1Pi",
        "0",
    ),
    *(
        "999999999999999Ti",
        "100000000000000E",
        "8E",
        "7Ei",
        "9E",
        "1m",
        "2",
        "3",
        "64Mi",
        "0.5m",
        "128974848",
    ),
    *("999999999999999Ei", "-1", "1e3", "1 Gi", "", "1ki"),
)
RESOURCES = (
    *("cpu", "memory", "ephemeral-storage", "nvidia.com/gpu", "example.com/a", "cpu", "memory"),
    *("hugepages-2Mi", "storage", "pods", "kubernetes.io/x", "x", "requests.cpu", "limits.cpu"),
    *(
        "a.kubernetes.io/x",
        "attachable-volumes-aws-ebs",
        "requests.example.com/a",
        "requests./a",
        "/a",
    ),
    *(
        "a/",
        "A.com/x",
        "batch.cpu",
        "CPU",
        "example.com/" + "x" * 63,
        "hugepages-",
        "y" * 240 + ".io/a",
    ),
)
PATHS = (
    *(
        "/a",
        "/a/b",
        "/c",
        "/d",
        "/a b",
        "/$(A)",
        "/" + "x" * 511,
        "/é",
        "/a/",
        "/e.f/..g",
        "/a//b",
        "/h",
    ),
    *(
        "/",
        "/a/../b",
        "//a",
        "a",
        "/a:b",
        "/tmp",
        "/etc/purpleflea",
        "/proc/x",
        "/run/datadog/x",
        "/a\n",
    ),
    "/dev/termination-log",
)
RELATIVE = (
    *("a", "a/b", "a..b", "./a", "a//b", "a..", "b"),
    *("..", "../a", "a/..", "a/../b", "..a", ".", "/a", "", "..data"),
)
FIELD_PATHS = (
    *("metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "status.podIP"),
    *("spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIPs"),
    *(
        "metadata.labels['a']",
        "metadata.labels['a/b']",
        "metadata.annotations['a.b/C']",
        "metadata.labels['A']",
    ),
    *(
        "metadata.labels['A b']",
        "metadata.labels['']",
        "metadata.annotations['A.b/C']",
        "metadata.labels",
    ),
    *(
        "spec.containers",
        "status.phase",
        "metadata.labels[a]",
        "metadata.labels['a",
        "metadata.annotations",
    ),
    *("metadata.uid['a']", "Metadata.name", "metadata.labels['x']'y']", "x", ""),
    *("metadata.labels['" + "x" * 64 + "']", "metadata.labels['" + "y" * 254 + "/a']"),
)
RESOURCE_FIELDS = (
    *(
        "limits.cpu",
        "limits.memory",
        "requests.cpu",
        "requests.ephemeral-storage",
        "requests.memory",
    ),
    *(
        "limits",
        "cpu",
        "limits.hugepages-2Mi",
        "limits.nvidia.com/gpu",
        "requests.storage",
        "LIMITS.CPU",
        "",
    ),
)
CIDRS = (
    *("10.0.0.0/8", "10.0.0.1/8", "0.0.0.0/0", "::/0", "2001:db8::/32", "1.2.3.4/0", "10.0.0.0/08"),
    *("::1.2.3.4/128", "fe80::1/64", "0:0:0:0:0:0:0:0/0", "10.0.0.0/032", "::ffff:10.0.0.0/104"),
    *("300.0.0.0/8", "10.0.0.0/33", "::/129", "10.0.0/8", "1:2/64", "010.0.0.0/8", ":::/0"),
)
PORT_NAMES = (
    "http",
    "a",
    "1a",
    "a-b",
    "a" * 15,
    "0a0",
    "1",
    "12",
    "a--b",
    "a" * 16,
    "A",
    "-a",
    "a-",
    "",
    "0-0",
)
VARIABLES = (
    *("A", "a.b", ".a", "-", "A-B", "_", "PATH", "B", "C", "LD_PRELOAD"),
    *(".", "..", "..a", "...", "1A", "A B", "A=B", "é", ""),
)


class Generator:
    """Builds specs from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - a reproducible test

    def name(self) -> Any:
        """Return the name of an agent."""
        return self._one(("a", "momentum", "a-b", "x" * 52, "x" * 53, "a.b", "0", "1-2", "x" * 63))

    def spec(self) -> Spec:
        """Return a spec with one to four random groups of fields."""
        spec = a_spec()
        for group in self._random.sample(self._groups(), self._random.randint(1, 4)):
            for path, value in group().items():
                target = spec
                *parents, last = path.split(".")
                for key in parents:
                    target = target.setdefault(key, {})
                target[last] = value
        return spec

    def _groups(self) -> Sequence[Callable[[], Spec]]:
        return (
            *(self._metadata, self._placement, self._affinity, self._variables, self._volumes),
            *(
                self._sidecars,
                self._resources,
                self._network,
                self._image,
                self._datadog,
                self._rest,
            ),
        )

    def _one(self, values: Sequence[Any]) -> Any:
        # The first half is mostly valid, so that most specs are.
        half = max(1, len(values) // 2)
        return self._random.choice(values[:half] if self._random.random() < 0.93 else values)

    def _some(self, build: Callable[[], Any], most: int = 3) -> list[Any]:
        return [build() for _ in range(self._random.randint(0, most))]

    def _maybe(self, **values: Any) -> Spec:
        return {key: value for key, value in values.items() if self._random.random() < 0.5}

    def _pairs(self, most: int = 3) -> dict[str, str]:
        return {self._one(KEYS): self._one(TEXTS) for _ in range(self._random.randint(0, most))}

    def _metadata(self) -> Spec:
        long = "é" * self._random.choice((1, 1000, 4096))
        return {
            "pod.labels": self._pairs(),
            "pod.annotations": {**self._pairs(), f"a/{len(long)}": long},
            "pod.serviceAccount": {"annotations": self._pairs()},
        }

    def _placement(self) -> Spec:
        return {
            "pod.nodeSelector": self._pairs(),
            "pod.tolerations": self._some(self._toleration),
            "pod.topologySpreadConstraints": self._some(
                lambda: {
                    "topologyKey": self._one(KEYS),
                    **self._maybe(
                        whenUnsatisfiable=self._one(("DoNotSchedule", "ScheduleAnyway")),
                        maxSkew=self._one((1, 1000, 0, 1001)),
                    ),
                }
            ),
        }

    def _toleration(self) -> Spec:
        return self._maybe(
            key=self._one(KEYS),
            operator=self._one(("Equal", "Exists", "Exists", "Gt")),
            value=self._one(TEXTS),
            effect=self._one(("NoExecute", "NoSchedule", "PreferNoSchedule", "x")),
            tolerationSeconds=self._one((0, 1, 86400, -1)),
        )

    def _requirement(self) -> Spec:
        operators = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt", "x")
        return {
            "key": self._one((*KEYS, "metadata.name")),
            "operator": self._random.choice(operators),
            **self._maybe(values=self._some(lambda: self._one(("1", *TEXTS)), 2)),
        }

    def _selector(self) -> Spec:
        return self._maybe(
            matchLabels=self._pairs(2), matchExpressions=self._some(self._requirement, 2)
        )

    def _node_term(self) -> Spec:
        fields = {
            "key": self._one(("metadata.name", "metadata.name", "spec.unschedulable", "x")),
            "operator": self._one(("In", "In", "NotIn", "Exists")),
            "values": self._one((["node-1"], ["node-1"], ["a", "b"], [], ["A_b"], [""])),
        }
        return self._maybe(matchExpressions=self._some(self._requirement, 2), matchFields=[fields])

    def _pod_term(self) -> Spec:
        return {
            "topologyKey": self._one(KEYS),
            **self._maybe(
                labelSelector=self._selector(),
                namespaceSelector=self._selector(),
                namespaces=self._some(lambda: self._one(NAMES), 2),
            ),
        }

    def _affinity(self) -> Spec:
        required = "requiredDuringSchedulingIgnoredDuringExecution"
        preferred = "preferredDuringSchedulingIgnoredDuringExecution"
        weight = self._one((1, 100, 0, 101))
        pods = self._maybe(
            **{
                required: self._some(self._pod_term, 2),
                preferred: [{"weight": weight, "podAffinityTerm": self._pod_term()}],
            }
        )
        nodes = self._maybe(
            **{
                required: {"nodeSelectorTerms": [self._node_term()]},
                preferred: [{"weight": weight, "preference": self._node_term()}],
            }
        )
        which = self._one(("nodeAffinity", "podAffinity", "podAntiAffinity"))
        return {"pod.affinity": {which: nodes if which == "nodeAffinity" else pods}}

    def _variable(self) -> Spec:
        key = {"name": self._one(NAMES), "key": self._one((*RELATIVE, *TEXTS))}
        sources: Sequence[Spec] = (
            {"value": self._one((*TEXTS, "a\0b"))},
            {"valueFrom": {"fieldRef": {"fieldPath": self._one(FIELD_PATHS)}}},
            {"valueFrom": {"resourceFieldRef": {"resource": self._one(RESOURCE_FIELDS)}}},
            {"valueFrom": {"secretKeyRef": key}},
            {"valueFrom": {"configMapKeyRef": key}},
            {"valueFrom": {}},
            {},
            {"value": "a", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        )
        return {"name": self._one(VARIABLES), **self._random.choice(sources)}

    def _source_of_variables(self) -> Spec:
        return self._maybe(
            prefix=self._one(VARIABLES),
            secretRef={"name": self._one(NAMES)},
            configMapRef={"name": self._one(NAMES), "optional": True},
        )

    def _variables(self) -> Spec:
        return {
            "pod.env": self._some(self._variable),
            "pod.envFrom": self._some(self._source_of_variables, 2),
        }

    def _items(self) -> list[Spec]:
        return self._some(
            lambda: {
                "key": self._one((*RELATIVE, *TEXTS)),
                "path": self._one(RELATIVE),
                **self._maybe(mode=self._one((0, 256, 511, 512))),
            },
            2,
        )

    def _volume(self) -> Spec:
        token = self._maybe(
            audience=self._one(TEXTS), expirationSeconds=self._one((600, 86400, 599))
        )
        sources = self._some(
            lambda: self._random.choice(
                (
                    {"serviceAccountToken": {"path": self._one(RELATIVE), **token}},
                    {"secret": {"name": self._one(NAMES)}},
                    {"configMap": {"name": self._one(NAMES), "optional": True}},
                    {},
                )
            )
        )
        kinds: Sequence[Spec] = (
            {"secret": {"secretName": self._one(NAMES), **self._maybe(items=self._items())}},
            {"configMap": {"name": self._one(NAMES), **self._maybe(items=self._items())}},
            {"emptyDir": self._maybe(sizeLimit=self._one(QUANTITIES), medium="Memory")},
            {"persistentVolumeClaim": {"claimName": self._one((*NAMES, "state-a-0"))}},
            {"projected": {"sources": sources, **self._maybe(defaultMode=self._one((0, 511)))}},
            {"csi": {"driver": self._one(NAMES), **self._maybe(volumeAttributes=self._pairs())}},
            {},
            {"emptyDir": {}, "secret": {"secretName": "a"}},
        )
        return {"name": self._one(("a", "b", "c", *NAMES)), **self._random.choice(kinds)}

    def _mount(self) -> Spec:
        return {
            "name": self._one(("a", "b", "c", "app", "state", *NAMES)),
            "mountPath": self._one(PATHS),
            **self._maybe(subPath=self._one(RELATIVE), readOnly=True),
        }

    def _volumes(self) -> Spec:
        return {
            "pod.volumes": [{"name": "a", "emptyDir": {}}, *self._some(self._volume)],
            "pod.volumeMounts": self._some(self._mount, 2),
            **self._maybe(
                storage=self._maybe(
                    size=self._one(QUANTITIES),
                    storageClassName=self._one(NAMES),
                    whenDeleted="Delete",
                )
            ),
        }

    def _probe(self) -> Spec:
        port = self._one((1, 8080, 65535, 0, 65536))
        return {
            **self._random.choice(
                (
                    {"httpGet": {"path": self._one(PATHS), "port": port}},
                    {"tcpSocket": {"port": port}},
                    {"exec": {"command": self._some(lambda: self._one(TEXTS))}},
                    {},
                    {"tcpSocket": {"port": port}, "exec": {"command": ["x"]}},
                )
            ),
            **self._maybe(periodSeconds=self._one((1, 3600, 0)), initialDelaySeconds=1),
        }

    def _sidecar(self) -> Spec:
        port = {
            "name": self._one(PORT_NAMES),
            "containerPort": self._one((1, 7000, 7001, 8000, 65535, 0)),
            **self._maybe(protocol=self._one(("TCP", "UDP", "SCTP"))),
        }
        return {
            "name": self._one(NAMES),
            "image": self._one(("a", "a:1", "a b", " a", "a ", "a@b", "A:é", "")),
            **self._maybe(
                command=self._some(lambda: self._one(TEXTS)),
                args=self._some(lambda: self._one((*TEXTS, "\0"))),
                env=self._some(self._variable),
                envFrom=self._some(self._source_of_variables, 1),
                ports=[port, *self._some(lambda: {**port, "name": self._one(PORT_NAMES)}, 1)],
                volumeMounts=self._some(self._mount, 2),
                startupProbe=self._probe(),
                livenessProbe=self._probe(),
                readinessProbe=self._probe(),
                resources=self._amounts(),
                securityContext=self._maybe(runAsUser=1, readOnlyRootFilesystem=False),
            ),
        }

    def _sidecars(self) -> Spec:
        return {"pod.sidecars": [self._sidecar(), *self._some(self._sidecar, 1)]}

    def _amounts(self) -> Spec:
        amount = self._one(QUANTITIES)
        name = self._one(RESOURCES)
        return self._maybe(
            requests={name: amount, self._one(RESOURCES): self._one(QUANTITIES)},
            limits={name: self._one((amount, *QUANTITIES))},
        )

    def _resources(self) -> Spec:
        return {"pod.resources": self._amounts()}

    def _network(self) -> Spec:
        return {
            "network.egressCidrs": self._some(lambda: self._one(CIDRS)),
            "network.egressPorts": self._some(lambda: self._one((1, 443, 65535, 0))),
            "network.ingressNamespaces": self._some(lambda: self._one((*NAMES, "*"))),
        }

    def _image(self) -> Spec:
        return {
            "image": {
                "repository": self._one(
                    ("a", "a/b", "localhost:5000/a", "a//b", "a:b", "A", "a-", "a" * 253)
                ),
                **self._random.choice(
                    (
                        {"tag": self._one(("1", "a-", "_", "x" * 128, "1.0.", "__", "-a", "a b"))},
                        {"digest": "sha256:" + "0" * 64},
                    )
                ),
                **self._maybe(pullSecrets=self._some(lambda: self._one(NAMES))),
            }
        }

    def _datadog(self) -> Spec:
        tags = {self._one((*KEYS, "Env", "env_")): self._one(TEXTS) for _ in range(2)}
        return {
            "datadog.tags": tags,
            "datadog.env": self._one(("a", "a-b", "A_b", "x" * 63, "a-", "")),
            "datadog.check": {"enabled": self._random.random() < 0.5},
            "datadog.whenMissing": self._one(("Warn", "Hold")),
            "datadog.openMetrics": {
                "enabled": True,
                "metrics": [self._one((".+", "a(", "[", "a"))],
            },
        }

    def _rest(self) -> Spec:
        return {
            "strategy": self._one(("momentum", "a_", "a-b_c", "x" * 63, "a-", "A")),
            "replicas": self._one((0, 1, 2, 1000, 1001)),
            "api.keySecretRef": {"name": self._one(NAMES), "key": self._one((*RELATIVE, *TEXTS))},
            "api.tokenSecretRef": self._one(NAMES),
            "pod.securityContext": self._maybe(
                runAsUser=self._one((1, 2147483647, 0)), fsGroup=1, supplementalGroups=[1, 1]
            ),
            "pod.priorityClassName": self._one(NAMES),
            "pod.serviceAccountName": self._one(NAMES),
            "pod.terminationGracePeriodSeconds": self._one((5, 3600, 4)),
        }
