"""Recorded candles: accepted forms, and one clear line for each kind of fault."""

from decimal import Decimal
from pathlib import Path

import pytest

from purpleflea_agent.paper import candles
from purpleflea_agent.paper.clock import ReplayClock
from purpleflea_agent.paper.errors import PaperError
from purpleflea_agent.paper.prices import ReplayedPrices, SimulatedPrices

GOOD = "time,close\n1767225600,100\n1767225660,101\n"
START = 1_767_225_600.0


def write(folder: Path, content: str | bytes) -> Path:
    path = folder / "candles.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD,
        GOOD + "\n\n",
        GOOD.replace("time", " TIME "),
        GOOD.replace("100", '"100"'),
        "time,close\n1767225600000,100\n1767225660000,101",
        "time,close\n2026-01-01T00:00:00Z,100\n2026-01-01T01:01:00+01:00,101\n",
        "time,close\n2026-01-01 00:00:00,100\n2026-01-01 00:01:00,101\n",
        "volume,close,time\n9,100,1767225600\n9,101,1767225660\n",
        "time,close,market\n1767225600,100,btc-usd\n1767225660,101,BTC-USD\n",
    ],
)
def test_a_file_in_a_documented_form_is_read(tmp_path: Path, content: str) -> None:
    read = candles.read(write(tmp_path, content), "BTC-USD")
    assert read["BTC-USD"].times == [START, START + 60]
    assert read["BTC-USD"].closes == [Decimal(100), Decimal(101)]


def test_markets_of_one_file_have_their_own_times(tmp_path: Path) -> None:
    text = "time,market,close\n10,A-USD,1\n10,B-USD,2\n20,B-USD,3\n15,A-USD,2\n"
    read = candles.read(write(tmp_path, text), "BTC-USD")
    assert read["A-USD"].times == [10, 15]
    assert read["B-USD"].closes == [2, 3]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: the header has no column time: start the file with the line time,close"),
        ("\n", "line 1: the header has no column time"),
        ("time,price\n", "line 1: the header has no column close"),
        ("time,close,time\n", "line 1: the header has the column time twice: remove one"),
        ("time,close\n", "line 1: the file has no candle: add one line per candle"),
        (GOOD + "1767225720\n", "line 4: 1 values for 2 columns: give every column one value"),
        (GOOD + "1767225720,abc\n", "line 4: close: 'abc' is not a number: write it as 60000.5"),
        (GOOD + "1767225720,\n", "line 4: close: '' is not a number"),
        (GOOD + "1767225720,60.000,5\n", "line 4: 3 values for 2 columns"),
        (GOOD + "1767225720,0\n", "line 4: close: the price 0 is not a positive number"),
        (GOOD + "1767225720,-5\n", "line 4: close: the price -5 is not a positive number"),
        (GOOD + "1767225720,NaN\n", "line 4: close: the price NaN is not a positive number"),
        (GOOD + "1767225720,sNaN\n", "line 4: close: the price sNaN is not a positive number"),
        (GOOD + "1767225720,Infinity\n", "line 4: close: the price Infinity is not a positive"),
        (GOOD + "1767225720,1e-20\n", "line 4: close: the price 1E-20 is outside of"),
        (GOOD + "1767225720,1e999999999\n", "line 4: close: the price 1E+999999999 is outside of"),
        (GOOD + "1767225720,400\n", "line 4: close: the price jumped from 101 to 400"),
        (GOOD + "1767225720," + "1" * 50 + "\n", "line 4: close: '1111"),
        (GOOD + "yesterday,100\n", "line 4: time: 'yesterday' is not a time between 1970 and 2100"),
        (GOOD + ",100\n", "line 4: time: '' is not a time"),
        (GOOD + "-1,100\n", "line 4: time: '-1' is not a time"),
        (GOOD + "9999-12-31T23:59:59-23:59,100\n", "line 4: time: '9999-12-31"),
        (GOOD + "0001-01-01T00:00:00+14:00,100\n", "line 4: time: '0001-01-01"),
        (GOOD + "9" * 400 + ",100\n", "line 4: time: '9999"),
        (GOOD + "1767225660,100\n", "line 4: time: not later than the candle before it in BTC-USD"),
        (GOOD + '1767225720,"100\n', "line 4: not valid CSV (unexpected end of data)"),
        (GOOD + '1767225720,"1"0\n', "line 4: not valid CSV"),
        (GOOD + "x" * 5000, "line 4: longer than 4096 bytes: use one line per candle"),
        (GOOD.encode() + b"\xff\xfe,1\n", "line 4: not UTF-8 text: export the file as UTF-8 CSV"),
        (GOOD + "1767225720\0,1\n", "line 4: not text"),
        (GOOD.encode("utf-16"), "line 1: not UTF-8 text"),
        ("time,market,close\n1,BTC,1\n", "line 2: market: 'BTC' is not a market: write it as"),
        (
            "time,market,close\n" + "".join(f"1,A{n}-USD,1\n" for n in range(33)),
            "line 34: more than 32 markets: split the file",
        ),
    ],
)
def test_a_fault_names_the_line_and_the_remedy(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    with pytest.raises(PaperError) as error:
        candles.read(write(tmp_path, content), "BTC-USD")
    text = str(error.value)
    assert text.startswith(f"candles.csv {message}")
    assert "\n" not in text
    assert len(text) < 250


def test_the_number_of_candles_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candles, "MAX_ROWS", 1)
    with pytest.raises(PaperError, match="line 3: more than 1 candles: split the file"):
        candles.read(write(tmp_path, GOOD), "BTC-USD")


@pytest.mark.parametrize("name", ["nosuch.csv", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(PaperError, match=r"cannot be read .*: give the path of a CSV file"):
        candles.read(tmp_path / name, "BTC-USD")


def test_a_strategy_cannot_see_a_later_candle(tmp_path: Path) -> None:
    clock = ReplayClock(START)
    prices = ReplayedPrices(candles.read(write(tmp_path, GOOD), "BTC-USD"), clock=clock)
    assert prices.closes("BTC-USD", 15, 50) == [100]
    clock.now = START + 60
    assert prices.closes("BTC-USD", 15, 50) == [100, 101]
    assert prices.closes("BTC-USD", 15, 1) == [101]
    clock.now = START - 1
    assert prices.price("BTC-USD") is None
    assert prices.closes("ETH-USD", 15, 50) == []


def test_simulated_prices_depend_only_on_the_seed_and_the_time_of_the_run() -> None:
    def course(seed: int, started: float) -> list[Decimal]:
        clock = ReplayClock(started)
        prices = SimulatedPrices(seed=seed, monotonic=clock)
        clock.now += 3600
        return list(prices.closes("BTC-USD", 15, 50))

    assert course(1, 0) == course(1, 12_345)
    assert course(1, 0) != course(2, 0)
    assert len(course(1, 0)) == 50
    assert all(30_000 < price < 120_000 for price in course(1, 0))
