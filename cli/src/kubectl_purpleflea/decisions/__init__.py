"""Decisions of the plugin as pure functions of observed objects: no process, clock, file or output."""
