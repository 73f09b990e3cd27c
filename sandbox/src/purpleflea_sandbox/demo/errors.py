"""What goes wrong in the demo, in words for people."""


class DemoError(Exception):
    """A step failed; the text is one line that names the step, the cause and what to look at."""
