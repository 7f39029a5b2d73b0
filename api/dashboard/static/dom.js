// @ts-check
// Elements, and what every page has: theme, key, words for screen readers.

import { hasKey, onRefused } from "./api.js";

/** Path that the service is mounted at, without a slash at its end. */
export const ROOT = document.documentElement.dataset.root ?? "";
export const PAGES = `${ROOT}/ui/`;

/**
 * Make an element. Attributes that are false, null or undefined are left out; `on...` are listeners; children may be nested lists.
 * @param {string} tag `tag.class.class`
 * @param {Record<string, any>} [attributes]
 * @param {...any} children
 * @returns {any}
 */
export function h(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "value" || key === "checked" || key === "disabled" || key === "indeterminate") element[key] = value;
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  element.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

/** Show the page's content in place of what stood there. */
export function show(...children) {
  const app = byId("app");
  app.replaceChildren(...children.flat());
  app.removeAttribute("aria-busy");
}

/** Say something to those who listen instead of look. */
export function say(text) {
  const live = byId("live");
  if (live.textContent !== text) live.textContent = text;
}

/** A problem as the API tells it, with what to do about it where that is known. */
export function problemCard(problem, isPassing = false) {
  const detail = problem.detail ?? problem.message ?? "";
  const told = (problem.errors ?? []).filter((one, _, all) => all.length > 1 || !detail.endsWith(one.message)); // one alone is the sentence itself
  const errors = told.map((one) => h("li", {}, one.pointer ? h("code", {}, one.pointer) : null, one.pointer ? ": " : "", one.message));
  return h(
    "div.notice.bad",
    { role: "alert" },
    h("strong", {}, problem.title ?? "This did not work"),
    h("p", {}, detail),
    errors.length ? h("ul", {}, errors) : null,
    isPassing ? h("p", {}, "It is tried again by itself.") : null,
    problem.request_id ? h("p.faint", {}, `request ${problem.request_id}`) : null,
  );
}

/** Say at a place why something was not read, once for as long as that stays so. */
export function tellFailure(place, error, ...before) {
  if (place.querySelector(".notice > p")?.textContent === error.message) return;
  place.replaceChildren(...before, problemCard(error.problem, error.isPassing));
  place.removeAttribute("aria-busy");
}

/** A table; `numeric` names columns to align right. Cells are nodes or text. */
export function table(caption, columns, rows, { numeric = new Set(), id = null } = {}) {
  const head = columns.map((name, i) => h(numeric.has(i) ? "th.number" : "th", { scope: "col" }, name));
  const body = rows.map((cells) => h("tr", {}, cells.map((cell, i) => h(i === 0 ? "th" : numeric.has(i) ? "td.number" : "td", i === 0 ? { scope: "row" } : {}, cell))));
  return h("div.scroll", { tabindex: "0", role: "region", "aria-label": caption }, h("table", { id }, h("caption", {}, caption), h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)));
}

/** Change the address so that it says what is shown: a link to it shows the same. */
export function writeState(values) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(values)) {
    if (value === null || value === undefined || value === "" || value === false) query.delete(name);
    else query.set(name, value === true ? "1" : String(value));
  }
  const text = query.toString();
  history.replaceState(null, "", `${location.pathname}${text ? `?${text}` : ""}${location.hash}`);
}

/** Copy text, and say so on the button. */
export function copyButton(label, text) {
  const button = h("button", { type: "button" }, label);
  button.addEventListener("click", async () => {
    const content = typeof text === "function" ? text() : text;
    try {
      await navigator.clipboard.writeText(content);
      button.textContent = "Copied";
    } catch {
      window.prompt("Copy this:", content);
    }
    setTimeout(() => (button.textContent = label), 1500);
  });
  return button;
}

const THEMES = ["system", "dark", "light"];

function wireTheme() {
  const button = byId("theme-button");
  const named = () => document.documentElement.dataset.theme ?? "system";
  const wear = (theme) => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    document.dispatchEvent(new Event("theme"));
  };
  const tell = () => {
    button.textContent = `Theme: ${named() === "system" ? "auto" : named()}`;
  };
  button.addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(named()) + 1) % THEMES.length];
    wear(next);
    try {
      if (next === "system") localStorage.removeItem("holdout-theme");
      else localStorage.setItem("holdout-theme", next);
    } catch {
      // it holds for this page, then
    }
    tell();
  });
  // Paper is light, whatever the screen is.
  let onScreen = named();
  addEventListener("beforeprint", () => {
    onScreen = named();
    wear("light");
  });
  addEventListener("afterprint", () => wear(onScreen));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("theme")));
  tell();
}

function wireKey() {
  const button = byId("key-button");
  let why = "";
  const tell = () => (button.textContent = hasKey() ? `Key ${why ? "✗" : "✓"}` : "Key");
  const ask = () => import("./key.js").then((dialog) => dialog.ask(why), () => say("The service does not answer"));
  button.addEventListener("click", ask);
  onRefused(() => {
    const wasTold = why; // who closed the dialog has read it
    why = hasKey() ? "This key is not valid, or not any more." : "This service asks for a key.";
    tell();
    if (!wasTold) ask();
  });
  tell();
}

wireTheme();
wireKey();
