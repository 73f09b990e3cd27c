"""Runs the benchmark in a separate network namespace that has only a loopback interface.

In it every address of 127.0.0.0/8 is local, so one server can respond at the addresses of all simulated pods, and no
request leaves the namespace. Everything that needs a network, such as builds, must be complete before.
"""

import os
import subprocess
import sys

VARIABLE = "PURPLEFLEA_BENCH_NAMESPACE"


def is_inside() -> bool:
    """Return whether this process was started in the namespace."""
    return VARIABLE in os.environ


def set_up() -> None:
    """Bring up the loopback interface of the namespace."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def enter() -> None:
    """Replace this process with the same program in a new namespace. Users other than root need user namespaces."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = ["unshare", *user, "--net", "--", sys.executable, "-m", "benchmarks.scale"]
    os.execvpe("unshare", [*command, *sys.argv[1:]], {**os.environ, VARIABLE: "1"})  # noqa: S606
