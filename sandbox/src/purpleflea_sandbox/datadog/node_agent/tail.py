"""Following the log files of one container: new lines, rotation, restarts of the container, truncation.

It reads and never waits. A position is the inode of a file and an offset in it; kept once a batch is delivered, it
lets the next node agent go on without losing a line, even across a rotation.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from purpleflea_sandbox.datadog.node_agent import cri

_MOST_LINES = 500
_LONGEST_LINE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far a container's logs are delivered."""

    inode: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Messages of one read, and the position to keep once they are delivered."""

    records: tuple[cri.Record, ...]
    position: Position


class ContainerTail:
    """The log files of one container, oldest first: <n>.log and what the kubelet rotated them to."""

    def __init__(self, directory: Path, position: Position | None = None) -> None:
        self._directory = directory
        self._resume = position
        self._inode = 0
        self._offset = 0
        self._file: BinaryIO | None = None
        self._assembler = cri.Assembler()

    def read(self) -> Batch | None:
        """The next messages; None when there is nothing new."""
        while True:
            if self._file is None and not self._open_next():
                return None
            # Looked at before reading: what was written before a newer file appeared is then read for sure.
            is_left_behind = self._is_left_behind()
            records = self._read_file()
            if records:
                return Batch(records=records, position=self._position())
            if not is_left_behind:
                return None
            self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _position(self) -> Position:
        unfinished = self._assembler.unfinished_since()
        return Position(
            inode=self._inode, offset=self._offset if unfinished is None else unfinished
        )

    def _read_file(self) -> tuple[cri.Record, ...]:
        """Up to so many lines of the open file, and more while they complete no message."""
        file = self._file
        if file is None:
            return ()
        if os.fstat(file.fileno()).st_size < self._offset:
            self._offset = 0  # truncated: it starts again
        file.seek(self._offset)
        records: list[cri.Record] = []
        lines = 0
        while lines < _MOST_LINES or not records:
            line = file.readline(_LONGEST_LINE)
            if not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
                break
            record = self._assembler.add(line, self._offset)
            self._offset += len(line)
            lines += 1
            records.extend([record] if record else [])
        return tuple(records)

    def _open_next(self) -> bool:
        """Open the file of the kept position, else the one after the file just finished, else the oldest."""
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
        # Renamed between listing and opening: the open file is what counts.
        self._inode = os.fstat(file.fileno()).st_ino or inode
        self._assembler.next_file()
        return True

    def _is_left_behind(self) -> bool:
        """Whether the runtime writes to a newer file than the open one, or the files are gone."""
        files = self._files()
        return not files or files[-1][0] != self._inode

    def _files(self) -> list[tuple[int, Path]]:
        """Files of the container with their inodes, oldest first. Compressed ones were read before."""
        found: list[tuple[int, str, int, Path]] = []
        try:
            with os.scandir(self._directory) as entries:
                for entry in entries:
                    number, mark, rotation = entry.name.partition(".log")
                    if mark and number.isdigit() and not rotation.endswith((".gz", ".tmp")):
                        # "~" sorts after every time stamp: the file being written is the newest.
                        found.append(
                            (int(number), rotation or "~", entry.inode(), Path(entry.path))
                        )
        except OSError:
            return []
        return [(inode, path) for _, _, inode, path in sorted(found)]
