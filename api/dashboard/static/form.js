// @ts-check
// Controls for every construct of a JSON schema: they know their value, and show what the service says of it.

import { h } from "./dom.js";
import { words } from "./format.js";
import { initial, look, memberOf, parse, print, range, resolve, segmentsOf } from "./schema.js";

/**
 * @typedef {object} Control
 * @property {HTMLElement} element what is put on the page
 * @property {() => any} read the value that stands there; undefined where the default is to act
 * @property {(segment: string) => Control | undefined} child what stands at a segment of a JSON pointer
 * @property {(message: string) => void} fail say what is wrong; nothing if empty
 * @property {Control} [named] the control of its key, where the writer chooses that
 * @property {HTMLElement} focus where to go when it is wrong
 */
/**
 * @typedef {object} Form
 * @property {Record<string, any>} defs
 * @property {Map<string, string>} rules a line for a word of a list: `activation:relu`
 * @property {Record<string, any>} starts what a member of a union starts from, where a default would not do
 * @property {Record<string, (title: string, schema: any, value: any) => Control>} special controls of their own, by key
 */

let count = 0;
const title = (key) => words(key).replace(/^./, (letter) => letter.toUpperCase());
/** A description as the form has it: what JSON calls null is not set, what is empty none. */
const tidy = (text) => (text ?? "").replace(/\s+/g, " ").replace(/(^|\. )null\b/g, "$1Not set").replace(/\bnull\b/g, "not set").replace(/(^|\s)(\[\]|\{\})(?=\s)/g, "$1none").trim();
const none = () => undefined;
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

/** A labelled input with its hint and a place for what is wrong with it. @returns {Control} */
export function field(label, input, hint, read) {
  const id = `c${++count}`;
  const error = h("span.error", { id: `${id}-error` });
  input.id = id;
  input.setAttribute("aria-describedby", `${id}-hint ${id}-error`);
  const isBox = input.type === "checkbox";
  const labelled = isBox ? h("label", { for: id }, input, ` ${label}`) : [h("label", { for: id }, label), input];
  const element = h("div.field", {}, labelled, h("span.hint", { id: `${id}-hint` }, hint), error);
  return { element, read, child: none, focus: input, fail: (message) => {
    error.textContent = message;
    if (message) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  } };
}

/** A group of controls with a legend. `plain`: its heading stands elsewhere. */
function group(legend, hint, plain, ...children) {
  const id = `c${++count}`;
  const error = h("p.error", { id });
  const element = h(plain ? "fieldset.plain" : "fieldset", { "aria-describedby": id, tabindex: "-1" }, h(plain ? "legend.hidden" : "legend", {}, legend), hint ? h("p.hint", {}, hint) : null, error, children);
  return { element, focus: element, fail: (message) => (error.textContent = message) };
}

/**
 * Make the control of a schema.
 * @param {Form} form @param {string} key @param {any} schema @param {any} value what stands in it; undefined: its default
 * @param {{label?: string, plain?: boolean}} [how]
 * @returns {Control}
 */
export function make(form, key, schema, value, how = {}) {
  const label = how.label ?? title(key);
  const special = form.special[key];
  if (special) return special(label, schema, value);
  const found = look(schema, form.defs);
  const given = value === undefined ? initial(schema, form.defs) : value;
  const making = { enum: select, boolean: box, object: found.nullable ? optional : object, map, list, union, choice }[found.kind] ?? line;
  return making(form, key, found, given, label, how.plain ?? false);
}

function line(_form, key, found, value, label) {
  const isLong = found.members.some((one) => !one.type && !one.const) || key === "name";
  const written = print(value, found);
  const input = h("input", { type: "text", autocomplete: "off", spellcheck: "false", value: written, class: isLong ? "long" : null });
  const hint = [tidy(found.schema.description), range(found)].filter(Boolean).join("\n");
  const one = field(label, input, hint, () => (value !== undefined && input.value === written ? value : parse(input.value, found)));
  const isTooLarge = () => input.value.split(/[\s,[\]]+/).some((word) => Math.abs(Number(word)) === Infinity && /\d/.test(word));
  return { ...one, fail: (message) => one.fail(message && isTooLarge() ? `${message} (a number so large cannot be sent: JSON carries none above 1.8e308)` : message) };
}

