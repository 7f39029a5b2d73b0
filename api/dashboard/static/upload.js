// @ts-check
// Files on their way to the service.

import { address, ApiError, key, refuse } from "./api.js";

/**
 * Send a form with files, told how much of it has gone (0 to 1); fetch would not tell.
 * @returns {Promise<any>}
 */
export function upload(path, form, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address(path));
    request.setRequestHeader("Accept", "application/json");
    if (key()) request.setRequestHeader("Authorization", `Bearer ${key()}`);
    request.upload.addEventListener("progress", (event) => event.lengthComputable && progress(event.loaded / event.total));
    request.addEventListener("error", () => reject(new ApiError(0, { title: "No connection", detail: "The upload was cut off; nothing was stored." })));
    request.addEventListener("load", () => {
      let answer = { title: `Status ${request.status}`, detail: request.statusText };
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        // not from the API, then: the status has to do
      }
      if (request.status < 300) return resolve(answer);
      if (request.status === 401) refuse();
      reject(new ApiError(request.status, answer));
    });
    request.send(form);
  });
}
