"""Application state of one running exchange, created from its settings.

The state owns the storage and closes it. Requests, the background task and the fault registry share
it.
"""

from dataclasses import dataclass, field
from typing import Self

from purpleflea_sandbox.exchange.core.faults import Fault, FaultKind, FaultRegistry
from purpleflea_sandbox.exchange.core.rate_limit import RateLimit
from purpleflea_sandbox.exchange.settings import ExchangeSettings
from purpleflea_sandbox.exchange.storage.database import Database
from purpleflea_sandbox.exchange.times import Clock, wall_ms
from purpleflea_sandbox.exchange.venue import trading
from purpleflea_sandbox.exchange.venue.access import KeyFile
from purpleflea_sandbox.exchange.venue.context import VenueContext
from purpleflea_sandbox.exchange.venue.past_states import PastStates

REGISTRATIONS_PER_MINUTE = 60


@dataclass(slots=True, kw_only=True)
class AppState:
    venue: VenueContext
    key_file: KeyFile
    rate_limit: RateLimit
    fault_registry: FaultRegistry
    admin_token: str | None
    past: PastStates
    """Former states of the venue, for stale reads."""
    registrations: RateLimit = field(default_factory=lambda: RateLimit(REGISTRATIONS_PER_MINUTE))

    @classmethod
    def open(cls, settings: ExchangeSettings, clock: Clock = wall_ms) -> Self:
        """Read the keys and open the storage.

        Raises SettingsError if either is not usable.
        """
        key_file = KeyFile(settings.keys_file)
        folder = settings.data_dir
        database = Database.in_memory() if folder is None else Database.in_folder(folder)
        venue = VenueContext(database=database, clock=clock, terms=settings.terms)
        return cls(
            venue=venue,
            past=PastStates(venue, ()),
            key_file=key_file,
            rate_limit=RateLimit(settings.rate_limit_per_minute),
            fault_registry=FaultRegistry(settings.terms.seed),
            admin_token=settings.admin_token,
        )

    def tick(self) -> None:
        """Do the periodic work: fill open orders that the price has reached, and reload a changed
        keys file.
        """
        trading.settle(self.venue)
        self.past.record()
        self.key_file.refresh()

    def install_faults(self, faults: tuple[Fault, ...]) -> None:
        """Replace all faults. Price gaps end, and stale reads use snapshots from this moment on."""
        self.past.close()
        self.venue.gaps.clear()
        stale = (fault for fault in faults if fault.kind is FaultKind.STALE)
        self.past = PastStates(self.venue, [fault.ms or 0 for fault in stale])
        self.fault_registry.replace(faults)

    def close(self) -> None:
        self.past.close()
        self.venue.database.close()
