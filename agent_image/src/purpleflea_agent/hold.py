"""Deprecated: `python -m purpleflea_agent.hold`, as operators of version 0.1 start wait_for_node_agent.

Removed after version 0.2.
"""

import sys

from purpleflea_agent.wait_for_node_agent import main

if __name__ == "__main__":
    sys.exit(main())