function options(found, value) {
  const known = [...(found.nullable ? [null] : []), ...(found.schema.enum ?? [true, false])];
  return [...known, known.includes(value) ? undefined : value].filter((one) => one !== undefined).map((one) => h("option", { value: JSON.stringify(one), selected: one === value }, one === null ? "not set" : known.includes(one) ? words(one) : JSON.stringify(one)));
}

function select(form, key, found, value, label) {
  const input = h("select", {}, options(found, value));
  const read = () => JSON.parse(input.value);
  const one = field(label, input, "", read);
  const tell = () => {
    const rule = form.rules.get(`${key}:${read()}`);
    const standard = found.schema.default === undefined || found.schema.default === null ? "" : `default ${words(found.schema.default)}`;
    const hint = one.element.querySelector(".hint");
    if (hint) hint.textContent = [tidy(found.schema.description), rule, standard].filter(Boolean).join("\n");
  };
  input.addEventListener("input", tell);
  tell();
  return one;
}

function box(form, key, found, value, label) {
  if (found.nullable || typeof value !== "boolean") return select(form, key, found, value, label);
  const input = h("input", { type: "checkbox", checked: value });
  return field(label, input, tidy(found.schema.description), () => input.checked);
}

/** The controls of an object's properties, without a frame. */
function properties(form, schema, value) {
  const controls = new Map();
  for (const [key, property] of Object.entries(schema.properties)) {
    if (look(property, form.defs).kind !== "const") controls.set(key, make(form, key, property, isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined));
  }
  const read = () => Object.fromEntries([...controls].map(([key, one]) => [key, one.read()]).filter(([, one]) => one !== undefined));
  const elements = [...controls.values()].map((one) => one.element);
  const isGroup = (one) => one.tagName === "FIELDSET"; // they go last: single fields then stand side by side
  return { element: h("div.fields", {}, elements.filter((one) => !isGroup(one)), elements.filter(isGroup)), read, child: (segment) => controls.get(segment) };
}

function object(form, _key, found, value, label, plain) {
  const inner = properties(form, found.schema, value);
  return { ...group(label, tidy(found.schema.description), plain, inner.element), read: inner.read, child: inner.child };
}

/** An object that may be left out. */
function optional(form, _key, found, value, label, plain) {
  let inner = value ? properties(form, found.schema, value) : null;
  const body = h("div", {}, inner?.element);
  const input = h("input", { type: "checkbox", checked: inner !== null });
  input.addEventListener("input", () => {
    inner ??= properties(form, found.schema, form.starts[_key]);
    body.replaceChildren(...(input.checked ? [inner.element] : []));
  });
  const frame = group(label, tidy(found.schema.description), plain, h("label", {}, input, ` Use ${label.toLowerCase()}`), body);
  return { ...frame, read: () => (input.checked ? inner?.read() : null), child: (segment) => (input.checked ? inner?.child(segment) : undefined) };
}

/** One of several objects: a list to choose from, and the fields of the chosen one. */
function choosing(form, found, value, names, labels, label, plain, isNamed) {
  const made = new Map();
  const body = h("div");
  const chosen = memberOf(value, found);
  const standard = names.includes(found.schema.default?.name) ? found.schema.default.name : names[0];
  const now = chosen ? names[found.members.indexOf(chosen)] : found.nullable ? "" : standard;
  const input = h("select", {}, found.nullable ? h("option", { value: "" }, "not set") : null, names.map((name, i) => h("option", { value: name, selected: name === now }, labels[i])));
  const turn = (given) => {
    const name = input.value;
    const member = found.members[names.indexOf(name)];
    if (member && !made.has(name)) made.set(name, properties(form, member, given ?? form.starts[name]));
    body.replaceChildren(...(member ? [h("p.hint", {}, tidy(member.description)), made.get(name).element] : []));
  };
  input.addEventListener("input", () => turn(undefined));
  turn(value ?? undefined);
  const kind = field("Kind", input, "", () => input.value);
  const frame = group(label, tidy(found.schema.description), plain, kind.element, body);
  return {
    ...frame,
    focus: input,
    fail: kind.fail,
    read: () => (input.value === "" ? null : { ...(isNamed ? { name: input.value } : {}), ...made.get(input.value).read() }),
    child: (segment) => (segment === "name" ? undefined : made.get(input.value)?.child(segment)),
  };
}

