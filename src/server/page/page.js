// A look around a store, over the paths below /v1. Whatever comes from the store is only ever set as
// text: nothing of it becomes markup.
"use strict";

const PAGE = 200; // keys that are asked for at once
const SHOWN = 256 * 1024; // bytes of a value that are shown
const TOTALS_EVERY = 10_000; // ms

const CHANGED = "Somebody has changed it meanwhile: open it again.";

const $ = (id) => document.getElementById(id);
const state = { namespace: "default", cursor: null, entry: null, view: "text", asked: 0 };

const token = {
  get: () => sessionStorage.getItem("token"),
  set: (text) => sessionStorage.setItem("token", text),
  drop: () => sessionStorage.removeItem("token"),
};

class Refused extends Error {
  constructor(code, text) {
    super(text);
    this.code = code;
  }
}

// Asks the service; an answer that says no becomes an error.
async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  if (token.get()) headers.set("Authorization", `Bearer ${token.get()}`);
  const answer = await fetch(path, { ...options, headers, cache: "no-store" });
  if (answer.ok) return answer;
  let text = `${answer.status} ${answer.statusText}`;
  try {
    text = (await answer.json()).error;
  } catch {
    // Somebody else than kv has answered.
  }
  throw new Refused(answer.status, text);
}

// Reads lines of JSON, also of an answer that was cut off behind what is sound.
async function lines(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      text += value;
    }
  } catch (error) {
    if (!text) throw error;
  }
  return text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

const utf8 = new TextEncoder();

// A key as the bytes that it is.
function bytesOf(entry) {
  if (entry.key !== undefined) return utf8.encode(entry.key);
  return Uint8Array.from(atob(entry.key_base64), (c) => c.charCodeAt(0));
}

const plain = /^[A-Za-z0-9_~-]$/;

function encode(bytes) {
  let text = "";
  for (const byte of bytes) {
    const c = String.fromCharCode(byte);
    text += plain.test(c) ? c : `%${byte.toString(16).padStart(2, "0")}`;
  }
  return text;
}

// A browser takes `.` and `..` behind a slash for directories, however they are written.
function pathOf(bytes) {
  const key = encode(bytes);
  const slash = [".", ".."].includes(textOf(bytes)) ? "%2F" : "/";
  return `v1/${encode(utf8.encode(state.namespace))}${slash}${key}`;
}

// A key as text: what is no character is shown as an escape.
function shown(bytes) {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f\ufeff]/g, (c) => (c === "\ufeff" ? "\\ufeff" : `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`));
}

function size(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let number = bytes;
  let unit = -1;
  while (number >= 1000 && unit < units.length - 1) {
    number /= 1000;
    unit += 1;
  }
  return `${number.toPrecision(3)} ${units[unit]}`;
}

function duration(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["m", 60]]) {
    if (seconds >= 2 * length) return `${Math.floor(seconds / length)} ${unit}`;
  }
  return `${seconds} s`;
}

function tell(error) {
  if (error instanceof Refused && error.code === 401) {
    token.drop();
    $("main").hidden = true;
    $("login").hidden = false;
    $("token").focus();
    return;
  }
  $("message").textContent = error ? String(error.message || error) : "";
}

// Runs what a person has asked for, and says what went wrong with it.
function act(what) {
  return async (event) => {
    event?.preventDefault?.();
    tell(null);
    try {
      await what(event);
    } catch (error) {
      tell(error);
    }
  };
}

async function showNamespaces() {
  const names = (await lines(await ask("v1"))).map((line) => line.namespace);
  if (!names.includes(state.namespace)) names.push(state.namespace);
  $("namespaces").replaceChildren(
    ...names.sort().map((name) => {
      const button = document.createElement("button");
      button.textContent = name;
      button.type = "button";
      button.setAttribute("aria-current", String(name === state.namespace));
      button.onclick = act(async () => {
        state.namespace = name;
        close();
        await Promise.all([showNamespaces(), showKeys()]);
      });
      const item = document.createElement("li");
      item.append(button);
      return item;
    }),
  );
}

