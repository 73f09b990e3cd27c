"""Remedies with the exact command, for problems whose message shows more than the reason. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kubectl_purpleflea.decisions.fleet import Problem
from kubectl_purpleflea.decisions.objects import Manifest, at, name_of, namespace_of, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A problem that a reason and a part of the message identify."""

    reasons: tuple[str, ...]
    pattern: str
    remedy: Callable[[Manifest, Mapping[str, str]], str]
    """Returns the remedy from the agent and the groups of the pattern."""


def special_remedy(agent: Manifest, problem: Problem) -> str:
    """Return the remedy of a known problem; empty if it is not known."""
    for item in _KNOWN:
        match = re.search(item.pattern, problem.message, re.IGNORECASE)
        if problem.reason in item.reasons and match:
            return item.remedy(agent, match.groupdict())
    return ""


def _key_reference(agent: Manifest) -> tuple[str, str]:
    """Return the Secret with the key of the exchange, and its key."""
    name, key = (text(at(agent, "spec", "api", "keySecretRef", item)) for item in ("name", "key"))
    return name, key or "api-key"


def _missing_secret(agent: Manifest, found: Mapping[str, str]) -> str:
    name, key = _key_reference(agent)
    name = found.get("name") or name
    return (
        f"Create the Secret: kubectl create secret generic {name} --namespace={namespace_of(agent)} "
        f"--from-literal={key}=VALUE"
    )


def _taint(agent: Manifest, found: Mapping[str, str]) -> str:
    return (
        "Tolerate the taint in spec.pod.tolerations, or remove it from a node. To list the taints: kubectl get nodes "
        "-o custom-columns=NODE:.metadata.name,TAINTS:.spec.taints"
    )


def _quota(agent: Manifest, found: Mapping[str, str]) -> str:
    return (
        f"Raise the quota, or reduce spec.replicas or spec.pod.resources. To see it: kubectl describe quota "
        f"--namespace={namespace_of(agent)}"
    )


def _pod_security(agent: Manifest, found: Mapping[str, str]) -> str:
    return (
        "Remove what the message names from spec.pod, or allow it in the namespace: kubectl label namespace "
        f"{namespace_of(agent)} pod-security.kubernetes.io/enforce=LEVEL --overwrite"
    )


def _key(agent: Manifest, found: Mapping[str, str]) -> str:
    name, key = _key_reference(agent)
    return (
        f"Store a valid key; the agents read it without a restart: kubectl create secret generic {name} "
        f"--namespace={namespace_of(agent)} --from-literal={key}=NEW_KEY --dry-run=client -o yaml | kubectl apply -f -"
    )


def _rights(agent: Manifest, found: Mapping[str, str]) -> str:
    return (
        "Restore the rights of the operator: helm upgrade purpleflea-operator CHART --namespace=purpleflea-system "
        "--reuse-values"
    )


def _resources(agent: Manifest, found: Mapping[str, str]) -> str:
    return "Reduce spec.pod.resources, or add a node. To see the free resources: kubectl describe nodes"


def _image(agent: Manifest, found: Mapping[str, str]) -> str:
    return (
        f"Correct spec.image (kubectl edit pfa {name_of(agent)} --namespace={namespace_of(agent)}); for a private "
        "registry, name its credentials in spec.image.pullSecrets"
    )


_KNOWN = (
    Known(
        reasons=("SecretNotFound",),
        pattern=r'secret "?(?P<name>[a-z0-9.-]+)"? not found',
        remedy=_missing_secret,
    ),
    Known(reasons=("SecretNotFound",), pattern="", remedy=_missing_secret),
    Known(
        reasons=("ConfigurationMissing",),
        pattern=r'secret "?(?P<name>[a-z0-9.-]+)"? not found',
        remedy=_missing_secret,
    ),
    Known(reasons=("Unschedulable",), pattern="untolerated taint", remedy=_taint),
    Known(reasons=("Unschedulable",), pattern="insufficient (cpu|memory)", remedy=_resources),
    Known(reasons=("PodsRefused", "ApplyFailed"), pattern="exceeded quota", remedy=_quota),
    Known(reasons=("PodsRefused", "ApplyFailed"), pattern="podsecurity", remedy=_pod_security),
    Known(reasons=("NotReady",), pattern="api key|keySecretRef|401|403", remedy=_key),
    Known(
        reasons=("NotWatched", "HaltsUnread", "ApplyFailed", "NotVisible"),
        pattern="forbidden|403|permission|cannot (list|watch|create|patch)",
        remedy=_rights,
    ),
    Known(reasons=("ImagePullFailed",), pattern="", remedy=_image),
)
