"""Delivered position of each container's logs, saved in one file across restarts of the node agent.

If the file is not readable, it is ignored and logs are read from their beginning.
"""

import json
import logging
import os
from collections.abc import Collection
from pathlib import Path

from purpleflea_sandbox.datadog.node_agent.tail import TailPosition

logger = logging.getLogger(__name__)


class TailPositions:
    """Positions by the container's folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._positions = _loaded(path)
        self._changed = False

    def get(self, directory: str) -> TailPosition | None:
        return self._positions.get(directory)

    def keep(self, directory: str, position: TailPosition) -> None:
        self._positions[directory] = position
        self._changed = True

    def retain_only(self, directories: Collection[str]) -> None:
        removed = self._positions.keys() - set(directories)
        for directory in removed:
            del self._positions[directory]
        self._changed = self._changed or bool(removed)

    def save(self) -> None:
        """Write the file if a position changed. If the process crashes during the write, the previous file remains."""
        if not self._changed:
            return
        document = {d: [p.inode, p.offset] for d, p in self._positions.items()}
        temporary = self._path.with_suffix(".tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(document))
            os.replace(temporary, self._path)
        except OSError as error:
            logger.warning("log positions are not saved: %s", error)
            return
        self._changed = False


def _loaded(path: Path) -> dict[str, TailPosition]:
    try:
        document = json.loads(path.read_text())
        return {
            str(directory): TailPosition(inode=int(inode), offset=int(offset))
            for directory, (inode, offset) in document.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        logger.warning("log positions in %s are ignored: %s", path, error)
        return {}
