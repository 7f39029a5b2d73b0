// @ts-check
// A request as people send it from elsewhere.

/** JSON as Python writes it. */
function python(value, indent = "") {
  const deeper = `${indent}    `;
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const lines = Array.isArray(value) ? value.map((one) => python(one, deeper)) : Object.entries(value).map(([key, one]) => `${JSON.stringify(key)}: ${python(one, deeper)}`);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const short = `${open}${lines.join(", ")}${close}`;
  return short.length < 80 ? short : `${open}\n${lines.map((one) => `${deeper}${one},\n`).join("")}${indent}${close}`;
}

/** A spec as curl, the command, Python and JSON. */
export function requests(spec, service, isKeyed) {
  const text = JSON.stringify(spec, null, 2);
  const header = isKeyed ? ` \\\n  -H "Authorization: Bearer $HOLDOUT_API_KEY"` : "";
  return {
    curl: `curl ${service}/v1/jobs${header} \\\n  -H 'Content-Type: application/json' -d '${text.replaceAll("'", "'\\''")}'`,
    Python: `from holdout import Client\n\njob = Client("${service}").submit(${python(spec)}).wait()\nprint(job.result)`,
    CLI: `HOLDOUT_URL=${service} holdout train - <<'SPEC'\n${text}\nSPEC`,
    JSON: text,
  };
}
