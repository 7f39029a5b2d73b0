// @ts-check
// What is said of a job in a few characters: its name, data, network, optimizer, and what came of it.

import { get } from "./api.js";
import { middle, number, words } from "./format.js";

const PARTS = { train: "training", val: "validation", rmse: "RMSE", r2: "R²" };

/** A figure's code in words: `val_r2` is `validation R²`. */
export const figure = (code) => code.split("_").map((part) => PARTS[part] ?? part).join(" ");

/** The spec of one of a plan's fits: the job's, with what the plan set otherwise. */
export function applied(spec, overrides) {
  const found = structuredClone(spec);
  for (const [pointer, value] of Object.entries(overrides ?? {})) {
    const path = pointer.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
    const last = /** @type {string} */ (path.pop());
    const place = path.reduce((at, part) => (at[part] ??= {}), found);
    place[last] = value;
  }
  return found;
}

/** Pointers of what a plan varies. */
export const variedBy = (plan) => [...(plan.variants ?? []).flatMap((one) => Object.keys(one.set ?? {})), ...Object.keys(plan.space ?? {}), ...Object.keys(plan.search?.space ?? {}), ...Object.keys(plan.axis ?? {})];

/** How a plan varies a part of the spec: "whole", "within", or not at all (""). */
function variation({ plan }, part) {
  const pointers = variedBy(plan);
  if (pointers.includes(`/${part}`) || pointers.includes(`/${part}/name`)) return "whole";
  return pointers.some((pointer) => pointer.startsWith(`/${part}/`)) ? "within" : "";
}

/** A network in a few characters. */
export function network(spec) {
  const one = spec.network;
  const how = variation(spec, "network");
  if (how) return how === "whole" ? "varied" : `${one.name.toUpperCase()}, varied`;
  const hidden = (one.hidden_units ?? []).join("-");
  if (one.name === "mlp") return hidden ? `MLP ${hidden}` : "linear";
  return `CNN ${(one.blocks ?? []).map((block) => block.channels).join("-")}${hidden ? ` + ${hidden}` : ""}`;
}

export function optimizer(spec) {
  const how = variation(spec, "optimizer");
  if (how) return how === "whole" ? "varied" : `${spec.optimizer.name}, varied`;
  const rate = spec.optimizer.learning_rate;
  return rate === undefined || rate === null ? spec.optimizer.name : `${spec.optimizer.name} ${number(rate)}`;
}

/** What curves of a job there are, each with its unit: the target's, where its dataset was learned and has one. */
export function units({ spec, dataset }) {
  const unit = `(${middle(known.get(dataset)?.target_unit ?? "target units", 34)})`;
  const figures = spec.loss.name === "cross_entropy" ? { loss: "cross-entropy (nats)", accuracy: "accuracy" } : { loss: `${unit.length > 20 ? "MSE" : "mean squared error"} ${unit}²`, rmse: `RMSE ${unit}`, r2: "R²" };
  return /** @type {any} */ ({ ...figures, objective: "objective", learning_rate: "learning rate" });
}

const isUpload = (id) => id.startsWith("ds_");
/** @type {Map<string, any>} */
const known = new Map();

/** What people call a dataset: an upload has a title, and an id that says nothing. */
export const titleOf = (id) => (isUpload(id) && known.get(id)?.title) || id;

/** The id of a dataset by its title, if that is known here, or what was typed. */
export const idOf = (text) => [...known.keys()].find((id) => titleOf(id) === text) ?? text;

/** Plans whose fits are trained as a job of their spec would be. */
export const PLAIN = new Set(["fit", "comparison", "search"]);

/** @type {Map<string, Promise<any>>} */
const asked = new Map();

/** Learn the titles of uploads among these, or all that is known of all. What is deleted keeps its id; what was not answered is asked again. */
export const learn = (ids, isAll = false) => Promise.all(ids.filter((id) => isAll || isUpload(id)).map((id) => {
  if (!asked.has(id)) asked.set(id, get(`/v1/datasets/${id}`).then((one) => known.set(id, one)).catch((error) => error.status !== 404 && asked.delete(id)));
  return asked.get(id);
}));

export const nameOf = (job) => job.name ?? `${words(job.plan)} on ${titleOf(job.dataset)}`;
