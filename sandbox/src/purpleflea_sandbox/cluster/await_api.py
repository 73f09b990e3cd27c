"""Ends well when the API server is ready: the `once` unit that the daemons which need the API
wait for. Gives up never; the supervisor's user decides how long to wait."""

import sys
import time
from pathlib import Path

from purpleflea_sandbox.cluster.api import Api
from purpleflea_sandbox.cluster.credentials import pair

_PAUSE_S = 0.05


def main(argv: list[str]) -> None:
    """Arguments: the server's address, the folder of keys, the name of the client certificate."""
    server, keys, leaf = argv
    api = Api(server, pair(Path(keys), leaf))
    while not api.is_ready():
        time.sleep(_PAUSE_S)


if __name__ == "__main__":
    main(sys.argv[1:])
