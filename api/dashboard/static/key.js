// @ts-check
// The dialog that takes a key; only who is asked for one, or wants to give one, waits for this.

import { isKey, KEY } from "./api.js";
import { byId } from "./dom.js";

const dialog = byId("key-dialog");

/** Ask for a key. @param {string} why what is wrong with that which was given, or with none */
export function ask(why) {
  byId("key-why").textContent = why;
  dialog.returnValue = "";
  if (!dialog.open) dialog.showModal();
}

dialog.addEventListener("close", () => {
  const given = byId("key-input").value.trim().replace(/^(authorization:\s*)?bearer\s+/i, "");
  const isForgotten = dialog.returnValue === "forget";
  if (!isForgotten && (dialog.returnValue !== "save" || !given)) return;
  if (!isForgotten && !isKey(given)) return ask("This is no key: a key is of letters, digits and _, as in hk_…");
  try {
    if (isForgotten) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, given);
  } catch {
    return ask("This browser keeps nothing for these pages, and so no key.");
  }
  location.reload();
});
