"""Recorded candles from a CSV file: bounded, and checked line by line. docs/strategies.md describes the format.

An error names the file, the line and the remedy.
"""

import bisect
import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import BinaryIO

from pydantic import TypeAdapter, ValidationError

from purpleflea_agent.paper.errors import PaperError
from purpleflea_agent.trading.market_data import closes_problem, price_problem
from purpleflea_contract.settings import Market

MAX_ROWS = 1_000_000
MAX_LINE_BYTES = 4096
MAX_MARKETS = 32
MAX_NUMBER_LENGTH = 40
EARLIEST, LATEST = 0.0, 4_102_444_800.0
"""1970 to 2100, in seconds since the epoch."""
MILLISECONDS_FROM = 100_000_000_000.0
"""A number from here on is in milliseconds: in seconds it would be after the year 5000."""

_MARKET: TypeAdapter[str] = TypeAdapter(Market)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candles:
    """The candles of one market, oldest first: times in seconds since the epoch, and closing prices."""

    times: list[float] = field(default_factory=list)
    closes: list[Decimal] = field(default_factory=list)

    def count_until(self, now: float) -> int:
        """Return the number of candles up to a time."""
        return bisect.bisect_right(self.times, now)


def read(path: Path, default_market: str) -> Mapping[str, Candles]:
    """Read a file; rows without a market column are of `default_market`.

    Raises:
        PaperError: The file cannot be read, or a line is not valid.
    """
    try:
        with path.open("rb") as file:
            return _Reader(path.name, default_market).read(file)
    except OSError as error:
        raise PaperError(
            f"{path} cannot be read ({error.strerror}): give the path of a CSV file"
        ) from error


class _Reader:
    def __init__(self, name: str, default_market: str) -> None:
        self._name = name
        self._default_market = default_market
        self._line = 0
        self._width = 0
        self._markets: dict[str, Candles] = {}

    def read(self, file: BinaryIO) -> Mapping[str, Candles]:
        rows = csv.reader(self._lines(file), strict=True)
        try:
            columns = self._columns(next(rows, []))
            for count, row in enumerate(rows, start=1):
                if count > MAX_ROWS:
                    raise self._error(f"more than {MAX_ROWS} candles", "split the file")
                if row:
                    self._add(row, columns)
        except csv.Error as error:
            raise self._error(f"not valid CSV ({error})", "check the quotes of this line") from None
        if not self._markets:
            raise self._error("the file has no candle", "add one line per candle after the header")
        return self._markets

    def _lines(self, file: BinaryIO) -> Iterator[str]:
        while line := file.readline(MAX_LINE_BYTES + 1):
            self._line += 1
            if len(line) > MAX_LINE_BYTES:
                raise self._error(f"longer than {MAX_LINE_BYTES} bytes", "use one line per candle")
            try:
                text = line.decode("utf-8-sig" if self._line == 1 else "utf-8")
            except UnicodeDecodeError:
                raise self._error("not UTF-8 text", "export the file as UTF-8 CSV") from None
            if "\0" in text:
                raise self._error("not text", "export the file as UTF-8 CSV")
            yield text

    def _columns(self, header: Sequence[str]) -> Mapping[str, int]:
        names = [name.strip().lower() for name in header]
        self._width = len(names)
        for name in ("time", "close"):
            if name not in names:
                raise self._error(
                    f"the header has no column {name}", "start the file with the line time,close"
                )
        for name in ("time", "close", "market"):
            if names.count(name) > 1:
                raise self._error(f"the header has the column {name} twice", "remove one")
        return {name: number for number, name in enumerate(names)}

    def _add(self, row: Sequence[str], columns: Mapping[str, int]) -> None:
        if len(row) != self._width:
            raise self._error(
                f"{len(row)} values for {self._width} columns", "give every column one value"
            )
        market = self._market(row[columns["market"]] if "market" in columns else None)
        at = self._time(row[columns["time"]].strip())
        close = self._close(row[columns["close"]].strip())
        candles = self._markets.setdefault(market, Candles())
        if len(self._markets) > MAX_MARKETS:
            raise self._error(f"more than {MAX_MARKETS} markets", "split the file")
        if candles.times and at <= candles.times[-1]:
            raise self._error(
                f"time: not later than the candle before it in {market}",
                "sort the lines by time, and remove duplicates",
            )
        problem = closes_problem([*candles.closes[-1:], close])
        if problem is not None:
            raise self._error(f"close: {problem}", "correct or remove this line")
        candles.times.append(at)
        candles.closes.append(close)

    def _market(self, text: str | None) -> str:
        if text is None:
            return self._default_market
        try:
            return _MARKET.validate_python(text.strip().upper())
        except ValidationError:
            raise self._error(
                f"market: {text[:MAX_NUMBER_LENGTH]!r} is not a market", "write it as BTC-USD"
            ) from None

    def _time(self, text: str) -> float:
        try:
            at = _from_number(text) if _is_number(text) else _from_iso(text)
        except (ValueError, OverflowError):
            raise self._time_error(text) from None
        if not EARLIEST <= at <= LATEST:
            raise self._time_error(text)
        return at

    def _time_error(self, text: str) -> PaperError:
        return self._error(
            f"time: {text[:MAX_NUMBER_LENGTH]!r} is not a time between 1970 and 2100",
            "write it as 2026-01-31T12:00:00Z, or in seconds since 1970",
        )

    def _close(self, text: str) -> Decimal:
        try:
            if len(text) > MAX_NUMBER_LENGTH:
                raise InvalidOperation
            close = Decimal(text)
        except InvalidOperation:
            raise self._error(
                f"close: {text[:MAX_NUMBER_LENGTH]!r} is not a number", "write it as 60000.5"
            ) from None
        problem = price_problem(close)
        if problem is not None:
            raise self._error(f"close: {problem}", "correct or remove this line")
        return close

    def _error(self, symptom: str, remedy: str) -> PaperError:
        return PaperError(f"{self._name} line {max(self._line, 1)}: {symptom}: {remedy}")


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal() and text.isascii()


def _from_number(text: str) -> float:
    number = float(text)
    return number / 1000 if number >= MILLISECONDS_FROM else number


def _from_iso(text: str) -> float:
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
