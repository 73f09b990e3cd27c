"""Measurements, run by hand or by make: figures and ratios, never a test's verdict."""
