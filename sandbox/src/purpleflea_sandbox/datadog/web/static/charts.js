// Options of the chart library for each kind of picture. Drawn on canvas alone: the page's policy forbids inline styles.
import { figure, shortTime, time } from "./format.js";

const PALETTE = {
  light: ["#6d3fd6", "#0b7fab", "#c2570c", "#1a7f4b", "#b4236f", "#8a6d00", "#3b5bdb", "#9c36b5", "#087f7f", "#a33b20"],
  dark: ["#b197fc", "#4cc9f0", "#ffa94d", "#69db7c", "#f783ac", "#ffe066", "#91a7ff", "#e599f7", "#3bc9db", "#ff8787"],
};
const HEAT = {
  light: ["#ece6fb", "#c4b0f3", "#9674e6", "#6d3fd6", "#3c1a8c"],
  dark: ["#2d2548", "#4a3a7d", "#7459c2", "#a58bf5", "#e4dbff"],
};
const calm = matchMedia("(prefers-reduced-motion: reduce)");

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  return { ink: of("ink"), soft: of("soft"), line: of("line"), faint: of("faint"), card: of("card"), theme: document.documentElement.dataset.theme };
}

function base(look) {
  return {
    animation: !calm.matches, animationDuration: 300, animationDurationUpdate: 300,
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
    color: PALETTE[look.theme],
    grid: { left: 4, right: 12, top: 12, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    tooltip: {
      renderMode: "richText", confine: true, backgroundColor: look.card, borderColor: look.line,
      textStyle: { color: look.ink, fontSize: 12 }, axisPointer: { lineStyle: { color: look.soft }, crossStyle: { color: look.soft } },
    },
  };
}

const valueAxis = (look, more = {}) => ({
  type: "value", splitNumber: 3, axisLabel: { color: look.soft, fontSize: 11, formatter: (value) => figure(value) },
  splitLine: { lineStyle: { color: look.faint } }, ...more,
});

const categories = (look, names, more = {}) => ({
  type: "category", data: names, axisTick: { show: false }, axisLine: { lineStyle: { color: look.line } },
  axisLabel: { color: look.soft, fontSize: 11, hideOverlap: true }, ...more,
});

export function lines(data) {
  const look = colours();
  const bars = data.display === "bars";
  const many = data.series.length > 1;
  return {
    ...base(look),
    grid: { ...base(look).grid, bottom: many ? 26 : 4 },
    legend: { show: many, type: "scroll", bottom: 0, left: 0, itemWidth: 14, itemHeight: 8, textStyle: { color: look.soft, fontSize: 11 }, pageTextStyle: { color: look.soft }, pageIconColor: look.soft },
    tooltip: {
      ...base(look).tooltip, trigger: "axis", order: "valueDesc",
      valueFormatter: (value) => figure(value),
    },
    xAxis: {
      type: "time", min: data.times[0], max: data.times.at(-1), splitNumber: 4, axisLine: { lineStyle: { color: look.line } },
      axisLabel: { color: look.soft, fontSize: 11, hideOverlap: true, formatter: (value) => shortTime(value) },
      axisPointer: { label: { formatter: ({ value }) => time(value) } },
    },
    yAxis: valueAxis(look, bars ? {} : { scale: true }),
    series: data.series.map((one) => ({
      name: one.name, type: bars ? "bar" : "line", stack: bars ? "all" : undefined, barCategoryGap: "20%",
      showSymbol: false, symbolSize: 6, lineStyle: { width: 2 }, emphasis: { focus: many ? "series" : "none" },
      areaStyle: !bars && !many ? { opacity: 0.12 } : undefined,
      data: data.times.map((moment, index) => [moment, one.values[index]]),
    })),
  };
}

const ranges = (edges) => edges.slice(0, -1).map((edge) => figure(edge));

const rangeName = (edges, index) =>
  index === edges.length - 2 ? `${figure(edges[index])} and more` : `${figure(edges[index])} to ${figure(edges[index + 1])}`;

export function distribution(data) {
  const look = colours();
  return {
    ...base(look),
    tooltip: { ...base(look).tooltip, trigger: "axis", axisPointer: { type: "shadow" }, formatter: ([bar]) => `${rangeName(data.edges, bar.dataIndex)}\n${figure(bar.value)} values` },
    xAxis: categories(look, ranges(data.edges)),
    yAxis: valueAxis(look),
    series: [{ type: "bar", barCategoryGap: "8%", itemStyle: { borderRadius: [3, 3, 0, 0] }, data: data.counts }],
  };
}

export function heatMap(data) {
  const look = colours();
  const most = Math.max(1, ...data.cells.map(([, , count]) => count));
  return {
    ...base(look),
    tooltip: { ...base(look).tooltip, formatter: ({ value: [column, row, count] }) => `${time(data.times[column])}\n${rangeName(data.edges, row)}: ${figure(count)}` },
    xAxis: categories(look, data.times.map(shortTime)),
    yAxis: categories(look, ranges(data.edges)),
    visualMap: { show: false, min: 0, max: most, inRange: { color: HEAT[look.theme] } },
    series: [{ type: "heatmap", data: data.cells, itemStyle: { borderWidth: 1, borderColor: look.card, borderRadius: 2 }, emphasis: { itemStyle: { borderColor: look.ink } } }],
  };
}

export { rangeName };
