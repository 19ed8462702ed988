// Asks the service, over the paths below /v1 that every client has, and listens to what changes.

import { textOf } from "./words.js";

const SILENCE = 15_000; // ms; a service that lives says something every 5 s
const FIRST_PAUSE = 500; // ms
const LONGEST_PAUSE = 30_000;
const LONGEST_IN_PATH = 4096; // bytes of a key: who is between may take no more
const METHODS = { get: "GET", put: "PUT", remove: "DELETE" };

export const utf8 = new TextEncoder();

export const token = {
  get: () => sessionStorage.getItem("token"),
  set: (text) => sessionStorage.setItem("token", text),
  drop: () => sessionStorage.removeItem("token"),
};

export class Refused extends Error {
  constructor(code, text) {
    super(text);
    this.code = code;
  }
}

// A browser has words of its own for what is not answered, or not to the end.
const answered = (answer) =>
  answer.catch((error) => {
    throw error instanceof TypeError ? new Error("The service does not answer.") : error;
  });

// An answer that says no becomes an error.
export async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  const secret = token.get();
  if (secret && !/^[!-~]+$/.test(secret)) {
    throw new Refused(401, "A token has ASCII letters, digits and punctuation, without blanks.");
  }
  if (secret) headers.set("Authorization", `Bearer ${secret}`);
  const answer = await answered(fetch(path, { ...options, headers, cache: "no-store" }));
  if (answer.ok) return answer;
  let text = `${answer.status} ${answer.statusText}`;
  try {
    text = (await answer.json()).error;
  } catch {
    // Somebody else than kv has answered.
  }
  throw new Refused(answer.status, text);
}

// Hands on each line as it comes.
async function eachLine(answer, each) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await answered(reader.read());
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) each(line);
  }
}

// Asks for a listing: lines of JSON, of which the last says that it is whole.
export async function list(path) {
  const found = [];
  await eachLine(await ask(path), (line) => found.push(JSON.parse(line)));
  if (found.pop()?.end === undefined) throw new Error("The listing was cut off.");
  return found;
}

// Listens to what changes until the signal says to stop, and again after a growing pause whenever that ends.
// `stands` is called when whatever changes from now on is told, `change` with each, and `lost` with how long the
// pause is and why.
export async function follow(path, signal, { stands, change, lost }) {
  let pause = FIRST_PAUSE;
  while (!signal.aborted) {
    let why = null;
    try {
      await listen(path, signal, change, () => {
        pause = FIRST_PAUSE;
        stands();
      });
    } catch (error) {
      why = error;
    }
    if (signal.aborted) return;
    lost(pause, why);
    await new Promise((over) => {
      const timer = setTimeout(over, pause);
      signal.addEventListener("abort", () => (clearTimeout(timer), over()), { once: true });
    });
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  }
}

async function listen(path, signal, change, stands) {
  const silent = new AbortController();
  let timer;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silent.abort(new Error("The service is silent.")), SILENCE);
  };
  heard();
  try {
    const answer = await ask(path, { signal: AbortSignal.any([signal, silent.signal]) });
    await eachLine(answer, (line) => {
      heard();
      if (line === ": watching") stands();
      else if (line.startsWith("data: ")) change(JSON.parse(line.slice("data: ".length)));
    });
  } finally {
    clearTimeout(timer);
  }
}

// A key as the bytes that it is.
export function bytesOf(entry) {
  if (entry.key !== undefined) return utf8.encode(entry.key);
  return Uint8Array.from(atob(entry.key_base64), (c) => c.charCodeAt(0));
}

const plain = /^[A-Za-z0-9_~-]$/;

export function encode(bytes) {
  let text = "";
  for (const byte of bytes) {
    const c = String.fromCharCode(byte);
    text += plain.test(c) ? c : `%${byte.toString(16).padStart(2, "0")}`;
  }
  return text;
}

export function namespacePath(namespace) {
  return `v1/${encode(utf8.encode(namespace))}`;
}

// Asks for a verb on an entry. A key that cannot stand in a path is the beginning of the body: it is too long, or
// a browser takes it for a directory, however it is written.
export function askFor(verb, namespace, key, { query = "", headers, body = null } = {}) {
  const path = namespacePath(namespace);
  if (key.length > LONGEST_IN_PATH || [".", ".."].includes(textOf(key))) {
    const whole = new Blob([key, body ?? ""]);
    return ask(`${path}?op=${verb}&key=${key.length}${query}`, { method: "POST", headers, body: whole });
  }
  const method = METHODS[verb];
  if (method) return ask(`${path}/${encode(key)}`, { method, headers, body });
  return ask(`${path}/${encode(key)}?op=${verb}${query}`, { method: "POST", headers });
}
