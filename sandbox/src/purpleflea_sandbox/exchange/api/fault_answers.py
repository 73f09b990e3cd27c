"""Answers that something in front of the exchange sends: gateways, redirects, pages and limits.

None of them is a problem document of the exchange, except those of the kinds status and rate_limit,
which are sent before the request has an effect.
"""

from datetime import UTC, datetime

from starlette.responses import Response

from purpleflea_sandbox.exchange.api.problems import problem, problem_response
from purpleflea_sandbox.exchange.core.faults import Body, FaultKind, RetryAfter, SelectedFault

REDIRECTS = (301, 302, 303, 307, 308)
CLIENT_ERRORS = (
    *range(400, 419),
    *(421, 422, 423, 424, 425, 426, 428, 429, 431, 451),
)
SERVER_ERRORS = (*range(500, 509), 510, 511, *range(520, 531))
GATEWAY_STATUSES = (*REDIRECTS, *CLIENT_ERRORS, *SERVER_ERRORS)
RETRY_AFTER_S = 1

_PAGE = "<!doctype html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


def gateway_answer(selected: SelectedFault, path: str) -> Response:
    """Return the answer of a gateway, of a redirecting server or of a page in place of the API."""
    fault = selected.fault
    match fault.kind:
        case FaultKind.REDIRECT:
            status = fault.status or selected.choice("status", REDIRECTS)
        case FaultKind.HTML:
            status = fault.status or 200
        case _:
            status = fault.status or selected.choice("status", GATEWAY_STATUSES)
    body = Body.HTML if fault.kind is FaultKind.HTML else fault.body
    answer = _response(status, body or selected.choice("body", tuple(Body)))
    if status in REDIRECTS:
        # The same address, so a client that follows the redirect sends the request again.
        answer.headers["Location"] = path
    return answer


def own_answer(selected: SelectedFault, now_ms: int) -> Response:
    """Return the answer of the exchange itself that the request had no effect."""
    fault = selected.fault
    if fault.kind is FaultKind.STATUS:
        return problem_response(
            problem(fault.status or 503, "injected_fault", "a fault was injected")
        )
    limited = problem(429, "rate_limited", "a fault was injected", "Too many requests")
    form = fault.retry_after or RetryAfter.SECONDS
    if form is RetryAfter.NONE:
        return problem_response(limited)
    return problem_response(limited, {"Retry-After": _retry_after(form, now_ms)})


def _response(status: int, body: Body) -> Response:
    text = f"{status} from a gateway"
    match body:
        case Body.EMPTY:
            return Response(status_code=status)
        case Body.HTML:
            return Response(_PAGE.format(text), status, media_type="text/html")
        case Body.TEXT:
            return Response(text, status, media_type="text/plain")
        case Body.JSON:
            return Response(f'{{"error":"{text}"}}', status, media_type="application/json")
        case Body.PROBLEM:
            return Response(
                f'{{"type":"about:blank","title":"{text}","status":{status},"detail":"","code":"gateway"}}',
                status,
                media_type="application/problem+json",
            )


def _retry_after(form: RetryAfter, now_ms: int) -> str:
    at = datetime.fromtimestamp(now_ms / 1000 + RETRY_AFTER_S, UTC)
    match form:
        case RetryAfter.HTTP_DATE:
            return at.strftime("%a, %d %b %Y %H:%M:%S GMT")
        case RetryAfter.RFC_850:
            return at.strftime("%A, %d-%b-%y %H:%M:%S GMT")
        case RetryAfter.ASCTIME:
            return at.strftime("%a %b %e %H:%M:%S %Y")
        case RetryAfter.UNREADABLE:
            return "soon"
        case _:
            return str(RETRY_AFTER_S)
