// @ts-check
// A dataset goes only when somebody said twice that it shall.

import { ApiError, remove } from "./api.js";
import { h, problemCard, say } from "./dom.js";

/** A button that asks, deletes and then does what follows. */
export function deleting(one, then) {
  const dialog = h("dialog", { "aria-label": `Delete ${one.title}` },
    h("p", {}, `Delete “${one.title}”, ${one.num_rows} rows? Its file goes too.`),
    h("p.row", {}, h("button", { type: "button", onclick: () => dialog.close() }, "Keep it"), h("button.primary", { type: "button", onclick: async () => {
      try {
        await remove(`/v1/datasets/${one.id}`);
        dialog.close();
        say(`${one.title} was deleted.`);
        then();
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        dialog.append(problemCard(error.problem));
      }
    } }, "Delete it")));
  return h("span", {}, h("button", { type: "button", "aria-label": `Delete ${one.title}`, onclick: () => dialog.showModal() }, "Delete"), dialog);
}
