// A look around a store, over the paths below /v1.

import { FIRST, showNamespaces, showSizes, showTotals, sizesLater } from "./page/about.js";
import { $, act, confirms, tell } from "./page/dom.js";
import * as entry from "./page/entry.js";
import * as rows from "./page/rows.js";
import { bytesOf, encode, follow, namespacePath, token, utf8 } from "./page/service.js";

const TOTALS_EVERY = 10_000; // ms
const PATIENCE = 300; // ms; a listing waits so long for what tells changes

let namespace = FIRST;
let following = new AbortController();
let isLive = false;

// Follows what is searched for, and lists it: behind the watch, so that nothing is missed between the two.
function look() {
  following.abort();
  following = new AbortController();
  const { signal } = following;
  const text = $("wanted").value;
  const search = text && `${$("how").value}=${encode(utf8.encode(text))}`;
  rows.begin(namespace, search, open);
  const timer = setTimeout(() => rows.show().catch(tell), PATIENCE);
  let wasLost = false;
  live(false, "connecting");
  follow(`${namespacePath(namespace)}?op=watch${search && `&${search}`}`, signal, {
    stands() {
      clearTimeout(timer);
      live(true, "live");
      if (wasLost) tell(null);
      rows.show().catch(tell);
      entry.check().catch(tell);
      sizesLater(sizes);
    },
    change(change) {
      if (change.status !== undefined) return tell(new Error(change.error));
      rows.apply(change);
      entry.changed(namespace, bytesOf(change), change).catch(tell);
      sizesLater(sizes);
    },
    lost(pause, why) {
      wasLost = true;
      live(false, `not live: next try in ${Math.ceil(pause / 1000)} s`);
      if (!(why?.code < 500)) {
        // Where no events come through, what there is can be listed all the same.
        rows.show().catch(() => {});
        return;
      }
      // It would be refused again.
      following.abort();
      live(false, "not live");
      tell(why);
    },
  });
}

function live(is, text) {
  isLive = is;
  $("live").className = is ? "is-live" : "";
  $("live").textContent = text;
}

// Nothing that was typed is thrown away unasked.
const mayLeave = async () => !entry.hasTyped() || confirms($("discard"));

async function open(key, size) {
  if (!(await mayLeave())) return;
  await entry.open(namespace, key, size);
  mark();
  $("entry").scrollIntoView({ block: "nearest" });
}

const mark = () => rows.mark(entry.current()?.key);

async function refresh() {
  await Promise.all([showNamespaces(namespace, choose), showTotals()]);
}

const choose = (name) =>
  act(async () => {
    if (!(await mayLeave())) return;
    namespace = name;
    shut();
    look();
    await refresh();
  })();

// Shows the namespace where an entry was.
function shut() {
  entry.close();
  closed();
}

function closed() {
  mark();
  sizes();
}

// A namespace that is gone is listed no more.
async function sizes() {
  try {
    if (!(await showSizes(namespace))) await showNamespaces(namespace, choose);
  } catch (error) {
    tell(error);
  }
}

async function enter() {
  await showNamespaces(namespace, choose);
  $("login").hidden = true;
  $("main").hidden = false;
  look();
  await Promise.all([showTotals(), sizes()]);
}

// What a change of this page's own has made is listed by events, where there are any.
async function changed() {
  if (!isLive) look();
  await refresh();
}

let typing;
$("wanted").oninput = () => {
  clearTimeout(typing);
  typing = setTimeout(act(look), 150);
};
$("how").onchange = act(look);
$("search").onsubmit = act(look);
$("more").onclick = act(rows.more);
$("new").onclick = act(async () => {
  if (await mayLeave()) entry.edit(true, $("how").value === "prefix" ? $("wanted").value : "");
});
$("edit").onclick = act(() => entry.edit(false));
$("remove").onclick = act(async () => {
  if (!(await entry.remove())) return;
  closed();
  await changed();
});
for (const id of ["cancel", "theirs"]) {
  $(id).onclick = act(async () => {
    await entry.cancel();
    if (!entry.current()) closed();
  });
}
$("mine").onclick = () => {
  entry.insist();
  $("editor").requestSubmit();
};
$("editor").onsubmit = act(async () => {
  await entry.put(namespace);
  mark();
  await changed();
});
$("expiry").onsubmit = act(async () => {
  await entry.expire();
  await changed();
});
for (const button of document.querySelectorAll("[data-view]")) button.onclick = act(() => entry.choose(button));
$("login").onsubmit = act(async () => {
  token.set($("token").value.trim());
  $("login-error").textContent = "";
  await enter();
});

// The keys.
const places = () => [[...$("namespaces").querySelectorAll("button")], rows.buttons()];

function go(list) {
  (list.find((button) => button.getAttribute("aria-current") === "true") ?? list[0])?.focus();
}

function step(by) {
  const [names, keys] = places();
  const list = names.includes(document.activeElement) ? names : keys;
  const at = list.indexOf(document.activeElement);
  if (at < 0) go(list);
  else list[Math.min(Math.max(at + by, 0), list.length - 1)].focus();
}

const KEYS = {
  ArrowDown: () => step(1),
  ArrowUp: () => step(-1),
  j: () => step(1),
  k: () => step(-1),
  ArrowLeft: () => go(places()[0]),
  ArrowRight: () => go(places()[1]),
  "/": () => $("wanted").select(),
  "?": () => $("help").showModal(),
  async Escape({ target }) {
    const keys = places()[1];
    const opened = keys.filter((button) => button.getAttribute("aria-current"));
    if (target !== $("wanted") && (await entry.leave()) && !entry.current()) closed();
    if (!keys.includes(document.activeElement)) go([...opened, ...keys]);
  },
};

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  const isOurs = !event.ctrlKey && !event.altKey && !event.metaKey && !event.isComposing;
  if (!isOurs || !Object.hasOwn(KEYS, key) || $("main").hidden || document.querySelector("dialog[open]")) return;
  const isSearch = target === $("wanted") && ["ArrowDown", "Escape"].includes(key);
  if (target.matches("input, textarea, select") && !isSearch && key !== "Escape") return;
  // A long value is scrolled by them.
  if (target === $("value") && key.startsWith("Arrow")) return;
  act(KEYS[key])(event);
});
$("keys-help").onclick = act(KEYS["?"]);

// Light or dark, as the system has it or as was chosen.
const THEMES = ["system", "light", "dark"];
function showTheme() {
  const theme = localStorage.getItem("theme") ?? THEMES[0];
  document.documentElement.dataset.theme = theme;
  $("theme").textContent = `Theme: ${theme}`;
}
$("theme").onclick = () => {
  const next = THEMES.indexOf(document.documentElement.dataset.theme) + 1;
  localStorage.setItem("theme", THEMES[next % THEMES.length]);
  showTheme();
};
showTheme();

// Times go on, and so does what no event tells.
setInterval(() => {
  if ($("main").hidden || document.hidden) return;
  rows.reword();
  entry.showFacts();
  refresh().catch(() => {});
}, TOTALS_EVERY);

// A browser has few connections for all its tabs: who is not seen needs none.
document.addEventListener("visibilitychange", () => {
  if ($("main").hidden) return;
  if (!document.hidden) return look();
  following.abort();
  live(false, "not live: not seen");
});
act(enter)();
