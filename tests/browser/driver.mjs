// A browser on a leash: JSON lines in on stdin, JSON lines out on stdout, one browser at most.
//
//   -> {"id": 1, "method": "launch", "params": {…}, "timeout_ms": 60000}
//   <- {"id": 1, "result": …}   or   {"id": 1, "error": {"code": "timeout", "message": "…"}}
//
// Every call ends within its timeout. When stdin closes, the browser this process started is
// closed and the process exits; nothing else on the machine is touched.

import { createInterface } from "node:readline";

import { launchBrowser } from "./launch.mjs";
import * as actions from "./actions.mjs";

const DEFAULT_TIMEOUT_MS = 30_000;
const CLOSE_TIMEOUT_MS = 10_000;

class DriverError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

let browser = null;
let chromium = false;
let leaving = false;
const pages = new Map();
let nextPage = 1;

const methods = {
  async launch(params) {
    if (browser !== null) throw new DriverError("busy", "a browser is already running");
    browser = await launchBrowser(params);
    chromium = params.browser === "chromium";
    return { version: await browser.version() };
  },

  // `origin` is what may use the devices; Firefox has a preference for that.
  async newPage({ width, height, origin }) {
    if (chromium) {
      await running().defaultBrowserContext().overridePermissions(origin, ["camera", "microphone"]);
    }
    const page = await running().newPage();
    if (width && height) await page.setViewport({ width, height });
    const id = nextPage++;
    const events = actions.record(page);
    pages.set(id, { page, events });
    return { page: id };
  },

  goto: onPage(({ page }, { url }) => actions.goto(page, url)),
  reload: onPage(({ page }) => actions.reload(page)),
  resize: onPage(({ page }, { width, height }) => page.setViewport({ width, height })),
  evaluate: onPage(({ page }, { source, args }) => actions.evaluate(page, source, args)),
  click: onPage(({ page }, { selector, deadline }) => actions.click(page, selector, deadline)),
  type: onPage(({ page }, { selector, text, deadline }) => actions.type(page, selector, text, deadline)),
  show: onPage(({ page }) => page.bringToFront()),
  waitFor: onPage(({ page }, { source, args, deadline }) => actions.waitFor(page, source, args, deadline)),
  screenshot: onPage(({ page }, { path }) => page.screenshot({ path })),
  messages: onPage(({ events }) => events),
  closePage: onPage(async ({ page }, { page: id }) => {
    pages.delete(id);
    await page.close();
  }),

  async close() {
    await closeBrowser();
  },
};

function running() {
  if (browser === null) throw new DriverError("closed", "no browser is running");
  return browser;
}

function onPage(action) {
  return (params) => {
    const entry = pages.get(params.page);
    if (entry === undefined) throw new DriverError("no_page", `there is no page ${params.page}`);
    return action(entry, params);
  };
}

async function handle(line) {
  const request = JSON.parse(line);
  const timeout = request.timeout_ms ?? DEFAULT_TIMEOUT_MS;
  try {
    const method = methods[request.method];
    if (method === undefined) throw new DriverError("no_method", `no method ${request.method}`);
    // Polling actions stop by themselves at `deadline`, so that a timed-out call leaves nothing behind.
    const params = { ...request.params, deadline: Date.now() + timeout };
    const call = (async () => method(params))();
    const result = await within(call, timeout, request.method);
    answer({ id: request.id, result: result ?? null });
  } catch (error) {
    answer({ id: request.id, error: { code: error.code ?? "failed", message: String(error.message ?? error) } });
  }
}

async function within(call, milliseconds, name) {
  let timer;
  const limit = new Promise((_, reject) => {
    const late = () => reject(new DriverError("timeout", `${name} took over ${milliseconds} ms`));
    timer = setTimeout(late, milliseconds);
  });
  try {
    return await Promise.race([call, limit]);
  } finally {
    clearTimeout(timer);
    call.catch(() => {}); // a late failure of a call already answered is no news
  }
}

function answer(message) {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

async function closeBrowser() {
  const closing = browser;
  browser = null;
  pages.clear();
  if (closing === null) return;
  try {
    await within(closing.close(), CLOSE_TIMEOUT_MS, "close");
  } catch {
    closing.process()?.kill("SIGKILL");
  }
}

async function leave() {
  if (leaving) return;
  leaving = true;
  await closeBrowser();
  process.exit(0);
}

process.on("SIGTERM", leave);
process.stdout.on("error", leave);
createInterface({ input: process.stdin }).on("line", handle).on("close", leave);
