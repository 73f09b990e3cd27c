"""The built documentation site: every page loads in a browser with its pictures, and only from its own server."""

import functools
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

in_one_loop = pytest.mark.asyncio(loop_scope="session")
SHOWN = ("index.html", "concepts.html", "conditions.html", "tutorial.html")
"""Pages with a picture in test-results/web."""
BROKEN = "() => [...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src)"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(repository: Path) -> Path:
    folder = repository / "site"
    assert (folder / "index.html").is_file(), "run `make site`"
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> list[str]:
    return sorted(str(file.relative_to(site)) for file in site.rglob("*.html"))


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, name="site", daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_files_name_no_script_style_font_or_picture_of_another_server(site: Path) -> None:
    loads = re.compile(
        r"<(?:script|img|iframe|source)[^>]+src=\"?https?:|<link[^>]+rel=\"?(?:stylesheet|icon|preload)[^>]+href=\"?https?:"
    )
    imports = re.compile(r"@import\s+[\"']?https?:|url\([\"']?https?:")
    for file in site.rglob("*.html"):
        assert not loads.search(file.read_text()), file
    for file in site.rglob("*.css"):
        assert not imports.search(file.read_text()), file


@in_one_loop
async def test_every_page_loads_completely_from_its_own_server(
    pages: list[str], address: str, browser: Browser, artefacts: Path
) -> None:
    page = await browser.new_page(viewport={"width": 1300, "height": 1000})
    requested: set[str] = set()
    errors: list[str] = []
    page.on("request", lambda request: requested.add(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    for name in pages:
        await page.goto(f"{address}/{name}", wait_until="load")
        assert await page.evaluate(BROKEN) == [], name
        if name in SHOWN:
            await page.wait_for_load_state("networkidle")
            await page.screenshot(path=artefacts / f"site-{name}.png")
    elsewhere = [url for url in requested if not url.startswith((address, "data:", "blob:"))]
    assert (elsewhere, errors) == ([], [])
    await page.close()


@in_one_loop
async def test_the_search_finds_a_page(address: str, browser: Browser) -> None:
    page = await browser.new_page()
    await page.goto(f"{address}/index.html")
    await open_search(page)
    await page.keyboard.type("force-resume")
    await page.get_by_role("link", name=re.compile("halts", re.IGNORECASE)).first.wait_for()
    await page.close()


async def open_search(page: Page) -> None:
    await page.get_by_role("button", name="Search").first.click()
