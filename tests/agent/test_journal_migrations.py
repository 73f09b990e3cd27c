"""Versions of the journal: migration from every older schema, and refusal of a newer one."""

import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from purpleflea_agent.journal import FILE_NAME, Journal, JournalError, JournalTooNew, migrations
from purpleflea_agent.journal.positions import ReportedPosition
from support.agent_process import AgentFolder, AgentProcess

VERSION_0 = (Path(__file__).parent / "data" / "journal-version-0.sql").read_text()
"""Dump of a journal that version 0.1 of the agent wrote, with rows in every table."""
TABLES = ("orders", "escrows", "facts", "realized", "holdings", "flows", "days")
NOW = 1_800_000_030.0
CURRENT = len(migrations.MIGRATIONS)
KILLED_MIDWAY = """
import os, pathlib, signal, sys
from purpleflea_agent.journal import Journal, migrations

def killed():
    yield "ALTER TABLE orders ADD COLUMN note TEXT"
    yield "CREATE TABLE notes (name TEXT PRIMARY KEY) STRICT"
    os.kill(os.getpid(), signal.SIGKILL)

migrations.MIGRATIONS = (*migrations.MIGRATIONS[:int(sys.argv[2])], killed())
Journal(pathlib.Path(sys.argv[1]))
"""
NEW_COLUMN = ("ALTER TABLE orders ADD COLUMN note TEXT NOT NULL DEFAULT ''",)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / FILE_NAME


def write(path: Path, script: str) -> None:
    database = sqlite3.connect(path)
    database.executescript(script)
    database.close()


def rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables that exist."""
    database = sqlite3.connect(path)
    names = [name for (name,) in database.execute("SELECT name FROM sqlite_master") if name]
    contents = {
        table: sorted(database.execute(f"SELECT * FROM {table}").fetchall(), key=repr)  # noqa: S608
        for table in TABLES
        if table in names
    }
    database.close()
    return contents


def schema(path: Path) -> set[str]:
    """All statements of the schema, without differences in spaces."""
    database = sqlite3.connect(path)
    texts = [sql for (sql,) in database.execute("SELECT sql FROM sqlite_master") if sql]
    database.close()
    return {re.sub(r"\s+", "", text).replace("IFNOTEXISTS", "") for text in texts}


def version(path: Path) -> int:
    database = sqlite3.connect(path)
    found = migrations.version(database)
    database.close()
    return found


def state(path: Path) -> tuple[bytes, int, list[str]]:
    """Content and time of the file, and the names of all files in its folder."""
    names = [item.name for item in path.parent.iterdir()]
    return path.read_bytes(), path.stat().st_mtime_ns, names


async def opened(path: Path) -> None:
    """Open and close the journal once."""
    await Journal(path.parent, clock=lambda: NOW).close()


async def test_a_journal_of_version_0_keeps_every_row_and_gets_the_current_version(
    path: Path,
) -> None:
    write(path, VERSION_0)
    before = rows(path)
    assert [table for table in TABLES if not before[table]] == []
    await opened(path)
    assert rows(path) == before
    assert version(path) == CURRENT == 1


async def test_a_migrated_journal_is_read_as_before(path: Path) -> None:
    write(path, VERSION_0)
    journal = Journal(path.parent, clock=lambda: NOW)
    assert await journal.counts() == {
        "filled": 1,
        "open": 1,
        "rejected": 1,
        "cancelled": 1,
        "failed": 1,
        "written": 1,
    }
    assert [entry.request.idempotency_key for entry in await journal.unfinished()] == [
        "o-open",
        "o-unknown",
    ]
    filled = await journal.entry("o-filled")
    assert filled is not None
    assert filled.order is not None
    assert (filled.order.order_id, filled.order.price) == ("ord_1", Decimal("60000.10"))
    unfinished = await journal.unfinished_escrows()
    assert {(entry.request.idempotency_key, entry.escrow_id) for entry in unfinished} == {
        ("e-unknown", None),
        ("e-open", "esc_1"),
    }
    positions = (await journal.reconcile({})).positions
    assert {market: position.size for market, position in positions.items()} == {
        "BTC-USD": Decimal("0.01"),
        "ETH-USD": Decimal("-2.2"),
    }
    reported = {"BTC-USD": ReportedPosition(size=Decimal("0.01"), realized_pnl_usd=Decimal(7))}
    assert (await journal.reconcile(reported)).realized["BTC-USD"] == 7
    assert await journal.faucet_not_before() == 1800003600.0
    assert (await journal.today())[1]["orders"] == 6
    assert await journal.update_peak_equity(Decimal(1)) == Decimal("10080.00")
    await journal.close()


def subsets() -> Iterator[str]:
    """Dumps with some of the tables only, as agents created each table when they first needed it."""
    statements = re.findall(r"(?:CREATE|INSERT) .*?;\n", VERSION_0, re.DOTALL)
    for count in range(len(TABLES)):
        kept = TABLES[:count] + TABLES[count + 1 :] if count % 2 else TABLES[:count]
        yield "".join(
            text
            for text in statements
            if re.search(r"(?:TABLE|INTO|ON) \"?(\w+)", text)[1] in kept  # type: ignore[index]
        )


@pytest.mark.parametrize("script", [*subsets()])
async def test_any_subset_of_the_tables_of_version_0_is_completed(path: Path, script: str) -> None:
    write(path, script)
    before = rows(path)
    await opened(path)
    assert version(path) == CURRENT
    after = rows(path)
    assert {table: after[table] for table in before} == before
    assert set(after) == set(TABLES)


async def test_a_new_journal_has_the_schema_of_a_migrated_one(path: Path, tmp_path: Path) -> None:
    new = tmp_path / "new" / FILE_NAME
    await opened(new)
    write(path, VERSION_0)
    await opened(path)
    assert schema(new) == schema(path)
    assert version(new) == CURRENT


async def test_opening_at_the_current_version_writes_nothing(path: Path) -> None:
    write(path, VERSION_0)
    await opened(path)
    before = state(path)
    await opened(path)
    assert state(path) == before


async def test_a_new_column_is_one_entry_of_the_list(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, VERSION_0)
    await opened(path)
    monkeypatch.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, NEW_COLUMN))
    await opened(path)
    assert version(path) == CURRENT + 1
    assert all(row[-1] == "" for row in rows(path)["orders"])


async def test_a_migration_that_fails_leaves_the_former_version(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, VERSION_0)
    await opened(path)
    before = (rows(path), schema(path))
    wrong = ("ALTER TABLE orders ADD COLUMN note TEXT", "no SQL at all")
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "MIGRATIONS", (*migrations.MIGRATIONS, wrong))
        with pytest.raises(JournalError, match="syntax error"):
            Journal(path.parent)
    assert (version(path), rows(path), schema(path)) == (CURRENT, *before)
    await opened(path)


def migrate_and_die(path: Path, after: int) -> int:
    """Open the journal in a process that is killed in the migration after that many; its exit code."""
    command = [sys.executable, "-c", KILLED_MIDWAY, str(path.parent), str(after)]
    return subprocess.run(command, timeout=60, check=False).returncode


@pytest.mark.parametrize("after", range(CURRENT + 1))
async def test_a_migration_that_is_killed_midway_leaves_the_former_version(
    path: Path, after: int
) -> None:
    write(path, VERSION_0)
    before = rows(path)
    assert migrate_and_die(path, after) == -signal.SIGKILL
    assert (version(path), rows(path)) == (after, before)
    assert "noteTEXT" not in str(schema(path))
    await opened(path)
    assert (version(path), rows(path)) == (CURRENT, before)


def later(path: Path) -> None:
    """Write a journal of a later agent, whose last write is in the write-ahead log only."""
    script = f"""
