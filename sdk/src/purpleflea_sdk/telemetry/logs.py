"""One JSON line per log record on standard output, and the log events of the published integration.

The event time is the time of the record, in milliseconds. The trace correlation is from ddtrace. Secrets are redacted.
No value can prevent a line from being written. A separate thread writes the lines (line_writer), and the node agent
collects them.
"""

import json
import logging
import sys
import threading
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from types import TracebackType
from typing import TextIO

from purpleflea_contract import events
from purpleflea_contract.events import LogEvent
from purpleflea_sdk.settings import Environment, read_environment, strategy_name
from purpleflea_sdk.telemetry import drop_counters, line_limit, redaction
from purpleflea_sdk.telemetry.guard import guarded, text_of
from purpleflea_sdk.telemetry.line_writer import LineWriter

STOCK_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
RESERVED = frozenset(
    {
        "timestamp",
        "level",
        "logger",
        "status",
        "severity",
        "service",
        "host",
        "source",
        "env",
        "version",
    }
)
"""Top-level keys with a meaning here or at Datadog; values of callers with these names get the prefix `extra.`."""
NO_SPAN = (None, "", "0", 0)
FLUSH_TIMEOUT_S = 0.5
"""Longest wait for the reader of the log, at the exit and when logging is configured again."""

_configured = False


class JsonFormatter(logging.Formatter):
    """Formats records as JSON lines with the contract's fields."""

    def __init__(self, environment: Environment) -> None:
        super().__init__()
        self._identity = {
            "agent_id": environment.agent_id,
            "strategy": strategy_name(environment.settings_file),
        }
        self._unified_service = {
            "dd.service": environment.dd_service,
            "dd.env": environment.dd_env,
            "dd.version": environment.dd_version,
        }

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        moment = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
            **self._identity,
            **self._correlation(record),
        }
        for key, value in vars(record).items():
            name = key if isinstance(key, str) else text_of(key)
            if name not in STOCK_ATTRIBUTES and not name.startswith("dd."):
                line[f"extra.{name}" if name in RESERVED else name] = value
        line.update(_error(record))
        # Cut after the redaction, because a cut secret would not be recognized.
        return line_limit.cut(redaction.redact(_dumps(line)))

    def _correlation(self, record: logging.LogRecord) -> dict[str, object]:
        fields = {
            name: getattr(record, name, None) or value
            for name, value in self._unified_service.items()
        }
        for name in ("dd.trace_id", "dd.span_id"):
            value = getattr(record, name, None)
            if value not in NO_SPAN:
                fields[name] = value
        return {name: value for name, value in fields.items() if value}


class DDJsonFormatter(JsonFormatter):
    """The formatter under its published name, which takes no argument."""

    def __init__(self) -> None:
        super().__init__(read_environment())


class LineHandler(logging.Handler):
    """Puts lines into the queue of a LineWriter, so that a reader that does not read delays no other thread."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._writer = LineWriter(stream, on_recovery=_warn_of_dropped_lines)
        self._failed = 0

    @property
    def dropped(self) -> int:
        """Number of lines that were not written."""
        return self._writer.dropped + self._failed

    def createLock(self) -> None:  # noqa: N802 - the library's name
        """Use no lock: the text of a value of the caller may take forever, and other threads would wait for it."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Format the record here, because the writer has another trace context, and add its line."""
        try:
            self._writer.add(self.format(record))
        except Exception:  # a log call never fails in the code of its caller
            self._failed += 1

    def flush(self) -> None:
        """Wait until the lines so far are written, for FLUSH_TIMEOUT_S at most. logging calls it at the exit."""
        self._writer.wait_until_written(FLUSH_TIMEOUT_S)

    def close(self) -> None:
        """Write what is in the queue, and end the thread."""
        self._writer.close(FLUSH_TIMEOUT_S)
        super().close()


