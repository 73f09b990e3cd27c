"""The OpenAPI document of the exchange as a file: `python -m ...exchange.api.document FILE` (`make docs`).

It is the contract of the published page written out, for people who write a client and have no exchange at hand.
"""

import json
import sys
from pathlib import Path

from purpleflea_sandbox.exchange.api.app import application
from purpleflea_sandbox.exchange.house import House
from purpleflea_sandbox.exchange.settings import from_environment


def document() -> str:
    """The document as text."""
    house = House.opened(from_environment({}))
    try:
        return json.dumps(application(house).openapi(), indent=2) + "\n"
    finally:
        house.close()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(document(), encoding="utf-8")
