"""A custom agent. It sends no orders, but it is run, halted, observed and stopped like any other agent."""

import asyncio
import signal

import uvicorn
from fastapi import FastAPI

from purpleflea_agent import logs, metrics, tracing
from purpleflea_agent.api.listener import bound_socket
from purpleflea_agent.control import ControlFile
from purpleflea_agent.settings import read_environment, read_settings
from purpleflea_contract import spans
from purpleflea_contract.control import Acknowledgement

environment = read_environment()
market = read_settings(environment.settings_file).markets[0]
control = ControlFile(environment.control_file)
app = FastAPI()


async def watch() -> None:
    while True:
        control.refresh()
        with tracing.span(spans.SIGNAL_COMPUTE, market=market, price_count=1) as span:
            span.set(signal_value=0.01)
            logs.log_signal_generated(market, 0.01, "custom")
        if not control.is_halted:
            logs.get_logger("custom").info("An order would be sent here")
        metrics.record_heartbeat()
        await asyncio.sleep(1)


@app.get("/healthz")
@app.get("/readyz")
async def healthy() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/v1/control")
async def acknowledge() -> Acknowledgement:
    control.refresh()
    return control.acknowledged(at_rest=control.is_halted)


async def main() -> None:
    # The kubelet and the operator connect by IPv4 or IPv6.
    listener = bound_socket(environment.http_host, environment.http_port)
    watching = asyncio.create_task(watch())
    await uvicorn.Server(uvicorn.Config(app, log_config=None)).serve(sockets=[listener])
    watching.cancel()
    metrics.emitter().close()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn stops, then raises the signal again
    asyncio.run(main())
