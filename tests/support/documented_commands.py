"""Check commands of the documentation without a cluster: `problems(words)` for each program that the pages use.

The checks use the real thing if it is cheap: the targets of the Makefile, Helm with the chart, the parsers of our
commands, and the schemas of our resources for patches. tests/e2e/test_documentation.py runs the kubectl commands.
"""

import contextlib
import io
import itertools
import json
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import click
import yaml

from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.halt import HaltCondition
from purpleflea_operator.api.observability_status import ObservabilityCondition
from support import documented_manifests
from support.documentation import REPOSITORY
from support.rights import CHART, HELM

Words = Sequence[str]
URL = re.compile(r"[a-z]+://")
PLACEHOLDER = re.compile(r"[A-Z][A-Z_]+")
OURS = {
    name: manifest["spec"]["names"]["kind"]
    for manifest in documented_manifests.CRDS.values()
    for name in (
        manifest["spec"]["names"]["plural"],
        manifest["spec"]["names"]["singular"],
        *manifest["spec"]["names"].get("shortNames", ()),
        manifest["metadata"]["name"],
    )
}
"""Kind of our resources by each name that kubectl accepts."""
KUBECTL = {
    *("annotate", "api-resources", "apply", "auth", "cluster-info", "config", "create", "delete", "describe", "drain"),
    *("events", "exec", "explain", "get", "kustomize", "label", "logs", "patch", "port-forward", "rollout", "scale"),
    *("top", "uncordon", "version", "wait", "purpleflea", "cp", "run", "edit", "diff", "cordon", "options", "taint"),
}  # fmt: skip
CONDITIONS: dict[str, set[str]] = {
    "PurpleFleaAgent": set(ConditionType),
    "PurpleFleaHalt": set(HaltCondition),
    "PurpleFleaObservability": set(ObservabilityCondition),
}
OF_KUBERNETES = {
    *("pod", "secret", "configmap", "namespace", "node", "lease", "event", "service", "job", "deployment", "deploy"),
    *("statefulset", "daemonset", "networkpolicy", "poddisruptionbudget", "serviceaccount", "role", "rolebinding"),
    *("clusterrole", "clusterrolebinding", "pvc", "pv", "storageclass", "crd", "mutatingwebhookconfiguration"),
    *("datadogagent", "persistentvolumeclaim", "networkpolicie", "storageclasse", "quota", "resourcequota"),
    "storageclas",
    "datadoginstrumentation",
}  # fmt: skip
"""Resources of others that the pages use, in the singular and without the last s."""
TAKE_RESOURCES = {
    "annotate",
    "delete",
    "describe",
    "edit",
    "get",
    "label",
    "patch",
    "scale",
    "wait",
}
FILE_OPTIONS = ("-f", "--filename", "--patch-file", "--values", "--set-file", "-k", "--kustomize")


def problems(words: Words) -> list[str]:
    """Return the faults of one command; each names the word. Programs without a check have none."""
    if words[0] in ("sudo", "env", "exec", "time") and len(words) > 1:
        rest = [word for word in words[1:] if not re.match(r"[A-Za-z_]\w*=", word)]
        return problems(rest) if rest else []
    check = CHECKS.get(Path(words[0]).name)
    return list(check(words)) if check else []


def without_a_test(found: Sequence[Words]) -> list[str]:
    """Return the programs of a block that the tests of the documentation do not run."""
    programs = [Path(words[0]).name for words in found]
    run = CHECKS.keys() - NEED_A_MARK
    if "kubectl" in programs:
        run |= FILTERS
    if any(words[:2] == ["kubectl", "port-forward"] for words in found):
        run |= {"curl"}
    return [program for program in programs if program not in run]


def _make(words: Words) -> Iterator[str]:
    targets = [word for word in words[1:] if "=" not in word and not word.startswith("-")]
    known = _targets()
    yield from (f"make has no target {target}" for target in targets if target not in known)


@cache
def _targets() -> frozenset[str]:
    text = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    return frozenset(re.findall(r"^([a-z0-9-]+):", text, re.MULTILINE))


def _kubectl(words: Words) -> Iterator[str]:
    if words[1:2] == ["purpleflea"]:
        yield from _plugin(words[2:])
        return
    arguments = _arguments(words)
    if not arguments or arguments[0] not in KUBECTL:
        yield f"kubectl has no command {arguments[:1]}"
    yield from _missing_files(words)
    if arguments[:1] and arguments[0] in TAKE_RESOURCES:
        yield from _resources(arguments[1:], words)
    patch = option(words, "-p", "--patch")
    if patch is not None:
        yield from _patch(arguments, patch)
    for key in re.findall(r"purpleflea\.com/[\w.-]+(?==|-$)", " ".join(words)):
        if key not in _our_names():
            yield f"no code has the name {key}"


VALUES_OF = {
    *("-n", "--namespace", "--context", "--kubeconfig", "--as", "-o", "--output", "-l", "--selector", "-p", "--patch"),
    *("-f", "--filename", "--type", "-c", "--container", "--field-selector", "--replicas", "--timeout", "--for"),
    *("--patch-file", "--raw", "--tail", "--since"),
}  # fmt: skip
"""Options of kubectl whose value is the next word."""


def _arguments(words: Words) -> list[str]:
    """Return the words of kubectl that are no options and no values of options."""
    pairs = itertools.pairwise(words)
    return [word for before, word in pairs if word[:1] != "-" and before not in VALUES_OF]


