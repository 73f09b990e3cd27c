"""The error of the demo that users see."""


class DemoError(Exception):
    """A step failed; the message is one line with the step, the cause and a hint for diagnosis."""
