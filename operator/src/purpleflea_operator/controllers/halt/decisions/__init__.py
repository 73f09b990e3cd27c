"""Decisions about PurpleFleaHalts. Pure."""