def _resources(names: Words, words: Words) -> Iterator[str]:
    """Check the kinds of resources, and for ours the conditions and fields that the command names."""
    for name in names[:1]:
        for part in name.partition("/")[0].split(","):
            kind = OURS.get(part)
            if kind is not None:
                yield from _names_of(kind, words)
            elif not PLACEHOLDER.match(part) and part.removesuffix("s") not in OF_KUBERNETES:
                yield f"unknown resource {part}"


def _names_of(kind: str, words: Words) -> Iterator[str]:
    condition = re.fullmatch(r"condition=(\w+)(=.*)?", option(words, "--for") or "")
    if condition and condition[1] not in CONDITIONS[kind]:
        yield f"{kind} has no condition {condition[1]}"
    shown = f"{option(words, '-o', '--output') or ''} {option(words, '--for') or ''}"
    for path in re.findall(r"\.((?:spec|status)(?:\.\w+)*)", shown):
        if not documented_manifests.has_field(kind, path):
            yield f"{kind} has no field {path}"


def _plugin(words: Words) -> Iterator[str]:
    """Parse the arguments with the commands of the plugin, without running them."""
    from kubectl_purpleflea.application import cli

    command: click.Command = cli
    rest = list(words) or ["--help"]
    try:
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            found = command.get_command(click.Context(command), rest[0])
            if found is None:
                yield f"kubectl purpleflea has no command {rest[0]}"
                return
            command, rest = found, rest[1:]
        # A text names a command without its arguments.
        command.make_context("kubectl purpleflea", rest or ["--help"])
    except click.exceptions.Exit:
        return  # --help
    except click.ClickException as error:
        # The files of the examples exist only where the user is.
        if "No such file or directory" not in error.format_message():
            yield error.format_message()


def _patch(arguments: Words, patch: str) -> Iterator[str]:
    try:
        change = json.loads(patch)
    except ValueError as error:
        yield f"the patch is not JSON: {error}"
        return
    name = arguments[1].partition("/")[0] if len(arguments) > 1 else ""
    if name in OURS:
        yield from documented_manifests.fragment_problems(change, OURS[name])


@cache
def _our_names() -> str:
    folders = (REPOSITORY / name / "src" for name in ("operator", "contract"))
    text = "\n".join(path.read_text() for folder in folders for path in folder.rglob("*.py"))
    return text.replace("{GROUP}", "purpleflea.com")


def option(words: Words, *names: str) -> str | None:
    """Return the value of an option that is written as `--name value` or `--name=value`."""
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else (list(words[index + 1 :]) or [""])[0]
    return None


def _missing_files(words: Words) -> Iterator[str]:
    for name in FILE_OPTIONS:
        value = option(words, name)
        if value is None or value == "-" or URL.match(value) or PLACEHOLDER.match(value):
            continue
        path = value.rpartition("=")[2]
        if "/" in path and not (REPOSITORY / path).exists():
            yield f"the file {path} does not exist"


def _helm(words: Words) -> Iterator[str]:
    yield from _missing_files(words)
    for word in words:
        if (chart := _chart(word)) is not None:
            yield from _rendered(chart, words)


def _chart(word: str) -> Path | None:
    """Return the chart that a word names: as CHART (that of the operator), by its folder, or as a packaged file."""
    if word == "CHART":
        return CHART
    for chart in CHART.parent.iterdir():
        is_folder = word.rstrip("/").endswith(str(chart.relative_to(REPOSITORY)))
        if is_folder or re.fullmatch(rf"(.*/)?{chart.name}-[0-9.]+\.tgz", word):
            return chart
    return None


def _rendered(chart: Path, words: Words) -> Iterator[str]:
    """Render a chart of the checkout with the values of the command, without those that contain a variable."""
    pairs = (
        (word,) if "=" in word else tuple(words[index : index + 2])
        for index, word in enumerate(words)
        if word.partition("=")[0] in VALUE_OPTIONS
    )
    values = [part for pair in pairs if "$" not in pair[-1] for part in pair]
    files = option(words, "-f", "--values")
    if files is not None and not (REPOSITORY / files).exists():
        values = [word for word in values if word not in ("-f", "--values", files)]
    command = [str(HELM), "template", "documented", str(chart), *values]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=REPOSITORY
    )
    if done.returncode:
        yield f"helm: {done.stderr.strip()}"
    elif not list(yaml.safe_load_all(done.stdout)):
        yield "helm renders nothing"


VALUE_OPTIONS = ("--set", "--set-string", "--set-json", "-f", "--values", "--api-versions")


def _docker(words: Words) -> Iterator[str]:
    yield from _missing_files(words)
    if words[1] == "build" and not (REPOSITORY / words[-1]).is_dir():
        yield f"the folder {words[-1]} does not exist"


def _pip(words: Words) -> Iterator[str]:
    for word in words[2:]:
        path = word.partition("[")[0]
        if path.startswith("./") and not (REPOSITORY / path).exists():
            yield f"the folder {path} does not exist"


def _agent(words: Words) -> Iterator[str]:
    from purpleflea_agent.cli import _parser  # imported here, because it is slow

    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            _parser().parse_args(words[1:])
    except SystemExit as end:
        if end.code:
            yield printed.getvalue()


CHECKS: dict[str, Callable[[Words], Iterator[str]]] = {
    "make": _make,
    "kubectl": _kubectl,
    "helm": _helm,
    "docker": _docker,
    "pip": _pip,
    "purpleflea-agent": _agent,
}
FILTERS = {"grep", "jq", "read", "base64", "head", "sort", "tr"}
"""Programs that read the output of kubectl."""
NEED_A_MARK = {"docker", "pip", "purpleflea-agent"}
"""Programs whose words are checked, but whose commands run elsewhere or not at all."""
