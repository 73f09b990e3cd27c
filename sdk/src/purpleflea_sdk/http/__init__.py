"""HTTP servers of an agent: a plain server for the paths of the operator, and uvicorn with limits for applications."""
