// Options of the chart library for each chart type. Charts use canvas only, because the page's policy forbids inline styles.
import { figure, shortTime, time } from "./format.js";

const PALETTE = {
  light: ["#6d3fd6", "#0b7fab", "#c2570c", "#1a7f4b", "#b4236f", "#8a6d00", "#3b5bdb", "#9c36b5", "#087f7f", "#a33b20"],
  dark: ["#b197fc", "#4cc9f0", "#ffa94d", "#69db7c", "#f783ac", "#ffe066", "#91a7ff", "#e599f7", "#3bc9db", "#ff8787"],
};
const HEAT = {
  light: ["#ece6fb", "#c4b0f3", "#9674e6", "#6d3fd6", "#3c1a8c"],
  dark: ["#2d2548", "#4a3a7d", "#7459c2", "#a58bf5", "#e4dbff"],
};
const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");

function colors() {
  const style = getComputedStyle(document.documentElement);
  const variable = (name) => style.getPropertyValue(`--${name}`).trim();
  return { ink: variable("ink"), soft: variable("soft"), line: variable("line"), faint: variable("faint"), card: variable("card"), theme: document.documentElement.dataset.theme };
}

function base(palette) {
  return {
    animation: !reducedMotion.matches, animationDuration: 300, animationDurationUpdate: 300,
    textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
    color: PALETTE[palette.theme],
    grid: { left: 4, right: 12, top: 12, bottom: 4, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    tooltip: {
      renderMode: "richText", confine: true, backgroundColor: palette.card, borderColor: palette.line,
      textStyle: { color: palette.ink, fontSize: 12 }, axisPointer: { lineStyle: { color: palette.soft }, crossStyle: { color: palette.soft } },
    },
  };
}

const valueAxis = (palette, more = {}) => ({
  type: "value", splitNumber: 3, axisLabel: { color: palette.soft, fontSize: 11, formatter: (value) => figure(value) },
  splitLine: { lineStyle: { color: palette.faint } }, ...more,
});

const categories = (palette, names, more = {}) => ({
  type: "category", data: names, axisTick: { show: false }, axisLine: { lineStyle: { color: palette.line } },
  axisLabel: { color: palette.soft, fontSize: 11, hideOverlap: true }, ...more,
});

export function lines(data) {
  const palette = colors();
  const bars = data.display === "bars";
  const many = data.series.length > 1;
  return {
    ...base(palette),
    grid: { ...base(palette).grid, bottom: many ? 26 : 4 },
    legend: { show: many, type: "scroll", bottom: 0, left: 0, itemWidth: 14, itemHeight: 8, textStyle: { color: palette.soft, fontSize: 11 }, pageTextStyle: { color: palette.soft }, pageIconColor: palette.soft },
    tooltip: {
      ...base(palette).tooltip, trigger: "axis", order: "valueDesc",
      valueFormatter: (value) => figure(value),
    },
    xAxis: {
      type: "time", min: data.times[0], max: data.times.at(-1), splitNumber: 4, axisLine: { lineStyle: { color: palette.line } },
      axisLabel: { color: palette.soft, fontSize: 11, hideOverlap: true, formatter: (value) => shortTime(value) },
      axisPointer: { label: { formatter: ({ value }) => time(value) } },
    },
    yAxis: valueAxis(palette, bars ? {} : { scale: true }),
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
  const palette = colors();
  return {
    ...base(palette),
    tooltip: { ...base(palette).tooltip, trigger: "axis", axisPointer: { type: "shadow" }, formatter: ([bar]) => `${rangeName(data.edges, bar.dataIndex)}\n${figure(bar.value)} values` },
    xAxis: categories(palette, ranges(data.edges)),
    yAxis: valueAxis(palette),
    series: [{ type: "bar", barCategoryGap: "8%", itemStyle: { borderRadius: [3, 3, 0, 0] }, data: data.counts }],
  };
}

export function heatMap(data) {
  const palette = colors();
  const maximum = Math.max(1, ...data.cells.map(([, , count]) => count));
  return {
    ...base(palette),
    tooltip: { ...base(palette).tooltip, formatter: ({ value: [column, row, count] }) => `${time(data.times[column])}\n${rangeName(data.edges, row)}: ${figure(count)}` },
    xAxis: categories(palette, data.times.map(shortTime)),
    yAxis: categories(palette, ranges(data.edges)),
    visualMap: { show: false, min: 0, max: maximum, inRange: { color: HEAT[palette.theme] } },
    series: [{ type: "heatmap", data: data.cells, itemStyle: { borderWidth: 1, borderColor: palette.card, borderRadius: 2 }, emphasis: { itemStyle: { borderColor: palette.ink } } }],
  };
}

export { rangeName };