import os, pathlib, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA journal_mode = WAL")
database.executescript(pathlib.Path(sys.argv[2]).read_text())
database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
database.execute("PRAGMA user_version = {CURRENT + 6}")
os._exit(0)
"""
    dump = path.parent.parent / "dump.sql"
    dump.write_text(VERSION_0)
    subprocess.run([sys.executable, "-c", script, str(path), str(dump)], timeout=60, check=True)


def contents(path: Path) -> dict[str, bytes]:
    """Content of the file and its write-ahead log."""
    return {
        item.name: item.read_bytes()
        for item in path.parent.iterdir()
        if not item.name.endswith("-shm")  # the index of the log, which every reader may create
    }


FULL_DISK = """
import pathlib, resource, sys
from purpleflea_agent.journal import Journal
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
Journal(pathlib.Path(sys.argv[1]))
"""


def open_on_a_full_disk(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", FULL_DISK, str(path.parent)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


async def test_a_complete_journal_of_version_0_opens_on_a_full_disk(path: Path) -> None:
    write(path, f"PRAGMA journal_mode = WAL; {VERSION_0}")
    before = rows(path)
    opened = open_on_a_full_disk(path)
    assert opened.returncode == 0, opened.stderr
    assert (version(path), rows(path)) == (0, before)
    await Journal(path.parent).close()
    assert (version(path), rows(path)) == (CURRENT, before)


def test_an_incomplete_journal_does_not_open_on_a_full_disk(path: Path) -> None:
    write(path, f"PRAGMA journal_mode = WAL; {VERSION_0}; DROP TABLE days")
    opened = open_on_a_full_disk(path)
    assert opened.returncode == 1
    assert "JournalError" in opened.stderr
    assert version(path) == 0


def test_a_negative_version_is_refused(path: Path) -> None:
    write(path, f"{VERSION_0}; PRAGMA user_version = -1")
    with pytest.raises(JournalTooNew):
        Journal(path.parent)
    assert version(path) == -1


def test_a_newer_journal_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "state" / FILE_NAME
    path.parent.mkdir()
    later(path)
    before = contents(path)
    with pytest.raises(JournalTooNew) as raised:
        Journal(path.parent)
    assert (raised.value.found, raised.value.supported) == (CURRENT + 6, CURRENT)
    assert contents(path) == before


def test_the_process_refuses_a_newer_journal_in_one_line(folder: AgentFolder) -> None:
    folder.forget_journal()
    path = folder.state / FILE_NAME
    path.parent.mkdir()
    later(path)
    before = contents(path)
    with AgentProcess(folder, {}) as agent:
        assert agent.wait() == 2
        (line,) = agent.lines()
        assert agent.stderr == []
    assert contents(path) == before
    assert line["level"] == "CRITICAL"
    for text in (str(path), f"version {CURRENT + 6}", f"up to {CURRENT}", "run the image that"):
        assert text in line["message"]
