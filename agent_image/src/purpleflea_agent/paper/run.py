"""A run with paper money from the command line: options, session, view and report."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable

from purpleflea_agent.journal import JournalError
from purpleflea_agent.paper import options, report, session, view
from purpleflea_agent.paper.errors import PaperError
from purpleflea_agent.paper.session import Session
from purpleflea_agent.trading.strategy_loading import UnknownStrategy

USER_ERROR, ALL_FAILED = 2, 1
REPORT = "report.html"


def main(arguments: argparse.Namespace) -> int:
    """Trade and write the report; return 0, ALL_FAILED if every interval failed, or USER_ERROR."""
    sys.path.insert(0, "")  # strategies of the present folder, as with python -m
    try:
        ready = session.prepare(options.from_arguments(arguments))
    except (PaperError, UnknownStrategy, JournalError) as error:
        sys.stderr.write(f"purpleflea-agent: {' '.join(str(error).split())}\n")
        return USER_ERROR
    title = _title(ready)
    with view.opened(title, is_plain=ready.options.is_plain) as update:
        asyncio.run(_until_signal(ready, update))
    path = ready.folder / REPORT
    path.write_text(report.page(ready.history, title), encoding="utf-8")
    sys.stdout.write(f"\n{report.text(ready.history, title)}\nReport: {path}\n")
    is_failure = not ready.history.completed and ready.history.problem_count
    return ALL_FAILED if is_failure else 0


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
