// One card per widget: a chart, its text description for screen readers, and the same data as a table.
import * as charts from "./charts.js";
import { el, number, show, state, table } from "./dom.js";
import { figure, windowLength, time } from "./format.js";
import { openTrace } from "./trace.js";

const MAX_TABLE_ROWS = 30;
const CHARTS = { timeseries: charts.lines, distribution: charts.distribution, heatmap: charts.heatMap };
const KINDS = { timeseries: "chart over time", distribution: "histogram", heatmap: "heat map" };
const COLUMNS = { status_line: "level", content: "message" };

export class Card {
  constructor(widget) {
    this.asTable = false;
    this.hasChart = widget.type in CHARTS;
    this.toggle = el("button", { type: "button", "aria-pressed": "false", "aria-label": `${widget.title} as a table`, onclick: () => this.setTable(!this.asTable) }, "Table");
    this.body = el("div", { class: "card-body" });
    this.container = el("div", { class: "chart", role: "img" });
    this.root = el(
      "article", { class: `card w-${widget.layout.width} h-${widget.layout.height}`, id: widget.id, "data-type": widget.type, "aria-labelledby": `${widget.id}-title` },
      el("div", { class: "card-head" }, el("h3", { id: `${widget.id}-title` }, widget.title || "Note"), this.hasChart ? this.toggle : null),
      this.body,
    );
  }

  setTable(asTable) {
    if (!this.hasChart) return;
    this.asTable = asTable;
    this.toggle.setAttribute("aria-pressed", String(asTable));
    this.draw();
  }

  update(widget, span) {
    this.widget = widget;
    this.span = span;
    this.draw();
  }

  draw() {
    const widget = this.widget;
    if (!widget) return;
    this.root.dataset.tone = widget.type === "query_value" || widget.type === "slo" ? widget.tone ?? "" : "";
    if (!this.root.dataset.tone) delete this.root.dataset.tone;
    if (widget.refusal) return this.fill(el("p", { class: "refusal" }, `Not shown: ${widget.refusal}`));
    if (!this.hasChart) return this.fill(...(PARTS[widget.type] ?? nothing)(widget));
    if (isEmpty(widget)) return this.fill(...nothing());
    if (this.asTable) return this.fill(...TABLES[widget.type](widget));
    this.drawChart();
  }

  fill(...children) {
    this.dispose();
    const scrolls = this.asTable || this.widget.type === "toplist" || this.widget.type === "list_stream";
    if (scrolls) {
      this.body.tabIndex = 0;
      this.body.setAttribute("role", "group");
      this.body.setAttribute("aria-labelledby", `${this.widget.id}-title`);
    }
    show(this.body, ...children);
  }

  drawChart() {
    for (const name of ["tabindex", "role", "aria-labelledby"]) this.body.removeAttribute(name);
    if (!this.chart) {
      delete this.body.dataset.shown;
      this.body.replaceChildren(this.container);
      this.chart = window.echarts.init(this.container);
      this.resizeObserver = new ResizeObserver(() => this.chart?.resize());
      this.resizeObserver.observe(this.container);
    }
    this.chart.setOption(CHARTS[this.widget.type](this.widget), { notMerge: true });
    this.container.setAttribute("aria-label", `${this.widget.title}: ${description(this.widget, this.span)}`);
  }

  dispose() {
    this.resizeObserver?.disconnect();
    this.chart?.dispose();
    this.chart = null;
  }
}

const nothing = () => [el("p", { class: "nothing" }, "No data in this time window")];

function isEmpty(widget) {
  return !(widget.series ?? widget.counts ?? widget.cells).length;
}

const last = (values) => values.findLast((value) => value !== null);

