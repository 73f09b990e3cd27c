"""An agent of one's own: it only watches, but it is run, halted, observed and ended like any other."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI

from purpleflea_agent import logs, metrics, tracing
from purpleflea_agent.control import ControlFile
from purpleflea_agent.settings import read_environment, read_settings
from purpleflea_contract import spans

environment = read_environment()
settings = read_settings(environment.settings_file)
control = ControlFile(environment.control_file)
log = logs.get_logger("custom")


async def trade() -> None:
    while True:
        control.refresh()
        market = settings.markets[0]
        with tracing.span(spans.SIGNAL_COMPUTE, market=market, price_count=1) as span:
            span.set(signal_value=0.01)
            logs.log_signal_generated(market, 0.01, settings.strategy)
        if not control.is_halted:
            log.info("Here an order would be sent", extra={"market": market})
        metrics.record_heartbeat()
        await asyncio.sleep(1)


@contextlib.asynccontextmanager
async def life(_: FastAPI) -> AsyncIterator[None]:
    trading = asyncio.create_task(trade())
    yield
    trading.cancel()
    metrics.emitter().close()


app = FastAPI(lifespan=life)


@app.get("/healthz")
@app.get("/readyz")
async def healthy() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/v1/control")
async def acknowledge() -> dict[str, object]:
    control.refresh()
    state = {"since": control.since, "sending": False, "at_rest": control.is_halted}
    return {**control.control.model_dump(), **state}


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn stops, then raises the signal again
    config = uvicorn.Config(
        app, host=environment.http_host, port=environment.http_port, log_config=None
    )
    listener = config.bind_socket()
    log.info("Listening", extra={"http_port": listener.getsockname()[1]})
    uvicorn.Server(config).run(sockets=[listener])
