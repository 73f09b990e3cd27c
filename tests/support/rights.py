"""The permissions that the chart grants to the operator, and those that it uses, as sets that can be compared."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support.audit import Entry

HELM = Path(sys.executable).parent / "helm"
CHART = Path(__file__).parents[2] / "charts" / "purpleflea-operator"
RELEASE = "purpleflea-operator"
ROLES = ("Role", "ClusterRole")


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One verb on one resource."""

    group: str
    resource: str
    verb: str


def rendered(
    *values: str,
    namespace: str = "purpleflea-system",
    release: str = RELEASE,
    options: Iterable[str] = (),
) -> list[dict[str, Any]]:
    """Return all manifests of the chart with these values, as in --set, without hooks."""
    found = _template(*values, namespace=namespace, release=release, options=options)
    return [item for item in found if not _is_hook(item)]


def hooks(*values: str) -> list[dict[str, Any]]:
    """Return the manifests that Helm creates only while it uninstalls the chart."""
    found = _template(*values)
    return [item for item in found if _annotations(item).get("helm.sh/hook") == "pre-delete"]


def _is_hook(manifest: dict[str, Any]) -> bool:
    return "helm.sh/hook" in _annotations(manifest)


def _annotations(manifest: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = manifest["metadata"].get("annotations", {})
    return found


def _template(
    *values: str,
    namespace: str = "purpleflea-system",
    release: str = RELEASE,
    options: Iterable[str] = (),
) -> list[dict[str, Any]]:
    sets = [f"--set={value}" for value in values]
    command = [str(HELM), "template", release, str(CHART), f"--namespace={namespace}", *sets]
    command += options
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [item for item in yaml.safe_load_all(done.stdout) if item]


def roles(*values: str) -> list[dict[str, Any]]:
    """Return the roles that the chart binds to the operator."""
    manifests = rendered(*values)
    bound = {
        (item["metadata"].get("namespace"), item["roleRef"]["kind"], item["roleRef"]["name"])
        for item in manifests
        if "roleRef" in item
    }
    return [item for item in manifests if item["kind"] in ROLES and _id(item) in bound]


def user_roles(*values: str) -> dict[tuple[str | None, str], set["Right"]]:
    """Return the rights of the roles that the chart leaves to administrators to bind, by namespace and name."""
    bound = [_id(item) for item in roles(*values)]
    return {
        (item["metadata"].get("namespace"), item["metadata"]["name"]): granted([item])
        for item in rendered(*values)
        if item["kind"] in ROLES and _id(item) not in bound
    }


def _id(role: dict[str, Any]) -> tuple[str | None, str, str]:
    return role["metadata"].get("namespace"), role["kind"], role["metadata"]["name"]


def granted(found: Iterable[dict[str, Any]]) -> set[Right]:
    """Return the permissions of roles."""
    return {
        Right(group, resource, verb)
        for role in found
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def used(entries: Iterable[Entry]) -> set[Right]:
    """Return the permissions that requests to a real API server need; discovery needs none."""
    return {right for entry in entries if entry.resource for right in _needed(entry)}


def _needed(entry: Entry) -> Iterator[Right]:
    yield Right(entry.group, entry.resource, entry.verb)
    if entry.verb == "patch" and entry.code == 201:
        # An apply that creates an object also needs the permission to create it.
        yield Right(entry.group, entry.resource, "create")