function description(widget, span) {
  const kind = `${KINDS[widget.type]} over ${windowLength(span)}.`;
  if (widget.type === "timeseries") {
    const latest = widget.series.slice(0, 5).map((one) => `${one.name} ${figure(last(one.values))}`);
    const remaining = widget.series_count > 5 ? `, and ${widget.series_count - 5} more` : "";
    return `${kind} Latest: ${latest.join(", ")}${remaining}.`;
  }
  if (widget.type === "distribution") {
    const ranks = Object.entries(widget.percentiles).map(([name, value]) => `${name} ${figure(value)}`);
    return `${kind} ${figure(widget.total)} values; ${ranks.join(", ")}.`;
  }
  return `${kind} ${widget.cells.length} cells from ${figure(widget.edges[0])} to ${figure(widget.edges.at(-1))}.`;
}

const TABLES = {
  timeseries(widget) {
    const columns = ["Time", ...widget.series.map((one) => number(one.name))];
    const rows = widget.times.map((moment, index) => [time(moment), ...widget.series.map((one) => number(figure(one.values[index])))]);
    return [table(widget.title, columns, rows.reverse().slice(0, MAX_TABLE_ROWS))];
  },
  distribution(widget) {
    const ranks = Object.entries(widget.percentiles).map(([name, value]) => [name, number(figure(value))]);
    const rows = widget.counts.map((count, index) => [charts.rangeName(widget.edges, index), number(figure(count))]).filter((_, index) => widget.counts[index]);
    return [table(`${widget.title}, percentiles`, ["Percentile", number("Value")], ranks), table(widget.title, ["Range", number("Count")], rows)];
  },
  heatmap(widget) {
    const rows = widget.cells.toReversed().slice(0, MAX_TABLE_ROWS).map(([column, row, count]) => [time(widget.times[column]), charts.rangeName(widget.edges, row), number(figure(count))]);
    return [table(widget.title, ["Time", "Range", number("Count")], rows)];
  },
};

const PARTS = {
  query_value(widget) {
    const labels = { bad: "critical", warn: "warning", good: "good" };
    return [el("p", { class: "value" },
      el("strong", {}, figure(widget.value, widget.precision), el("small", {}, widget.unit)),
      widget.tone ? el("span", { class: "visually-hidden" }, labels[widget.tone]) : null)];
  },
  toplist(widget) {
    if (!widget.rows.length) return nothing();
    const maximum = Math.max(...widget.rows.map((row) => Math.abs(row.value))) || 1;
    return [el("ol", { class: "bars" }, widget.rows.map((row) => {
      const fill = el("span", { class: row.value < 0 ? "fill below" : "fill", "data-share": Math.abs(row.value) / maximum });
      return el("li", {}, fill, el("span", {}, row.name), el("b", {}, figure(row.value)));
    }))];
  },
  list_stream(widget) {
    if (!widget.rows.length) return nothing();
    const names = widget.columns.map((one) => COLUMNS[one] ?? one.replace("@", ""));
    const rows = widget.rows.map((row) => [...row.cells.map((cell, index) => cellOf(widget.columns[index], cell)), traceLink(row.trace_id)]);
    return [table(widget.title, [...names, "trace"], rows)];
  },
  note: (widget) => widget.text.split(/\n{2,}/).map((part) => el("p", {}, part)),
  slo: (widget) => [el("p", { class: "value" }, el("strong", {}, figure(widget.success, 2), el("small", {}, `% of ${figure(widget.target)} %`)),
    el("span", { class: "caption" }, `error budget left: ${figure(widget.budget_left, 1)} %`))],
};

function cellOf(name, cell) {
  if (name === "status_line") return state(cell);
  return name === "timestamp" ? { kind: "time", content: time(Number(cell)) } : cell;
}

export function traceLink(id, key = id) {
  if (!id) return "–";
  return el("button", { type: "button", class: "link", "data-key": key, "data-trace": id, "aria-label": `Trace ${id}` }, id.slice(-8));
}

// Set widths by script, because the page's policy forbids style attributes.
export function setBarWidths(root) {
  for (const fill of root.querySelectorAll("[data-share]")) fill.style.width = `${fill.dataset.share * 100}%`;
}

document.addEventListener("click", (event) => {
  const id = event.target.closest?.("[data-trace]")?.dataset.trace;
  if (id) openTrace(id);
});
