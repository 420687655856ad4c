// Elements from plain values. Text is always text: nothing here, or elsewhere on the page, reads markup.

/** el("p", { class: "hint" }, "text", element, …); a property that starts with "on" is a listener. */
export function el(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, ...children);
}

/** The same for SVG. */
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, ...children);
}

function fill(element, properties, ...children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const number = (value) => (typeof value === "number" ? value.toLocaleString("en") : "–");

export const plural = (count, one, more = `${one}s`) => `${number(count)} ${count === 1 ? one : more}`;

/** A value of an event as it came, whatever it is. */
export const plain = (value) =>
  value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value);

/** JSON made readable, anything else as it is. */
export function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

export const moment = (text) => `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`;

/** Asks the sandbox; what it refuses is an Error with its words. */
export async function ask(path, body, method = body === undefined ? "GET" : "POST") {
  const request = { method };
  if (body !== undefined) {
    request.body = JSON.stringify(body);
    request.headers = { "Content-Type": "application/json" };
  }
  let response;
  try {
    response = await fetch(path, request);
  } catch {
    throw new Error("No reply: the connection was closed.");
  }
  const text = await response.text();
  let reply = null;
  try {
    reply = JSON.parse(text);
  } catch {
    throw new Error(`${response.status}: not JSON: ${text.slice(0, 200)}`);
  }
  if (!response.ok) throw new Error(`${response.status}: ${plain(reply?.error ?? reply)}`);
  return { status: response.status, reply };
}

export const userLink = (tenant, id, ...text) =>
  el("a", { href: `#/user/${encodeURIComponent(id)}/${encodeURIComponent(tenant ?? "")}`, class: "user" }, ...text);

/** A button that copies; it says so for a moment. */
export function copyButton(label, text) {
  const button = el("button", { type: "button", class: "small" }, label);
  button.addEventListener("click", async () => {
    let said = "Copied";
    try {
      await copy(await text());
    } catch {
      said = "Not copied";
    }
    button.textContent = said;
    setTimeout(() => (button.textContent = label), 1500);
  });
  return button;
}

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Beyond loopback, browsers keep the clipboard for https.
  const area = el("textarea", { class: "offscreen", value: text });
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (!copied) throw new Error("not copied");
}

export function bar(part, whole, label) {
  return el("progress", { max: whole || 1, value: Math.min(part, whole || 1), "aria-label": label });
}

export function choice(options, properties = {}) {
  return el("select", properties, options.map(([value, text]) => el("option", { value }, text ?? value)));
}

let fields = 0;

/** An input with its label. */
export function field(label, input, kind = "") {
  input.id = `field-${++fields}`;
  return el("div", { class: `field ${kind}`.trim() }, el("label", { for: input.id }, label), input);
}
