"""Pure decisions about one agent: observed state in, planned actions and status out. No I/O, no clock."""
