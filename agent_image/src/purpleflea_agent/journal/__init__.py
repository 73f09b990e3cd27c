"""The trade journal: orders and escrows, on disk before they are sent, and their outcome.

The names below are public. `Journal` is the interface of the event loop. The modules are the tables of the SQLite file,
each used in the thread of the journal only; `migrations` is the only place that creates or changes tables.
"""

from purpleflea_agent.journal.errors import JournalError, JournalTooNew
from purpleflea_agent.journal.escrows import EscrowEntry
from purpleflea_agent.journal.journal import FILE_NAME, Journal
from purpleflea_agent.journal.orders import OrderEntry

__all__ = ["FILE_NAME", "EscrowEntry", "Journal", "JournalError", "JournalTooNew", "OrderEntry"]
