// Monitors as expandable cards, worst status first. Status changes are announced to screen readers.
import { byId, el, number, show, state, table } from "./dom.js";
import { figure, short, time } from "./format.js";

const STATES = ["Alert", "Warn", "No Data", "OK"];
let newest = null;

export function showMonitors(data) {
  showStatusCounts(data.monitors);
  const container = byId("monitors");
  const open = new Set([...container.querySelectorAll("details[open]")].map((one) => one.dataset.id));
  show(container, data.monitors.map((one) => card(one, open.has(one.id))));
  show(byId("objectives"), data.objectives.map(objective));
  announce(data.notifications);
}

function showStatusCounts(monitors) {
  const counts = STATES.map((name) => [name, monitors.filter((one) => one.status === name).length]);
  show(byId("tally"), counts.filter(([, count]) => count).map(([name, count]) =>
    el("li", {}, el("span", { class: "state", "data-state": name }, `${count} ${name}`))));
}

function card(monitor, open) {
  return el(
    "details", { class: "monitor", "data-state": monitor.status, "data-id": monitor.id, open },
    el("summary", { "data-key": `monitor-${monitor.id}` }, el("span", {}, short(monitor.name)), state(monitor.status)),
    el("div", { class: "inside" }, ...inside(monitor)),
  );
}

function inside(monitor) {
  const rows = monitor.groups.map((one) => [one.scope === "*" ? "all" : one.scope, state(one.status), number(figure(one.value)), { kind: "time", content: time(one.changed) }]);
  const remaining = monitor.group_count - monitor.groups.length;
  return [
    monitor.refusal ? el("p", { class: "caption" }, `Not evaluated: ${monitor.refusal}`) : null,
    rows.length ? table(`Groups of ${monitor.name}`, ["Group", "State", number("Value"), "Since"], rows) : el("p", { class: "caption" }, "No group has reported yet."),
    remaining > 0 ? el("p", { class: "caption" }, `and ${remaining} more groups`) : null,
    el("code", {}, monitor.query),
  ];
}

function objective(one) {
  return el(
    "section", { class: "card objective", "data-tone": one.tone || undefined },
    el("h3", {}, `SLO · ${one.name.replace(/^Purple Flea agents?: /, "")}`),
    el("strong", {}, one.success === null ? "no data" : `${figure(one.success, 2)} %`),
    el("span", { class: "caption" }, `target ${figure(one.target)} % over ${one.timeframe} · error budget left ${figure(one.budget_left, 1)} %`),
  );
}

function announce(notifications) {
  const first = notifications[0];
  if (newest !== null && first && first.at > newest && !first.reminder) {
    byId("announce").textContent = `${short(first.monitor)}: ${first.scope} is now ${first.status}`;
  }
  newest = first?.at ?? 0;
}
