"""Program that runs Agent checks in an interpreter with Datadog's base classes (see node_agent.checks).

It replaces the Agent's embedded Python. It provides the modules `aggregator` and `datadog_agent` that the base
classes import, loads checks from checks.d or installed packages, and keeps one object per instance. It depends only
on the standard library and datadog_checks, and checks never import it. It reads one JSON line per request and writes
one JSON line per response.
"""

import contextlib
import importlib
import importlib.util
import json
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

AT_ONCE = 4
"""Number of checks that run concurrently; the Agent's default."""
MOST_SUBMISSIONS = 10_000
"""Maximum submissions of one run. If a run submits more, the rest is counted as dropped."""

BUILT_IN = {"openmetrics": ("datadog_checks.base", "OpenMetricsBaseCheckV2")}
"""Checks that the Agent ships and that consist of their base class only."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Submissions:
    """Submissions of checks per instance, until the run is answered. Locked, because checks run in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_id: dict[str, dict[str, Any]] = {}

    def add(self, check_id: str, kind: str, item: list[Any]) -> None:
        with self._lock:
            found = self._by_id.setdefault(check_id, _nothing())
            if (
                sum(len(found[k]) for k in ("metrics", "service_checks", "events"))
                < MOST_SUBMISSIONS
            ):
                found[kind].append(item)
            else:
                found["dropped"] += 1

    def drop(self, check_id: str) -> None:
        """Count a submission that is not supported."""
        with self._lock:
            self._by_id.setdefault(check_id, _nothing())["dropped"] += 1

    def taken(self, check_id: str) -> dict[str, Any]:
        with self._lock:
            return self._by_id.pop(check_id, None) or _nothing()


def _nothing() -> dict[str, Any]:
    return {"metrics": [], "service_checks": [], "events": [], "dropped": 0}


def aggregator_module(submissions: Submissions) -> ModuleType:
    """Create the Agent's `aggregator` module: its constants and functions, with their positional parameters."""
    module = ModuleType("aggregator")
    names = ("GAUGE", "RATE", "COUNT", "MONOTONIC_COUNT", "COUNTER", "HISTOGRAM", "HISTORATE")
    for number, name in enumerate(names):
        setattr(module, name, number)

    def submit_metric(_: Any, check_id: str, *metric: Any) -> None:
        kind, name, value, tags, hostname, *more = metric
        item = [kind, name, value, list(tags or ()), hostname or "", bool(more and more[0])]
        submissions.add(check_id, "metrics", item)

    def submit_service_check(_: Any, check_id: str, *check: Any) -> None:
        name, status, tags, hostname, message = check
        item = [name, int(status), list(tags or ()), hostname or "", message or ""]
        submissions.add(check_id, "service_checks", item)

    def submit_event(_: Any, check_id: str, event: Mapping[str, Any]) -> None:
        item = [
            event.get("msg_title", ""),
            event.get("msg_text", ""),
            list(event.get("tags") or ()),
        ]
        submissions.add(check_id, "events", item)

    def unsupported(_: Any, check_id: str, *__: Any) -> None:
        submissions.drop(check_id)

    vars(module).update(
        submit_metric=submit_metric,
        submit_service_check=submit_service_check,
        submit_event=submit_event,
        submit_histogram_bucket=unsupported,
        submit_event_platform_event=unsupported,
    )
    return module


def agent_module(hostname: str, version: str) -> ModuleType:
    """Create the Agent's `datadog_agent` module, limited to the functions that the base classes use. No option is set
    and no secret is available.
    """
    module = ModuleType("datadog_agent")
    cache: dict[str, str] = {}

    def log(message: str, level: int) -> None:
        if level >= logging.WARNING:
            sys.stderr.write(f"check: {message}\n")

    def nothing(*_: Any) -> None:
        return None

    ignored = ("set_check_metadata", "send_log", "set_external_tags", "emit_agent_telemetry")
    vars(module).update(
        dict.fromkeys((*ignored, "get_config", "report_issue", "resolve_issue"), nothing),
        log=log,
        get_hostname=lambda: hostname,
        get_version=lambda: version,
        tracemalloc_enabled=lambda: False,
        read_persistent_cache=lambda key: cache.get(key, ""),
        write_persistent_cache=cache.__setitem__,
    )
    return module


