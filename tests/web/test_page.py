"""The page shows the data of the store and can be operated."""

import json
import math
import re
import statistics

import aiohttp
import pytest

from purpleflea_contract import metrics
from purpleflea_sandbox.datadog.api.organisation import Organisation
from purpleflea_sandbox.datadog.intake import messages
from purpleflea_sandbox.datadog.intake.store import Store

pytestmark = pytest.mark.asyncio(loop_scope="session")

FLEET = "/fleet?window=3600"


def card(page, title):
    return page.locator(".grid > article", has=page.get_by_role("heading", name=title, exact=True))


async def rows(holder):
    """Return the cells of a table, row by row, newest values first."""
    table_rows = await holder.locator("tbody tr").all()
    return [
        [cell.strip() for cell in await row.locator("th, td").all_inner_texts()]
        for row in table_rows
    ]


async def figure(page, title):
    text = await card(page, title).locator("strong").inner_text()
    return float(re.sub(r"[^\d.-]", "", text))


def newest(sandbox, metric, *tags, within=statistics.fmean):
    """Return the last minute's value of every series, which is the last bucket of a chart of one hour."""
    end = math.ceil(sandbox.organisation.now() / 5) * 5
    points = [
        [value for moment, value in one.points if moment > end - 60]
        for one in sandbox.store.series.find(metric, tags)
    ]
    return [within(one) for one in points]


async def test_figures_equal_the_values_in_the_store(sandbox, visiting):
    async with visiting(sandbox.url + FLEET) as visit:
        profit = sum(newest(sandbox, metrics.PNL.name))
        assert await figure(visit.page, "Fleet P&L (USD)") == pytest.approx(profit, abs=0.01)
        assert await figure(visit.page, "Agents with a heartbeat") == 3
        assert await figure(visit.page, "Max drawdown") > 8
        assert await card(visit.page, "Max drawdown").get_attribute("data-tone") == "warn"


async def test_table_of_a_chart_has_the_same_values(sandbox, visiting):
    async with visiting(sandbox.url + FLEET) as visit:
        balance = card(visit.page, "Wallet balance")
        assert await balance.locator("canvas").count() == 1
        await balance.get_by_role("button", name="Wallet balance as a table").click()
        heads = await balance.locator("thead th").all_inner_texts()
        first = (await rows(balance))[0]
        for agent, shown in zip(heads[1:], first[1:], strict=True):
            name = metrics.WALLET_BALANCE.name
            value = newest(sandbox, name, f"agent_id:{agent}", within=min)[0]
            assert float(shown.replace(",", "")) == pytest.approx(value, abs=0.6)
        assert await balance.locator("canvas").count() == 0
        await balance.get_by_role("button", name="Wallet balance as a table").click()
        await balance.locator("canvas").wait_for()


async def test_all_charts_become_tables_at_once(sandbox, visiting):
    async with visiting(sandbox.url + FLEET) as visit:
        await visit.page.get_by_role("button", name="Tables").click()
        assert await visit.page.locator("canvas").count() == 0
        percentiles = dict(
            await rows(card(visit.page, "Order latency distribution").locator("table").first)
        )
        assert list(percentiles) == ["p50", "p75", "p90", "p95", "p99"]
        assert await card(visit.page, "Order latency over time").locator("tbody tr").count() > 10


async def test_filter_applies_to_every_part_of_the_page(sandbox, visiting):
    async with visiting(sandbox.url + FLEET) as visit:
        await visit.page.get_by_label("$agent_id").select_option("momentum-1")
        await visit.settled()
        assert await figure(visit.page, "Agents with a heartbeat") == 1
        profit = sum(newest(sandbox, metrics.PNL.name, "agent_id:momentum-1"))
        assert await figure(visit.page, "Fleet P&L (USD)") == pytest.approx(profit, abs=0.01)
        agents = {row[3] for row in await rows(visit.page.locator("#traces"))}
        logs = await rows(visit.page.locator("#logs"))
        assert logs
        assert agents | {row[2] for row in logs} == {"momentum-1"}
        assert "tpl_var_agent_id=momentum-1" in visit.page.url


