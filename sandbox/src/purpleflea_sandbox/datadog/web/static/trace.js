// A trace in a dialog: its spans where they lie in time, and the logs that carry its id.
import { byId, el, state, table } from "./dom.js";
import { duration, time } from "./format.js";

const PREFIX = "#trace=";

export async function openTrace(id) {
  const response = await fetch(`/fleet/data/traces/${encodeURIComponent(id)}`);
  byId("trace-title").textContent = `Trace ${id}`;
  byId("trace-body").replaceChildren(...(response.ok ? parts(await response.json()) : missing()));
  place();
  history.replaceState(null, "", `${location.pathname}${location.search}${PREFIX}${id}`);
  if (!byId("trace").open) byId("trace").showModal();
  byId("trace-title").focus();
}

export function wireTraces() {
  byId("trace-close").addEventListener("click", () => byId("trace").close());
  byId("trace").addEventListener("close", () => history.replaceState(null, "", `${location.pathname}${location.search}`));
  if (location.hash.startsWith(PREFIX)) openTrace(location.hash.slice(PREFIX.length));
}

const missing = () => [el("p", { class: "nothing" }, "The stand-in does not have this trace: it is not sampled, or too old.")];

function parts(trace) {
  const facts = [trace.name, trace.agent_id, `${trace.spans} spans`, duration(trace.duration), time(trace.start)].filter(Boolean);
  return [
    el("p", { class: "quiet" }, facts.join(" · ")),
    el("section", { "aria-labelledby": "spans-title" }, el("h3", { id: "spans-title" }, "Spans"), el("ol", { class: "spans" }, trace.rows.map((row) => span(row, trace)))),
    el("section", { "aria-labelledby": "trace-logs-title" }, el("h3", { id: "trace-logs-title" }, `Logs of this trace (${trace.logs.length})`), logs(trace)),
  ];
}

function span(row, trace) {
  const bar = el("i", { "data-from": row.offset / trace.duration, "data-to": row.duration / trace.duration });
  return el(
    "li", { "data-error": String(row.error) },
    el("span", { class: "what", "data-depth": row.depth, title: `${row.name} ${row.resource} ${row.message}` }, row.name, " ", el("span", { class: "quiet" }, row.resource)),
    el("span", { class: "lane", "aria-hidden": "true" }, bar),
    el("span", { class: "took" }, duration(row.duration), row.error ? el("span", { class: "unseen" }, " failed") : null),
  );
}

function logs(trace) {
  if (!trace.logs.length) return el("p", { class: "quiet" }, "No log carries this id.");
  const rows = trace.logs.map((log) => [{ kind: "time", content: time(log.timestamp) }, state(log.status), { kind: "message", content: log.message }]);
  return table("Logs of this trace", ["Time", "Level", "Message"], rows);
}

function place() {
  for (const bar of byId("trace-body").querySelectorAll("[data-from]")) {
    bar.style.left = `${bar.dataset.from * 100}%`;
    bar.style.width = `${bar.dataset.to * 100}%`;
  }
  for (const name of byId("trace-body").querySelectorAll("[data-depth]")) name.style.paddingLeft = `${name.dataset.depth * 16}px`;
}
