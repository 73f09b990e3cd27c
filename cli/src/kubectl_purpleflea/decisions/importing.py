"""A Deployment of an agent as a PurpleFleaAgent, and a report of every field of it. Pure.

Nothing is dropped silently: each field of the pod is carried over, replaced by a field of the spec or by the operator,
or reported as not carried over. Values of keys never reach the output.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubectl_purpleflea.decisions.import_draft import Change, Choices, Draft, Fate
from kubectl_purpleflea.decisions.import_variables import (
    IN_PLAIN_TEXT,
    convert_variables,
    is_plain_secret,
)
from kubectl_purpleflea.decisions.objects import Manifest, at, items, mapping, name_of, text
from purpleflea_contract import environment as env
from purpleflea_contract import kubernetes

KINDS = ("Deployment", "StatefulSet", "ReplicaSet")
_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL)", re.IGNORECASE)
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,43}[a-z0-9])?")
_COPIED = (
    "nodeSelector",
    "tolerations",
    "affinity",
    "topologySpreadConstraints",
    "priorityClassName",
    "serviceAccountName",
)
_VOLUMES = ("secret", "configMap", "emptyDir", "persistentVolumeClaim", "projected", "csi")
_SIDECAR = (
    *(
        "name",
        "image",
        "imagePullPolicy",
        "command",
        "args",
        "env",
        "envFrom",
        "ports",
        "resources",
    ),
    *("volumeMounts", "securityContext", "startupProbe", "livenessProbe", "readinessProbe"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """The agent and the report."""

    agent: dict[str, Any]
    report: tuple[Change, ...]

    @property
    def is_complete(self) -> bool:
        """Whether the manifest can be applied as it is."""
        return not any(item.fate is Fate.REQUIRED for item in self.report)


class NotImportableError(ValueError):
    """The manifest has no pod that can become an agent."""


def workload_in(document: Manifest) -> Manifest | None:
    """Return the workload of a document; None if it has none.

    A pod, or a part of a manifest with `metadata` and `spec.containers` as on the published page, is the template of a
    Deployment without a name.
    """
    kind = text(document.get("kind"))
    if kind in KINDS:
        return document
    if kind in ("", "Pod") and items(at(document, "spec", "containers")):
        name = {key: at(document, "metadata", key) for key in ("name", "namespace")}
        metadata = {key: value for key, value in name.items() if text(value)}
        return {"kind": "Deployment", "metadata": metadata, "spec": {"template": document}}
    return None


def imported(workload: Manifest, choices: Choices) -> Imported:
    """Return the agent for a Deployment.

    Raises:
        NotImportableError: The manifest has no container.
    """
    draft = Draft()
    template = mapping(at(workload, "spec", "template"))
    pod = mapping(template.get("spec"))
    containers = items(pod.get("containers"))
    if text(workload.get("kind")) not in KINDS or not containers:
        kind = text(workload.get("kind")) or "the document"
        raise NotImportableError(f"{kind} is not a Deployment with a container")
    main = next(
        (item for item in containers if item.get("name") == kubernetes.CONTAINER), containers[0]
    )
    convert_variables(draft, main, choices)
    _container(draft, main)
    _pod(draft, pod)
    _others(draft, pod, [item for item in containers if item is not main])
    _metadata(draft, template)
    _workload(draft, workload)
    name = name_of(workload)
    if not name:
        name = name_of({"metadata": main}) or kubernetes.CONTAINER
        draft.note(Fate.CHANGED, "name", f"{name}, from the container; the file has no other name")
    if not _NAME.fullmatch(name):
        short = (
            re.sub(r"[^-a-z0-9]", "-", name.lower()).strip("-0123456789")[:45].rstrip("-")
            or "agent"
        )
        draft.note(
            Fate.CHANGED, f"name {name}", f"{short}, because agents are named <name>-<ordinal>"
        )
        name = short
    return Imported(agent=_agent(name, workload, draft), report=tuple(draft.report))


def _agent(name: str, workload: Manifest, draft: Draft) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    namespace = text(at(workload, "metadata", "namespace"))
    if namespace:
        metadata["namespace"] = namespace
    groups = {"datadog": draft.datadog, "pod": draft.pod}
    spec = draft.spec | {key: value for key, value in groups.items() if value}
    first = ("strategy", "replicas", "markets", "image", "api")
    ordered = {key: spec[key] for key in first if key in spec}
    return {
        "apiVersion": kubernetes.API_VERSION,
        "kind": "PurpleFleaAgent",
        "metadata": metadata,
        "spec": ordered | {key: value for key, value in spec.items() if key not in ordered},
    }


def _container(draft: Draft, container: Mapping[str, Any]) -> None:
    _image(draft, container)
    if container.get("resources"):
        draft.pod["resources"] = container["resources"]
        draft.note(Fate.KEPT, "resources", "spec.pod.resources")
    if container.get("volumeMounts"):
        draft.pod["volumeMounts"] = container["volumeMounts"]
        draft.note(Fate.KEPT, "volumeMounts", "spec.pod.volumeMounts")
    for name in ("startupProbe", "livenessProbe", "readinessProbe", "ports"):
        if container.get(name):
            why = f"the operator checks /healthz and /readyz on port {env.HTTP_PORT}; the image must serve them"
            draft.note(Fate.DROPPED, name, why)
    if container.get("securityContext"):
        draft.note(
            Fate.DROPPED, "securityContext", "the operator sets that of Pod Security restricted"
        )
    for name in ("command", "args"):
        if container.get(name):
            why = "the image must start the agent by itself; build it as docs/bring-your-own-agent.md describes"
            draft.note(Fate.LOST, name, why)
    known = {
        *(
            "name",
            "env",
            "envFrom",
            "image",
            "imagePullPolicy",
            "resources",
            "volumeMounts",
            "ports",
        ),
        *("startupProbe", "livenessProbe", "readinessProbe", "securityContext", "command", "args"),
    }
    _rest(draft, "container", container, known)


def _image(draft: Draft, container: Mapping[str, Any]) -> None:
    reference = text(container.get("image"))
    if not reference:
        note = "the file has no image, so the agents run the operator's image with spec.strategy"
        draft.note(Fate.CHANGED, "image", note)
        return
    repository, _, digest = reference.partition("@")
    path, _, last = repository.rpartition("/")
    name, _, tag = last.partition(":")
    image: dict[str, Any] = {"repository": f"{path}/{name}" if path else name}
    if digest:
        image["digest"] = digest
    else:
        image["tag"] = tag or "latest"
    if container.get("imagePullPolicy"):
        image["pullPolicy"] = container["imagePullPolicy"]
    draft.spec["image"] = image
    note = "spec.image; the image must serve the paths of docs/bring-your-own-agent.md"
    if not digest and image["tag"] == "latest":
        note += "; pin a tag or a digest, so that a restart does not change the program"
    draft.note(Fate.CHANGED, f"image {reference}", note)


def _pod(draft: Draft, pod: Mapping[str, Any]) -> None:
    for name in _COPIED:
        if pod.get(name):
            draft.pod[name] = pod[name]
            draft.note(Fate.KEPT, name, f"spec.pod.{name}")
    if "terminationGracePeriodSeconds" in pod:
        draft.pod["terminationGracePeriodSeconds"] = pod["terminationGracePeriodSeconds"]
        draft.note(Fate.KEPT, "terminationGracePeriodSeconds", "spec.pod, the time to drain")
    secrets = [text(item.get("name")) for item in items(pod.get("imagePullSecrets"))]
    if secrets and "image" not in draft.spec:
        why = "spec.image is not set; the chart value agent.image.pullSecrets is for the default image"
        draft.note(Fate.LOST, "imagePullSecrets", why)
    elif secrets:
        draft.spec["image"]["pullSecrets"] = secrets
        draft.note(Fate.KEPT, "imagePullSecrets", "spec.image.pullSecrets")
    if pod.get("securityContext"):
        draft.note(
            Fate.DROPPED, "pod securityContext", "the operator sets that of Pod Security restricted"
        )
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(name):
            draft.note(Fate.LOST, name, "Pod Security restricted forbids it")
    for name in (
        "restartPolicy",
        "dnsPolicy",
        "schedulerName",
        "serviceAccount",
        "enableServiceLinks",
    ):
        if name in pod:
            draft.note(Fate.DROPPED, name, "the operator sets it")
    known = {
        *(
            *_COPIED,
            "terminationGracePeriodSeconds",
            "imagePullSecrets",
            "securityContext",
            "volumes",
        ),
        *("hostNetwork", "hostPID", "hostIPC", "containers", "initContainers", "restartPolicy"),
        *("dnsPolicy", "schedulerName", "serviceAccount", "enableServiceLinks"),
    }
    _rest(draft, "pod", pod, known)


def _others(draft: Draft, pod: Mapping[str, Any], sidecars: Sequence[Mapping[str, Any]]) -> None:
    volumes = []
    for item in items(pod.get("volumes")):
        if any(kind in item for kind in _VOLUMES):
            volumes.append(dict(item))
            draft.note(Fate.KEPT, f"volume {text(item.get('name'))}", "spec.pod.volumes")
            if "persistentVolumeClaim" in item:
                why = "all identities share this claim; each journal is in its own volume, see spec.storage"
                draft.note(Fate.CHANGED, f"volume {text(item.get('name'))}", why)
        else:
            kinds = ", ".join(key for key in item if key != "name")
            why = f"{kinds} is not allowed; sockets of the node agent are mounted by spec.datadog.connection"
            draft.note(Fate.LOST, f"volume {text(item.get('name'))}", why)
    if volumes:
        draft.pod["volumes"] = volumes
    kept_names = {text(item.get("name")) for item in volumes}
    mounts = [dict(m) for m in items(draft.pod.get("volumeMounts")) if m.get("name") in kept_names]
    if "volumeMounts" in draft.pod:
        draft.pod["volumeMounts"] = mounts
        if not mounts:
            del draft.pod["volumeMounts"]
    if sidecars:
        draft.pod["sidecars"] = [_sidecar(draft, item) for item in sidecars]
    for item in items(pod.get("initContainers")):
        why = "init containers are not supported; do the work in the image or in a sidecar"
        draft.note(Fate.LOST, f"init container {text(item.get('name'))}", why)


def _sidecar(draft: Draft, container: Mapping[str, Any]) -> dict[str, Any]:
    name = f"container {text(container.get('name'))}"
    draft.note(Fate.KEPT, name, "spec.pod.sidecars")
    _rest(draft, name, container, set(_SIDECAR))
    found = {key: container[key] for key in _SIDECAR if key in container}
    secrets = [item for item in items(container.get("env")) if is_plain_secret(item)]
    for item in secrets:
        draft.note(Fate.LOST, f"{name}: env {text(item.get('name'))}", IN_PLAIN_TEXT)
    if secrets:
        found["env"] = [item for item in items(container.get("env")) if item not in secrets]
    return found


def _metadata(draft: Draft, template: Manifest) -> None:
    for group in ("annotations", "labels"):
        kept = {}
        for key, value in mapping(at(template, "metadata", group)).items():
            if key.startswith("ad.datadoghq.com/"):
                if "purpleflea_agent" in text(value):
                    draft.datadog["check"] = {"enabled": True}
                    draft.note(Fate.CHANGED, f"annotation {key}", "spec.datadog.check.enabled")
                else:
                    why = "the operator sets the annotations of Autodiscovery; see spec.datadog"
                    draft.note(Fate.DROPPED, f"annotation {key}", why)
            elif key.startswith(("admission.datadoghq.com/", "tags.datadoghq.com/")):
                why = "the operator injects the connection and the tags itself"
                draft.note(Fate.DROPPED, f"{group[:-1]} {key}", why)
            elif key.startswith(
                ("app.kubernetes.io/", f"{kubernetes.GROUP}/", "kubectl.kubernetes.io/")
            ):
                draft.note(Fate.DROPPED, f"{group[:-1]} {key}", "reserved")
            else:
                kept[key] = value
                draft.note(Fate.KEPT, f"{group[:-1]} {key}", f"spec.pod.{group}")
        if kept:
            draft.pod[group] = kept


def _workload(draft: Draft, workload: Manifest) -> None:
    replicas = at(workload, "spec", "replicas")
    draft.spec["replicas"] = replicas if isinstance(replicas, int) else 1
    draft.note(
        Fate.CHANGED,
        f"replicas {draft.spec['replicas']}",
        "spec.replicas: identities with stable names, each with its own journal; a Deployment may run two copies of an "
        "identity during a rollout or after a lost node, the operator never does",
    )
    if at(workload, "spec", "strategy"):
        draft.note(
            Fate.DROPPED,
            "strategy",
            "the operator replaces one identity at a time, after its former copy ended",
        )
    for name in ("volumeClaimTemplates",):
        if at(workload, "spec", name):
            draft.note(
                Fate.LOST,
                name,
                "the journal has a volume by spec.storage; copy other data yourself",
            )
    draft.note(
        Fate.CHANGED,
        "switch",
        "scale the Deployment to 0 and wait until its pods have ended before you apply the agent, because both would "
        "trade with the same account",
    )


def _rest(draft: Draft, where: str, found: Mapping[str, Any], known: set[str]) -> None:
    for key in found:
        if key not in known:
            draft.note(Fate.LOST, f"{where}.{key}", "there is no such field in spec.pod")
