// Dialog of one trace: its spans on a time axis, and the logs with its id.
import { byId, el, state, table } from "./dom.js";
import { duration, time } from "./format.js";

const PREFIX = "#trace=";

export async function openTrace(id) {
  const response = await fetch(`/fleet/data/traces/${encodeURIComponent(id)}`);
  byId("trace-title").textContent = `Trace ${id}`;
  byId("trace-body").replaceChildren(...(response.ok ? parts(await response.json()) : missing()));
  positionBars();
  history.replaceState(null, "", `${location.pathname}${location.search}${PREFIX}${id}`);
  if (!byId("trace").open) byId("trace").showModal();
  byId("trace-title").focus();
}

export function addTraceListeners() {
  byId("trace-close").addEventListener("click", () => byId("trace").close());
  byId("trace").addEventListener("close", () => history.replaceState(null, "", `${location.pathname}${location.search}`));
  if (location.hash.startsWith(PREFIX)) openTrace(location.hash.slice(PREFIX.length));
}

const missing = () => [el("p", { class: "nothing" }, "The stand-in does not have this trace, because it was not sampled or is too old.")];

function parts(trace) {
  const summary = [trace.name, trace.agent_id, `${trace.spans} spans`, duration(trace.duration), time(trace.start)].filter(Boolean);
  return [
    el("p", { class: "quiet" }, summary.join(" · ")),
    el("section", { "aria-labelledby": "spans-title" }, el("h3", { id: "spans-title" }, "Spans"), el("ol", { class: "spans" }, trace.rows.map((row) => span(row, trace)))),
    el("section", { "aria-labelledby": "trace-logs-title" }, el("h3", { id: "trace-logs-title" }, `Logs of this trace (${trace.logs.length})`), logs(trace)),
  ];
}

function span(row, trace) {
  const bar = el("i", { "data-from": row.offset / trace.duration, "data-to": row.duration / trace.duration });
  return el(
    "li", { "data-error": String(row.error) },
    el("span", { class: "span-name", "data-depth": row.depth, title: `${row.name} ${row.resource} ${row.message}` }, row.name, " ", el("span", { class: "quiet" }, row.resource)),
    el("span", { class: "lane", "aria-hidden": "true" }, bar),
    el("span", { class: "span-duration" }, duration(row.duration), row.error ? el("span", { class: "visually-hidden" }, " failed") : null),
  );
}

function logs(trace) {
  if (!trace.logs.length) return el("p", { class: "quiet" }, "No log has this id.");
  const rows = trace.logs.map((log) => [{ kind: "time", content: time(log.timestamp) }, state(log.status), { kind: "message", content: log.message }]);
  return table("Logs of this trace", ["Time", "Level", "Message"], rows);
}

function positionBars() {
  for (const bar of byId("trace-body").querySelectorAll("[data-from]")) {
    bar.style.left = `${bar.dataset.from * 100}%`;
    bar.style.width = `${bar.dataset.to * 100}%`;
  }
  for (const name of byId("trace-body").querySelectorAll("[data-depth]")) name.style.paddingLeft = `${name.dataset.depth * 16}px`;
}
