// @ts-check
// What a JSON schema asks for: its constructs by name, text as its values, and a value without what is default.

/**
 * @typedef {object} Look
 * @property {string} kind `object`, `map`, `union` (a discriminator tells the members apart), `choice` (their required keys do), `list` (of
 *   objects), `enum`, `boolean`, `text` (what fits in a line: numbers, words, lists of them, JSON), `const`, or `unknown`
 * @property {boolean} nullable
 * @property {any} schema resolved, without null
 * @property {any[]} members resolved alternatives that are not null
 */

/** Follow a reference; what stands beside it wins. */
export function resolve(schema, defs) {
  const { $ref, ...rest } = schema;
  return $ref ? { ...resolve(defs[$ref.slice("#/$defs/".length)], defs), ...rest } : schema;
}

const isAnything = (schema) => !["type", "const", "enum", "anyOf", "oneOf"].some((word) => word in schema);
const isText = (schema) => schema.type === "string" && !("const" in schema);
const holdsAnything = (list) => !list.prefixItems && isAnything(list.items ?? {});
const isNested = (value) => value !== null && typeof value === "object";
const own = (value, key) => (Object.hasOwn(value, key) ? value[key] : undefined);
const isLine = (look) => (look.kind === "text" || look.kind === "const") && !look.nullable;

/** @returns {Look} */
export function look(schema, defs) {
  const one = resolve(schema, defs);
  const found = (kind, more = {}) => ({ kind, nullable: false, schema: one, members: [one], ...more });
  const ways = (one.anyOf ?? one.oneOf)?.map((way) => resolve(way, defs));
  if (ways) {
    const members = ways.filter((way) => way.type !== "null");
    const nullable = members.length < ways.length;
    if (one.discriminator) return found("union", { members, nullable });
    const looks = members.map((way) => look(way, defs));
    if (members.length === 1) return { ...looks[0], nullable, schema: { ...looks[0].schema, ...described(one) } };
    if (looks.every(isLine)) return found("text", { members, nullable });
    return found(looks.every((each) => each.kind === "object") ? "choice" : "unknown", { members, nullable });
  }
  if ("const" in one) return found("const");
  if (one.enum) return found("enum");
  if (one.type === "boolean") return found("boolean");
  if (["string", "number", "integer"].includes(one.type) || isAnything(one)) return found("text");
  if (one.type === "array") {
    const items = (one.prefixItems ?? [one.items ?? {}]).map((item) => look(item, defs));
    if (items.every(isLine)) return found("text");
    return found(items.length === 1 && ["object", "union"].includes(items[0].kind) ? "list" : "unknown");
  }
  if (one.type === "object" && one.properties) return found("object");
  return found(one.type === "object" && typeof one.additionalProperties === "object" ? "map" : "unknown");
}

function described(schema) {
  return Object.fromEntries(["default", "description"].filter((word) => word in schema).map((word) => [word, schema[word]]));
}

/** What stands where nothing was said; undefined: it has to be said. */
export function initial(schema, defs) {
  const one = resolve(schema, defs);
  if ("default" in one) return one.default;
  return look(one, defs).kind === "map" ? {} : undefined;
}

/**
 * The value that a line of text stands for: null or undefined (the default) if empty; the text itself where it is none, for the service to refuse.
 * @param {string} text @param {Look} look
 */
export function parse(text, { members, nullable, schema }) {
  const line = text.trim();
  const list = members.find((one) => one.type === "array");
  if (members.some((one) => one.const === line && line !== "")) return line;
  if (line === "") return nullable ? null : list && !(list.minItems && "default" in schema) ? [] : undefined;
  if (list) return parseList(line, holdsAnything(list) ? line : line.replace(/^\[|\]$/g, ""));
  if (members.some(isText)) return line;
  return members.some(isAnything) ? anything(line) : decimal(line) ?? line;
}

