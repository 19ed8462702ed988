// What the page is made of. Whatever comes from the store is only ever set as text: nothing of it becomes markup.

import { Refused, token } from "./service.js";

export const $ = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...content) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...content);
  return made;
}

export function tell(error) {
  if (error instanceof Refused && error.code === 401) {
    // Who has given none yet is only asked for it.
    if (token.get()) $("login-error").textContent = error.message;
    token.drop();
    $("main").hidden = true;
    $("login").hidden = false;
    $("token").select();
    return;
  }
  $("message").textContent = error ? String(error.message || error) : "";
}

// Asks a person, in a dialog. Returns whether the answer is yes.
export async function confirms(dialog) {
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
  return dialog.returnValue === "yes";
}

// Runs what a person has asked for, and says what went wrong with it.
export function act(what) {
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
