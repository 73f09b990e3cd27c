"""Access to the Purple Flea services.

`port` defines what the agent needs of an exchange. Each dialect of the services is one folder with an adapter: `seed`.
"""
