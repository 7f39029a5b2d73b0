// @ts-check
// What there is to learn from, and a way to bring more.

import { ApiError, get, upload } from "./api.js";
import { byId, h, PAGES, problemCard, say, show } from "./dom.js";
import { field } from "./form.js";
import { number, percent } from "./format.js";
import { parse } from "./schema.js";
import { deleting } from "./deleting.js";

const TASKS = [["", "found out from the file"], ["classification", "classification"], ["regression", "regression"]];
const LINE = { members: [{ type: "string" }], nullable: false };

function row(one) {
  const numbers = [["Rows", number(one.num_rows)], ["Features", one.input_shape.map((size) => number(size)).join(" × ")], ["Classes", one.num_classes === null ? "–" : number(one.num_classes)]];
  return h("tr", {},
    h("th", { scope: "row", "data-label": "Dataset" }, one.available ? h("a", { href: `${PAGES}datasets/${one.id}` }, one.title) : one.title, h("span.id", {}, one.id), one.available ? null : h("span.trouble", {}, one.unavailable_reason)),
    h("td", { "data-label": "From" }, one.upload ? "uploaded" : "built in"),
    h("td", { "data-label": "Kind" }, one.kind),
    h("td", { "data-label": "Task" }, one.task),
    numbers.map(([label, value]) => h("td.number", { "data-label": label }, value)),
    h("td", {}, h("div.row", {}, one.available ? h("a.button", { href: `${PAGES}new?dataset=${one.id}`, "aria-label": `New job with ${one.title}` }, "New job") : null, one.upload ? deleting(one, read) : null)));
}

async function read() {
  const list = byId("list");
  try {
    const [found, unavailable] = [[], []];
    let cursor = "";
    do {
      const page = await get(`/v1/datasets?limit=100${cursor && `&cursor=${cursor}`}`);
      found.push(...page.items);
      unavailable.push(...page.unavailable);
      cursor = page.next_cursor ?? "";
    } while (cursor);
    const all = [...found.filter((one) => one.upload), ...found.filter((one) => !one.upload), ...unavailable];
    const heads = ["Dataset", "From", "Kind", "Task", "Rows", "Features", "Classes"].map((name, i) => h(i > 3 ? "th.number" : "th", { scope: "col" }, name));
    list.replaceChildren(h("div.scroll", {}, h("table.cards", { id: "datasets" }, h("caption.hidden", {}, "Datasets"), h("thead", {}, h("tr", {}, heads, h("td", {}))), h("tbody", {}, all.map(row)))));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    list.replaceChildren(problemCard(error.problem));
  }
}

const text = (name, label, hint, list = null) => {
  const input = h("input", { type: "text", autocomplete: "off", spellcheck: "false", list });
  return [name, field(label, input, hint, () => parse(input.value, LINE))];
};

function uploading() {
  const file = h("input", { type: "file", required: true });
  const task = h("select", {}, TASKS.map(([value, label]) => h("option", { value }, label)));
  const rest = h("textarea.long", { rows: 3, spellcheck: "false" });
  const fields = new Map([
    ["file", field("File", file, "CSV, TSV, Parquet, NPZ, or a ZIP or tar of PNG and JPEG images in class folders. Drop it anywhere in this box.", () => file.files?.[0])],
    text("target", "Target", "The column to be learned. Tables need it; folders of images name their classes.", "columns"),
    ["task", field("Task", task, "", () => task.value || undefined)],
    text("group", "Group", "A column whose rows belong together, as those of one patient do.", "columns"),
    text("time", "Time", "A column that orders the rows.", "columns"),
    text("name", "Title", "The file's name if empty."),
  ]);
  const more = field("The rest of the schema", rest, 'JSON, as {"columns": {"grade": {"order": ["low", "high"]}}, "csv": {"decimal": ","}}.', () => (rest.value.trim() ? JSON.parse(rest.value) : {}));
  const clear = () => [...fields.values(), more].forEach((one) => one.fail(""));

  const offer = async () => {
    const one = file.files?.[0];
    const isText = one && /\.(csv|tsv|txt)$/i.test(one.name);
    const [first] = isText ? (await one.slice(0, 65536).text()).split(/\r?\n/) : [""];
    const mark = [",", ";", "\t", "|"].sort((a, b) => first.split(b).length - first.split(a).length)[0];
    byId("columns").replaceChildren(...first.split(mark).filter(Boolean).map((name) => h("option", { value: name.replace(/^"|"$/g, "") })));
  };
  file.addEventListener("change", offer);

  const submit = async (event) => {
    event.preventDefault();
    clear();
    const sent = fields.get("file");
    if (!sent.read()) {
      sent.fail("Choose a file first.");
      return file.focus();
    }
    const form = new FormData();
    try {
      const named = [...fields].filter(([name]) => name !== "file").map(([name, one]) => [name, one.read()]);
      form.append("schema", JSON.stringify({ ...Object.fromEntries(named), ...more.read() }));
    } catch (error) {
      more.fail(`This is no JSON: ${error.message}`);
      return rest.focus();
    }
    form.append("file", sent.read());
    await go(form);
  };
  const go = async (form) => {
    const button = byId("upload");
    const bar = h("progress", { max: 1, value: 0, "aria-label": "Sent" });
    const words = h("span", {}, "Sending…");
    byId("state").replaceChildren(bar, words);
    button.disabled = true;
    try {
      const made = await upload("/v1/datasets", form, (share) => {
        bar.value = share;
        words.textContent = share < 1 ? ` ${percent(share)} sent` : " Sent; it is being read…";
      });
      location.href = `${PAGES}datasets/${made.id}`;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      refused(error);
    } finally {
      button.disabled = false;
    }
  };
  const refused = (error) => {
    byId("state").replaceChildren(problemCard(error.problem));
    const at = (error.problem.errors ?? []).map((one) => [fields.get(one.pointer.split("/")[1]) ?? more, one]);
    for (const [one, { pointer, message }] of at) one.fail(one === more ? `${pointer} ${message}` : message);
    (at[0]?.[0] ?? fields.get("file")).focus.focus();
  };

  const drop = (event) => {
    event.preventDefault();
    event.currentTarget.classList.toggle("over", event.type === "dragover");
    if (event.type !== "drop" || !event.dataTransfer.files.length) return;
    file.files = event.dataTransfer.files;
    say(`${file.files[0].name} was taken.`);
    offer();
  };
  return h("form.card.drop", { novalidate: true, onsubmit: submit, ondragover: drop, ondragleave: drop, ondrop: drop },
    h("h2", {}, "Upload a dataset"),
    h("div.fields", {}, [...fields.values()].map((one) => one.element)),
    h("details", {}, h("summary", {}, "More"), more.element),
    h("datalist", { id: "columns" }),
    h("p.row", {}, h("button.primary", { id: "upload" }, "Upload"), h("span", { id: "state" })));
}

show(uploading(), h("div", { id: "list" }, h("p.skeleton", {}, "Reading the datasets…")));
read();