function union(form, _key, found, value, label, plain) {
  const names = found.members.map((one) => one.properties.name.const);
  return choosing(form, found, value, names, names.map(words), label, plain, true);
}

function choice(form, _key, found, value, label, plain) {
  const names = found.members.map((one) => one.required.join(", "));
  return choosing(form, found, value, names, names, label, plain, false);
}

/** Rows that come and go. `row(value)` makes one. */
function rows(body, what, values, row) {
  const all = [];
  const holder = h("div");
  const changed = () => {
    [...holder.children].forEach((one, i) => {
      one.lastElementChild.setAttribute("aria-label", `Remove ${what} ${i + 1}`);
      one.firstElementChild.querySelector(":scope > legend")?.replaceChildren(`${title(what)} ${i + 1}`);
    });
    holder.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const add = (value) => {
    const one = row(value);
    const away = h("button", { type: "button", onclick: () => {
      all.splice(all.indexOf(one), 1);
      item.remove();
      more.focus();
      changed();
    } }, "Remove");
    const item = h("div.item", {}, one.element, away);
    all.push(one);
    holder.append(item);
    changed();
    return item;
  };
  values.forEach(add);
  const more = h("button", { type: "button", onclick: () => add(undefined).querySelector("input, select")?.focus() }, `Add ${what}`);
  body.append(holder, more);
  return all;
}

function list(form, key, found, value, label, plain) {
  const what = words(key).replace(/s$/, "");
  const frame = group(label, tidy(found.schema.description), plain);
  const all = rows(frame.element, what, Array.isArray(value) ? value : [], (one) => make(form, what, found.schema.items, one));
  return { ...frame, read: () => all.map((one) => one.read()), child: (segment) => all[Number(segment)] };
}

/** Keys that the writer chooses; of anything but words they are JSON pointers into the spec. */
function map(form, key, found, value, label, plain) {
  const inner = found.schema.additionalProperties;
  const isWords = resolve(inner, form.defs).type === "string";
  const empty = isWords ? "" : null;
  const read = () => (input.checked ? Object.fromEntries(all.map((one) => [one.key(), one.read()]).filter(([name, one]) => name !== "" || one !== undefined).map(([name, one]) => [name, one ?? empty])) : null);
  const input = h("input", { type: "checkbox", checked: value !== null });
  const body = h("div", { hidden: value === null });
  input.addEventListener("input", () => (body.hidden = !input.checked));
  const frame = group(label, tidy(found.schema.description), plain, found.nullable ? h("label", {}, input, ` Use ${label.toLowerCase()}`) : null, body);
  const start = form.starts[key] ?? {};
  const all = rows(body, isWords ? "entry" : "setting", Object.entries(isObject(value) ? value : found.nullable ? start : {}), (entry) => {
    const written = entry?.[0] ?? "";
    const name = h("input", { type: "text", autocomplete: "off", spellcheck: "false", value: written, list: isWords ? null : "pointers", class: "long" });
    const named = field(isWords ? "Name" : "Setting (JSON pointer)", name, "", () => (name.value === written ? written : name.value.trim()));
    const one = make(form, "value", inner, entry?.[1]);
    return { ...one, element: h("div.fields", {}, named.element, one.element), key: named.read, doubt: named.fail, named };
  });
  body.addEventListener("input", () => {
    const keys = all.map((one) => one.key());
    all.forEach((one, i) => one.doubt(keys[i] !== "" && keys.lastIndexOf(keys[i]) !== i ? "It stands again below, and that one counts." : ""));
  });
  return { ...frame, read, child: (segment) => all.filter((one) => one.key() === segment).at(-1) };
}

/**
 * Find the control nearest to a JSON pointer, and what of the pointer leads further; of a key that the writer chose its own control, if asked for.
 * @param {Control} root @param {string} pointer
 */
export function locate(root, pointer, isOfKey = false) {
  const segments = segmentsOf(pointer);
  let control = root;
  while (segments.length) {
    const next = control.child(segments[0]);
    if (!next) break;
    control = next;
    segments.shift();
  }
  if (isOfKey && !segments.length) control = control.named ?? control;
  return { control, rest: readable(segments).replace(/^\W/, "") };
}

/** A JSON pointer for people: a key that is a pointer itself stands as one. */
export const readable = (segments) => segments.map((one) => (one.includes("/") ? ` ${one}` : `/${one}`)).join("").trim();
