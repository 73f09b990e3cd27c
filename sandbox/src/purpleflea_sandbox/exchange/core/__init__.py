"""Rules of the exchange: pure functions and frozen values.

This package uses no clock, randomness or I/O; these are passed as arguments.
"""