async function showKeys(more = false) {
  state.asked += 1;
  const asked = state.asked;
  let query = `limit=${PAGE}&prefix=${encode(utf8.encode($("prefix").value))}`;
  if (more) query += `&cursor=${state.cursor}`;
  const found = await lines(await ask(`v1/${encode(utf8.encode(state.namespace))}?${query}`));
  if (asked !== state.asked) return; // another was asked for meanwhile
  state.cursor = null;
  const rows = [];
  for (const line of found) {
    if (line.cursor !== undefined) state.cursor = line.cursor;
    else if (line.status !== undefined) tell(line.error);
    else rows.push(row(line));
  }
  if (more) $("rows").append(...rows);
  else $("rows").replaceChildren(...rows);
  $("more").hidden = state.cursor === null;
  $("nothing").hidden = $("rows").childElementCount > 0;
}

function row(entry) {
  const bytes = bytesOf(entry);
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = shown(bytes);
  button.onclick = act(() => open(bytes));
  const now = Date.now();
  const cells = [
    button,
    size(entry.size),
    duration(now - Date.parse(entry.modified)),
    entry.expires ? `in ${duration(Date.parse(entry.expires) - now)}` : "never",
  ].map((content) => {
    const cell = document.createElement("td");
    cell.append(content);
    return cell;
  });
  const line = document.createElement("tr");
  line.dataset.key = encode(bytes);
  line.append(...cells);
  return line;
}

function close() {
  state.entry = null;
  $("entry").hidden = true;
  $("editor").hidden = true;
  mark();
}

function mark() {
  const key = state.entry && encode(state.entry.key);
  for (const line of $("rows").children) line.setAttribute("aria-selected", String(line.dataset.key === key));
}

async function open(key) {
  let answer;
  try {
    answer = await ask(pathOf(key), { headers: { Range: `bytes=0-${SHOWN - 1}` } });
  } catch (error) {
    // A value of no bytes has no first byte.
    if (error.code !== 416) throw error;
    answer = await ask(pathOf(key));
  }
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const range = answer.headers.get("Content-Range");
  const all = range ? Number(range.split("/")[1]) : bytes.length;
  state.entry = { key, bytes, all, expires: answer.headers.get("KV-Expires"), etag: answer.headers.get("ETag") };
  $("name").textContent = shown(key);
  const facts = [size(all), `written ${new Date(answer.headers.get("KV-Modified")).toLocaleString()}`];
  if (state.entry.expires) facts.push(`expires ${new Date(state.entry.expires).toLocaleString()}`);
  if (all > bytes.length) facts.push(`the first ${size(bytes.length)} are shown`);
  $("facts").textContent = facts.join(" · ");
  state.view = guess(bytes);
  showValue();
  $("editor").hidden = true;
  $("entry").hidden = false;
  mark();
}

