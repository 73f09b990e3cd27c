// Newest traces and logs, with links between them.
import { byId, el, number, show, state, table } from "./dom.js";
import { duration, time } from "./format.js";
import { traceLink } from "./widgets.js";

export function showLists(data) {
  const traces = data.traces.map((one) => [
    { kind: "time", content: time(one.start) }, traceLink(one.trace_id, `trace-${one.trace_id}`), one.name, one.agent_id || "–",
    number(duration(one.duration)), number(String(one.spans)), one.errors ? state("error") : "",
  ]);
  const logs = data.logs.map((one) => [
    { kind: "time", content: time(one.timestamp) }, state(one.status), one.agent_id || "–", { kind: "message", content: one.message },
    traceLink(one.trace_id, `log-${one.timestamp}-${one.trace_id}`),
  ]);
  fill("traces", traces, ["Time", "Trace", "Name", "Agent", number("Duration"), number("Spans"), "Error"], "Recent traces");
  fill("logs", logs, ["Time", "Level", "Agent", "Message", "Trace"], "Recent logs");
}

function fill(id, rows, columns, caption) {
  show(byId(id), rows.length ? table(caption, columns, rows) : el("p", { class: "nothing" }, "No entries in this time window"));
}