def configure(environment: Environment, stream: TextIO | None = None) -> None:
    """Send every record of the process, and every uncaught exception, to one JSON stream."""
    global _configured
    handler = LineHandler(stream or sys.stdout)
    drop_counters.register("logs", lambda: handler.dropped)
    handler.setFormatter(JsonFormatter(environment))
    root = logging.getLogger()
    for former in root.handlers:
        if isinstance(former, LineHandler):
            former.close()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "ddtrace"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    for name in ("httpx", "httpx2", "httpcore", "httpcore2", "uvicorn", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_a_thread
    sys.unraisablehook = _log_unraisable
    _configured = True


def get_logger(name: str) -> logging.Logger:
    """Return a logger whose lines are JSON; the first call configures logging from the environment."""
    if not _configured:
        configure(read_environment())
    return logging.getLogger(name)


@guarded("logs")
def log_event(event: LogEvent, attributes: Mapping[str, object]) -> None:
    """Log an event of the contract."""
    unknown = attributes.keys() - set(event.attributes)
    if unknown:
        raise ValueError(f"the log event {event.name} has no attributes {sorted(unknown)}")
    extra = {events.EVENT_TYPE: event.name, **attributes}
    level = logging.getLevelNamesMapping()[event.level]
    get_logger("purpleflea.agent").log(level, event.message, extra=extra)


@guarded("logs")
def log_trade_execution(  # noqa: PLR0913 - the published signature
    market: str,
    side: str,
    size: float | Decimal,
    price: float | Decimal,
    latency_ms: float | None,
    order_id: str,
) -> None:
    """Log an order that was filled; call it inside the span of the order, so that both have the same trace id.

    `latency_ms` is the time from sending to the answer; None omits it, if the fill was found by a later look-up.
    """
    latency = {} if latency_ms is None else {"latency_ms": round(latency_ms, 2)}
    log_event(
        events.TRADE_EXECUTED,
        {
            "market": market,
            "side": side,
            "size": size,
            "price": price,
            **latency,
            "order_id": order_id,
        },
    )


@guarded("logs")
def log_signal_generated(market: str, signal: float | Decimal, strategy: str) -> None:
    """Log the value of a trading signal."""
    log_event(
        events.SIGNAL_GENERATED,
        {"market": market, "signal_value": round(signal, 6), "strategy": strategy},
    )


@guarded("logs")
def log_escrow_event(
    counterparty: str, amount_usd: float | Decimal, status: str, escrow_id: str
) -> None:
    """Log the new state of an escrow."""
    log_event(
        events.ESCROW_TRANSACTION,
        {
            "counterparty": counterparty,
            "amount_usd": amount_usd,
            "escrow.status": status,
            "escrow_id": escrow_id,
        },
    )


@guarded("logs")
def log_balance_alert(
    currency: str, balance_usd: float | Decimal, threshold_usd: float | Decimal
) -> None:
    """Log that a balance is below its threshold."""
    log_event(
        events.BALANCE_ALERT,
        {"currency": currency, "balance_usd": balance_usd, "threshold_usd": threshold_usd},
    )


@guarded("logs")
def log_faucet_claim(claim_id: str, amount_usd: Decimal) -> None:
    """Log a payment of the faucet."""
    log_event(events.FAUCET_CLAIMED, {"claim_id": claim_id, "amount_usd": amount_usd})


@guarded("logs")
def log_faucet_failure(status: str, error: Exception) -> None:
    """Log a claim that the faucet `refused`, or that `failed`."""
    log_event(events.FAUCET_CLAIM_FAILED, {"faucet.status": status, **_attributes(error)})


@guarded("logs")
def log_market_skipped(market: str, error_type: str, error: Exception) -> None:
    """Log that a market was not traded in an interval."""
    attributes = {"market": market, "error_type": error_type, **_attributes(error)}
    log_event(events.MARKET_SKIPPED, attributes)


@guarded("logs")
def log_interval_failed(error_type: str, error: Exception) -> None:
    """Log that an interval was not completed."""
    log_event(events.INTERVAL_FAILED, {"error_type": error_type, **_attributes(error)})


def _attributes(error: Exception) -> dict[str, object]:
    return {"error.kind": type(error).__name__, "error.message": text_of(error)}


@guarded("logs")
def log_peak_reset(reset_at: str, former_peak_usd: Decimal, equity_usd: Decimal) -> None:
    """Log that the peak of the equity was reset on request."""
    log_event(
        events.PEAK_RESET,
        {"reset_at": reset_at, "former_peak_usd": former_peak_usd, "equity_usd": equity_usd},
    )


@guarded("logs")
def log_position_mismatch(
    market: str, reported_size: Decimal, own_size: Decimal, status: str
) -> None:
    """Log that a mismatch of a position has `started` or `ended`."""
    log_event(
        events.POSITION_MISMATCH,
        {
            "market": market,
            "reported_size": reported_size,
            "own_size": own_size,
            "mismatch.status": status,
        },
    )


def _warn_of_dropped_lines(count: int) -> None:
    logging.getLogger("purpleflea.telemetry").warning(
        "Log lines were dropped, because the reader of standard output did not read them",
        extra={"dropped": count},
    )


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:
        return f"{text_of(record.msg)} (arguments do not fit: {type(error).__name__})"


def _error(record: logging.LogRecord) -> dict[str, str]:
    if not record.exc_info or record.exc_info[1] is None:
        return {}
    kind, error, trace = record.exc_info
    return {
        "error.kind": kind.__qualname__ if kind else "",
        "error.message": text_of(error),
        "error.stack": "".join(traceback.format_exception(kind, error, trace)),
    }


def _dumps(line: dict[str, object]) -> str:
    try:
        return json.dumps(line, default=_plain, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        # NaN, a circular reference or an unsupported key: only the value that fails becomes text.
        return json.dumps({name: _safe(value) for name, value in line.items()})


def _safe(value: object) -> object:
    try:
        return json.loads(json.dumps(value, default=_plain, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        return text_of(value)


def _plain(value: object) -> object:
    # Numbers stay numbers, because Datadog needs numbers for measures (latency, amounts).
    if isinstance(value, Decimal) and value.is_finite():
        return float(value)
    return text_of(value)


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    logging.getLogger("purpleflea.agent").critical(
        "Uncaught exception", exc_info=(kind, error, trace)
    )


def _log_uncaught_in_a_thread(args: threading.ExceptHookArgs) -> None:
    if (
        args.exc_type is SystemExit or args.exc_value is None
    ):  # threading ignores it too, because it is not a failure
        return
    name = args.thread.name if args.thread else "unknown"
    logging.getLogger("purpleflea.agent").critical(
        "Uncaught exception in the thread %s",
        name,
        exc_info=(args.exc_type, args.exc_value, args.exc_traceback),
    )


def _log_unraisable(args: "sys.UnraisableHookArgs") -> None:
    title = args.err_msg or "Exception ignored in"
    error = args.exc_value or args.exc_type()
    logging.getLogger("purpleflea.agent").error(
        "%s: %s", title, text_of(args.object), exc_info=(args.exc_type, error, args.exc_traceback)
    )
