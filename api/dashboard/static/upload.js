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
    const cut = () => reject(new ApiError(0, { title: "The upload was cut off", detail: "What was filled in stays: send it again once the service answers." }));
    request.addEventListener("error", cut);
    request.addEventListener("load", () => {
      let answer;
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        // Not from the API, then: of what went down meanwhile, or of what stands before it.
        if (request.status < 300 || request.status >= 500) return cut();
        answer = { title: `Status ${request.status}`, detail: request.statusText };
      }
      if (request.status < 300) return resolve(answer);
      if (request.status === 401) refuse();
      reject(new ApiError(request.status, answer));
    });
    request.send(form);
  });
}
