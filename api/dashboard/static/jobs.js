// @ts-check
// The list of jobs: filtered by the service, live, keyboard in hand.

import { ApiError, get } from "./api.js";
import { ago } from "./ago.js";
import { byId, h, PAGES, say, show, tellFailure, writeState } from "./dom.js";
import { duration, icon, instant, middle, number, words } from "./format.js";
import { idOf, learn, nameOf, network, optimizer, titleOf } from "./summary.js";

const STATUSES = ["queued", "running", "paused", "succeeded", "failed", "cancelled"];
const PLANS = ["fit", "comparison", "search", "nested_cv", "bagging", "boosting", "bias_variance", "learning_curve"];
const FIELDS = "id,name,status,phase,progress,plan,dataset,spec,created_at,started_at,finished_at,running_seconds,paused_seconds,transitions,outcome,failure,fit_counts,num_fits";
const PAGE = 25;
const MOST = 100;
const FAST = 1000;
/** Between requests while nothing trains or waits: jobs that are paused or have ended do not change by themselves. */
const SLOW = 5000;

const query = new URLSearchParams(location.search);
const state = {
  statuses: new Set((query.get("status") ?? "").split(",").filter((one) => STATUSES.includes(one))),
  plan: query.get("plan") ?? "",
  dataset: query.get("dataset") ?? "",
  name: query.get("name") ?? "",
  sort: query.get("sort") ?? "-created_at",
  shown: Math.max(PAGE, Math.trunc(Number(query.get("shown"))) || 0),
  chosen: new Set(),
  focused: 0,
};
let jobs = [];
let hasMore = false;
let timer = 0;
let asked = 0;

const COLUMNS = [
  { id: "name", title: "Job", of: (job) => (job.name ?? job.id).toLowerCase() },
  { id: "status", title: "Status", of: (job) => STATUSES.indexOf(job.status) },
  { id: "dataset", title: "Data", of: (job) => titleOf(job.dataset).toLowerCase() },
  { id: "network", title: "Network", of: (job) => network(job.spec) },
  { id: "optimizer", title: "Optimizer", of: (job) => optimizer(job.spec) },
  { id: "plan", title: "Plan", of: (job) => job.plan },
  { id: "val_loss", title: "Validation loss", of: (job) => job.outcome?.val_loss ?? null, numeric: true },
  { id: "gap", title: "Gap", of: (job) => job.outcome?.generalization_gap ?? null, numeric: true },
  { id: "created_at", title: "Submitted", of: (job) => job.created_at },
  { id: "running_seconds", title: "Trained", of: trained, numeric: true },
];

/** Seconds that it has trained: to its end, to its last pause, or until now. */
function trained(job) {
  if (job.running_seconds !== null || !job.started_at) return job.running_seconds;
  const end = job.status === "running" ? Date.now() : Date.parse(job.transitions.findLast((one) => one.status === "paused")?.at);
  return Number.isNaN(end) ? null : Math.max(0, (end - Date.parse(job.started_at)) / 1000 - job.paused_seconds);
}

function path(cursor, limit) {
  const asking = new URLSearchParams({ limit: String(limit), fields: FIELDS, sort: state.sort === "created_at" ? "created_at" : "-created_at" });
  for (const one of state.statuses) asking.append("status", one);
  for (const name of ["plan", "name"]) if (state[name]) asking.set(name, state[name]);
  if (state.dataset) asking.set("dataset", idOf(state.dataset));
  if (cursor) asking.set("cursor", cursor);
  return `/v1/jobs?${asking}`;
}

async function read() {
  const mine = ++asked;
  clearTimeout(timer);
  const found = [];
  let cursor = null;
  let pages = 0;
  let wait = FAST;
  try {
    do {
      const page = await get(path(cursor, Math.max(1, Math.min(MOST, state.shown - found.length))));
      pages += 1;
      found.push(...page.items);
      cursor = page.next_cursor;
    } while (cursor && found.length < state.shown);
    await learn(found.map((job) => job.dataset));
    if (mine !== asked) return;
    jobs = found;
    hasMore = Boolean(cursor);
    draw();
    live(null);
    if (!jobs.some((job) => job.status === "running" || job.status === "queued")) wait = SLOW * pages;
  } catch (error) {
    if (mine !== asked) return;
    if (!(error instanceof ApiError)) throw error;
    // What was read stays for as long as the service is away or busy.
    if (byId("jobs") === null || !error.isPassing) tellFailure(byId("list"), error);
    live(error);
    if (!error.isPassing) return;
    wait = error.wait;
  }
  if (!document.hidden) timer = setTimeout(read, wait);
}

/** Say whether the list is up to date, or what keeps it from being so. */
function live(error) {
  byId("badge").className = error ? "badge bad" : "badge good";
  byId("badge").textContent = error?.words ?? "Live";
}

