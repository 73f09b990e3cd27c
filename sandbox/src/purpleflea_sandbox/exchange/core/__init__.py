"""The rules of the exchange: pure functions and frozen values.

Nothing here reads a clock, draws a random number or does I/O; all of that comes in as arguments.
"""
