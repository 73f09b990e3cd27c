"""kubectl plugin for Purple Flea agents: `kubectl purpleflea`.

Every request is sent by the kubectl of the user, so contexts, credential plugins, proxies and impersonation apply. The
package imports no client of Kubernetes, and rich only when a command prints.
"""
