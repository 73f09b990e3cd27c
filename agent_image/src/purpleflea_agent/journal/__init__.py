"""The trade journal: orders and escrows, on disk before they are sent, and their outcome.

`Journal` is the interface of the event loop. The other modules are the tables of the SQLite file, each used in the
thread of the journal only; `migrations` is the only place that creates or changes tables.
"""

from purpleflea_agent.journal.errors import JournalError, JournalTooNew
from purpleflea_agent.journal.journal import FILE_NAME, Journal

__all__ = ["FILE_NAME", "Journal", "JournalError", "JournalTooNew"]
