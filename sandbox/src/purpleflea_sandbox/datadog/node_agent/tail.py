"""Follow the log files of a container: new lines, rotation, container restarts, truncation.

It reads without waiting. A position is the inode of a file and an offset in it. If it is saved after each delivered
batch, the next node agent continues without losing a line, even after a rotation.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from purpleflea_sandbox.datadog.node_agent import cri

_MAX_LINES = 500
_MAX_LINE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TailPosition:
    """Delivered position of a container's logs."""

    inode: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Messages of one read, and the position to save after delivery."""

    records: tuple[cri.Record, ...]
    position: TailPosition


class ContainerTail:
    """Log files of a container, oldest first: <n>.log and the files that the kubelet rotated."""

    def __init__(self, directory: Path, position: TailPosition | None = None) -> None:
        self._directory = directory
        self._resume = position
        self._inode = 0
        self._offset = 0
        self._file: BinaryIO | None = None
        self._assembler = cri.Assembler()

    def read(self) -> Batch | None:
        """Return the next messages; None if there are none."""
        while True:
            if self._file is None and not self._open_next():
                return None
            # Check before reading. Then all lines written before a newer file appeared are read
            # before this file is closed.
            is_superseded = self._is_superseded()
            records = self._read_file()
            if records:
                return Batch(records=records, position=self._position())
            if not is_superseded:
                return None
            self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _position(self) -> TailPosition:
        unfinished = self._assembler.unfinished_since()
        return TailPosition(
            inode=self._inode, offset=self._offset if unfinished is None else unfinished
        )

    def _read_file(self) -> tuple[cri.Record, ...]:
        """Read up to `_MAX_LINES` lines of the open file, and more if they complete no message."""
        file = self._file
        if file is None:
            return ()
        if os.fstat(file.fileno()).st_size < self._offset:
            self._offset = 0  # the file was truncated
        file.seek(self._offset)
        records: list[cri.Record] = []
        lines = 0
        while lines < _MAX_LINES or not records:
            line = file.readline(_MAX_LINE_BYTES)
            if not line.endswith(b"\n") and len(line) < _MAX_LINE_BYTES:
                break
            record = self._assembler.add(line, self._offset)
            self._offset += len(line)
            lines += 1
            records.extend([record] if record else [])
        return tuple(records)

    def _open_next(self) -> bool:
        """Open the file of the saved position, else the file after the one that was finished, else the oldest."""
        files = self._files()
        inodes = [inode for inode, _ in files]
        resume, self._resume = (self._resume, None) if files else (None, self._resume)
        index, offset = 0, 0
        if resume is not None and resume.inode in inodes:
            index, offset = inodes.index(resume.inode), resume.offset
        elif self._inode in inodes:
            index = inodes.index(self._inode) + 1
        if index >= len(files):
            return False
        inode, path = files[index]
        try:
            file = path.open("rb")
        except OSError:
            return False
        self._file, self._offset = file, offset
        # If the file was renamed between listing and opening, the inode of the open file is the
        # right one.
        self._inode = os.fstat(file.fileno()).st_ino or inode
        self._assembler.next_file()
        return True

    def _is_superseded(self) -> bool:
        """Return True if the runtime writes to a newer file than the open one, or if the files are deleted."""
        files = self._files()
        return not files or files[-1][0] != self._inode

    def _files(self) -> list[tuple[int, Path]]:
        """Return the files of the container with their inodes, oldest first. Compressed files are skipped, because
        they were read before.
        """
        files: list[tuple[int, str, int, Path]] = []
        try:
            with os.scandir(self._directory) as entries:
                for entry in entries:
                    number, mark, rotation = entry.name.partition(".log")
                    if mark and number.isdigit() and not rotation.endswith((".gz", ".tmp")):
                        # "~" sorts after every timestamp, because the file being written is the
                        # newest.
                        files.append(
                            (int(number), rotation or "~", entry.inode(), Path(entry.path))
                        )
        except OSError:
            return []
        return [(inode, path) for _, _, inode, path in sorted(files)]
