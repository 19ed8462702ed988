// One entry: its value in three views, its expiry, and how it is changed and removed.

import { $, make, tell } from "./dom.js";
import { ask, encode, keyPath, utf8 } from "./service.js";
import { ago, bytes as size, hex, indented, jsonOf, shown, textOf, until } from "./words.js";

const SHOWN = 256 * 1024; // bytes of a value that are shown
const CHANGED = "Somebody has changed it meanwhile: open it again.";

let view = "text";
// The entry that is open: its namespace, key, value, etag, times, and whether it is gone by now.
let entry = null;
// What a person has done since is not undone by an answer that comes late.
let turn = 0;
// Whether this page is putting it just now, and what is told of it meanwhile.
let isPutting = false;
let missed = null;
// The entry that is edited, and what was in the editor when it was opened.
let edited = null;
let before = "";

export const current = () => entry;
const isEditing = () => !$("editor").hidden;

function showOnly(id) {
  for (const part of ["about", "entry", "editor"]) $(part).hidden = part !== id;
}

export function close() {
  turn += 1;
  entry = null;
  showOnly("about");
}

export async function open(namespace, key) {
  turn += 1;
  const mine = turn;
  const path = keyPath(namespace, key);
  let answer;
  try {
    answer = await ask(path, { headers: { Range: `bytes=0-${SHOWN - 1}` } });
  } catch (error) {
    // A value of no bytes has no first byte.
    if (error.code !== 416) throw error;
    answer = await ask(path);
  }
  const bytes = new Uint8Array(await answer.arrayBuffer());
  if (mine !== turn) return;
  const range = answer.headers.get("Content-Range");
  const all = range ? Number(range.split("/")[1]) : bytes.length;
  const [expires, modified, etag] = ["KV-Expires", "KV-Modified", "ETag"].map((name) => answer.headers.get(name));
  const isSame = entry && isOpen(namespace, key) && !isEditing();
  if (!isSame || (view === "json" && jsonOf(bytes) === null)) view = guess(bytes);
  entry = { namespace, key, bytes, all, expires, modified, etag, isGone: false };
  $("name").textContent = shown(key);
  $("ttl").value = isSame ? $("ttl").value : "";
  showFacts();
  showValue();
  showOnly("entry");
}

function isOpen(namespace, key) {
  return entry.namespace === namespace && encode(entry.key) === encode(key);
}

// Takes in what an event tells of an entry.
export async function changed(namespace, key, change) {
  if (!entry || !isOpen(namespace, key)) return;
  if (change.event === "put" && `"${change.etag}"` === entry.etag && !entry.isGone) return;
  if (isPutting) missed = change;
  else if (isEditing() && edited) tell(new Error(CHANGED));
  else if (isEditing()) return;
  else if (change.event === "put") await open(namespace, key);
  else {
    entry.isGone = true;
    showFacts();
    showChanges();
  }
}

// Looks whether it is still what is shown, after a time in which nothing was told.
export async function check() {
  if (!entry) return;
  const { namespace, key } = entry;
  let change = { event: "gone" };
  try {
    const answer = await ask(keyPath(namespace, key), { method: "HEAD" });
    change = { event: "put", etag: answer.headers.get("ETag")?.slice(1, -1) };
  } catch (error) {
    if (error.code !== 404) throw error;
  }
  await changed(namespace, key, change);
}

// Says what is known of it, in words that are new again and again.
export function showFacts() {
  if (!entry) return;
  const { bytes, all, expires, modified, isGone } = entry;
  const facts = [size(all), `modified ${ago(modified)}`];
  if (isGone) facts.push("gone");
  else if (expires) facts.push(`expires ${until(expires)}`);
  if (all > bytes.length) facts.push(`the first ${size(bytes.length)} are shown`);
  $("facts").textContent = facts.join(" · ");
  $("facts").title = [modified, expires].filter(Boolean).join(" – ");
}

// Whether a field gives back what is put into it: a browser makes every line end in one way, and takes
// line ends out of a field of one line.
function survives(kind, text) {
  const field = make(kind);
  field.value = text ?? "";
  return text !== null && field.value === text;
}

function guess(bytes) {
  if (textOf(bytes) === null) return "hex";
  return jsonOf(bytes) === null ? "text" : "json";
}

