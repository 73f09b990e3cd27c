"""`bundle`: a support archive without secrets and account data."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from kubectl_purpleflea import output
from kubectl_purpleflea.commands.connection import FAILED, UNPROVEN, with_kubectl
from kubectl_purpleflea.kubectl.cluster import context_namespace, lacks_namespace
from kubectl_purpleflea.workflows.bundling import bundle as write_bundle


@click.command()
@click.option("-A", "--all-namespaces", is_flag=True, help="Agents of all namespaces.")
@click.option(
    "--file", "path", default="", metavar="FILE", help="Archive; generated name by default."
)
@with_kubectl
def bundle(**arguments: Any) -> None:
    """Write a support archive: resources, their objects, Events and logs.

    Values of variables, data of ConfigMaps, keys, tokens and amounts are replaced with REDACTED before they are
    written. Secrets are not read. Read the archive before you send it. The exit code is 0 if it is complete, 3 if
    parts cannot be read, and 1 if there is no archive.
    """
    now = datetime.now(UTC)
    target = Path(arguments["path"] or f"purpleflea-bundle-{now:%Y%m%d-%H%M%S}.tar.gz")
    if target.exists():
        output.warn(f"error: {target} exists")
        sys.exit(FAILED)
    if not arguments["all_namespaces"]:
        namespace = context_namespace(arguments["kubectl"])
        if lacks_namespace(arguments["kubectl"], namespace):
            output.warn(
                f"error: namespace {namespace} does not exist; list all: kubectl get namespaces"
            )
            sys.exit(FAILED)
    try:
        missing = write_bundle(arguments["kubectl"], target, everywhere=arguments["all_namespaces"])
    except OSError as error:
        output.warn(f"error: {target} cannot be written: {error.strerror}")
        sys.exit(FAILED)
    for item in missing:
        output.warn(f"not included: {item}")
    output.say(f"{target}: read it before you send it")
    sys.exit(UNPROVEN if missing else 0)
