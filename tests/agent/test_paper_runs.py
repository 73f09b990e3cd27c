"""The command `purpleflea-agent run --paper` and `--replay`, as a user runs it: a process, its output, its files."""

import io
import re
import signal
import sqlite3
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from purpleflea_agent import cli
from purpleflea_agent.exchange.port import OrderRequest
from purpleflea_agent.paper import report, terminal
from purpleflea_agent.paper.books import Fill
from purpleflea_agent.paper.candles import Candles
from purpleflea_agent.paper.clock import ReplayClock
from purpleflea_agent.paper.exchange import PaperExchange, Trade
from purpleflea_agent.paper.history import MAX_POINTS, Drawdown, History
from purpleflea_agent.paper.prices import ReplayedPrices
from support.receivers.dogstatsd import DogStatsdSink

STRATEGIES = """
from decimal import Decimal

def zigzag(closes):
    return Decimal(1) if len(closes) % 7 < 4 else Decimal(-1)

def broken(closes):
    raise ValueError("no signal today")

class Unprintable(Exception):
    def __str__(self):
        raise ValueError

def unprintable(closes):
    raise Unprintable

def surrogate(closes):
    raise ValueError("\\udcff")

def removes(closes):
    import shutil
    shutil.rmtree("out", ignore_errors=True)
    return 0
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(STRATEGIES)
    lines = [f"{1_767_225_600 + 60 * n},{60_000 + n * n % 900}" for n in range(45)]
    (tmp_path / "candles.csv").write_text("time,close\n" + "\n".join(lines) + "\n")
    return tmp_path


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "purpleflea_agent.cli", "run", *arguments]


def run(
    folder: Path, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def figure(output: str, name: str) -> Decimal:
    match = re.search(rf"^  {re.escape(name)} +([+-]?[\d,.]+)", output, re.MULTILINE)
    assert match is not None, output
    return Decimal(match[1].replace(",", ""))


def test_the_profit_of_a_replay_is_that_of_the_orders_in_the_journal(folder: Path) -> None:
    done = run(folder, "--replay", "candles.csv", "--strategy", "mine:zigzag", "--folder", "out")
    assert done.returncode == 0, done.stderr
    with sqlite3.connect(folder / "out" / "journal.sqlite3") as journal:
        rows = journal.execute(
            "SELECT side, filled_size, fill_price, fee_usd FROM orders WHERE status = 'filled'"
        ).fetchall()
    journal.close()
    signed = [
        (Decimal(size) * (1 if side == "buy" else -1), Decimal(price))
        for side, size, price, _ in rows
    ]
    fees = sum((Decimal(row[3]) for row in rows), Decimal(0))
    last = Decimal((folder / "candles.csv").read_text().split()[-1].partition(",")[2])
    value = sum((-size * price for size, price in signed), Decimal(0))
    value += sum((size for size, _ in signed), Decimal(0)) * last - fees
    assert len(rows) == figure(done.stdout, "Trades") >= 2
    assert figure(done.stdout, "P&L net of fees") == round(value, 2)
    assert figure(done.stdout, "Fees") == round(fees, 2)


def test_the_same_replay_gives_the_same_result_and_needs_no_time(folder: Path) -> None:
    arguments = ("--replay", "candles.csv", "--strategy", "mine:zigzag", "--folder")
    first, second = run(folder, *arguments, "one"), run(folder, *arguments, "two")
    assert (folder / "one/report.html").read_text() == (folder / "two/report.html").read_text()
    assert first.stdout.replace("one/", "two/").splitlines()[-9:] == second.stdout.splitlines()[-9:]
    assert "45 intervals from 2026-01-01 00:00:00 to 2026-01-01 00:44:00 UTC" in first.stdout


def test_limits_of_the_settings_refuse_orders_of_a_replay(folder: Path) -> None:
    (folder / "settings.json").write_text('{"risk": {"maxOrderUsd": "100"}, "markets": ["X-USD"]}')
    arguments = ("--replay", "candles.csv", "--strategy", "mine:zigzag", "--settings")
    done = run(folder, *arguments, "settings.json")
    assert "Orders refused by limits: max_order" in done.stdout
    assert figure(done.stdout, "Trades") == 0
    assert "zigzag on X-USD" in done.stdout


def test_a_strategy_that_always_raises_is_an_exit_code_and_names_its_error(folder: Path) -> None:
    done = run(folder, "--replay", "candles.csv", "--strategy", "mine:broken")
    assert done.returncode == 1
    assert "Intervals not completed: 45 of 45" in done.stdout
    assert "ValueError: no signal today" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("unprintable", 1, "Unprintable: "),
        ("surrogate", 1, r"ValueError: \udcff"),
        ("removes", 2, "out/report.html cannot be used (No such file or directory): check --fold"),
    ],
)
def test_whatever_a_strategy_does_the_run_ends_with_a_message(
    folder: Path, name: str, code: int, message: str
) -> None:
    done = run(folder, "--replay", "candles.csv", "--strategy", f"mine:{name}", "--folder", "out")
    assert message in (done.stdout if code == 1 else done.stderr)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)


def test_an_output_that_cannot_be_written_is_one_line(folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command("--replay", "candles.csv", "--strategy", "mine:zigzag"),
            cwd=folder,
            env={"PATH": "/usr/bin:/bin"},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == (
        "purpleflea-agent: the output cannot be written (No space left on device): send it elsewhere\n"
    )


def test_paper_profit_is_never_sent_to_datadog(folder: Path, sink: DogStatsdSink) -> None:
    done = run(folder, "--paper", "--interval", "1s", "--for", "5s", environment=sink.environment)
    assert done.returncode == 0, done.stderr
    assert "P&L net of fees" in done.stdout
    sink.catch_up()
    assert sink.points == []


def test_ctrl_c_ends_a_paper_run_with_a_report(folder: Path) -> None:
    with subprocess.Popen(
        command("--paper", "--interval", "1s", "--folder", "out", "--strategy", "mine:zigzag"),
        cwd=folder,
        env={"PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline().startswith("interval 1  equity ")
        running.send_signal(signal.SIGINT)
        output, errors = running.communicate(timeout=30)
    assert (running.returncode, errors) == (0, "")
    assert output.endswith("Report: out/report.html\n")
    assert {path.name for path in (folder / "out").iterdir()} == {
        *("agent.log", "journal.sqlite3", "report.html", "settings.json")
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--replay", "no.csv"],
            "no.csv cannot be read (No such file or directory): give the path",
        ),
        (["--replay", "mine.py"], "mine.py line 1: the header has no column time"),
        (
            ["--replay", "candles.csv", "--market", "A-USD", "--market", "B-USD"],
            "has no candle of B",
        ),
        (["--paper", "--strategy", "no.module:f"], "ModuleNotFoundError: No module named 'no'"),
        (["--paper", "--strategy", "mine:nosuch"], "has no function 'nosuch': define it"),
        (["--paper", "--strategy", "mine:Decimal.x"], "has no function"),
        (["--paper", "--strategy", ":f"], "is not a path: write it as module:function"),
        (["--paper", "--strategy", "nosuch"], "there is no strategy 'nosuch': use one of"),
        (["--paper", "--market", "btc"], "--market: 'btc' is not valid: write it as BTC-USD"),
        (["--paper", "--interval", "5"], "--interval: '5' is not valid: write it as 15s"),
        (["--paper", "--for", "x"], "--for: 'x' is not valid: write it as 30s"),
        (["--paper", "--order-size", "-"], "--order-size: '-' is not valid: write it as 0.01"),
        (["--paper", "--deposit-usd", "NaN"], "--deposit-usd: 'NaN' is not a positive amount"),
        (["--paper", "--settings", "no.json"], "no.json cannot be read"),
        (["--paper", "--settings", "mine.py"], "mine.py is not valid JSON"),
        (["--paper", "--folder", "."], "the folder . exists: give a new one with --folder"),
        (["--paper", "--folder", "mine.py/x"], "mine.py/x cannot be created (Not a directory)"),
    ],
)
def test_a_mistake_is_one_line_with_its_remedy(
    folder: Path,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert cli.main(["run", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert printed.err.count("\n") == 1


def history(equities: list[str], market: str = "BTC-USD") -> History:
    clock = ReplayClock(0.0)
    closes = Candles(
        times=[float(n) for n in range(len(equities))], closes=[Decimal(1)] * len(equities)
    )
    prices = ReplayedPrices({market: closes}, clock=clock)
    exchange = PaperExchange(prices, deposit_usd=Decimal(100), clock=clock)
    made = History(exchange=exchange)
    for at, equity in enumerate(equities):
        exchange.books = type(exchange.books)(cash_usd=Decimal(equity), holdings={})
        made.add(float(at), {market: Decimal(1)})
    return made


def test_the_drawdown_is_from_the_highest_equity_before_it() -> None:
    drawdown = history(["100", "120", "90", "110", "130", "125"]).drawdown
    assert (drawdown.largest_usd, drawdown.largest_pct) == (30, 25)
    assert history(["90", "95"]).drawdown.largest_pct == 10  # below the deposit
    assert Drawdown(peak_usd=Decimal(0)).largest_pct == 0


def test_a_long_run_keeps_a_bounded_number_of_points() -> None:
    long = history(["100"] * (3 * MAX_POINTS))
    assert len(long.points) <= MAX_POINTS + 1
    assert long.last is not None
    assert long.last.at == 3 * MAX_POINTS - 1


def test_the_page_loads_nothing_and_escapes_what_the_user_named() -> None:
    made = history(["100", "120", "90"])
    fill = Fill(market="BTC-USD", size=Decimal(1), price=Decimal(1), fee_usd=Decimal(0))
    made.exchange.trades.append(Trade(at=1.0, fill=fill, realized_pnl_usd=Decimal(0)))
    made.last_problem, made.problem_count = "<b>bold</b>", 1
    page = report.page(made, "<script>alert(1)</script>")
    assert "<script" not in page
    assert "<b>" not in page
    assert not re.search(r"(src|href|url|@import)\s*[=(]", page)
    assert page.count("<svg") == 2
    assert page.count('<polygon class="buy"') == 1
    assert "-10.00 USD" in page


@pytest.mark.parametrize("equities", [[], ["100"]])
def test_a_page_of_a_run_that_ended_at_once_can_be_written(equities: list[str]) -> None:
    assert "<h1>x</h1>" in report.page(history(equities), "x")
    assert report.text(history(equities), "x").startswith("x: ")


async def test_the_live_view_shows_equity_positions_orders_and_problems() -> None:
    made = history(["100", "120"])
    request = OrderRequest(
        idempotency_key="a", market="BTC-USD", side="sell", size=Decimal("0.5"), type="market"
    )
    await made.exchange.place_order(request)
    made.refusals["max_order"] = 3
    made.add(3.0, {"BTC-USD": Decimal(1)})
    console = Console(width=100, file=io.StringIO(), record=True)
    console.print(terminal.screen(made, "mine"))
    shown = console.export_text()
    for text in ("120.00 USD", "+20.00 USD", "-0.5", "paper-1", "filled", "max_order 3", "Ctrl-C"):
        assert text in shown
