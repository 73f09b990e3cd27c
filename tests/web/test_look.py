"""Screenshots of the page, kept as artifacts of the run, and checks for overflow."""

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_page_renders_in_both_themes(sandbox, visiting, artefacts, theme):
    settings = {"color_scheme": theme, "reduced_motion": "reduce"}
    async with visiting(f"{sandbox.url}/fleet?window=3600", **settings) as visit:
        await visit.page.wait_for_selector("canvas")
        await visit.page.screenshot(path=artefacts / f"fleet-{theme}.png", full_page=True)
        assert await visit.page.locator("canvas").count() > 8


async def test_screenshots_of_the_first_screen_and_of_a_trace(sandbox, visiting, artefacts):
    settings = {"viewport": {"width": 1440, "height": 1180}, "reduced_motion": "reduce"}
    async with visiting(f"{sandbox.url}/fleet?window=3600", **settings) as visit:
        await visit.page.wait_for_selector("canvas")
        await visit.page.screenshot(path=artefacts / "first-screen.png")
        await visit.page.locator("#traces [data-trace]").first.click()
        await visit.page.wait_for_selector("dialog[open] .spans li")
        await visit.page.screenshot(path=artefacts / "trace.png")


@pytest.mark.parametrize("width", [360, 768, 1024, 1920])
async def test_page_does_not_overflow_at_any_width(sandbox, visiting, artefacts, width):
    async with visiting(
        f"{sandbox.url}/fleet", viewport={"width": width, "height": 900}, reduced_motion="reduce"
    ) as visit:
        await visit.page.wait_for_selector("canvas")
        await visit.page.screenshot(path=artefacts / f"width-{width}.png", full_page=True)
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await visit.page.evaluate(overflow) == 0
