"""Rules of the workflows of this repository, checked on their text."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

PIN = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v[0-9]+(\.[0-9]+)*$")
USES = re.compile(r"^\s*(?:- )?(uses: .*)$", re.MULTILINE)
INPUT = re.compile(r"\$\{\{.*?\}\}")
WRITE_TOKENS = frozenset({"contents", "packages", "id-token"})
"""Permissions to write that a job may have."""


def problems(text: str) -> Iterator[str]:
    """Yield a line for each rule that a workflow breaks."""
    for found in USES.finditer(text):
        if PIN.search(found[1]) is None:
            yield f"{found[1]} is not pinned by the digest of a commit, with its version in a comment"
    workflow = yaml.safe_load(text)
    # YAML 1.1 reads the key `on` as true.
    if "pull_request_target" in (workflow.get("on") or workflow.get(True) or {}):
        yield "pull_request_target runs code of a fork with the rights of the repository"
    if workflow.get("permissions") != {"contents": "read"}:
        yield "the permissions of the workflow must be contents: read; give a job more if it needs more"
    if "concurrency" not in workflow:
        yield "there is no concurrency"
    for name, job in workflow["jobs"].items():
        yield from (f"job {name}: {line}" for line in _job_problems(job))


def _job_problems(job: dict[str, Any]) -> Iterator[str]:
    if "timeout-minutes" not in job:
        yield "there is no timeout-minutes"
    permissions = job.get("permissions", {})
    if isinstance(permissions, str):
        yield f"permissions are {permissions}; name each of them"
        permissions = {}
    for name, level in permissions.items():
        if level == "write" and name not in WRITE_TOKENS:
            yield f"the permission {name}: write is not needed for a release"
    for step in job.get("steps", ()):
        is_checkout = str(step.get("uses", "")).startswith("actions/checkout@")
        if is_checkout and step.get("with", {}).get("persist-credentials") is not False:
            yield "checkout keeps its token; set persist-credentials: false"
        if INPUT.search(str(step.get("run", ""))):
            yield "a script contains an expression; pass it as a variable, because its text could be a command"
