"""Runs the exchange as a process (`python -m purpleflea_sandbox.exchange`), configured by
EXCHANGE_* variables.
"""

import logging
import os
import sys

import uvicorn

from purpleflea_sandbox.exchange import json_log
from purpleflea_sandbox.exchange.app_state import AppState
from purpleflea_sandbox.exchange.errors import SettingsError
from purpleflea_sandbox.exchange.server import configuration, listener
from purpleflea_sandbox.exchange.settings import ExchangeSettings, from_environment

logger = logging.getLogger("purpleflea_sandbox.exchange")


def main() -> int:
    try:
        settings = from_environment(os.environ)
        bound = listener(settings.host, settings.port)
        state = AppState.open(settings)
    except SettingsError as error:
        print(f"exchange: {error}", file=sys.stderr)
        return 2
    json_log.install()
    _announce(settings, bound.getsockname()[1])
    with bound:
        uvicorn.Server(configuration(state)).run(sockets=[bound])
    return 0


def _announce(settings: ExchangeSettings, port: int) -> None:
    logger.info(
        "listening",
        extra={
            "port": port,
            "data_dir": str(settings.data_dir or "memory"),
            "keys_file": str(settings.keys_file or "none"),
            "admin": "closed" if settings.admin_token is None else "open",
        },
    )


if __name__ == "__main__":
    sys.exit(main())
