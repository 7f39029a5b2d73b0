// @ts-check
// The names in a table's header, before the file is sent: found as the service finds them.

const MARKS = [";", "\t", "|", ","];
const ROWS = 50;

/** The first rows of a text, cut at a delimiter; delimiters and ends of lines within quotation marks belong to a cell. */
function cut(text, mark) {
  const rows = [];
  let row = /** @type {string[]} */ ([]);
  for (let at = 0, cell = "", isQuoted = false; at <= text.length && rows.length < ROWS; at += 1) {
    const one = text[at];
    if (isQuoted) {
      if (one !== '"') cell += one ?? "";
      else if (text[at + 1] === '"') cell += text[(at += 1)];
      else isQuoted = false;
    } else if (one === '"' && cell === "") isQuoted = true;
    else if (one !== mark && one !== "\n" && one !== "\r" && one !== undefined) cell += one;
    else {
      row.push(cell);
      cell = "";
      if (one === mark) continue;
      if (row.length > 1 || row[0].trim()) rows.push(row);
      row = [];
    }
  }
  return rows;
}

/** How well a delimiter fits: the share of rows as wide as the header, then its width. A comma may be a decimal mark. */
function merit(rows) {
  const width = rows[0]?.length ?? 0;
  return width < 2 ? [0, 0] : [rows.filter((row) => row.length === width).length / rows.length, width];
}

/** A text's letters; null where the bytes are none. */
function decoded(bytes) {
  const [a, b] = bytes;
  const wide = a === 0xff && b === 0xfe ? "utf-16le" : a === 0xfe && b === 0xff ? "utf-16be" : null;
  for (const encoding of wide ? [wide] : ["utf-8", "windows-1252"]) {
    try {
      const text = new TextDecoder(encoding, { fatal: true }).decode(bytes, { stream: true });
      return /[\0-\x08\x0e-\x1f\x7f]/.test(text) ? null : text;
    } catch {
      // another encoding, then
    }
  }
  return null;
}

/** @param {Blob} file @returns {Promise<string[]>} the columns' names; none of what is no table of text */
export async function headerOf(file) {
  const text = decoded(new Uint8Array(await file.slice(0, 65_536).arrayBuffer()));
  if (!text) return [];
  const whole = file.size > 65_536 ? text.slice(0, text.lastIndexOf("\n") + 1) || text : text;
  let best = { rows: cut(whole, ","), merit: [0, 0] };
  for (const mark of MARKS) {
    const rows = cut(whole, mark);
    const found = merit(rows);
    if (found[0] > best.merit[0] || (found[0] === best.merit[0] && mark !== "," && found[1] > best.merit[1])) best = { rows, merit: found };
  }
  return (best.rows[0] ?? []).map((name, i) => name.trim() || `column_${i + 1}`);
}
