"""Kubeconfig files with embedded certificates, so that a copy works on any path.

Files are written as JSON, which is valid YAML, so no YAML library is needed.
"""

import base64
import json
import os
from pathlib import Path

from purpleflea_sandbox.cluster.credentials import KeyPair


def write(path: Path, *, server: str, pair: KeyPair, name: str) -> None:
    """Write a kubeconfig atomically, readable only by its owner."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": name,
                "cluster": {
                    "server": server,
                    "certificate-authority-data": _embedded(pair.authority),
                },
            }
        ],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate-data": _embedded(pair.certificate),
                    "client-key-data": _embedded(pair.key),
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.touch(mode=0o600)
    unfinished.write_text(json.dumps(content, indent=2) + "\n")
    unfinished.rename(path)


def _embedded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