function showValue() {
  const { bytes, key, all } = entry;
  const json = jsonOf(bytes);
  let text;
  if (view === "hex") text = hex(bytes);
  else if (view === "json" && json !== null) text = indented(textOf(bytes));
  else text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  $("value").textContent = text;
  for (const button of document.querySelectorAll("[data-view]")) {
    button.setAttribute("aria-pressed", String(button.dataset.view === view));
    button.disabled = button.dataset.view === "json" && json === null;
  }
  showChanges();
  if ($("download").href.startsWith("blob:")) URL.revokeObjectURL($("download").href);
  $("download").hidden = all > bytes.length;
  if (all === bytes.length) $("download").href = URL.createObjectURL(new Blob([bytes]));
  else $("download").removeAttribute("href");
  $("download").download = shown(key).split("/").pop() || "value";
}

// A value that a browser could change by showing it is not to be stored again from here.
function showChanges() {
  const { bytes, key, all, isGone } = entry;
  const isSame = survives("input", textOf(key)) && survives("textarea", textOf(bytes));
  $("edit").disabled = isGone || all > bytes.length || !isSame;
  for (const control of [$("remove"), ...$("expiry").elements]) control.disabled = isGone;
}

export function choose(button) {
  view = button.dataset.view;
  showValue();
}

// Opens the editor, on the entry that is shown or on one that is to be made.
export function edit(isNew, begin = "") {
  turn += 1;
  edited = isNew ? null : entry;
  $("edit-key").value = edited ? textOf(edited.key) : begin;
  $("edit-key").readOnly = Boolean(edited);
  $("edit-value").value = edited ? textOf(edited.bytes) : "";
  $("edit-ttl").value = "";
  $("edit-ttl").placeholder = edited?.expires ? "as it is, or 15m, 7d" : "never, or 15m, 7d";
  before = typed();
  showOnly("editor");
  $(edited ? "edit-value" : "edit-key").focus();
}

const typed = () => JSON.stringify(["edit-key", "edit-value", "edit-ttl"].map((id) => $(id).value));

// Leaves the editor.
export async function cancel() {
  if (entry) await open(entry.namespace, entry.key);
  else close();
}

// Closes what is open, unless that would lose what was typed. Returns whether there was anything.
export async function leave() {
  if (isEditing() && typed() !== before) throw new Error("This is not stored yet: put it, or cancel.");
  if (isEditing()) await cancel();
  else if (entry) close();
  else return false;
  return true;
}

export async function put(namespace) {
  const key = utf8.encode($("edit-key").value);
  const ttl = $("edit-ttl").value.trim();
  const headers = {};
  if (ttl) headers["KV-TTL"] = ttl;
  else if (edited) headers["KV-Keep-TTL"] = "1";
  if (edited) headers["If-Match"] = edited.etag;
  else headers["If-None-Match"] = "*";
  const body = utf8.encode($("edit-value").value);
  isPutting = true;
  missed = null;
  try {
    await ask(keyPath(namespace, key), { method: "PUT", headers, body });
    await open(namespace, key);
  } catch (error) {
    if (error.code !== 412) throw error;
    throw new Error(edited ? CHANGED : "There is such a key already: open it to change it.");
  } finally {
    isPutting = false;
    if (missed) changed(namespace, key, missed).catch(tell);
  }
}

export async function expire() {
  const { namespace, key } = entry;
  await ask(`${keyPath(namespace, key)}?op=expire&ttl=${encode(utf8.encode($("ttl").value.trim()))}`, { method: "POST" });
  $("ttl").value = "";
  await open(namespace, key);
}

// Returns whether it was removed.
export async function remove() {
  const { namespace, key, etag } = entry;
  $("doomed").textContent = shown(key);
  $("confirm").returnValue = "no";
  $("confirm").showModal();
  await new Promise((done) => $("confirm").addEventListener("close", done, { once: true }));
  if ($("confirm").returnValue !== "yes") return false;
  try {
    await ask(keyPath(namespace, key), { method: "DELETE", headers: { "If-Match": etag } });
  } catch (error) {
    if (error.code === 412) throw new Error(CHANGED);
    throw error;
  }
  close();
  return true;
}
