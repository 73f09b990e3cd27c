"""Files of one demo in the checkout, and the handle of the one process that it starts outside its
cluster.
"""

from dataclasses import dataclass
from pathlib import Path

from purpleflea_sandbox.cluster import processes
from purpleflea_sandbox.cluster.identity import Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoFiles:
    """Files of the demo of one cluster."""

    identity: Identity

    @property
    def checkout(self) -> Path:
        return self.identity.checkout

    @property
    def charts(self) -> Path:
        """Return the folder of the charts of the simulated services."""
        return self.checkout / "sandbox" / "charts"

    @property
    def operator_chart(self) -> Path:
        return self.checkout / "charts" / "purpleflea-operator"

    @property
    def kubectl(self) -> Path:
        return self.identity.sandbox / "bin" / "kubectl"

    @property
    def keys(self) -> Path:
        return self.identity.sandbox / f"{self.identity.name}.keys.json"

    @property
    def operator_log(self) -> Path:
        return self.identity.sandbox / f"{self.identity.name}.operator.log"

    @property
    def operator_process(self) -> Path:
        return self.identity.sandbox / f"{self.identity.name}.operator.pid"

    def end_operator(self) -> None:
        """End the operator process of an earlier simulated run if it is running."""
        handle = processes.load(self.operator_process)
        if handle is not None and handle.is_alive():
            handle.kill()
        self.operator_process.unlink(missing_ok=True)
