// Create elements. Texts are set as text and never as markup, because values come from outside.

export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

export const byId = (id) => document.getElementById(id);

export const state = (name) => el("span", { class: "state", "data-state": name }, name);

// Replace the children only if they changed, because a replacement loses the focus and the selection.
export function show(parent, ...children) {
  const element = el("div", {}, ...children);
  if (element.innerHTML === parent.dataset.shown) return;
  parent.dataset.shown = element.innerHTML;
  const focused = parent.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  parent.replaceChildren(...element.childNodes);
  if (focused) parent.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

// Create a table from texts, numbers and elements; the first column is the row header.
export function table(caption, columns, rows) {
  const kind = (cell) => (typeof cell === "object" && cell !== null ? cell.kind : undefined);
  const content = (cell) => (typeof cell === "object" && cell !== null && "kind" in cell ? cell.content : cell);
  return el(
    "table", {},
    el("caption", { class: "visually-hidden" }, caption),
    el("thead", {}, el("tr", {}, columns.map((one) => el("th", { scope: "col", class: kind(one) }, content(one))))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell, index) =>
      index ? el("td", { class: kind(cell) }, content(cell)) : el("th", { scope: "row" }, content(cell)))))),
  );
}

export const number = (content) => ({ kind: "number", content });
