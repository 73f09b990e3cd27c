"""Selects the provider of a cluster: the provider that created it if the cluster exists, otherwise
the best provider that this machine supports.
"""

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
VARIABLE = "PURPLEFLEA_PROVIDER"
"""Environment variable with the provider of clusters that are created with the choice auto."""
_DOCKER_LIMIT_S = 2.0


def provider(name: str = DEFAULT_NAME, choice: Choice = "auto") -> Provider:
    """Return the provider of the named cluster in this checkout.

    Raises ClusterError if the cluster exists with another provider than `choice`.
    """
    identity = identify(name)
    recorded = records.provider_of(identity.state)
    if choice == "auto":
        return _of(identity, recorded or best())
    if recorded not in (None, choice):
        raise ClusterError(
            f"cluster {name} already exists with provider {recorded}; run 'cluster down --name {name}' first"
        )
    return _of(identity, choice)


def best() -> ProviderName:
    """Return the provider in PURPLEFLEA_PROVIDER, else the best one that this machine supports.

    Raises ClusterError if the variable has another value.
    """
    wanted = os.environ.get(VARIABLE) or "auto"
    if wanted not in CHOICES:
        raise ClusterError(f"{VARIABLE} is {wanted}; set it to {', '.join(CHOICES)}")
    if wanted != "auto":
        return wanted
    if docker_is_available():
        return "kind"
    if sys.platform == "linux" and os.geteuid() == 0:
        return "local"
    return "simulated"


def docker_is_available() -> bool:
    """Return whether a Docker engine responds within 2 s."""
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
    # Imported on demand, because each provider needs libraries that the others do not need.
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
