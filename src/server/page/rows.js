// The keys of a namespace, or the elements of a list, in their order.

import { $, act, make, tell } from "./dom.js";
import { bytesOf, encode, list, namespacePath, utf8 } from "./service.js";
import { ago, beginning, bytes as size, until } from "./words.js";

const PAGE = 200; // rows that are asked for at once
const MOST_PREVIEWED = 4096; // bytes of an element that is previewed
const PAUSE = 200; // ms between two looks at a list that changes

let path = "";
let open = () => {};
let rows = []; // each with its key, the text that orders it, its entry and its elements of the page
let wanted = PAGE;
let asked = 0;
let pending = null; // what was told while a listing was on its way
let timer = null;
let marked = null; // what orders the row whose key is open

// Begins with another namespace, or another search in it. `opens` is called with the key of a row, and its size.
export function begin(namespace, search, opens) {
  const next = `${namespacePath(namespace)}?end=1${search && `&${search}`}`;
  if (next !== path) wanted = PAGE;
  path = next;
  open = opens;
}

const isElement = (key) => key.length === 20 && key.every((byte) => byte >= 48 && byte < 58);
const orderOf = (key) => [...key].map((byte) => byte.toString(16).padStart(2, "0")).join("");

// Lists what there is, as many rows as were wanted before.
export async function show() {
  asked += 1;
  const mine = asked;
  clearTimeout(timer);
  timer = null;
  pending = [];
  try {
    const bounds = `&limit=${wanted}`;
    let found = await list(path + bounds);
    if (found.some((line) => line.etag && isElement(bytesOf(line)))) {
      found = await list(`${path}${bounds}&values=1&inline=${MOST_PREVIEWED}`);
    }
    if (mine !== asked) return; // another was asked for meanwhile
    place(found);
  } catch (error) {
    // What was found before is no answer to this.
    if (mine === asked && error.code === 400) place([]);
    throw error;
  } finally {
    if (mine === asked) {
      const told = pending;
      pending = null;
      told.forEach(apply);
    }
  }
}

export function more() {
  wanted += PAGE;
  return show();
}

function place(found) {
  const at = rows.findIndex((row) => row.button === document.activeElement);
  const focused = rows[at]?.order;
  rows = found.filter((line) => line.etag).map(rowOf);
  // Other keys of a list are passed over.
  if (rows.some((row) => isElement(row.key))) rows = rows.filter((row) => isElement(row.key));
  $("rows").replaceChildren(...rows.map((row) => row.line));
  $("more").hidden = !found.some((line) => line.cursor !== undefined);
  const same = rows.findIndex((row) => row.order === focused);
  if (at >= 0) focus(same < 0 ? at : same);
  showCount();
  const damaged = found.find((line) => line.status !== undefined);
  if (damaged) throw new Error(damaged.error);
}

// Gives the focus to the row of this place, or to the last one.
function focus(at) {
  (rows[Math.min(at, rows.length - 1)]?.button ?? $("wanted")).focus();
}

function showCount() {
  const isList = rows.some((row) => isElement(row.key));
  $("rows").className = isList ? "list" : "";
  $("key-head").textContent = isList ? "Element" : "Key";
  $("nothing").hidden = rows.length > 0;
}

// Takes in what an event tells of a key.
export function apply(change) {
  if (pending) {
    pending.push(change);
    return;
  }
  const key = bytesOf(change);
  if (isElement(key)) {
    timer ??= setTimeout(() => show().catch(tell), PAUSE);
    return;
  }
  if ($("rows").className === "list") return;
  const order = orderOf(key);
  let at = rows.findIndex((row) => row.order >= order);
  if (at < 0) at = rows.length;
  const isThere = rows[at]?.order === order;
  if (change.event === "put" && isThere) {
    rows[at].entry = change;
    word(rows[at]);
  } else if (change.event === "put" && (at < rows.length || $("more").hidden)) {
    const row = rowOf(change);
    $("rows").insertBefore(row.line, rows[at]?.line ?? null);
    rows.splice(at, 0, row);
    if (rows.length > wanted) {
      rows.pop().line.remove();
      $("more").hidden = false;
    }
  } else if (change.event === "gone" && isThere) {
    const [{ line, button }] = rows.splice(at, 1);
    const isFocused = button === document.activeElement;
    line.remove();
    if (isFocused) focus(at);
  }
  showCount();
}

function rowOf(entry) {
  const key = bytesOf(entry);
  const button = make("button", { type: "button" });
  const cells = [button, "", "", ""].map((content) => make("td", {}, content));
  const row = { key, order: orderOf(key), entry, button, line: make("tr", { "data-key": encode(key) }, ...cells) };
  button.onclick = act(() => open(key, row.entry.size));
  word(row);
  return row;
}

// Says what a row is of, in words that are new again and again.
function word({ key, order, entry, button, line }) {
  button.textContent = isElement(key) ? preview(entry) : beginning(key);
  if (order === marked) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");
  const [, bytes, modified, expires] = line.children;
  bytes.textContent = size(entry.size);
  modified.textContent = ago(entry.modified);
  modified.title = entry.modified;
  expires.textContent = until(entry.expires);
  expires.title = entry.expires ?? "";
}

function preview({ value, value_base64, size: all }) {
  if (all === 0) return "(empty)";
  if (value === undefined && value_base64 === undefined) return `(${size(all)})`;
  return beginning(value === undefined ? bytesOf({ key_base64: value_base64 }) : utf8.encode(value));
}

export function reword() {
  rows.forEach(word);
}

// Marks the row of the key that is open.
export function mark(key) {
  marked = key ? orderOf(key) : null;
  reword();
}

export const buttons = () => rows.map((row) => row.button);
