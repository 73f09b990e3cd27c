"""Texts that the commands print, as pure functions of decisions and observed objects."""
