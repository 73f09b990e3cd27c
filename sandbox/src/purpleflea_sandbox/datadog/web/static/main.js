// Main module: fetch data every few seconds, pass it to the parts of the page, and keep the URL in sync with the selection.
import { byId, el } from "./dom.js";
import { figure, windowLength, time } from "./format.js";
import { showMonitors } from "./monitors.js";
import { showLists } from "./lists.js";
import { addTraceListeners } from "./trace.js";
import { Card, setBarWidths } from "./widgets.js";

const REFRESH_MS = 5000;
const cards = new Map();
let currentLayout = "";
let paused = false;
let latestRequest = 0;
let span = 900;

async function fetchData(path) {
  const response = await fetch(`/fleet/data/${path}${location.search}`);
  if (!response.ok) throw new Error(`${response.status}: ${(await response.text()).trim()}`);
  return response.json();
}

async function refresh() {
  const request = ++latestRequest;
  try {
    const [board, monitors, records] = await Promise.all([fetchData("board"), fetchData("monitors"), fetchData("records")]);
    if (request !== latestRequest) return;
    showBoard(board);
    showMonitors(monitors);
    showLists(records);
    byId("problem").hidden = true;
    live(paused ? "paused" : "live", `updated ${time(board.now)}`);
    document.body.dataset.refreshed = String(Number(document.body.dataset.refreshed ?? 0) + 1);
  } catch (error) {
    if (request !== latestRequest) return;
    byId("problem").hidden = false;
    byId("problem").textContent = `The stand-in does not respond (${error.message}). Retrying.`;
    live("lost", "no connection");
  }
}

function live(state, text) {
  byId("live").dataset.state = state;
  byId("live-text").textContent = text;
}

function showBoard(board) {
  byId("empty").hidden = !board.empty;
  if (board.empty) return;
  span = board.window;
  document.title = `${board.title} · Purple Flea`;
  byId("title").textContent = board.title;
  byId("description").textContent = board.description.split("\n")[0];
  byId("totals").textContent = `${figure(board.totals.series)} series · ${figure(board.totals.traces)} traces · ${figure(board.totals.logs)} logs kept`;
  showFilters(board.variables);
  showWindows(board.windows);
  build(board);
  for (const widget of board.widgets) cards.get(widget.id).update(widget, span);
  setBarWidths(byId("dashboard"));
}

function build(board) {
  const layout = JSON.stringify(board.widgets.map((one) => [one.id, one.type, one.title, one.layout]));
  if (layout === currentLayout) return;
  currentLayout = layout;
  for (const card of cards.values()) card.dispose();
  cards.clear();
  for (const widget of board.widgets) cards.set(widget.id, new Card(widget));
  byId("dashboard").replaceChildren(...[...cards.values()].map((card) => card.root));
}

function showFilters(variables) {
  const form = byId("filters");
  for (const one of variables) {
    const select = form.elements.namedItem(one.name) ?? filter(form, one);
    const options = JSON.stringify(one.options);
    if (select.dataset.options !== options) {
      select.dataset.options = options;
      select.replaceChildren(...one.options.map((value) => el("option", { value }, value === "*" ? "all" : value)));
    }
    if (document.activeElement !== select) select.value = one.value;
    select.dataset.chosen = String(one.value !== "*");
  }
}

function filter(form, one) {
  const select = el("select", { name: one.name, onchange: () => choose(`tpl_var_${one.name}`, select.value) });
  form.append(el("label", {}, `$${one.name}`, select));
  return select;
}

function showWindows(windows) {
  const group = byId("windows");
  if (group.querySelector("input")) return;
  for (const seconds of windows) {
    const input = el("input", { type: "radio", name: "window", value: seconds, onchange: () => choose("window", seconds) });
    input.checked = seconds === span;
    group.append(el("label", {}, input, el("span", {}, windowLength(seconds))));
  }
}

function choose(name, value) {
  const query = new URLSearchParams(location.search);
  query.set(name, value);
  history.replaceState(null, "", `${location.pathname}?${query}`);
  refresh();
}

function addListeners() {
  byId("pause").addEventListener("click", ({ currentTarget }) => {
    paused = !paused;
    currentTarget.setAttribute("aria-pressed", String(paused));
    live(paused ? "paused" : "live", byId("live-text").textContent);
    if (!paused) refresh();
  });
  byId("tables").addEventListener("click", ({ currentTarget }) => {
    const pressed = currentTarget.getAttribute("aria-pressed") !== "true";
    currentTarget.setAttribute("aria-pressed", String(pressed));
    for (const card of cards.values()) card.setTable(pressed);
  });
  byId("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  label();
  addTraceListeners();
}

function theme(name) {
  document.documentElement.dataset.theme = name;
  localStorage.setItem("fleet-theme", name);
  label();
  for (const card of cards.values()) card.draw();
  setBarWidths(byId("dashboard"));
}

function label() {
  const dark = document.documentElement.dataset.theme === "dark";
  byId("theme").textContent = dark ? "Light" : "Dark";
  byId("theme").setAttribute("aria-label", dark ? "Light theme" : "Dark theme");
}

addListeners();
refresh();
setInterval(() => {
  if (!paused && !document.hidden) refresh();
}, REFRESH_MS);
