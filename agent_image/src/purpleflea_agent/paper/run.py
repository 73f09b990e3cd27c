"""A run with paper money from the command line: options, session, view and report."""

import argparse
import asyncio
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable

from purpleflea_agent.journal import JournalError
from purpleflea_agent.paper import options, report, session, view
from purpleflea_agent.paper.errors import PaperError
from purpleflea_agent.paper.session import Session
from purpleflea_agent.trading.strategy_loading import UnknownStrategy
from purpleflea_sdk.telemetry.guard import text_of

USER_ERROR, ALL_FAILED = 2, 1
REPORT = "report.html"


def main(arguments: argparse.Namespace) -> int:
    """Trade and write the report; return 0, ALL_FAILED if every interval failed, or USER_ERROR."""
    sys.path.insert(0, "")  # strategies of the present folder, as with python -m
    _open_output()
    try:
        return _run(arguments)
    except BrokenPipeError:  # the reader has ended, as in a pipe to head
        _discard_output()
        return ALL_FAILED
    except (PaperError, UnknownStrategy, JournalError) as error:
        return _failed(str(error))
    except OSError as error:
        if error.filename is None:
            _discard_output()
            return _failed(f"the output cannot be written ({error.strerror}): send it elsewhere")
        return _failed(f"{error.filename} cannot be used ({error.strerror}): check --folder")
    except Exception as error:  # logging shows an error that leaves the process only in agent.log
        traceback.print_exc()
        return _failed(f"the run failed: {type(error).__name__}: {text_of(error)}", ALL_FAILED)


def _run(arguments: argparse.Namespace) -> int:
    ready = session.prepare(options.from_arguments(arguments))
    title = _title(ready)
    with view.opened(title, is_plain=ready.options.is_plain) as update:
        asyncio.run(_until_signal(ready, update))
    path = ready.folder / REPORT
    path.write_text(report.page(ready.history, title), encoding="utf-8", errors="backslashreplace")
    sys.stdout.write(f"\n{report.text(ready.history, title)}\nReport: {path}\n")
    sys.stdout.flush()
    is_failure = not ready.history.completed and ready.history.problem_count
    return ALL_FAILED if is_failure else 0


def _open_output() -> None:
    """Let the output take any text of a strategy, and exist even if the shell has closed it."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - open until the exit
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """Send what is still buffered nowhere, because Python writes it at the exit and would report the error again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failed(text: str, code: int = USER_ERROR) -> int:
    shown = " ".join(text.split()).encode(errors="backslashreplace").decode()
    sys.stderr.write(f"purpleflea-agent: {shown}\n")
    return code


async def _until_signal(ready: Session, update: Callable[..., None]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    await ready.run(update, stopping)


def _title(ready: Session) -> str:
    settings = ready.options.settings
    source = f"replay of {ready.options.replay.name}" if ready.options.replay else "paper trading"
    return f"{settings.strategy} on {', '.join(settings.markets)}, {source}"
