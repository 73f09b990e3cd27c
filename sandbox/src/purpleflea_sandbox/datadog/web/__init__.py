"""Data and static files of the fleet page: the dashboard, monitors, traces and logs of the stand-in.

All modules are pure; `fleet_page`, outside this package, serves them over HTTP, and `static` draws them. The page
changes no data.
"""