function textOf(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

function jsonOf(bytes) {
  try {
    const value = JSON.parse(textOf(bytes));
    return typeof value === "object" && value !== null ? value : null;
  } catch {
    return null;
  }
}

// JSON with an indentation. Each number and each text stays as it was written.
function indented(text) {
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

// Whether a field gives back what is put into it: a browser makes every line end in one way, and takes
// line ends out of a field of one line.
function survives(field, text) {
  field.value = text ?? "";
  return text !== null && field.value === text;
}

function guess(bytes) {
  if (textOf(bytes) === null) return "hex";
  return jsonOf(bytes) === null ? "text" : "json";
}

function hex(bytes) {
  const rows = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const part = [...bytes.subarray(at, at + 16)];
    const digits = part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const chars = part.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");
    rows.push(`${at.toString(16).padStart(8, "0")}  ${digits.padEnd(47)}  ${chars}`);
  }
  return rows.join("\n");
}

function showValue() {
  const { bytes, key, all } = state.entry;
  const json = jsonOf(bytes);
  let text;
  if (state.view === "hex") text = hex(bytes);
  else if (state.view === "json" && json !== null) text = indented(textOf(bytes));
  else text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  $("value").textContent = text;
  for (const button of document.querySelectorAll("[data-view]")) {
    button.setAttribute("aria-pressed", String(button.dataset.view === state.view));
    button.disabled = button.dataset.view === "json" && json === null;
  }
  // A value that a browser could change by showing it is not to be stored again from here.
  const isSame = survives($("edit-key"), textOf(key)) && survives($("edit-value"), textOf(bytes));
  $("edit").disabled = all > bytes.length || !isSame;
  if ($("download").href.startsWith("blob:")) URL.revokeObjectURL($("download").href);
  $("download").hidden = all > bytes.length;
  if (all === bytes.length) $("download").href = URL.createObjectURL(new Blob([bytes]));
  $("download").download = shown(key).split("/").pop() || "value";
}

function edit(entry) {
  $("edit-key").value = entry ? textOf(entry.key) : $("prefix").value;
  $("edit-key").readOnly = Boolean(entry);
  $("edit-value").value = entry ? textOf(entry.bytes) : "";
  $("edit-ttl").value = "";
  $("edit-ttl").placeholder = entry?.expires ? "as it is, or 15m, 7d" : "never, or 15m, 7d";
  $("entry").hidden = true;
  $("editor").hidden = false;
  $(entry ? "edit-value" : "edit-key").focus();
}

async function put() {
  const key = utf8.encode($("edit-key").value);
  const ttl = $("edit-ttl").value.trim();
  const headers = {};
  if (ttl) headers["KV-TTL"] = ttl;
  else if ($("edit-key").readOnly) headers["KV-Keep-TTL"] = "1";
  if ($("edit-key").readOnly) headers["If-Match"] = state.entry.etag;
  else headers["If-None-Match"] = "*";
  const body = utf8.encode($("edit-value").value);
  try {
    await ask(pathOf(key), { method: "PUT", headers, body });
  } catch (error) {
    if (error.code === 412 && $("edit-key").readOnly) throw new Error(CHANGED);
    if (error.code === 412) throw new Error("There is such a key already: open it to change it.");
    throw error;
  }
  await Promise.all([showNamespaces(), showKeys(), showTotals()]);
  await open(key);
}

async function remove() {
  const { key, etag } = state.entry;
  $("doomed").textContent = shown(key);
  $("confirm").returnValue = "no";
  $("confirm").showModal();
  await new Promise((done) => $("confirm").addEventListener("close", done, { once: true }));
  if ($("confirm").returnValue !== "yes") return;
  try {
    await ask(pathOf(key), { method: "DELETE", headers: { "If-Match": etag } });
  } catch (error) {
    if (error.code === 412) throw new Error(CHANGED);
    throw error;
  }
  close();
  await Promise.all([showKeys(), showTotals()]);
}

async function showTotals() {
  const text = await (await ask("metrics")).text();
  const sum = (name) => {
    const numbers = text.matchAll(new RegExp(`^${name}\\{.*\\} (\\d+)$`, "gm"));
    return [...numbers].reduce((sum, found) => sum + Number(found[1]), 0);
  };
  const counted = [...text.matchAll(/^kv_entries\{/gm)].length;
  const all = Number(/^kv_namespaces (\d+)$/m.exec(text)?.[1]);
  const more = all > counted ? `in ${counted} of ${all} namespaces: ` : "";
  $("totals").textContent = `${more}${sum("kv_entries").toLocaleString()} entries, ${size(sum("kv_bytes"))}`;
}

async function enter() {
  await showNamespaces();
  $("login").hidden = true;
  $("main").hidden = false;
  await Promise.all([showKeys(), showTotals()]);
}

let typing;
$("prefix").oninput = () => {
  clearTimeout(typing);
  typing = setTimeout(act(() => showKeys()), 150);
};
$("search").onsubmit = act(() => showKeys());
$("more").onclick = act(() => showKeys(true));
$("new").onclick = act(() => edit(null));
$("edit").onclick = act(() => edit(state.entry));
$("remove").onclick = act(remove);
$("cancel").onclick = act(() => (state.entry ? open(state.entry.key) : close()));
$("editor").onsubmit = act(put);
for (const button of document.querySelectorAll("[data-view]")) {
  button.onclick = act(() => {
    state.view = button.dataset.view;
    showValue();
  });
}
$("login").onsubmit = act(async () => {
  token.set($("token").value.trim());
  $("login-error").textContent = "";
  await enter();
});
setInterval(() => {
  if (!$("main").hidden && !document.hidden) showTotals().catch(() => {});
}, TOTALS_EVERY);
act(enter)();
