"""Controller of PurpleFleaHalt: which agents are halted, and whether they have acknowledged it."""
