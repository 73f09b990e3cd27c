"""Headless browser, and a stand-in with fleet data: the same organization that the API serves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Error, Page, async_playwright

from purpleflea_sandbox.cluster import packages
from purpleflea_sandbox.cluster.progress import TerminalProgress
from purpleflea_sandbox.datadog import intake_app, servers
from purpleflea_sandbox.datadog.api.organisation import Organisation
from purpleflea_sandbox.datadog.evaluation_bridge import EvaluationBridge
from purpleflea_sandbox.datadog.intake.store import Store
from support.definitions import define
from support.fleet_data import FleetData

NOW = 1_795_392_000.0
"""Time of the stand-in. The page shows this time, so that screenshots do not depend on the current time."""
ACROSS_MS = 60_000
"""Maximum time for a condition on the page; it is long, because machines differ."""


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of Debian's chromium; install it if it is missing."""
    packages.ensure(("chromium",), TerminalProgress())
    return packages.program("chromium")


@pytest.fixture(scope="session")
def artefacts(repository: Path) -> Path:
    folder = repository / "test-results" / "web"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield started
        await started.close()


@dataclass(kw_only=True)
class Sandbox:
    """A running stand-in and its organization."""

    url: str
    organisation: Organisation
    bridge: EvaluationBridge

    def pass_time(self, seconds: float) -> None:
        later = self.organisation.now() + seconds
        self.organisation.now = lambda: later

    @property
    def store(self) -> Store:
        return self.organisation.data

    async def evaluate(self) -> None:
        await self.bridge.monitor_runner.once()


@dataclass(kw_only=True)
class Visit:
    """One opened page and its console messages."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def record_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def record_error(self, error: Error) -> None:
        self.complaints.append(str(error))

    async def refreshed(self) -> int:
        """Return how often the page has shown data."""
        return int(await self.page.evaluate("Number(document.body.dataset.refreshed ?? 0)"))

    async def settled(self) -> None:
        """Wait until the page has shown data again."""
        await self.shown(await self.refreshed() + 1)

    async def shown(self, times: int) -> None:
        # The page's policy forbids eval, which playwright's own wait_for_function uses.
        async with asyncio.timeout(ACROSS_MS / 1000):
            while True:
                if await self.refreshed() >= times:
                    return
                await asyncio.sleep(0.02)


Serving = Callable[[Organisation], AbstractAsyncContextManager[Sandbox]]


@pytest.fixture
def serving() -> Serving:
    return _serving


@asynccontextmanager
async def _serving(organisation: Organisation) -> AsyncIterator[Sandbox]:
    bridge = EvaluationBridge(organisation, {})
    app = intake_app.application(organisation.data, "", organisation, bridge)
    async with servers.served(app, "127.0.0.1", 0) as port:
        yield Sandbox(url=f"http://127.0.0.1:{port}", organisation=organisation, bridge=bridge)


@pytest_asyncio.fixture(loop_scope="session")
async def sandbox(repository: Path) -> AsyncIterator[Sandbox]:
    """Fleet of three agents with all definitions that this project generates, evaluated once."""
    now = NOW
    organisation = Organisation(Store(), now=lambda: now)
    # Create the pipelines first, because they do not change logs that arrived before them.
    define(organisation, repository / "observability")
    FleetData(organisation.data, now).fill(3600)
    for monitor in organisation.monitors.values():
        monitor.definition["options"]["new_group_delay"] = 0
    async with _serving(organisation) as running:
        await running.evaluate()
        yield running


Visiting = Callable[..., AbstractAsyncContextManager[Visit]]


@pytest.fixture
def visiting(browser: Browser) -> Visiting:
    """Open a page. When it closes, its console must not contain errors or warnings."""

    @asynccontextmanager
    async def visit(url: str, *, silent: bool = True, **settings: Any) -> AsyncIterator[Visit]:
        wanted: dict[str, Any] = {"viewport": {"width": 1440, "height": 1000}, **settings}
        context = await browser.new_context(**wanted)
        context.set_default_timeout(ACROSS_MS)
        page = await context.new_page()
        visit = Visit(page=page)
        page.on("console", visit.record_message)
        page.on("pageerror", visit.record_error)
        await page.goto(url)
        await visit.shown(1)
        yield visit
        await context.close()
        if silent:
            assert visit.complaints == []

    return visit