function parseList(line, inner) {
  const all = json(`[${inner}]`);
  if (all) return all;
  return /["{}[\]]/.test(inner) ? line : inner.split(/[,\s]+/).filter(Boolean).map(anything);
}

function anything(word) {
  const found = json(word);
  return found === undefined ? decimal(word) ?? word : found;
}

/** A number as JSON and people write it, `.5` too; but not 0x10, which is none to them. */
function decimal(word) {
  const isOne = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(word);
  return isOne && Number.isFinite(Number(word)) ? Number(word) : undefined;
}

function json(text) {
  try {
    return readJson(text);
  } catch {
    return undefined;
  }
}

/** Read JSON; a number that JSON.parse takes for infinity would be sent as null. */
export function readJson(text) {
  const found = JSON.parse(text);
  const at = pointers(found, "", true).find((one) => Math.abs(valueAt(found, one)) === Infinity);
  if (at !== undefined) throw new SyntaxError(`${at ? `the number at ${at}` : "the number"} is too large for JSON to carry`);
  return found;
}

/**
 * A value as a line of text that stands for it.
 * @param {any} value @param {Look} look
 */
export function print(value, look) {
  if (value === undefined) return "";
  const isPlain = typeof value === "string";
  const text = value === null ? "" : Array.isArray(value) ? value.map((one) => JSON.stringify(one)).join(", ") : isPlain ? value : JSON.stringify(value);
  return (isPlain && look.members.some(isText)) || same(parse(text, look), value) ? text : JSON.stringify(value);
}

/** What a line may hold, in words. @param {Look} found */
export function range(found) {
  const { members, nullable, schema } = found;
  const ways = members.map((one) => {
    if ("const" in one) return `“${one.const}”`;
    if (one.type === "array") {
      const item = one.prefixItems?.[0] ?? one.items ?? {};
      return one.prefixItems ? `${one.prefixItems.length} numbers, with a comma between` : `${isAnything(item) ? "values" : bounds(item.type === "integer" ? "whole numbers" : "numbers", item)}, with commas between${isAnything(item) ? ": 0.01, relu, [64, 32]" : ""}`;
    }
    return isAnything(one) ? "any value: 0.01, relu, [64, 32], {\"name\": \"adam\"}" : one.type === "string" ? "" : bounds(one.type === "integer" ? "whole number" : "number", one);
  });
  const standard = schema.default ?? null;
  const isList = members.some((one) => one.type === "array" && !one.minItems);
  const words = [ways.filter(Boolean).join(" or "), nullable ? "empty: not set" : isList ? "empty: none" : "", standard === null ? "" : `default ${print(standard, found)}`];
  return words.filter(Boolean).join(" · ");
}

function bounds(what, one) {
  const low = "minimum" in one ? `≥ ${one.minimum}` : "exclusiveMinimum" in one ? `> ${one.exclusiveMinimum}` : "";
  const high = "maximum" in one ? `≤ ${one.maximum}` : "exclusiveMaximum" in one ? `< ${one.exclusiveMaximum}` : "";
  return [what, [low, high].filter(Boolean).join(" and ")].filter(Boolean).join(" ");
}

/** Tell equal JSON values. */
export function same(one, other) {
  if (one === other) return true;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) return false;
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && Array.isArray(one) === Array.isArray(other) && keys.every((key) => same(one[key], other[key]));
}

/** The member of a union or choice that a value is of. */
export function memberOf(value, { kind, members }) {
  if (kind === "union") return members.find((one) => one.properties.name.const === value?.name);
  return members.find((one) => isNested(value) && one.required.every((key) => key in value)) ?? members[0];
}

/** The schema of an object as a value makes use of it; null: the value is of no such. */
function objectOf(found, value) {
  if (!isNested(value) || Array.isArray(value)) return null;
  return found.kind === "object" ? found.schema : ["union", "choice"].includes(found.kind) ? memberOf(value, found) : null;
}

/** A value without what is default: what is left is what somebody chose. */
export function lean(schema, value, defs) {
  const found = look(schema, defs);
  if (!isNested(value)) return value;
  if (found.kind === "list") return Array.isArray(value) ? value.map((one) => lean(found.schema.items, one, defs)) : value;
  if (found.kind === "map") return Array.isArray(value) ? value : Object.fromEntries(Object.entries(value).map(([key, one]) => [key, lean(found.schema.additionalProperties, one, defs)]));
  const member = objectOf(found, value);
  if (!member) return value;
  const kept = Object.entries(value).filter(([key, one]) => one !== undefined && isChosen(member, key, one, defs));
  return Object.fromEntries(kept.map(([key, one]) => [key, own(member.properties, key) ? lean(member.properties[key], one, defs) : one]));
}

function isChosen(schema, key, value, defs) {
  const property = own(schema.properties, key);
  if (!property || schema.required?.includes(key)) return true;
  return !same(lean(property, value, defs), lean(property, initial(property, defs), defs));
}

/** Pointers to what stands where null would leave the choice to the service. */
export function settled(schema, value, defs, at = "") {
  const member = objectOf(look(schema, defs), value);
  return Object.entries(member?.properties ?? {}).flatMap(([key, property]) => {
    const one = own(value, key) ?? null;
    if (one === null) return [];
    return initial(property, defs) === null ? [`${at}/${key}`] : settled(property, one, defs, `${at}/${key}`);
  });
}

/** Pointers to what of a value another does not hold as it is. */
export function missing(given, kept, at = "") {
  if (same(given, kept)) return [];
  if (!isNested(given) || !isNested(kept) || Array.isArray(given) !== Array.isArray(kept)) return [at];
  return Object.keys(given).flatMap((key) => missing(given[key], own(kept, key), `${at}/${escaped(key)}`));
}

const escaped = (key) => key.replaceAll("~", "~0").replaceAll("/", "~1");

/** The keys that a JSON pointer leads along. */
export const segmentsOf = (pointer) => pointer.split("/").slice(1).map((one) => one.replaceAll("~1", "/").replaceAll("~0", "~"));

export const valueAt = (value, pointer) => segmentsOf(pointer).reduce((one, key) => (isNested(one) ? own(one, key) : undefined), value);

/** A value without what stands at some pointers. */
export function without(value, all) {
  const left = structuredClone(value);
  for (const one of all) {
    const holder = valueAt(left, one.slice(0, one.lastIndexOf("/")));
    if (isNested(holder)) delete holder[segmentsOf(one).at(-1)];
  }
  return left;
}

/** Every JSON pointer into a value; into its lists only if asked for. */
export function pointers(value, at = "", isDeep = false) {
  const inner = isNested(value) && (isDeep || !Array.isArray(value)) ? Object.entries(value) : [];
  return [...(at || isDeep ? [at] : []), ...inner.flatMap(([key, one]) => pointers(one, `${at}/${escaped(key)}`, isDeep))];
}
