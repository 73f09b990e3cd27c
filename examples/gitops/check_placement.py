"""Check in CI that no agent is placed in two clusters, and that every agent names its cluster.

Usage: python check_placement.py FOLDER     FOLDER has one folder of manifests per cluster. It needs PyYAML.

It prints one line per problem, and the exit code is 1 if there is one. It reads the files as they are, so run it on the
output of Kustomize or Helm if they change names or tags. Two agents with the same name, env and service
are one agent in Datadog, and two agents with the same API key trade with the same money.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

GROUP = "purpleflea.com/"
SUFFIXES = (".yaml", ".yml", ".json")
ENV, SERVICE = "production", "purpleflea-trading-agent"
"""Defaults of spec.datadog and of PurpleFleaObservability."""


def documents(file: Path) -> Iterator[Any]:
    """Yield the documents of a file, and the items of lists."""
    for item in yaml.safe_load_all(file.read_text(encoding="utf-8")):
        if isinstance(item, dict) and item.get("kind") == "List":
            yield from item.get("items") or ()
        else:
            yield item


def resources(folder: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (cluster, file, resource) of each resource of the operator.

    Raises:
        ValueError: A file cannot be read, or a resource has no name.
    """
    for file in sorted(path for path in folder.glob("*/**/*") if path.suffix in SUFFIXES):
        name = file.relative_to(folder)
        try:
            found = list(documents(file))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{name}: not readable: {error}") from error
        for item in found:
            if isinstance(item, dict) and str(item.get("apiVersion", "")).startswith(GROUP):
                if not (item.get("metadata") or {}).get("name"):
                    raise ValueError(f"{name}: a {item.get('kind')} has no metadata.name")
                yield name.parts[0], str(name), item


def unified_service(tags: dict[str, Any]) -> tuple[str, str]:
    """Return env and service in lower case, as Datadog stores them."""
    return str(tags.get("env") or ENV).lower(), str(tags.get("service") or SERVICE).lower()


def problems(folder: Path) -> Iterator[str]:
    """Yield a line per problem."""
    agents: dict[tuple[str, str, str], str] = {}
    observed: dict[tuple[str, str, str], str] = {}
    for cluster, file, item in resources(folder):
        name = f"{item['metadata'].get('namespace', 'default')}/{item['metadata']['name']}"
        spec = item.get("spec") or {}
        if item["kind"] == "PurpleFleaHalt":
            yield f"{file}: {name} is a PurpleFleaHalt; halts do not belong in git, because a sync could undo them"
        if item["kind"] == "PurpleFleaAgent":
            datadog = spec.get("datadog") or {}
            if datadog.get("cluster") != cluster:
                yield (
                    f"{file}: agent {name} has spec.datadog.cluster {datadog.get('cluster')}, but is in the folder of "
                    f"{cluster}; set spec.datadog.cluster: {cluster}"
                )
            identity = (item["metadata"]["name"], *unified_service(datadog))
            other = agents.setdefault(identity, file)
            if other != file:
                yield f"{file}: agent {name} has the same name, env and service as an agent in {other}"
        if item["kind"] == "PurpleFleaObservability":
            organization = str(spec.get("site") or "datadoghq.com")
            objects = (organization, *unified_service(spec))
            other = observed.setdefault(objects, f"{file}: {name}")
            if other != f"{file}: {name}":
                yield f"{file}: {name} observes the same env, service and site as {other}; keep one"


def main(arguments: list[str]) -> int:
    """Print the problems of a folder; returns 1 if there are any, and 2 without a folder."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("usage: python check_placement.py FOLDER", file=sys.stderr)
        return 2
    try:
        found = list(problems(Path(arguments[0])))
    except ValueError as error:
        found = [str(error)]
    print("\n".join(found) if found else "each agent is in one cluster")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
