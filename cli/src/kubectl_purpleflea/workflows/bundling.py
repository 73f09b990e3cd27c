"""Collects the objects and logs of a support archive, redacted before they are written."""

import io
import json
import os
import tarfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kubectl_purpleflea.decisions.control_files import may_trade
from kubectl_purpleflea.decisions.failures import KubectlError
from kubectl_purpleflea.decisions.objects import name_of, namespace_of
from kubectl_purpleflea.decisions.operator_health import OPERATOR_LABELS
from kubectl_purpleflea.decisions.redaction import redacted_object, redacted_text
from kubectl_purpleflea.kubectl.client import Kubectl
from kubectl_purpleflea.kubectl.cluster import AGENTS, CHILDREN, HALTS, OBSERVABILITIES

LOG_LINES = 2000
LOG_BYTES = 10 * 1024 * 1024
"""Per container, because a line can have any length."""
CONCURRENT = 8
_OWN = (AGENTS, HALTS, OBSERVABILITIES, "events")
_CHILDREN = (
    "statefulsets.apps",
    "pods",
    "configmaps",
    "poddisruptionbudgets.policy",
    "networkpolicies.networking.k8s.io",
    "persistentvolumeclaims",
)
_OPERATOR = ("deployments.apps", "pods")
_CLUSTER = ("nodes", "storageclasses.storage.k8s.io", "daemonsets.apps")


def bundle(kubectl: Kubectl, target: Path, *, everywhere: bool) -> list[str]:
    """Write the archive and return the parts that could not be read, with the reason.

    A file that is not complete has another name, and is removed.

    Raises:
        KubectlError: kubectl does not end or cannot be started, or nothing can be read.
        OSError: The file cannot be written.
    """
    part = target.with_name(f"{target.name}.part")
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    try:
        missing = _write(kubectl, part, everywhere=everywhere)
        part.rename(target)
    finally:
        part.unlink(missing_ok=True)
    return missing


def _write(kubectl: Kubectl, target: Path, *, everywhere: bool) -> list[str]:
    place = ("--all-namespaces",) if everywhere else ()
    own = f"--selector={CHILDREN}"
    reads: list[tuple[str, tuple[str, ...]]] = [
        *((kind, place) for kind in _OWN),
        *((kind, (*place, own)) for kind in _CHILDREN),
        *((f"{kind}", ("--all-namespaces", f"--selector={OPERATOR_LABELS}")) for kind in _OPERATOR),
        *((kind, ("--all-namespaces",) if kind == "daemonsets.apps" else ()) for kind in _CLUSTER),
    ]
    missing: list[str] = []
    pods: list[tuple[str, str]] = []
    with ThreadPoolExecutor(CONCURRENT) as pool, tarfile.open(target, "w:gz") as archive:
        for (kind, flags), found in zip(
            reads, pool.map(lambda item: _items(kubectl, *item), reads), strict=True
        ):
            if isinstance(found, KubectlError):
                missing.append(f"{kind}: {redacted_text(str(found))}")
                if len(missing) == len(reads):
                    raise found
                continue
            part = "operator" if any(OPERATOR_LABELS in flag for flag in flags) else "objects"
            content = json.dumps([redacted_object(item) for item in found], indent=1)
            _add(archive, f"{part}/{kind}.json", content)
            if kind == "pods":
                pods += [
                    (namespace_of(item), name_of(item))
                    for item in found
                    if may_trade(item) or part == "operator"
                ]
        logs = pool.map(lambda item: (item, _logs(kubectl, *item)), sorted(set(pods)))
        for (namespace, pod), text in logs:
            if text is None:
                missing.append(f"logs of {namespace}/{pod}")
            else:
                _add(archive, f"logs/{namespace}/{pod}.log", redacted_text(text))
        _add(
            archive,
            "version.txt",
            redacted_text(_output(lambda: kubectl.run("version", "--output=yaml"))),
        )
        _add(archive, "missing.txt", "\n".join(missing))
    return missing


def _items(
    kubectl: Kubectl, kind: str, flags: tuple[str, ...]
) -> list[dict[str, object]] | KubectlError:
    try:
        return kubectl.items(kind, *flags)
    except KubectlError as error:
        if error.ends_command:
            raise
        return error


def _logs(kubectl: Kubectl, namespace: str, pod: str) -> str | None:
    try:
        return kubectl.in_namespace(namespace).run(
            *("logs", pod, "--all-containers", "--prefix"),
            *(f"--tail={LOG_LINES}", f"--limit-bytes={LOG_BYTES}"),
        )
    except KubectlError as error:
        if error.ends_command:
            raise
        return None


def _output(read: Callable[[], str]) -> str:
    try:
        return read()
    except KubectlError as error:
        if error.ends_command:
            raise
        return str(error)


def _add(archive: tarfile.TarFile, name: str, content: str) -> None:
    data = content.encode()
    entry = tarfile.TarInfo(f"purpleflea-bundle/{name}")
    entry.size, entry.mtime, entry.mode = len(data), int(time.time()), 0o600
    archive.addfile(entry, io.BytesIO(data))
