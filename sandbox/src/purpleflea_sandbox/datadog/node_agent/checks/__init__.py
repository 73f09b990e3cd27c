"""Agent checks: found by annotation or conf.d, run in a process of their own, sent on as metrics and service checks."""