function changed() {
  writeState({ status: [...state.statuses].join(","), plan: state.plan, dataset: state.dataset, name: state.name, sort: state.sort === "-created_at" ? "" : state.sort, shown: state.shown === PAGE ? "" : state.shown });
  for (const button of document.querySelectorAll("#statuses button")) {
    button.setAttribute("aria-pressed", String(state.statuses.has(/** @type {HTMLElement} */ (button).dataset.status ?? "")));
  }
  read();
}

function controls() {
  const chips = STATUSES.map((status) =>
    h("button.chip", { type: "button", "data-status": status, "aria-pressed": String(state.statuses.has(status)), onclick: () => {
      if (!state.statuses.delete(status)) state.statuses.add(status);
      changed();
    } }, h("span", { "aria-hidden": "true" }, `${icon(status)} `), status),
  );
  let waiting = 0;
  const text = (name, label, hint) => {
    const input = h("input", { id: `filter-${name}`, type: "search", value: state[name], placeholder: hint });
    input.addEventListener("input", () => {
      state[name] = input.value.trim();
      state.shown = PAGE;
      clearTimeout(waiting);
      waiting = setTimeout(changed, 250);
    });
    return h("label", { for: `filter-${name}` }, `${label} `, input);
  };
  const plan = h("select", { id: "filter-plan", onchange: (event) => {
    state.plan = event.target.value;
    changed();
  } }, h("option", { value: "" }, "all"), PLANS.map((one) => h("option", { value: one, selected: state.plan === one }, words(one))));
  return h("div.filters", {}, h("div#statuses.row", { id: "statuses", role: "group", "aria-label": "Status" }, chips), h("div.row", {}, text("name", "Name", "part of the name ( / )"), text("dataset", "Dataset", "digits"), h("label", { for: "filter-plan" }, "Plan ", plan)));
}

function ordered() {
  const name = state.sort.replace(/^-/, "");
  if (name === "created_at") return jobs;
  const column = COLUMNS.find((one) => one.id === name);
  if (!column) return jobs;
  const sign = state.sort.startsWith("-") ? -1 : 1;
  return [...jobs].sort((one, other) => {
    const [a, b] = [column.of(one), column.of(other)];
    if (a === null || b === null) return Number(a === null) - Number(b === null);
    return a < b ? -sign : a > b ? sign : 0;
  });
}

function status(job) {
  const word = h(`span.status.${job.status}`, {}, h("span", { "aria-hidden": "true" }, icon(job.status)), ` ${job.status}`);
  if (job.status !== "running" && job.status !== "paused") return word;
  return [word, h("progress", { max: 1, value: job.progress, "aria-label": `progress of ${job.name ?? job.id}` }), h("span.faint", {}, ` ${Math.floor(100 * job.progress)} %`)];
}

function row(job, place) {
  const name = nameOf(job);
  const box = h("input", { type: "checkbox", "aria-label": `Choose ${name} to compare`, checked: state.chosen.has(job.id), onchange: (event) => choose(job.id, event.target.checked) });
  const note = job.failure ? h("span.trouble", {}, `${job.failure.title}: ${middle(job.failure.detail, 90)}`) : null;
  const cells = [
    h("td.pick", {}, box),
    h("th", { scope: "row", "data-label": "Job" }, h("a", { href: `${PAGES}jobs/${job.id}`, title: name }, middle(name, 44)), h("span.id", {}, job.id.slice(-8)), note),
    h("td", { "data-label": "Status" }, status(job)),
    h("td", { "data-label": "Data" }, h("span", { title: job.dataset }, middle(titleOf(job.dataset), 28))),
    h("td", { "data-label": "Network" }, network(job.spec)),
    h("td", { "data-label": "Optimizer" }, optimizer(job.spec)),
    h("td", { "data-label": "Plan" }, words(job.plan), job.num_fits > 1 ? h("span.faint", {}, ` ${job.num_fits} fits`) : null),
    h("td.number", { "data-label": "Validation loss" }, number(job.outcome?.val_loss)),
    h("td.number", { "data-label": "Gap" }, number(job.outcome?.generalization_gap)),
    h("td", { "data-label": "Submitted" }, h("time", { datetime: job.created_at, title: instant(job.created_at) }, ago(job.created_at))),
    h("td.number", { "data-label": "Trained" }, duration(trained(job))),
  ];
  return h("tr", { "data-id": job.id, "data-status": job.status, tabindex: place === state.focused ? "0" : "-1" }, cells);
}

function heading(column) {
  const name = state.sort.replace(/^-/, "");
  const isDown = state.sort.startsWith("-");
  const sorted = name === column.id ? (isDown ? "descending" : "ascending") : null;
  const click = () => {
    state.sort = sorted === "ascending" ? `-${column.id}` : sorted === "descending" ? column.id : column.id === "created_at" ? "-created_at" : column.id;
    changed();
  };
  return h(column.numeric ? "th.number" : "th", { scope: "col", "aria-sort": sorted }, h("button.plain", { type: "button", onclick: click }, column.title, h("span", { "aria-hidden": "true" }, sorted ? (isDown ? " ↓" : " ↑") : "")));
}

