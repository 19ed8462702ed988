// What is known of the store, and of the namespace that is shown: what no event tells.

import { $, make } from "./dom.js";
import { ask, list, namespacePath } from "./service.js";
import { entries, bytes as size } from "./words.js";

export const FIRST = "default"; // the namespace that is listed without entries, too
const LEAST_PAUSE = 1000; // ms between two looks at a namespace
const SHARE = 50; // a look takes no more than this part of the time

let rests = 0; // until when no look is begun
let timer = null;
let asked = 0;

export async function showTotals() {
  const text = await (await ask("metrics")).text();
  const sum = (name) => {
    const numbers = text.matchAll(new RegExp(`^${name}\\{.*\\} (\\d+)$`, "gm"));
    return [...numbers].reduce((sum, found) => sum + Number(found[1]), 0);
  };
  const counted = [...text.matchAll(/^kv_entries\{/gm)].length;
  const all = Number(/^kv_namespaces (\d+)$/m.exec(text)?.[1]);
  const more = all > counted ? `in ${counted} of ${all} namespaces: ` : "";
  $("totals").textContent = `${more}${entries(sum("kv_entries"))}, ${size(sum("kv_bytes"))}`;
  const isReadOnly = /^kv_read_only 1$/m.test(text);
  $("read-only").hidden = !isReadOnly;
  for (const id of ["new", "changes"]) $(id).hidden = isReadOnly;
}

// Shows the namespaces; `choose` is called with one.
export async function showNamespaces(current, choose) {
  const names = (await list("v1?end=1")).map((line) => line.namespace);
  if (!names.includes(FIRST)) names.push(FIRST);
  names.sort();
  const old = [...$("namespaces").querySelectorAll("button")];
  if (old.map((button) => button.textContent).join("/") !== names.join("/")) {
    const focused = old.find((button) => button === document.activeElement)?.textContent;
    const buttons = names.map((name) => make("button", { type: "button" }, name));
    $("namespaces").replaceChildren(...buttons.map((button) => make("li", {}, button)));
    if (focused) (buttons.find((button) => button.textContent === focused) ?? buttons[0]).focus();
  }
  for (const button of $("namespaces").querySelectorAll("button")) {
    button.onclick = () => choose(button.textContent);
    button.setAttribute("aria-current", String(button.textContent === current));
  }
}

// Shows how many entries of which size there are, unless something else is shown in its place. Returns
// whether there is such a namespace, as far as was looked.
export async function showSizes(namespace) {
  asked += 1;
  const mine = asked;
  clearTimeout(timer);
  timer = null;
  if ($("about").hidden) return true;
  const begun = Date.now();
  const nothing = { entries: 0, bytes: 0, sizes: [] };
  let info = nothing;
  try {
    info = await (await ask(`${namespacePath(namespace)}?op=info`)).json();
  } catch (error) {
    if (error.code !== 404) throw error;
  }
  if (mine !== asked) return true;
  rests = Date.now() + Math.max(LEAST_PAUSE, (Date.now() - begun) * SHARE);
  $("about-name").textContent = namespace;
  const facts = [entries(info.entries), size(info.bytes)];
  if (info.expired) facts.push(`${info.expired.toLocaleString()} expired`);
  if (info.damaged) facts.push(`${info.damaged.toLocaleString()} damaged`);
  $("about-facts").textContent = facts.join(" · ");
  const most = Math.max(...info.sizes.map((row) => row.count));
  // The bounds are powers of two: they have no fraction.
  const bound = (number) => size(number).replace(".0 ", " ");
  $("sizes").replaceChildren(
    ...info.sizes.map(({ from, below, count }) => {
      const bar = make("div", { class: "bar" });
      bar.style.width = `${Math.max(1, (100 * count) / most)}%`;
      if (count === 0) bar.hidden = true;
      const head = make("th", { scope: "row" }, `${bound(from)} – ${bound(below)}`);
      return make("tr", {}, head, make("td", {}, bar), make("td", {}, count.toLocaleString()));
    }),
  );
  return info !== nothing;
}

// Has them shown once more, as something has changed.
export function sizesLater(show) {
  timer ??= setTimeout(show, Math.max(LEAST_PAUSE, rests - Date.now()));
}
