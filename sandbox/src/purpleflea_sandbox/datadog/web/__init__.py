"""The fleet page: the dashboard, the monitors, the traces and the logs of the stand-in, live in a browser.

`board` and `records` compute what is shown, `app` serves it, `static` draws it. Nothing here changes what it shows.
"""
