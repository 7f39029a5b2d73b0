// @ts-check
// A dataset goes only when somebody said twice that it shall, and no job uses it.

import { ApiError, get } from "./api.js";
import { remove } from "./changes.js";
import { h, problemCard, ROOT, say } from "./dom.js";
import { counted } from "./format.js";

const MOST = 100;

/** A button that asks, deletes and then does what follows. */
export function deleting(one, then) {
  const state = h("div", { role: "alert" });
  const go = h("button.primary", { type: "button", onclick: async () => {
    try {
      await remove(`/v1/datasets/${one.id}`);
      dialog.close();
      say(`${one.title} was deleted.`);
      then();
    } catch (error) {
      await refused(error);
    }
  } }, "Delete it");
  const dialog = h("dialog", { "aria-label": `Delete ${one.title}` },
    h("p", {}, `Delete “${one.title}”, ${counted(one.num_rows, "row")}? Its file goes too.`), state,
    h("p.row", {}, h("button", { type: "button", onclick: () => dialog.close() }, "Keep it"), go));

  async function refused(error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.problem.code === "dataset_in_use") await look().catch(refused);
    else state.replaceChildren(problemCard(error.problem));
  }

  /** Say before it is tried that jobs keep the dataset. */
  async function look() {
    const { items, has_more: hasMore } = await get(`/v1/jobs?dataset=${encodeURIComponent(one.id)}&limit=${MOST}&fields=id`);
    go.disabled = items.length > 0;
    state.replaceChildren(...(items.length ? [h("p.notice", {}, `It cannot be deleted: ${hasMore ? `more than ${MOST} jobs use` : items.length === 1 ? "1 job uses" : `${items.length} jobs use`} it. `, h("a", { href: `${ROOT}/?dataset=${one.id}` }, "Show them"), " and delete them first.")] : []));
  }

  async function ask() {
    state.replaceChildren();
    go.disabled = true;
    dialog.showModal();
    try {
      await look();
    } catch (error) {
      go.disabled = false;
      await refused(error);
    }
  }

  return h("span", {}, h("button", { type: "button", "aria-label": `Delete ${one.title}`, onclick: ask }, "Delete"), dialog);
}
