"""The variables of a container as fields of an agent. Values of keys are never copied. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from kubectl_purpleflea.decisions.import_draft import Choices, Draft, Fate
from kubectl_purpleflea.decisions.objects import at, items, mapping, text
from purpleflea_contract import environment as env

KEY_VARIABLES = ("PURPLEFLEA_API_KEY", "PURPLE_FLEA_API_KEY", "PURPLEFLEA_KEY", "API_KEY")
"""Variables in which a Deployment passes the key of the exchange."""
_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL)", re.IGNORECASE)


def is_plain_secret(variable: Mapping[str, Any]) -> bool:
    """Return whether a variable has a secret in plain text, judged by its name."""
    name, value = text(variable.get("name")), text(variable.get("value"))
    return bool(_SECRET_NAME.search(name) and value)


IN_PLAIN_TEXT = (
    "the value is a secret in plain text and is not copied; store it in a Secret, and replace the key, because each "
    "reader of the Deployment has it"
)


def convert_variables(draft: Draft, container: Mapping[str, Any], choices: Choices) -> None:
    """Add the variables of the container of the agent to the draft."""
    plain: dict[str, str] = {}
    kept: list[dict[str, Any]] = []
    key_reference: dict[str, Any] = {}
    for item in items(container.get("env")):
        name, value = text(item.get("name")), text(item.get("value"))
        reference = mapping(at(item, "valueFrom", "secretKeyRef"))
        if name in KEY_VARIABLES and reference:
            key_reference = {"name": reference.get("name"), "key": reference.get("key")}
            draft.note(
                Fate.CHANGED, f"env {name}", "spec.api.keySecretRef; the key is mounted as a file"
            )
        elif name in KEY_VARIABLES or is_plain_secret(item):
            draft.note(Fate.LOST, f"env {name}", IN_PLAIN_TEXT)
        elif name in _RENDERED or name.startswith("DD_"):
            plain[name] = value
            draft.note(*_rendered(name, value))
        elif name in ("STRATEGY", "MARKETS"):
            plain[name] = value
            draft.note(Fate.CHANGED, f"env {name}", f"spec.{name.lower()}")
        else:
            kept.append(dict(item))
            draft.note(Fate.KEPT, f"env {name}", "spec.pod.env")
    _identity(draft, plain, choices)
    _key(draft, key_reference, choices)
    for name, target in (
        (env.DD_ENV, "env"),
        (env.DD_SERVICE, "service"),
        (env.DD_VERSION, "version"),
    ):
        if plain.get(name):
            draft.datadog[target] = plain[name]
    if kept:
        draft.pod["env"] = kept
    if container.get("envFrom"):
        draft.pod["envFrom"] = container["envFrom"]
        draft.note(
            Fate.KEPT, "envFrom", "spec.pod.envFrom; the operator's own variables take precedence"
        )


_RENDERED = {
    env.PAGE_AGENT_ID: "the operator sets PURPLEFLEA_AGENT_ID to the stable name of the identity; the name of a pod "
    "of a Deployment changes with each restart, so each restart was a new agent in Datadog",
    env.AGENT_ID: "the operator sets it",
    env.DD_AGENT_HOST: "the operator sets the address of the node agent that it detects",
    "DD_DOGSTATSD_HOST": "no DogStatsD client reads this variable; the operator sets the address",
    env.DD_TRACE_AGENT_PORT: "the operator sets the port that the node agent offers",
    env.DD_DOGSTATSD_PORT: "the operator sets the port that the node agent offers",
    env.DD_LOGS_INJECTION: "the agents write the trace into each log line",
    "DD_API_KEY": "the agents need no key of Datadog, because the node agent has it; replace the key if the Deployment "
    "contains its value",
    "DD_SITE": "the node agent sends to its own site",
}
_FIELDS = {env.DD_ENV: "env", env.DD_SERVICE: "service", env.DD_VERSION: "version"}


def _rendered(name: str, value: str) -> tuple[Fate, str, str]:
    if name in _FIELDS and value:
        return Fate.CHANGED, f"env {name}", f"spec.datadog.{_FIELDS[name]}"
    if name in _RENDERED:
        return Fate.DROPPED, f"env {name}", _RENDERED[name]
    return (
        Fate.DROPPED,
        f"env {name}",
        "the operator sets the variables of Datadog; see spec.datadog",
    )


def _identity(draft: Draft, plain: Mapping[str, str], choices: Choices) -> None:
    strategy = choices.strategy or plain.get("STRATEGY", "")
    markets = choices.markets or tuple(filter(None, re.split(r"[\s,]+", plain.get("MARKETS", ""))))
    draft.spec["strategy"] = strategy or "FILL_IN"
    draft.spec["markets"] = list(markets) or ["FILL_IN"]
    for value, name in ((strategy, "strategy"), (markets, "markets")):
        if not value:
            draft.note(
                Fate.REQUIRED, "-", f"spec.{name}: the Deployment does not have it; use --{name}"
            )


def _key(draft: Draft, reference: Mapping[str, Any], choices: Choices) -> None:
    if choices.key_secret:
        name, _, key = choices.key_secret.partition(":")
        reference = {"name": name, **({"key": key} if key else {})}
    if not text(reference.get("name")):
        reference = {"name": "purpleflea-api-key"}
        draft.note(
            Fate.REQUIRED,
            "-",
            "spec.api.keySecretRef: create the Secret with the key of the exchange: kubectl create secret generic "
            "purpleflea-api-key --from-literal=api-key=YOUR_KEY (or use --key-secret)",
        )
    draft.spec["api"] = {"keySecretRef": {key: value for key, value in reference.items() if value}}
