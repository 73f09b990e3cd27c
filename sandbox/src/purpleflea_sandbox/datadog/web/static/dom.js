// Makes elements. Texts are set as text, never as markup: values come from outside.

export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export const byId = (id) => document.getElementById(id);

export const state = (name) => el("span", { class: "state", "data-state": name }, name);

// Replaces the children only where something differs, so that neither focus nor selection is lost for nothing.
export function show(parent, ...children) {
  const made = el("div", {}, ...children);
  if (made.innerHTML === parent.dataset.shown) return;
  parent.dataset.shown = made.innerHTML;
  const focused = parent.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  parent.replaceChildren(...made.childNodes);
  if (focused) parent.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

// A table from texts, numbers and elements; the first column names the row.
export function table(caption, columns, rows) {
  const kind = (cell) => (typeof cell === "object" && cell !== null ? cell.kind : undefined);
  const content = (cell) => (typeof cell === "object" && cell !== null && "kind" in cell ? cell.content : cell);
  return el(
    "table", {},
    el("caption", { class: "unseen" }, caption),
    el("thead", {}, el("tr", {}, columns.map((one) => el("th", { scope: "col", class: kind(one) }, content(one))))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell, index) =>
      index ? el("td", { class: kind(cell) }, content(cell)) : el("th", { scope: "row" }, content(cell)))))),
  );
}

export const number = (content) => ({ kind: "number", content });