async def test_url_sets_filters_and_window(sandbox, visiting):
    async with visiting(f"{sandbox.url}/fleet?window=300&tpl_var_strategy=reversion") as visit:
        assert await visit.page.get_by_label("$strategy").input_value() == "reversion"
        assert await visit.page.get_by_label("5 min", exact=True).is_checked()
        assert await figure(visit.page, "Agents with a heartbeat") == 1
        await visit.page.get_by_text("2 h", exact=True).click()
        await visit.settled()
        assert "window=7200" in visit.page.url


async def test_filter_without_matches_shows_no_data(sandbox, visiting):
    async with visiting(f"{sandbox.url}{FLEET}&tpl_var_env=nowhere") as visit:
        assert "No data in this time" in await card(visit.page, "P&L by market").inner_text()
        assert re.search(r"\d", await card(visit.page, "Fleet P&L (USD)").inner_text()) is None


async def test_trace_links_to_its_logs_and_log_to_its_trace(sandbox, visiting):
    async with visiting(sandbox.url + FLEET) as visit:
        link = visit.page.locator("#logs [data-trace]").first
        trace_id = await link.get_attribute("data-trace")
        await link.click()
        dialog = visit.page.get_by_role("dialog")
        await dialog.get_by_role("heading", name=f"Trace {trace_id}").wait_for()
        names = await dialog.locator(".spans .span-name").all_inner_texts()
        assert [name.split()[0] for name in names] == [
            "agent.trading.interval",
            "agent.signal.compute",
            "agent.order.execute",
        ]
        assert [row[2] for row in await rows(dialog)] == ["Trade executed"]
        assert visit.page.url.endswith(f"#trace={trace_id}")


async def test_trace_url_opens_the_trace(sandbox, visiting):
    trace = sandbox.store.traces.find(limit=1)[0]
    async with visiting(f"{sandbox.url}/fleet#trace={trace.trace_id}") as visit:
        await visit.page.locator("dialog[open] .spans li").first.wait_for()


async def test_missing_trace_shows_a_message(sandbox, visiting):
    async with visiting(f"{sandbox.url}/fleet#trace=0123", silent=False) as visit:
        await visit.page.get_by_text("does not have this trace").wait_for()


async def test_monitors_show_their_states_and_their_groups(sandbox, visiting):
    async with visiting(sandbox.url + FLEET) as visit:
        first = visit.page.locator("#monitors details").first
        assert (await first.locator("summary").inner_text()).split("\n") == [
            "High drawdown",
            "Warn",
        ]
        await first.locator("summary").click()
        states = {row[0]: row[1] for row in await rows(first)}
        assert states["agent_id:reversion-0"] == "Warn"
        assert states["agent_id:momentum-0"] == "OK"


async def test_a_transition_is_announced_and_an_open_monitor_stays_open(sandbox, visiting):
    async with visiting(sandbox.url + FLEET) as visit:
        await visit.page.locator("#monitors details").first.locator("summary").click()
        tags = ("agent_id:momentum-0", "env:production", "service:purpleflea-trading-agent")
        series = sandbox.store.series.open(metrics.DRAWDOWN.name, "gauge", tags=tags, host="x")
        sandbox.store.series.add(series, int(sandbox.organisation.now()), 40.0)
        sandbox.pass_time(61)
        await sandbox.evaluate()
        said = visit.page.locator("#announce")
        await said.get_by_text("High drawdown: agent_id:momentum-0 is now Alert").wait_for(
            state="attached"
        )
        assert await visit.page.locator("#monitors details[open]").count() == 1


async def test_external_values_are_rendered_as_text(sandbox, visiting):
    evil = "<img src=x onerror=document.title='owned'>"
    line = {"message": evil, "level": "INFO", "agent_id": "momentum-0"}
    entry = {
        "message": json.dumps(line),
        "service": "purpleflea-trading-agent",
        "ddtags": "env:production",
    }
    sandbox.store.logs.add(messages.log(entry, sandbox.organisation.now()))
    sandbox.organisation.dashboards["fleet"]["widgets"][0]["definition"]["title"] = evil
    async with visiting(sandbox.url + FLEET) as visit:
        await visit.page.locator("#logs").get_by_text(evil).wait_for()
        await card(visit.page, evil).wait_for()
        assert await visit.page.title() == "Purple Flea agent fleet · Purple Flea"
        assert await visit.page.locator("img[src=x]").count() == 0


