"""`render`: the objects that the operator would apply for a manifest, and their difference to the cluster."""

import sys
from collections.abc import Iterable
from typing import IO, Any

import click

from kubectl_purpleflea import output
from kubectl_purpleflea.commands.connection import output_option, with_kubectl
from kubectl_purpleflea.commands.manifests import documents, file_option
from kubectl_purpleflea.commands.names import OBJECT_NAME
from kubectl_purpleflea.decisions.failures import Failure, KubectlError, explained
from kubectl_purpleflea.decisions.objects import id_of, name_of, namespace_of
from kubectl_purpleflea.kubectl.client import Kubectl
from kubectl_purpleflea.kubectl.operator_route import OperatorError, Render, renderer
from kubectl_purpleflea.views.rendering import diff
from kubectl_purpleflea.workflows.offline_rendering import rendered_offline
from kubectl_purpleflea.workflows.offline_rendering import renderer as renderer_command
from kubectl_purpleflea.workflows.rendering import (
    Candidate,
    candidate,
    differences,
    installation_for,
)
from purpleflea_contract.rendering import Rendering

SAME, DIFFERS, FAILED = 0, 1, 2
"""Exit codes, as of kubectl diff."""
_KIND = "PurpleFleaAgent"
_UNREACHED = (Failure.UNREACHABLE, Failure.CONFIGURATION, Failure.NO_KUBECTL, Failure.NOT_INSTALLED)


@click.command()
@file_option
@click.option("--no-diff", is_flag=True, help="Print the manifests, and do not read them.")
@click.option(
    "--offline",
    is_flag=True,
    help="Render without a cluster, with the renderer of the operator on this machine; without a diff.",
)
@click.option(
    "--renderer",
    default="",
    envvar="PURPLEFLEA_RENDERER",
    metavar="COMMAND",
    help="Renderer of --offline, such as 'docker run --rm -i IMAGE render'; default the operator that is installed "
    "beside the plugin.",
)
@click.option(
    "--operator-namespace", type=OBJECT_NAME, default="", help="Namespace of the operator."
)
@output_option("json", "yaml")
@with_kubectl
def render(**arguments: Any) -> None:
    """Show the objects that the operator would apply for a PurpleFleaAgent, as a diff to the cluster.

    The API server checks the manifest in a dry run, and the installed operator renders it with its own settings.
    Nothing is changed. The exit code is 0 without a difference, 1 with differences, and 2 after an error. With
    --no-diff, --output or --offline the manifests are printed, and the exit code is 0 or 2.
    """
    kubectl: Kubectl = arguments["kubectl"]
    agents = _agents(arguments["file"])
    if arguments["offline"]:
        sys.exit(_offline(kubectl.namespace or "default", agents, arguments))
    form = arguments["form"] or ("yaml" if arguments["no_diff"] else "")
    manifests: list[dict[str, Any]] = []
    code = SAME
    for manifest in agents:
        try:
            wanted = candidate(kubectl, manifest)
            operator = installation_for(
                kubectl, namespace_of(wanted.agent), arguments["operator_namespace"]
            )
            with renderer(kubectl, operator) as ask:
                rendered = ask(wanted.agent)
                _note(wanted, rendered)
                if rendered["invalid"]:
                    raise OperatorError(rendered["invalid"])
                manifests += rendered["children"]
                found = False if form else _show(kubectl, wanted, rendered, ask)
            code = max(code, DIFFERS if found else SAME)
        except (KubectlError, OperatorError) as error:
            text = explained(error) if isinstance(error, KubectlError) else str(error)
            if isinstance(error, KubectlError) and error.kind in _UNREACHED:
                text += ". To render without a cluster: --offline"
            output.warn(f"error: {_KIND} {name_of(manifest)}: {text}")
            code = FAILED
            if isinstance(error, KubectlError) and error.ends_command:
                break
    if form:
        _print(manifests, form)
    sys.exit(code)


def _offline(namespace: str, agents: list[dict[str, Any]], arguments: dict[str, Any]) -> int:
    """Print the manifests without a cluster, and return the exit code."""
    code, manifests = SAME, list[dict[str, Any]]()
    for manifest in agents:
        try:
            command = renderer_command(arguments["renderer"])
            rendered = rendered_offline(command, manifest, namespace)
            if rendered["invalid"]:
                raise OperatorError(rendered["invalid"])
        except OperatorError as error:
            output.warn(f"error: {_KIND} {name_of(manifest)}: {error}")
            code = FAILED
            continue
        for text in rendered["notes"]:
            output.warn(f"{name_of(manifest)}: {text}")
        manifests += rendered["children"]
    if manifests:
        output.warn("the diff is skipped, because --offline reads no cluster")
    _print(manifests, arguments["form"] or "yaml")
    return code


def _agents(file: IO[str]) -> list[dict[str, Any]]:
    listed = documents(file)
    for other in (item for item in listed if item.get("kind") != _KIND):
        output.warn(f"{other.get('kind')} {other['metadata'].get('name')} is not rendered")
    agents = [item for item in listed if item.get("kind") == _KIND]
    if not agents:
        output.warn(f"error: the file has no {_KIND}")
        sys.exit(FAILED)
    return agents


def _note(wanted: Candidate, rendered: Rendering) -> None:
    for text in rendered["notes"]:
        output.warn(f"{id_of(wanted.agent)}: {text}")
    if rendered["recreates"]:
        output.warn(
            f"{id_of(wanted.agent)}: the StatefulSet is deleted without its pods and created again, because a "
            "field is immutable"
        )


def _show(kubectl: Kubectl, wanted: Candidate, rendered: Rendering, ask: Render) -> bool:
    """Print the differences, and return whether there are any."""
    is_different = False
    for item in differences(kubectl, wanted, rendered, ask):
        is_different = True
        if item.problem:
            output.warn(f"{item.id}: {item.problem}")
        texts = [
            "" if part is None else output.yaml_text(part) for part in (item.live, item.rendered)
        ]
        output.lines(diff(item.id, *texts))
    return is_different


def _print(manifests: Iterable[dict[str, Any]], form: str) -> None:
    """Print the manifests in a form that kubectl reads."""
    if form == "json":
        output.document({"apiVersion": "v1", "kind": "List", "items": list(manifests)}, form)
        return
    for number, item in enumerate(manifests):
        if number:
            output.say("---")
        output.document(item, form)
