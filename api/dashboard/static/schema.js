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

/** The value that a line of text stands for: null or undefined (the default) if empty; the text itself where it is none, for the service to refuse. */
export function parse(text, { members, nullable }) {
  const line = text.trim();
  const list = members.find((one) => one.type === "array");
  if (members.some((one) => one.const === line && line !== "")) return line;
  if (line === "") return nullable ? null : list ? [] : undefined;
  if (list) return parseList(line, list.items && isAnything(list.items) ? line : line.replace(/^\[|\]$/g, ""));
  if (members.some((one) => one.type === "string" && !("const" in one))) return line;
  if (members.some(isAnything)) return json(line) ?? (line === "null" ? null : line);
  return Number.isFinite(Number(line)) ? Number(line) : line;
}

function parseList(line, inner) {
  const all = json(`[${inner}]`);
  if (all) return all;
  return line.split(/[,\s]+/).filter(Boolean).map((word) => json(word) ?? word);
}

function json(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A value as a line of text that stands for it. */
export function print(value) {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map((one) => JSON.stringify(one)).join(", ");
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** What a line may hold, in words. */
export function range({ members, nullable, schema }) {
  const ways = members.map((one) => {
    if ("const" in one) return `“${one.const}”`;
    if (one.type === "array") {
      const item = one.prefixItems?.[0] ?? one.items ?? {};
      return one.prefixItems ? `${one.prefixItems.length} numbers, with a comma between` : `${isAnything(item) ? "values" : bounds("numbers", item)}, with commas between`;
    }
    return isAnything(one) ? "JSON" : one.type === "string" ? "" : bounds(one.type === "integer" ? "whole number" : "number", one);
  });
  const standard = schema.default ?? null;
  const words = [ways.filter(Boolean).join(" or "), nullable ? "empty: not set" : "", standard === null ? "" : `default ${print(standard)}`];
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
  return members.find((one) => value && one.required.every((key) => key in value)) ?? members[0];
}

/** A value without what is default: what is left is what somebody chose. */
export function lean(schema, value, defs) {
  const found = look(schema, defs);
  if (value === null || typeof value !== "object") return value;
  if (found.kind === "list") return Array.isArray(value) ? value.map((one) => lean(found.schema.items, one, defs)) : value;
  if (found.kind === "map") return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, lean(found.schema.additionalProperties, one, defs)]));
  const member = found.kind === "object" ? found.schema : ["union", "choice"].includes(found.kind) ? memberOf(value, found) : null;
  if (!member) return value;
  const kept = Object.entries(value).filter(([key, one]) => one !== undefined && isChosen(member, key, one, defs));
  return Object.fromEntries(kept.map(([key, one]) => [key, member.properties[key] ? lean(member.properties[key], one, defs) : one]));
}

function isChosen(schema, key, value, defs) {
  const property = schema.properties[key];
  if (!property || schema.required?.includes(key)) return true;
  return !same(lean(property, value, defs), lean(property, initial(property, defs), defs));
}

/** Every JSON pointer into a value, but not into its lists. */
export function pointers(value, at = "") {
  const inner = value !== null && typeof value === "object" && !Array.isArray(value) ? Object.entries(value) : [];
  return [...(at ? [at] : []), ...inner.flatMap(([key, one]) => pointers(one, `${at}/${key}`))];
}
