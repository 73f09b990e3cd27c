"""Benchmarks, run by hand or with make. They report figures and ratios, and never fail a test."""
