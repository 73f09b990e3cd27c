"""Accessibility of the page with axe-core: names, roles, contrast, sequence."""

import pytest
from axe_playwright_python.async_playwright import Axe

pytestmark = pytest.mark.asyncio(loop_scope="session")

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def violations(results):
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in results.response["violations"]
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize(
    ("theme", "state"),
    [
        ("light", "charts"),
        ("dark", "charts"),
        ("light", "monitor"),
        ("dark", "tables"),
        ("light", "trace"),
        ("dark", "trace"),
    ],
)
async def test_page_has_no_accessibility_violations(sandbox, visiting, theme, state):
    settings = {"color_scheme": theme, "reduced_motion": "reduce"}
    async with visiting(f"{sandbox.url}/fleet?window=3600", **settings) as visit:
        page = visit.page
        if state == "tables":
            await page.get_by_role("button", name="Tables").click()
        elif state == "monitor":
            await page.locator("#monitors summary").first.click()
        elif state == "trace":
            await page.locator("#traces [data-trace]").first.click()
            await page.locator("dialog[open] .spans li").first.wait_for()
        assert violations(await Axe().run(page, options=RULES)) == []
