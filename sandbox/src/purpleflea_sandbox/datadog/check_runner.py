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

CONCURRENCY = 4
"""Number of checks that run concurrently; the Agent's default."""
MAX_SUBMISSIONS = 10_000
"""Maximum submissions of a run. If a run submits more, the rest is counted as dropped."""

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
            submitted = self._by_id.setdefault(check_id, _empty())
            if (
                sum(len(submitted[key]) for key in ("metrics", "service_checks", "events"))
                < MAX_SUBMISSIONS
            ):
                submitted[kind].append(item)
            else:
                submitted["dropped"] += 1

    def drop(self, check_id: str) -> None:
        """Count a submission that is not supported."""
        with self._lock:
            self._by_id.setdefault(check_id, _empty())["dropped"] += 1

    def pop(self, check_id: str) -> dict[str, Any]:
        with self._lock:
            return self._by_id.pop(check_id, None) or _empty()


def _empty() -> dict[str, Any]:
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

    def no_op(*_: Any) -> None:
        return None

    ignored = ("set_check_metadata", "send_log", "set_external_tags", "emit_agent_telemetry")
    vars(module).update(
        dict.fromkeys((*ignored, "get_config", "report_issue", "resolve_issue"), no_op),
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
        raise LoadError(f"invalid check name {name!r}")
    path = checks_d / f"{name}.py"
    try:
        if path.is_file():
            return _own_check_class(_load_module(name, path))
        if name in BUILT_IN:
            module, attribute = BUILT_IN[name]
            built_in: type[Any] = getattr(importlib.import_module(module), attribute)
            return built_in
        return _own_check_class(importlib.import_module(f"datadog_checks.{name}"))
    except ModuleNotFoundError as error:
        if error.name == f"datadog_checks.{name}":
            raise LoadError(f"check {name} was not found: {path} does not exist") from error
        raise LoadError(f"check {name} cannot be loaded: {error}") from error
    except Exception as error:  # third-party modules can raise any exception during import
        raise LoadError(
            f"check {name} cannot be loaded: {type(error).__name__}: {error}"
        ) from error


def _load_module(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LoadError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _own_check_class(module: ModuleType) -> type[Any]:
    base = importlib.import_module("datadog_checks.base").AgentCheck
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, base)
        and value.__module__ != base.__module__
    ]
    # The module may also contain base classes of the check, so the check is the class without
    # subclasses in the module.
    leaves = [
        candidate
        for candidate in classes
        if not any(candidate is not other and issubclass(other, candidate) for other in classes)
    ]
    own = [
        candidate
        for candidate in leaves
        if candidate.__module__.split(".")[0] == module.__name__.split(".")[0]
    ]
    if not own:
        raise LoadError(f"{module.__name__} defines no subclass of AgentCheck")
    return own[-1]


class CheckRunner:
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
                check = self._checks[check_id] = self._create(request)
            error = _error_message(check.run())
            warnings = [str(warning) for warning in check.get_warnings()]
        except LoadError as failure:
            error = str(failure)
        except BaseException as failure:  # SystemExit in a check must not stop the others
            traceback.print_exc()
            error = f"{type(failure).__name__}: {failure}"
        submitted = self._submissions.pop(check_id)
        return {"number": request["number"], "error": error, "warnings": warnings, **submitted}

    def remove(self, check_id: str) -> None:
        check = self._checks.pop(check_id, None)
        if check is not None:
            with contextlib.suppress(Exception):
                check.cancel()

    def _create(self, request: Mapping[str, Any]) -> Any:
        kind = check_class(str(request["check"]), self._checks_d)
        check = kind(request["check"], request["init_config"], [request["instance"]])
        check.check_id = request["id"]
        return check


def _error_message(result: Any) -> str:
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
    responses = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    submissions = Submissions()
    sys.modules["aggregator"] = aggregator_module(submissions)
    sys.modules["datadog_agent"] = agent_module(hostname, version)
    runner = CheckRunner(Path(checks_d), submissions)
    write_lock = threading.Lock()

    def respond(run: Callable[[Mapping[str, Any]], dict[str, Any]], request: Any) -> None:
        text = json.dumps(run(request), default=str)
        with write_lock:
            responses.write(text + "\n")
            responses.flush()

    with ThreadPoolExecutor(max_workers=CONCURRENCY, thread_name_prefix="check") as pool:
        for line in sys.stdin:
            request = json.loads(line)
            if "forget" in request:
                runner.remove(request["forget"])
            else:
                pool.submit(respond, runner.run, request)


if __name__ == "__main__":
    main(sys.argv[1:])
