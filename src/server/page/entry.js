// One entry: its value in three views, its expiry, and how it is changed and removed.

import { $, confirms, make, tell } from "./dom.js";
import { askFor, encode, utf8 } from "./service.js";
import { ago, beginning, bytes as size, hex, indented, jsonOf, shown, textOf, until } from "./words.js";

const SHOWN = 256 * 1024; // bytes of a value that are shown
const CHANGED = "Somebody has changed it meanwhile.";
const REMOVED = "Somebody has removed it meanwhile.";

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
// What is put over: its etag, or nothing. And what others have put there since.
let base = null;
let theirs = null;

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

// Asks for a value, or its beginning. One of no bytes has no first byte.
async function ask(namespace, key, size) {
  const headers = size === 0 ? {} : { Range: `bytes=0-${SHOWN - 1}` };
  try {
    return await askFor("get", namespace, key, { headers });
  } catch (error) {
    if (error.code !== 416) throw error;
    return ask(namespace, key, 0);
  }
}

// Opens an entry, whose size is known, or not.
export async function open(namespace, key, size) {
  turn += 1;
  const mine = turn;
  const answer = await ask(namespace, key, size);
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
  else if (isEditing() && edited) tell(await conflict());
  else if (isEditing()) return;
  else if (change.event === "put") await open(namespace, key, change.size);
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
    const found = await (await askFor("stat", namespace, key)).json();
    change = { ...found, event: "put" };
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
  base = edited?.etag ?? null;
  offer(false);
  showOnly("editor");
  $(edited ? "edit-value" : "edit-key").focus();
}

const typed = () => JSON.stringify(["edit-key", "edit-value", "edit-ttl"].map((id) => $(id).value));

export const hasTyped = () => isEditing() && typed() !== before;

// Offers a choice between what was typed and what others have put, where there is one.
function offer(isConflict) {
  $("usual").hidden = isConflict;
  $("conflict").hidden = !isConflict;
}

// Shows what others have made of the entry that is edited. Returns what is to be said.
async function conflict() {
  const mine = turn;
  let text = null;
  let etag = null;
  try {
    const answer = await ask(edited.namespace, edited.key);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    text = textOf(bytes) ?? hex(bytes);
    etag = answer.headers.get("ETag");
  } catch (error) {
    if (error.code !== 404) throw error;
  }
  if (mine !== turn) return null;
  theirs = etag;
  $("their-value").textContent = text;
  $("their-value").hidden = !theirs;
  $("theirs").textContent = theirs ? "Take theirs" : "Leave it removed";
  offer(true);
  $("mine").scrollIntoView({ block: "nearest" });
  return new Error(theirs ? CHANGED : REMOVED);
}

// Means to put what was typed over what others have put.
export function insist() {
  base = theirs;
}

// Leaves the editor.
export async function cancel() {
  turn += 1;
  showOnly(entry ? "entry" : "about");
  await check();
}

// Closes what is open, unless that would lose what was typed. Returns whether there was anything.
export async function leave() {
  if (hasTyped()) throw new Error("This is not stored yet: put it, or cancel.");
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
  else if (base) headers["KV-Keep-TTL"] = "1";
  if (base) headers["If-Match"] = base;
  else headers["If-None-Match"] = "*";
  const body = utf8.encode($("edit-value").value);
  isPutting = true;
  missed = null;
  try {
    await askFor("put", namespace, key, { headers, body });
    await open(namespace, key, body.length);
  } catch (error) {
    if (error.code !== 412) throw error;
    throw edited ? await conflict() : new Error("There is such a key already: open it to change it.");
  } finally {
    isPutting = false;
    if (missed) changed(namespace, key, missed).catch(tell);
  }
}

export async function expire() {
  const { namespace, key, all } = entry;
  await askFor("expire", namespace, key, { query: `&ttl=${encode(utf8.encode($("ttl").value.trim()))}` });
  $("ttl").value = "";
  await open(namespace, key, all);
}

// Returns whether it was removed.
export async function remove() {
  const { namespace, key, etag } = entry;
  $("doomed").textContent = beginning(key);
  if (!(await confirms($("confirm")))) return false;
  try {
    await askFor("remove", namespace, key, { headers: { "If-Match": etag } });
  } catch (error) {
    if (error.code !== 412) throw error;
    await check();
    throw new Error(entry?.isGone ? REMOVED : CHANGED);
  }
  close();
  return true;
}
