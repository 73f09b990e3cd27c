"""Errors that the user can correct. The text is one line: symptom, then remedy."""


class PaperError(Exception):
    """The run cannot start, or the candles cannot be used."""