async def test_policy_forbids_inline_code_and_external_files(sandbox):
    async with aiohttp.ClientSession() as session, session.get(sandbox.url) as response:
        assert response.url.path == "/fleet"
        policy = response.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        text = await response.text()
    assert not re.search(r"https?://|<style|style=|\son\w+=", text)


async def test_page_is_usable_by_keyboard(sandbox, visiting):
    async with visiting(sandbox.url + FLEET) as visit:
        page = visit.page
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip"
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "dashboard"
        summary = page.locator("#monitors summary").first
        await summary.focus()
        await page.keyboard.press("Enter")
        assert await page.locator("#monitors details[open]").count() == 1
        await page.locator("#traces [data-trace]").first.focus()
        await page.keyboard.press("Enter")
        await page.locator("dialog[open] .spans li").first.wait_for()
        assert await page.evaluate("document.activeElement.id") == "trace-title"
        await page.keyboard.press("Escape")
        assert await page.locator("dialog[open]").count() == 0


async def test_focus_is_kept_when_data_is_refreshed(sandbox, visiting):
    async with visiting(sandbox.url + FLEET) as visit:
        link = visit.page.locator("#traces [data-trace]").nth(2)
        key = await link.get_attribute("data-key")
        await link.focus()
        entry = {
            "message": "news",
            "service": "purpleflea-trading-agent",
            "ddtags": "env:production",
        }
        sandbox.store.logs.add(messages.log(entry, sandbox.organisation.now()))
        await visit.settled()
        await visit.page.locator("#logs").get_by_text("news").wait_for()
        assert await visit.page.evaluate("document.activeElement.dataset.key") == key


async def test_theme_is_saved(sandbox, visiting):
    async with visiting(sandbox.url + FLEET, color_scheme="light") as visit:
        await visit.page.get_by_role("button", name="Dark theme").click()
        await visit.page.reload()
        assert await visit.page.evaluate("document.documentElement.dataset.theme") == "dark"


async def test_pause_stops_and_resumes_the_page(sandbox, visiting):
    async with visiting(sandbox.url + FLEET) as visit:
        pause = visit.page.get_by_role("button", name="Pause")
        await pause.click()
        assert await visit.page.locator("#live").get_attribute("data-state") == "paused"
        await pause.click()
        await visit.settled()
        assert await visit.page.locator("#live").get_attribute("data-state") == "live"


async def test_lost_connection_is_shown_until_the_stand_in_responds(sandbox, visiting):
    async with visiting(sandbox.url + FLEET, silent=False) as visit:
        await visit.page.context.set_offline(True)
        await visit.page.get_by_text("The stand-in does not respond").wait_for()
        await visit.page.context.set_offline(False)
        await visit.page.locator("#problem").wait_for(state="hidden")


async def test_page_without_a_dashboard_explains_how_to_create_one(visiting, serving):
    organisation = Organisation(Store())
    async with serving(organisation) as running, visiting(running.url) as visit:
        await visit.page.get_by_text("There is no dashboard yet").wait_for()


async def test_widget_that_cannot_be_shown_explains_why(sandbox, visiting):
    widgets = sandbox.organisation.dashboards["fleet"]["widgets"]
    shown = {item["definition"].get("title"): item["definition"] for item in widgets}
    shown["P&L by market"]["requests"][0]["queries"][0]["query"] = "top(avg:a{*}, 10)"
    shown["P&L by strategy"]["type"] = "hostmap"
    async with visiting(sandbox.url + FLEET) as visit:
        assert "unreadable query" in await card(visit.page, "P&L by market").inner_text()
        assert "hostmap" in await card(visit.page, "P&L by strategy").inner_text()
        assert await card(visit.page, "Wallet balance").locator("canvas").count() == 1
