"""The Seed dialect over HTTP, and beside it the admin API and the fault switchboard.

Translates between JSON and the venue; decides nothing about money.
"""
