"""The Seed dialect over HTTP, with the admin API and the fault API.

This package converts between JSON and the venue; it contains no rules about money.
"""
