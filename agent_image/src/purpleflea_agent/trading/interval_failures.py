"""The class of a failure in a trading interval, as a value of the contract's tag `error_type`. Pure."""

from purpleflea_agent.exchange.diagnosis import Cause, cause_of
from purpleflea_agent.exchange.errors import ExchangeError
from purpleflea_agent.journal import JournalError
from purpleflea_agent.trading.market_data import UnusableMarketData
from purpleflea_contract import tags

API_KEY, JOURNAL, STRATEGY, MARKET_DATA = "api_key", "journal", "strategy", "market_data"


def failure_class(error: Exception, *, in_market: bool = False) -> str:
    """Return the class of an error; `in_market` is true if it came from the work on one market."""
    match error:
        case JournalError():
            return JOURNAL
        case UnusableMarketData():
            return MARKET_DATA
        case ExchangeError():
            is_key = cause_of(error) in (Cause.NO_KEY, Cause.API_KEY)
            return API_KEY if is_key else error.error_type
        case _:
            # Any other error in the work on a market comes from the strategy, which may be code of a user.
            return STRATEGY if in_market else tags.OTHER
