"""Renders a chart with the real helm, and reads the result as the API server does.

A scalar without quotes has another type in YAML 1.1, YAML 1.2 or JSON, depending on the reader. The loader here takes
each of these readings, so a text that needs quotes and has none is not a text.
"""

import functools
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

HELM = Path(sys.executable).parent / "helm"
CHARTS = Path(__file__).parents[2] / "charts"
OPERATOR, EXCHANGE = CHARTS / "purpleflea-operator", CHARTS / "paper-exchange"

Document = dict[str, Any]
Leaf = tuple[tuple[str | int, ...], Any]


class KubernetesLoader(yaml.CSafeLoader):
    """PyYAML reads YAML 1.1; Kubernetes also reads exponents without a dot and octal numbers of YAML 1.2."""


# Only PyYAML reads = as something else than a text.
KubernetesLoader.yaml_implicit_resolvers = {
    first: list(found)
    for first, found in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    if first != "="
}
KubernetesLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)"),
    list("-+.0123456789"),
)


def template(
    chart: Path,
    values: Mapping[str, Any] | None = None,
    *,
    release: str = "purpleflea-operator",
    namespace: str = "purpleflea-system",
    options: Iterable[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run `helm template` with these values and return the finished process, which may have failed."""
    command = (release, str(chart), f"--namespace={namespace}", *options)
    return _template(command, json.dumps(values or {}))


@functools.cache
def _template(command: tuple[str, ...], values: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(HELM), "template", *command, "--values=-"],
        input=values,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def documents(
    chart: Path,
    values: Mapping[str, Any] | None = None,
    *,
    release: str = "purpleflea-operator",
    namespace: str = "purpleflea-system",
    options: Iterable[str] = (),
) -> list[Document]:
    """Return all rendered objects, hooks included."""
    done = template(chart, values, release=release, namespace=namespace, options=options)
    assert done.returncode == 0, done.stderr
    return [item for item in yaml.load_all(done.stdout, KubernetesLoader) if item]


def values_of(chart: Path) -> dict[str, Any]:
    """Return the default values."""
    found: dict[str, Any] = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
    return found


def schema_of(chart: Path) -> dict[str, Any]:
    """Return the schema of the values."""
    found: dict[str, Any] = json.loads((chart / "values.schema.json").read_text(encoding="utf-8"))
    return found


def resolved(schema: Mapping[str, Any], node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a node of the schema with the definition that it refers to."""
    for part in (node, *node.get("allOf", ())):
        name = part.get("$ref", "").rpartition("/")[2]
        if name:
            return {**schema["definitions"][name], **node}
    return node


def properties(
    schema: Mapping[str, Any], node: Mapping[str, Any] | None = None, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Yield each value of the schema with its path, groups included."""
    for name, item in (schema if node is None else node).get("properties", {}).items():
        found = resolved(schema, item)
        yield (*path, name), found
        yield from properties(schema, found, (*path, name))


def leaves(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[Leaf]:
    """Yield each scalar with its path. The keys of mappings are leaves as well, because they must be texts."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield (*path, "keys", key), key
            yield from leaves(value, (*path, key))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from leaves(value, (*path, number))
    else:
        yield path, node


def nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return values that set only this path."""
    for name in reversed(path):
        value = {name: value}
    result: dict[str, Any] = value
    return result


def merged(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the union of values; a later part takes precedence."""
    result: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            both = isinstance(value, Mapping) and isinstance(result.get(key), dict)
            result[key] = merged(result[key], value) if both else value
    return result
