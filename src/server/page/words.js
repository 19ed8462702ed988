// Bytes, sizes and times as a person reads them: the words that `kv ls -l` has at a terminal.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const MOST = 160; // characters of a key, or of an element, in its row

export function bytes(number) {
  if (number < 1024) return `${number} B`;
  let unit = 1;
  let power = 1024;
  // In tenths, and rounded: 1023.97 KiB are 1.0 MiB.
  const tenths = () => Math.floor((number * 10 + power / 2) / power);
  while (tenths() >= 10_240 && unit + 1 < UNITS.length) {
    power *= 1024;
    unit += 1;
  }
  return `${Math.floor(tenths() / 10)}.${tenths() % 10} ${UNITS[unit]}`;
}

function span(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3_600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

export function ago(time, now = Date.now()) {
  return `${span(Math.max(0, Math.floor((now - Date.parse(time)) / 1000)))} ago`;
}

export function until(time, now = Date.now()) {
  return time ? `in ${span(Math.max(1, Math.ceil((Date.parse(time) - now) / 1000)))}` : "-";
}

// A key, or the beginning of a value, on one line: what is no character is shown as an escape.
export function shown(bytes) {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f\ufeff]/g, (c) => (c === "\ufeff" ? "\\ufeff" : `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`));
}

// So much of it as a row has room for.
export function beginning(bytes) {
  const chars = [...shown(bytes.subarray(0, 4 * MOST + 4))];
  return chars.length > MOST ? `${chars.slice(0, MOST).join("")}…` : chars.join("");
}

export function entries(number) {
  return `${number.toLocaleString()} ${number === 1 ? "entry" : "entries"}`;
}

export function textOf(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

export function jsonOf(bytes) {
  try {
    const value = JSON.parse(textOf(bytes));
    return typeof value === "object" && value !== null ? value : null;
  } catch {
    return null;
  }
}

// JSON with an indentation. Each number and each text stays as it was written.
export function indented(text) {
  const parts = text.match(/"(?:\\.|[^"\\])*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  let shown = "";
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  parts.forEach((part, at) => {
    const isEmpty = "[{".includes(parts[at - 1]) && parts[at - 1] !== undefined;
    if (part === "]" || part === "}") {
      depth -= 1;
      shown += isEmpty ? part : line() + part;
    } else {
      shown += isEmpty ? line() + part : part;
      if (part === "[" || part === "{") depth += 1;
      else if (part === ",") shown += line();
      else if (part === ":") shown += " ";
    }
  });
  return shown;
}

export function hex(bytes) {
  const rows = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const part = [...bytes.subarray(at, at + 16)];
    const digits = part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const chars = part.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");
    rows.push(`${at.toString(16).padStart(8, "0")}  ${digits.padEnd(47)}  ${chars}`);
  }
  return rows.join("\n");
}