function draw() {
  const list = byId("list");
  if (!jobs.length) {
    const isFiltered = state.statuses.size || state.plan || state.dataset || state.name;
    list.replaceChildren(isFiltered ? h("p.empty", {}, "No job fits these filters.") : welcome());
    actions();
    return;
  }
  const at = /** @type {HTMLElement | null} */ (document.activeElement);
  const held = at?.closest("tr")?.dataset.id;
  const kind = at?.tagName;
  const body = h("tbody", {}, ordered().map(row));
  const table = h("table.cards", { id: "jobs" }, h("caption.hidden", {}, "Jobs"), h("thead", {}, h("tr", {}, h("th", { scope: "col" }, h("span.hidden", {}, "Choose")), COLUMNS.map(heading))), body);
  const more = hasMore ? h("button", { type: "button", onclick: () => {
    state.shown += PAGE;
    changed();
  } }, "Show more") : null;
  const isHere = !["created_at", "-created_at"].includes(state.sort) && hasMore;
  const sorted = at?.closest("th[aria-sort]") || at?.closest("thead") ? at?.textContent?.replace(/ [↑↓]$/, "") : null;
  list.replaceChildren(h("div.scroll", {}, table), h("p.row.faint", {}, `${jobs.length} ${hasMore ? "newest " : ""}job${jobs.length === 1 ? "" : "s"}${isHere ? "; sorted among those shown" : ""} `, more));
  if (held) {
    const again = /** @type {HTMLElement | null} */ (list.querySelector(`tr[data-id="${held}"]`));
    const target = kind === "INPUT" ? again?.querySelector("input") : kind === "A" ? again?.querySelector("a") : again;
    target?.focus({ preventScroll: true });
  } else if (sorted) {
    [...list.querySelectorAll("thead button")].find((one) => one.textContent?.startsWith(sorted))?.focus({ preventScroll: true });
  }
  actions();
}

function welcome() {
  return h("div.empty", {},
    h("h2", {}, "No job yet"),
    h("p", {}, "A job trains networks and measures how well they generalize. Make one ", h("a", { href: `${PAGES}new` }, "from a form"), ", or from a shell:"),
    h("pre", {}, h("code", {}, `curl -s ${location.origin}/v1/jobs -H 'Content-Type: application/json' -d '{"dataset": "digits"}'`)),
    h("p", {}, h("a", { href: `${PAGES}datasets` }, "Datasets"), " lists what there is to learn from, and takes your own."));
}

function choose(id, isChosen) {
  if (isChosen) state.chosen.add(id);
  else state.chosen.delete(id);
  actions();
}

function actions() {
  const bar = byId("actions");
  const chosen = [...state.chosen];
  bar.replaceChildren(
    h("a.button", { href: chosen.length > 1 ? `${PAGES}compare?jobs=${chosen.join(",")}` : null, "aria-disabled": String(chosen.length < 2), role: chosen.length < 2 ? "link" : null }, chosen.length > 1 ? `Compare ${chosen.length}` : "Choose two or more to compare"),
  );
}

const KEYS = [["/", "search by name"], ["j, k", "next and previous job"], ["Enter", "open"], ["x", "choose"], ["c", "compare what is chosen"], ["n", "new job"], ["?", "these keys"]];

function keys(event) {
  const isTyping = /INPUT|SELECT|TEXTAREA/.test(event.target.tagName) && event.target.type !== "checkbox";
  if (event.key === "Escape" && isTyping) event.target.blur();
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const rows = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("#jobs tbody tr")]);
  const row = rows[state.focused];
  const step = { j: 1, k: -1 }[event.key];
  if (step !== undefined && rows.length) {
    const current = rows.indexOf(/** @type {any} */ (document.activeElement?.closest("#jobs tbody tr")));
    row?.setAttribute("tabindex", "-1");
    state.focused = current < 0 ? Math.min(state.focused, rows.length - 1) : Math.max(0, Math.min(rows.length - 1, current + step));
    rows[state.focused].tabIndex = 0;
    rows[state.focused].focus();
  } else if (event.key === "/") byId("filter-name").focus();
  else if (event.key === "x" && row) /** @type {HTMLElement} */ (row.querySelector("input")).click();
  else if (event.key === "Enter" && event.target.tagName === "TR") /** @type {HTMLElement} */ (event.target.querySelector("a")).click();
  else if (event.key === "c" && state.chosen.size > 1) location.href = `${PAGES}compare?jobs=${[...state.chosen].join(",")}`;
  else if (event.key === "n") location.href = `${PAGES}new`;
  else if (event.key === "?") byId("keys").showModal();
  else return;
  event.preventDefault();
}

show(
  controls(),
  h("div.row.spread", {}, h("div.row", { id: "actions" }), h("span", { id: "badge", class: "badge", title: "Press ? for keys" }, "…")),
  h("div", { id: "list" }),
  h("dialog", { id: "keys", "aria-label": "Keys" }, h("form", { method: "dialog" }, h("h2", {}, "Keys"), h("dl.keys", {}, KEYS.map(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)])), h("button", {}, "Close"))),
);
document.addEventListener("keydown", keys);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) read();
});
say("");
read();
