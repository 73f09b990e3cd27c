"""Writes one JSON line per log record to standard output, with the extra fields of the record."""

import json
import logging
import sys

from purpleflea_sandbox.exchange.times import iso

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonFormatter(logging.Formatter):
    """Formats time, level, logger and message, followed by the extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": iso(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        extra = {
            name: value
            for name, value in vars(record).items()
            if name not in _STANDARD and value is not None
        }
        if record.exc_info:
            extra["error"] = self.formatException(record.exc_info)
        return json.dumps(line | extra, default=str)


def install() -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # Startup messages are suppressed; warnings and errors are still logged.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
