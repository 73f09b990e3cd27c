"""Access to the Purple Flea services.

`port` is the interface that the agent uses. Each dialect of the services is a folder with an adapter: `seed`.
"""
