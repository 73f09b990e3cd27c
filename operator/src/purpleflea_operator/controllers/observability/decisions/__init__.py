"""Pure decisions about one PurpleFleaObservability: no I/O, no clock."""
