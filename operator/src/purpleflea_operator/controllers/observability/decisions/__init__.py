"""Pure decisions about one PurpleFleaObservability. They do no I/O and read no clock."""
