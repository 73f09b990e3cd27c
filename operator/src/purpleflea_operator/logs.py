"""JSON logs: one line per record, constant message, the facts in fields."""

import datetime
import logging
import sys

import orjson

_STOCK = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object per record: timestamp (ISO 8601, UTC, ms), level, logger, message, extra fields, error."""

    def format(self, record: logging.LogRecord) -> str:
        """The line for `record`; values that JSON has no form for are written as text."""
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line = {
            "timestamp": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{key: value for key, value in vars(record).items() if key not in _STOCK},
        }
        line.pop("settings", None)  # kopf hangs its settings on its records
        if record.exc_info and record.exc_info[0] is not None:
            line["error.kind"] = record.exc_info[0].__name__
            line["error.message"] = str(record.exc_info[1])
            line["error.stack"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def configure(level: str) -> None:
    """Send all logs to stdout as JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # kopf says at INFO that each of its event handlers succeeded.
    logging.getLogger("kopf").setLevel(logging.WARNING)
