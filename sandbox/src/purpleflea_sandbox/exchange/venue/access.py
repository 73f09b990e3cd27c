"""Authentication: API keys and their owners.

Keys are registered (stored as hashes) or read from a file that is reloaded when it changes. A line
of the file is a key, or a key and an owner. Keys of the same owner share its accounts, so a key can
be replaced without losing them.
"""

import logging
import re
import secrets
from hashlib import sha256
from pathlib import Path

from purpleflea_sandbox.exchange.errors import SettingsError, UnauthorizedError
from purpleflea_sandbox.exchange.storage import keys
from purpleflea_sandbox.exchange.venue.context import VenueContext

_KEY_LINE = re.compile(r"(pf_paper_[0-9a-f]{32})(?:\s+([A-Za-z0-9._-]{1,64}))?")

logger = logging.getLogger(__name__)


class KeyFile:
    """Keys of a file by hash; reloaded when the file changes."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._loaded: tuple[int, int, int] | None = None
        self._owners: dict[str, str] = {}
        if path is not None:
            self._read(path)

    def owner_of(self, key_hash: str) -> str | None:
        return self._owners.get(key_hash)

    def refresh(self) -> None:
        """Reload the file if it changed; a broken file is logged and ignored."""
        if self._path is None:
            return
        try:
            self._read(self._path)
        except SettingsError as error:
            logger.warning(
                "keys file is not usable; keeping the keys read before",
                extra={"reason": str(error)},
            )

    def _read(self, path: Path) -> None:
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
            if stamp == self._loaded:
                return
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"EXCHANGE_KEYS_FILE: cannot read {path}: {error}") from error
        self._loaded = stamp
        self._owners = _owners(text, path)


def _owners(text: str, path: Path) -> dict[str, str]:
    owners: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _KEY_LINE.fullmatch(line.strip())
        if match is None:
            # The line may contain a real key, so the message must not include it.
            raise SettingsError(
                f"EXCHANGE_KEYS_FILE: line {number} of {path} is not `pf_paper_<32 hex digits> [owner]`"
            )
        key_hash = hash_of(match[1])
        owners[key_hash] = match[2] or _owner_name(key_hash)
    return owners


def hash_of(key: str) -> str:
    return sha256(key.encode()).hexdigest()


def owner(venue: VenueContext, key_file: KeyFile, key: str) -> str:
    """Return the owner of a key.

    Raises UnauthorizedError if the key is unknown.
    """
    key_hash = hash_of(key)
    owner_name = key_file.owner_of(key_hash) or keys.owner_of(venue.database, key_hash)
    if owner_name is None:
        key_file.refresh()
        owner_name = key_file.owner_of(key_hash)
    if owner_name is None:
        raise UnauthorizedError("unknown_key", "the API key is unknown")
    return owner_name


def register(venue: VenueContext) -> str:
    """Create a key for a new owner; the key is returned once and stored as a hash."""
    key = f"pf_paper_{secrets.token_hex(16)}"
    key_hash = hash_of(key)
    with venue.database.transaction():
        keys.add(venue.database, key_hash, _owner_name(key_hash), venue.clock())
    logger.info("key registered", extra={"owner": _owner_name(key_hash)})
    return key


def _owner_name(key_hash: str) -> str:
    return f"key-{key_hash[:12]}"
