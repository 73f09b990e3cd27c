"""Waits until the API server is ready, then exits with code 0.

The `once` unit with this module gates the daemons that need the API. It has no timeout,
because the caller of the supervisor limits the waiting time.
"""

import sys
import time
from pathlib import Path

from purpleflea_sandbox.cluster.api import ApiClient
from purpleflea_sandbox.cluster.credentials import pair

_PAUSE_S = 0.05


def main(argv: list[str]) -> None:
    """Run with the arguments: server address, folder of the keys, name of the client certificate."""
    server, keys, leaf = argv
    api = ApiClient(server, pair(Path(keys), leaf))
    while not api.is_ready():
        time.sleep(_PAUSE_S)


if __name__ == "__main__":
    main(sys.argv[1:])
