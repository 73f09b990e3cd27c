"""`python -m purpleflea_agent.hold`: the command of the init container that waits for the node agent.

The program is wait_for_node_agent. The command keeps this name, because it is part of the pod template: another command
would restart every agent with `whenMissing: Hold`, and older agent images do not have the other module.
"""

import sys

from purpleflea_agent.wait_for_node_agent import main

if __name__ == "__main__":
    sys.exit(main())
