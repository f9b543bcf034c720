// What a person does on a page, and what a test asks of it.
//
// Nothing here uses puppeteer's injected helpers: they compile source text inside the page, which
// the strict Content-Security-Policy under test forbids. Expressions handed to the debugger are exempt.

const POLL_MS = 50;
const KEPT_MESSAGES = 400;

export async function goto(page, url) {
  const response = await page.goto(url, { waitUntil: "domcontentloaded", timeout: 0 });
  return { status: response?.status() ?? null };
}

export async function reload(page) {
  await page.reload({ waitUntil: "domcontentloaded", timeout: 0 });
}

// `source` is the text of a function; `args` are JSON values.
export function evaluate(page, source, args = []) {
  return page.evaluate(`(${source})(...${JSON.stringify(args)})`);
}

export async function waitFor(page, source, args, deadline) {
  let trouble = "";
  while (Date.now() < deadline) {
    try {
      const value = await evaluate(page, source, args);
      if (value) return value;
    } catch (error) {
      trouble = `; last error: ${error.message}`; // the page may be between two documents
    }
    await pause();
  }
  throw Object.assign(new Error(`it never became true: ${source.slice(0, 200)}${trouble}`), { code: "timeout" });
}

// A real pointer click in the middle of the element, so that it counts as a user's gesture.
export async function click(page, selector, deadline) {
  const point = await waitFor(page, CLICKABLE, [selector], deadline);
  await page.mouse.click(point.x, point.y);
}

export async function type(page, selector, text, deadline) {
  await click(page, selector, deadline);
  await evaluate(page, SELECT_ALL, [selector]);
  await page.keyboard.press("Backspace");
  await page.keyboard.type(text);
}

// Keeps what the page writes to its console, for the report of a failing test.
export function record(page) {
  const events = [];
  const keep = (text) => {
    events.push(text.slice(0, 2000));
    if (events.length > KEPT_MESSAGES) events.shift();
  };
  page.on("console", (message) => keep(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => keep(`pageerror: ${error.message}`));
  return events;
}

const CLICKABLE = `(selector) => {
  const element = document.querySelector(selector);
  if (element === null || element.disabled) return null;
  element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
  const box = element.getBoundingClientRect();
  const x = box.left + box.width / 2;
  const y = box.top + box.height / 2;
  const top = document.elementFromPoint(x, y);
  return top !== null && (element.contains(top) || top.contains(element)) ? { x, y } : null;
}`;

const SELECT_ALL = `(selector) => { document.querySelector(selector).select?.(); }`;

function pause() {
  return new Promise((resolve) => setTimeout(resolve, POLL_MS));
}
