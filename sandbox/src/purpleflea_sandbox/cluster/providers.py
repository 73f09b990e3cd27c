"""Chooses the provider of a cluster: the one it was made with if it exists, else the best this
machine can carry."""

import os
import shutil
import subprocess
import sys
from typing import Literal

from purpleflea_sandbox.cluster import records
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.identity import DEFAULT_NAME, Identity, identify
from purpleflea_sandbox.cluster.port import Provider, ProviderName

Choice = Literal["auto", "kind", "local", "simulated"]
CHOICES: tuple[Choice, ...] = ("auto", "kind", "local", "simulated")
_DOCKER_LIMIT_S = 2.0


def provider(name: str = DEFAULT_NAME, choice: Choice = "auto") -> Provider:
    """The provider through which the named cluster of this checkout is (or is to be) had."""
    identity = identify(name)
    owner = records.owner(identity.state)
    if choice == "auto":
        return _of(identity, owner or best())
    if owner not in (None, choice):
        raise ClusterError(
            f"cluster {name} exists with provider {owner}; run 'cluster down --name {name}' first"
        )
    return _of(identity, choice)


def best() -> ProviderName:
    """What this machine can carry."""
    if docker_answers():
        return "kind"
    if sys.platform == "linux" and os.geteuid() == 0:
        return "local"
    return "simulated"


def docker_answers() -> bool:
    """Whether a Docker engine answers soon."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        done = subprocess.run(
            [docker, "info", "--format", "{{.ServerVersion}}"],
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=_DOCKER_LIMIT_S,
        )
    except (subprocess.TimeoutExpired, OSError):
        return False
    return done.returncode == 0 and bool(done.stdout.strip())


def _of(identity: Identity, choice: ProviderName) -> Provider:
    # Imported here: each provider brings libraries that the others do without.
    match choice:
        case "local":
            from purpleflea_sandbox.cluster.local.provider import Local

            return Local(identity)
        case "simulated":
            from purpleflea_sandbox.cluster.simulated.provider import Simulated

            return Simulated(identity)
        case "kind":
            from purpleflea_sandbox.cluster.kind.provider import Kind
            from purpleflea_sandbox.cluster.kind.runner import SystemRunner

            return Kind(identity, SystemRunner())