class LoadError(Exception):
    """A check cannot be loaded; the message contains the reason."""


def check_class(name: str, checks_d: Path) -> type[Any]:
    """Return the class of a check from checks.d, else from the built-in checks, else from installed packages. Raises
    LoadError.
    """
    if not _NAME.fullmatch(name):
        raise LoadError(f"{name!r} is no name of a check")
    path = checks_d / f"{name}.py"
    try:
        if path.is_file():
            return _defined(_module_of(name, path))
        if name in BUILT_IN:
            module, attribute = BUILT_IN[name]
            found: type[Any] = getattr(importlib.import_module(module), attribute)
            return found
        return _defined(importlib.import_module(f"datadog_checks.{name}"))
    except ModuleNotFoundError as error:
        if error.name == f"datadog_checks.{name}":
            raise LoadError(f"there is no check {name}: {path} does not exist") from error
        raise LoadError(f"check {name} cannot be loaded: {error}") from error
    except Exception as error:  # third-party modules can raise any exception during import
        raise LoadError(
            f"check {name} cannot be loaded: {type(error).__name__}: {error}"
        ) from error


def _module_of(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LoadError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _defined(module: ModuleType) -> type[Any]:
    base = importlib.import_module("datadog_checks.base").AgentCheck
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, base)
        and value.__module__ != base.__module__
    ]
    # The module may also contain base classes of the check, so the check is the class without
    # subclasses in the module.
    leaves = [one for one in found if not any(one is not o and issubclass(o, one) for o in found)]
    own = [one for one in leaves if one.__module__.split(".")[0] == module.__name__.split(".")[0]]
    if not own:
        raise LoadError(f"{module.__name__} defines no subclass of AgentCheck")
    return own[-1]


class Runner:
    """Check objects by the id of their instance."""

    def __init__(self, checks_d: Path, submissions: Submissions) -> None:
        self._checks_d = checks_d
        self._submissions = submissions
        self._checks: dict[str, Any] = {}

    def run(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Run a check once. The response contains the submissions, and the error if the run failed."""
        check_id = str(request["id"])
        warnings: list[str] = []
        try:
            check = self._checks.get(check_id)
            if check is None:
                check = self._checks[check_id] = self._made(request)
            error = _shown(check.run())
            warnings = [str(one) for one in check.get_warnings()]
        except LoadError as failure:
            error = str(failure)
        except BaseException as failure:  # SystemExit in one check must not stop the others
            traceback.print_exc()
            error = f"{type(failure).__name__}: {failure}"
        taken = self._submissions.taken(check_id)
        return {"number": request["number"], "error": error, "warnings": warnings, **taken}

    def forget(self, check_id: str) -> None:
        check = self._checks.pop(check_id, None)
        if check is not None:
            with contextlib.suppress(Exception):
                check.cancel()

    def _made(self, request: Mapping[str, Any]) -> Any:
        kind = check_class(str(request["check"]), self._checks_d)
        check = kind(request["check"], request["init_config"], [request["instance"]])
        check.check_id = request["id"]
        return check


def _shown(result: Any) -> str:
    """Return the error message from the result of a check's `run`: empty, or the first item of a JSON list of errors
    with tracebacks.
    """
    if not result:
        return ""
    try:
        return str(json.loads(result)[0]["message"])
    except (ValueError, LookupError, TypeError):
        return str(result)


def main(arguments: list[str]) -> None:
    """Serve requests from standard input until end of file."""
    checks_d, hostname, version = arguments
    # Redirect standard output to standard error, because output printed by a check would corrupt
    # the responses.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    submissions = Submissions()
    sys.modules["aggregator"] = aggregator_module(submissions)
    sys.modules["datadog_agent"] = agent_module(hostname, version)
    runner = Runner(Path(checks_d), submissions)
    writing = threading.Lock()

    def answered(run: Callable[[Mapping[str, Any]], dict[str, Any]], request: Any) -> None:
        text = json.dumps(run(request), default=str)
        with writing:
            answers.write(text + "\n")
            answers.flush()

    with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="check") as pool:
        for line in sys.stdin:
            request = json.loads(line)
            if "forget" in request:
                runner.forget(request["forget"])
            else:
                pool.submit(answered, runner.run, request)


if __name__ == "__main__":
    main(sys.argv[1:])
