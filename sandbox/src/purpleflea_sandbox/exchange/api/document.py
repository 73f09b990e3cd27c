"""Writes the OpenAPI document of the exchange: `python -m ...exchange.api.document FILE` (`make
docs`).

It documents the API of the published page for developers who write a client without access to an
exchange.
"""

import json
import sys
from pathlib import Path

from purpleflea_sandbox.exchange.api.app import application
from purpleflea_sandbox.exchange.app_state import AppState
from purpleflea_sandbox.exchange.settings import from_environment


def document() -> str:
    """Return the document as text."""
    state = AppState.open(from_environment({}))
    try:
        return json.dumps(application(state).openapi(), indent=2) + "\n"
    finally:
        state.close()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document(), encoding="utf-8")
