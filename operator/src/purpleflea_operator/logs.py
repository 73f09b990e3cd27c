"""JSON logs on stdout: one line per record, with a constant message and variable values in fields.

The module only formats; it must not filter or sample records of the operator.
"""

import datetime
import logging
import sys

import orjson

_STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
}


class JsonFormatter(logging.Formatter):
    """Formats a record as a JSON object: timestamp (ISO 8601, UTC, ms), level, logger, message, extra fields, error."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for `record`. Values that JSON cannot represent are written as strings."""
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line = {
            "timestamp": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{
                key: value for key, value in vars(record).items() if key not in _STANDARD_ATTRIBUTES
            },
        }
        line.pop("settings", None)  # kopf attaches its settings to its records
        if record.exc_info and record.exc_info[0] is not None:
            line["error.kind"] = record.exc_info[0].__name__
            line["error.message"] = str(record.exc_info[1])
            line["error.stack"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def configure(level: str) -> None:
    """Write all logs to stdout as JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # At INFO, kopf logs a line for every event handler that succeeds.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    # kopf logs each attempt of a watch. The operator logs one line when a watch fails, and one when it works again.
    logging.getLogger("kopf._cogs.clients.watching").addFilter(_is_no_attempt)


def _is_no_attempt(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("Request attempt")
