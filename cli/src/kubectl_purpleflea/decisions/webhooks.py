"""Whether an admission webhook applies to the pods of agents. Pure."""

from collections.abc import Mapping
from typing import Any

from kubectl_purpleflea.decisions.objects import items, mapping
from kubectl_purpleflea.decisions.selectors import matches
from purpleflea_contract import kubernetes


def touches_pods(webhook: Mapping[str, Any], namespace: str, labels: Mapping[str, str]) -> bool:
    """Return whether a webhook applies to new pods of agents in a namespace with these labels."""
    rules = items(webhook.get("rules"))
    is_for_pods = any(
        _in(rule.get("apiGroups"), "")
        and _in(rule.get("resources"), "pods")
        and _in(rule.get("operations"), "CREATE")
        for rule in rules
    )
    pod = {
        kubernetes.LABEL_NAME: "purpleflea-agent",
        kubernetes.LABEL_MANAGED_BY: kubernetes.MANAGED_BY,
        kubernetes.LABEL_COMPONENT: "trading-agent",
        kubernetes.LABEL_PART_OF: "purpleflea",
        kubernetes.DD_LABEL_ADMISSION: "false",
    }
    space = {kubernetes.LABEL_NAMESPACE: namespace, **labels}
    return (
        is_for_pods
        and matches(mapping(webhook.get("objectSelector")), pod)
        and matches(mapping(webhook.get("namespaceSelector")), space)
    )


def _in(values: object, wanted: str) -> bool:
    return isinstance(values, list) and any(item in (wanted, "*", "*/*") for item in values)
