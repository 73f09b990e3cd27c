"""Environment variables of the agent and of sidecars."""

import re
from collections.abc import Iterator, Sequence

from purpleflea_operator.api.env_vars import Variable, VariablesFrom, VariableSource
from purpleflea_operator.manifests.metadata import Agent
from purpleflea_operator.manifests.refusals.refusal import (
    Refusal,
    duplicates,
    exactly_one,
    without_nul,
)

FIELDS = (
    *("metadata.name", "metadata.namespace", "metadata.uid"),
    *("spec.nodeName", "spec.serviceAccountName"),
    *("status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"),
)
_KEYED_FIELD = re.compile(
    r"metadata\.(labels|annotations)\['"
    r"((?:[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*/)?"
    r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)'\]"
)
_RESOURCE = re.compile(r"(limits|requests)\.(cpu|memory|ephemeral-storage)")


def refusals(agent: Agent) -> Iterator[Refusal]:
    """Yield the refused variables."""
    pod = agent.spec.pod
    yield from _variables("spec.pod", pod.env, pod.env_from)
    for index, sidecar in enumerate(pod.sidecars):
        yield from _variables(f"spec.pod.sidecars.{index}", sidecar.env, sidecar.env_from)


def _variables(
    field: str, variables: Sequence[Variable], sources: Sequence[VariablesFrom]
) -> Iterator[Refusal]:
    yield from duplicates(f"{field}.env", (item.name for item in variables), "the name")
    for index, variable in enumerate(variables):
        yield from _variable(f"{field}.env.{index}", variable)
    for index, source in enumerate(sources):
        at = f"{field}.envFrom.{index}"
        yield from exactly_one(at, source, "secret_ref", "config_map_ref")
        if source.prefix is not None and _is_relative(source.prefix):
            yield Refusal(
                f"{at}.prefix", "a prefix of a variable must not be '.' or begin with '..'"
            )


def _variable(field: str, variable: Variable) -> Iterator[Refusal]:
    if _is_relative(variable.name):
        yield Refusal(f"{field}.name", "the name must not be '.' or begin with '..'; rename it")
    yield from without_nul(f"{field}.value", [variable.value])
    if variable.value_from is None:
        return
    if variable.value is not None:
        yield Refusal(field, "set value or valueFrom, not both")
    yield from _source(f"{field}.valueFrom", variable.value_from)


def _source(field: str, source: VariableSource) -> Iterator[Refusal]:
    yield from exactly_one(
        field, source, "secret_key_ref", "config_map_key_ref", "field_ref", "resource_field_ref"
    )
    if source.field_ref is not None and not _is_field(source.field_ref.field_path):
        yield Refusal(
            f"{field}.fieldRef.fieldPath",
            f"a variable cannot have the value of {source.field_ref.field_path}; use one of {', '.join(FIELDS)}, "
            "metadata.labels['KEY'] or metadata.annotations['KEY']",
        )
    resource = source.resource_field_ref
    if resource is not None and not _RESOURCE.fullmatch(resource.resource):
        yield Refusal(
            f"{field}.resourceFieldRef.resource",
            f"{resource.resource} is not a resource of a container; use limits or requests of cpu, memory or "
            "ephemeral-storage, such as limits.memory",
        )


def _is_field(path: str) -> bool:
    return path in FIELDS or _KEYED_FIELD.fullmatch(path) is not None


def _is_relative(name: str) -> bool:
    return name == "." or name.startswith("..")
