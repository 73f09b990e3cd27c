"""Agent checks: configured by annotation or conf.d, run in a separate process, forwarded as metrics and service
checks.
"""
