// node app.mjs DIST NATIVE.json SHOTS: opens the web app of the folder DIST in headless Chromium and goes through it as a visitor
// would, on the CPU device; looks at faults; runs the self-test on WebGPU (SwiftShader where there is no GPU). NATIVE.json
// is what the native program made of the same text with the same seed. Pictures go to SHOTS.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { cp, mkdir, mkdtemp, readFile, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants as zlib } from "node:zlib";
import { chromium } from "playwright-core";
import { AxeBuilder } from "@axe-core/playwright";

const [dist, nativeFile, shots] = process.argv.slice(2);
await mkdir(shots, { recursive: true });
// Put before the worker's own script while `faulty` is set: the operation of the file store whose number was sent last fails, or
// writes only half of what it was given. The number of the failed operation is printed.
let faulty = false;
const FAULTS = `{
  let at = 0, done = 0;
  const numbers = new BroadcastChannel("faults");
  numbers.onmessage = ({ data }) => { [at, done] = [data, 0]; numbers.postMessage("set"); };
  const fail = (type, name, later) => {
    const real = type.prototype[name];
    type.prototype[name] = function (...given) {
      if (++done !== at) return real.apply(this, given);
      const short = name === "write" && at % 3 === 0;
      console.log("FAULT", at, name, short ? "short" : "");
      if (short) return real.call(this, given[0].subarray(0, Math.ceil(given[0].length / 2)), ...given.slice(1));
      const error = new DOMException("injected fault", at % 2 ? "UnknownError" : "QuotaExceededError");
      if (later) return Promise.reject(error);
      throw error;
    };
  };
  for (const name of ["read", "write", "truncate", "flush", "getSize"]) fail(FileSystemSyncAccessHandle, name, false);
  for (const name of ["createSyncAccessHandle", "getFile", "move"]) fail(FileSystemFileHandle, name, true);
  for (const name of ["getFileHandle", "getDirectoryHandle", "removeEntry"]) fail(FileSystemDirectoryHandle, name, true);
}\n`;
const types = {
  html: "text/html", js: "text/javascript", wasm: "application/wasm", css: "text/css", json: "application/json",
};
let online = true;
// A hub as the Hugging Face hub answers, with the site's own models under "own/": how fast it is, after how many bytes it breaks
// off, and what it says of hashes can be set. `ranges` are those that were asked for.
const hub = { rate: 0, breaks: 0, lies: false, ranges: [] };
const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const answer = (response, status, body, more = {}) => {
  response.writeHead(status, { "access-control-allow-origin": "*", "content-length": body.length, ...more });
  response.end(body);
};
async function serveHub(path, request, response) {
  const [, kind, model, file] = path.match(/^\/(api\/models\/)?own\/(\w+)\/(.+)$/) ?? [];
  const folder = model === "moved" ? join(scratch, "moved/critic") : join(dist, "tiny", model ?? "none");
  const json = (value) => answer(response, 200, Buffer.from(JSON.stringify(value)), { "content-type": "application/json" });
  if (kind && file.startsWith("revision/")) {
    await stat(folder);
    return json({ sha: COMMIT, tags: ["license:mit"] });
  }
  if (kind && file === `tree/${COMMIT}`) {
    const names = await readdir(folder);
    return json(await Promise.all(names.map(async (path) => {
      const bytes = await readFile(join(folder, path));
      const oid = hub.lies ? "0".repeat(64) : createHash("sha256").update(bytes).digest("hex");
      const blob = createHash("sha1").update(bytes).digest("hex");
      return { type: "file", path, size: bytes.length, oid: blob, ...(path.endsWith(".safetensors") && { lfs: { oid, size: bytes.length } }) };
    })));
  }
  const name = file?.replace(`resolve/${COMMIT}/`, "");
  await sendSlowly(join(folder, name), name, request, response);
}
// A file as fast as `hub.rate` says, from where it was asked for.
async function sendSlowly(file, name, request, response) {
  const bytes = await readFile(file);
  const from = Number(request.headers.range?.match(/^bytes=(\d+)-$/)?.[1] ?? 0);
  if (from) hub.ranges.push(from);
  const rest = bytes.subarray(from);
  const { mtime } = await stat(file);
  const head = { "access-control-allow-origin": "*", "content-length": rest.length, "last-modified": mtime.toUTCString() };
  response.writeHead(from ? 206 : 200, head);
  if (request.method === "HEAD") return response.end();
  for (let sent = 0; sent < rest.length; sent += 65536) {
    if (hub.breaks && name.endsWith(".safetensors") && from + sent > hub.breaks) {
      hub.breaks = 0;
      await hub.broken?.();
      return response.destroy();
    }
    response.write(rest.subarray(sent, sent + 65536));
    if (hub.rate && name.endsWith(".safetensors")) await new Promise((next) => setTimeout(next, 65536 / hub.rate));
    if (response.destroyed) return;
  }
  response.end();
}
const server = createServer(async (request, response) => {
  if (!online) return request.socket.destroy();
  const asked = decodeURIComponent(new URL(request.url, "http://host").pathname);
  const path = asked === "/" ? "/index.html" : asked;
  try {
    if (path.includes("..")) throw new Error("outside");
    if (path.startsWith("/hub/")) return await serveHub(path.slice(4), request, response);
    if (path.startsWith("/moved/")) return await sendSlowly(join(scratch, path), path, request, response);
    if (path.startsWith("/large/")) {
      const file = join(process.env.IMPOSSIBLE_MODELS, path.slice(7));
      const { size } = await stat(file);
      const start = Number(request.headers.range?.match(/^bytes=(\d+)-$/)?.[1] ?? 0);
      response.writeHead(start ? 206 : 200, { "content-length": size - start });
      return request.method === "HEAD" ? response.end() : createReadStream(file, { start }).pipe(response);
    }
    let bytes = await readFile(join(dist, path));
    if (faulty && path === "/worker.js") bytes = Buffer.concat([Buffer.from(FAULTS), bytes]);
    const head = { "content-type": types[path.split(".").pop()] ?? "application/octet-stream", "content-length": bytes.length };
    response.writeHead(200, head);
    response.end(request.method === "HEAD" ? undefined : bytes);
  } catch {
    response.writeHead(404);
    response.end();
  }
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const site = `http://127.0.0.1:${server.address().port}/`;

const quiet = [
  "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
  "--disable-sync",
];
const gpu = [
  "--enable-unsafe-webgpu", "--enable-features=Vulkan", "--use-vulkan=swiftshader", "--use-webgpu-adapter=swiftshader",
  "--ignore-gpu-blocklist",
];
const launch = (args) =>
  chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: [...quiet, ...args] });

let failed = 0;
const only = process.env.ONLY;
const check = (condition, what) => {
  if (!condition) throw new Error(what);
};
async function test(name, body) {
  if (only && !name.includes(only)) return;
  const start = Date.now();
  const say = (ok, more) => console.log(`${ok} ${name} (${((Date.now() - start) / 1000).toFixed(1)} s)${more ?? ""}`);
  try {
    say("ok", await body());
  } catch (error) {
    failed += 1;
    say("FAILED", `: ${error.message}`);
  }
}

const open = async (browser, path = "?device=cpu", options = {}) => {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, acceptDownloads: true, serviceWorkers: "block", ...options });
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  const page = await context.newPage();
  page.errors = [];
  page.on("pageerror", (error) => page.errors.push(String(error)));
  page.on("console", (line) => {
    if (process.env.VERBOSE || line.type() === "error") console.log(`  [${line.type()}] ${line.text()}`);
  });
  await page.addInitScript(() => {
    window.longTasks = [];
    new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((e) => [e.startTime, e.duration])))
      .observe({ type: "longtask", buffered: true });
  });
  if (options.before) await options.before(page);
  await page.goto(site + path);
  return page;
};
const state = (page, wanted, timeout = 60_000) =>
  page.waitForSelector(`.badge[data-state="${wanted}"]`, { timeout, state: "attached" });
const told = (page, text, timeout = 120_000) =>
  page.waitForFunction((t) => document.querySelector('[data-test="told"]')?.textContent.includes(t), text, { timeout }).catch(async () => {
    throw new Error(`waited for "${text}", the page says "${await page.locator('[data-test="told"]').textContent()}"`);
  });
const close = (page) => page.context().close();
const slide = (page, label, value) => page.getByRole("slider", { name: label }).fill(String(value));
const download = async (page, name) => {
  const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name }).click()]);
  return { name: file.suggestedFilename(), bytes: await readFile(await file.path()) };
};

// Everything that can be opened is, in the light and in the dark.
const axe = async (page, where) => {
  await page.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await new AxeBuilder({ page }).analyze();
    check(!violations.length, `${where}, ${colorScheme}: ${violations.map((v) => `${v.id}: ${v.nodes[0].html}`).join("; ")}`);
  }
};

const cpu = await launch([]);
const source = JSON.parse(await readFile(nativeFile, "utf8"));
const scratch = await mkdtemp(join(tmpdir(), "impossible-"));

// The wasm of page and worker, as a host would send it; the JavaScript beside it has 0.02 MB.
const MOST = 2_650_000;
await test("small", async () => {
  const files = (await readdir(dist)).filter((file) => file.endsWith(".wasm"));
  check(files.length === 2, `${files.length} wasm files`);
  const params = { [zlib.BROTLI_PARAM_QUALITY]: 11, [zlib.BROTLI_PARAM_LGWIN]: 24 };
  const sizes = await Promise.all(files.map(async (file) => (await promisify(brotliCompress)(await readFile(join(dist, file)), { params })).length));
  const all = sizes.reduce((sum, size) => sum + size, 0);
  const told = `${files.map((file, i) => `${file} ${(sizes[i] / 1e6).toFixed(3)}`).join(", ")}, together ${(all / 1e6).toFixed(3)} MB after brotli -q 11`;
  check(all <= MOST, told);
  return `; ${told}`;
});

await test("the page is there before the models", async () => {
  const page = await open(cpu, "?device=cpu", {
    before: (page) => page.route("**/tiny/**", (route) => setTimeout(() => route.continue(), 300)),
  });
  await page.waitForSelector("h1:has-text('other words')");
  const interactive = await page.evaluate(() => performance.now());
  await page.getByRole("link", { name: "How it works" }).click();
  await page.waitForSelector("h1:has-text('How it works')");
  check((await page.locator('.badge[data-state="loading"]').count()) === 1, "the models were there already");
  await state(page, "ready");
  await page.locator(".badge summary").click();
  const detail = await page.locator(".badge .sheet p").first().textContent();
  await close(page);
  return `; interactive after ${interactive.toFixed(0)} ms. ${detail}`;
});

await test("paraphrase: the same versions as natively", async () => {
  const page = await open(cpu);
  await page.fill("#text", source.text);
  await state(page, "ready");
  await page.locator("summary", { hasText: "Settings" }).click();
  await slide(page, "Versions of each sentence", 6);
  await page.getByRole("button", { name: "Paraphrase", exact: true }).click();
  await told(page, "Done");
  await page.getByLabel("Show what the critics refused").check();
  const found = await page.locator(".version .reads").allTextContents();
  const want = source.sentences.flatMap((s) => s.candidates.map((c) => c.text));
  const sorted = (list) => JSON.stringify([...list].sort());
  check(sorted(found) === sorted(want), `expected ${sorted(want)}\n  found ${sorted(found)}`);
  const speed = await page.locator('[data-test="speed"]').textContent();
  const lines = (await download(page, "Download JSONL")).bytes.toString().trim().split("\n").map((l) => JSON.parse(l));
  check(lines.length === want.length && lines.every((l) => "forward" in l), "the download has other lines");
  await page.getByRole("button", { name: "Copy text" }).click();
  await page.waitForSelector(".said:has-text('copied')");
  await page.screenshot({ path: join(shots, "paraphrase.png"), fullPage: true });
  // The text is there after a reload, and in another tab through the link.
  await page.getByRole("button", { name: "Copy link" }).click();
  const link = await page.evaluate(() => location.hash);
  await page.goto(`${site}?device=cpu`);
  check((await page.inputValue("#text")) === source.text, "a reload lost the text");
  const other = await open(cpu, `?device=cpu${link}`);
  check((await other.inputValue("#text")) === source.text, "the link lost the text");
  check(page.errors.length === 0, page.errors.join("; "));
  await close(other);
  await close(page);
  return `; ${speed}`;
});

await test("summarise: stop, then to the end", async () => {
  const page = await open(cpu, "?device=cpu#summarise");
  await page.fill("#text", Array(20).fill(source.text).join(" "));
  await state(page, "ready");
  // From within: while results stream in, a busy machine is too slow for a pointer from outside.
  await page.evaluate(async () => {
    const button = document.querySelector(".primary");
    button.click();
    while (!document.querySelector(".version")) await new Promise((next) => setTimeout(next, 5));
    button.click();
  });
  await told(page, "Stopped after", 60_000);
  await page.fill("#text", source.text);
  const from = await page.evaluate(() => performance.now());
  await page.getByRole("button", { name: "Summarise", exact: true }).click();
  await told(page, "Done");
  const long = await page.evaluate((from) => window.longTasks.filter(([at, ms]) => at > from && ms > 50).map(([, ms]) => ms), from);
  // The goal is 50; two cores that also run the worker and the browser's other processes may not always reach it.
  check(Math.max(0, ...long) < 250, `the page stood still for ${Math.max(0, ...long)} ms`);
  check((await page.locator('[data-test="kept"]').count()) > 0, "no summary was kept");
  await axe(page, "summaries");
  await page.screenshot({ path: join(shots, "summarise.png"), fullPage: true });
  await close(page);
  return `; tasks above 50 ms on the page's thread: ${long.length ? long.map((ms) => ms.toFixed(0)).join(", ") : "none"}`;
});

await test("distil, move a threshold, train, take it home", async () => {
  const page = await open(cpu, "?device=cpu#distil");
  await state(page, "ready");
  await slide(page, "Contexts", 5);
  await slide(page, "Siblings of each", 128);
  await page.getByRole("button", { name: "Distil", exact: true }).click();
  await page.waitForSelector(".siblings li");
  await told(page, "Done", 240_000);
  const kept = () => page.locator('[data-test="kept-pairs"] > li').count();
  const before = await kept();
  check(before > 0, "no pair was kept");
  const speed = await page.locator('[data-test="speed"]').textContent();
  await slide(page, "Least entailment", 0.2);
  await page.waitForFunction((n) => document.querySelectorAll('[data-test="kept-pairs"] > li').length > n, before, { timeout: 5000 });
  const loose = await kept();
  const data = await download(page, "Download JSONL");
  check(data.bytes.toString().trim().split("\n").every((l) => JSON.parse(l).scored.refused_by === ""), "a refused pair was saved");
  check((await download(page, "Download CSV")).bytes.toString().startsWith("task,text,target"), "no table");
  await slide(page, "Epochs", 2);
  await page.getByRole("button", { name: "Train the student" }).click();
  await page.waitForSelector("polyline.loss[points*=',']", { timeout: 60_000, state: "attached" });
  const stop = page.getByRole("button", { name: "Stop" });
  if (await stop.count()) await stop.dispatchEvent("click", {}, { timeout: 2000 }).catch(() => {});
  const learning = page.locator('[data-test="learning"]');
  await learning.filter({ hasText: /can go on|is trained/ }).waitFor({ timeout: 30_000 });
  const paused = await learning.textContent();
  if (paused.includes("can go on")) await page.getByRole("button", { name: "Go on" }).click();
  await learning.filter({ hasText: "is trained" }).waitFor({ timeout: 240_000 });
  const end = await learning.textContent();
  const looks = await page.locator('[data-test="looks"] > details').count();
  check(looks === 3, `${looks} looks, expected one before and one after each epoch`);
  const zip = await download(page, /Download the student/);
  check(zip.bytes.subarray(0, 2).toString() === "PK" && zip.bytes.includes("student/model.safetensors"), "the zip is none");
  await writeFile(join(scratch, "student.zip"), zip.bytes);
  await page.getByRole("button", { name: "Use it in the other rooms" }).click();
  await page.screenshot({ path: join(shots, "distil.png"), fullPage: true });
  await axe(page, "a distillation");
  await page.getByRole("link", { name: "How it works" }).click();
  await page.waitForSelector(".story blockquote");
  await page.screenshot({ path: join(shots, "how.png"), fullPage: true });
  await axe(page, "how it works");
  await page.getByRole("link", { name: "Summarise" }).click();
  await page.fill("#text", source.text);
  await page.getByRole("button", { name: "Summarise", exact: true }).click();
  await told(page, "Done");
  check(page.errors.length === 0, page.errors.join("; "));
  const memory = await page.evaluate(() => performance.memory?.usedJSHeapSize);
  await close(page);
  return `; ${speed}; kept ${before}, at 0.2 ${loose}; ${end} zip ${(zip.bytes.length / 1e6).toFixed(1)} MB; page heap ${(memory / 1e6).toFixed(0)} MB`;
});

await test("wrong turns: texts", async () => {
  const page = await open(cpu);
  await state(page, "ready");
  const button = page.getByRole("button", { name: "Paraphrase", exact: true });
  check(await button.isDisabled(), "nothing can be paraphrased");
  await page.fill("#text", "word ".repeat(20_001));
  await button.click();
  await told(page, "100005 characters");
  await page.waitForSelector(".step:has-text('100000')");
  await page.fill("#text", "🌊🌊 שלום, עולם. مرحبا بالعالم! \u202Eabc\u202C The bank raised its rate. Zalgo t̸e̵x̷t.");
  await button.click();
  await told(page, "Done");
  await page.fill("#text", "x".repeat(5000));
  await button.click();
  await told(page, "Done");
  await page.waitForSelector(".none:has-text('longer than this student reads')");
  check(page.errors.length === 0, page.errors.join("; "));
  await close(page);
});

await test("wrong turns: the worker dies, files are missing, cut or hostile", async () => {
  const page = await open(cpu);
  await page.fill("#text", source.text);
  await state(page, "ready");
  await page.getByRole("button", { name: "Paraphrase", exact: true }).click();
  await page.workers()[0].evaluate(() => setTimeout(() => { throw new Error("out of memory"); }, 0));
  await page.waitForSelector('[data-test="notice"]:has-text("out of memory")');
  await state(page, "ready");
  check((await page.locator('[data-test="notice"]').textContent()).includes("Start again"), "no next step");
  check((await page.inputValue("#text")) === source.text, "the text is gone");
  await page.getByRole("button", { name: "Paraphrase", exact: true }).click();
  await told(page, "Done");
  await close(page);
  for (const [what, fulfil, expected] of [
    ["offline", (route) => route.abort(), "offline"],
    ["cut", (route) => route.fulfill({ body: Buffer.alloc(1000) }), "damaged"],
    ["hostile", (route) => route.fulfill({ body: Buffer.alloc(64, 255) }), "damaged"],
  ]) {
    const page = await open(cpu, "?device=cpu", { before: (page) => page.route("**/critic/model.safetensors", fulfil) });
    await state(page, "down");
    const notice = await page.locator('[data-test="notice"]').textContent();
    check(notice.includes(expected), `${what}: ${notice}`);
    await page.unroute("**/critic/model.safetensors");
    await page.getByRole("button", { name: "Try again" }).click();
    await state(page, "ready");
    await close(page);
  }
});

await test("offline after the first visit", async () => {
  const page = await open(cpu, "?device=cpu", { serviceWorkers: "allow" });
  await page.fill("#text", source.text);
  await state(page, "ready");
  await page.evaluate(async () => {
    const { active } = await navigator.serviceWorker.ready;
    while (active.state !== "activated") await new Promise((next) => setTimeout(next, 50));
  });
  online = false;
  await page.context().setOffline(true);
  await page.reload();
  await state(page, "ready");
  await page.getByRole("button", { name: "Paraphrase", exact: true }).click();
  await told(page, "Done");
  online = true;
  await close(page);
});

const kept = (page, name) => page.locator('[data-test="kept-model"]', { hasText: name });
const bring = async (page, what) => {
  await page.fill("#model", what);
  await page.getByRole("button", { name: "Download it" }).click();
};

// SHA-256 of a file of a stored model.
const storedHash = (page, model, name) => page.evaluate(async ([model, name]) => {
  const models = await (await navigator.storage.getDirectory()).getDirectoryHandle("models");
  const file = await (await (await models.getDirectoryHandle(model)).getFileHandle(name)).getFile();
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
  return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}, [model, name]);
const criticHash = async () => createHash("sha256").update(await readFile(join(dist, "tiny/critic/model.safetensors"))).digest("hex");
const useHub = async (page) => {
  await page.locator("summary", { hasText: "Another hub" }).click();
  await page.fill("#hub", `${site}hub`);
  await page.locator("#hub").blur();
};

await test("models: cancelled, broken off, resumed, used, offline, deleted", async () => {
  const page = await open(cpu, "?device=cpu#models", { serviceWorkers: "allow" });
  await state(page, "ready");
  await useHub(page);
  hub.rate = 1000;
  await bring(page, "own/critic");
  await page.locator('[data-test="bringing"]', { hasText: "left" }).waitFor();
  const words = await page.locator('[data-test="bringing"]').textContent();
  check(/model\.safetensors \(\d of \d files\), [\d.]+ MB of 2\.\d MB; .* MB\/s, \d+ s left/.test(words), `progress says: ${words}`);
  await page.getByRole("button", { name: "Cancel" }).click();
  await told(page, "Cancelled");
  const begun = page.locator('[data-test="begun-model"]', { hasText: "own--critic" });
  await begun.waitFor();
  await page.screenshot({ path: join(shots, "models.png"), fullPage: true });
  await axe(page, "models");
  // The connection breaks once more on the way; it goes on by itself.
  Object.assign(hub, { rate: 3000, breaks: 1_500_000, ranges: [] });
  await begun.getByRole("button", { name: "Resume" }).click();
  await told(page, "own--critic is on this device, a critic");
  hub.rate = 0;
  check(hub.ranges.length === 2 && hub.ranges[0] > 0 && hub.ranges[1] >= 1_000_000, `ranges: ${hub.ranges}`);
  check((await kept(page, "own--critic").textContent()).includes("mit"), "the licence is lost");
  const sha256 = createHash("sha256").update(await readFile(join(dist, "tiny/critic/model.safetensors"))).digest("hex");
  check((await kept(page, "own--critic").locator(".hash").textContent()).includes(sha256), "another hash");
  await bring(page, "own/critic");
  await told(page, "on this device already");
  await page.locator('[data-test="cast-critic"]').selectOption("own--critic");
  await state(page, "loading");
  await state(page, "ready");
  check(await kept(page, "own--critic").getByRole("button", { name: /Delete/ }).isDisabled(), "a model that plays can be deleted");
  await page.evaluate(async () => {
    const { active } = await navigator.serviceWorker.ready;
    while (active.state !== "activated") await new Promise((next) => setTimeout(next, 50));
  });
  online = false;
  await page.context().setOffline(true);
  await page.reload();
  await state(page, "ready");
  check((await page.locator('[data-test="cast-critic"]').inputValue()) === "own--critic", "the choice is forgotten");
  await page.getByRole("link", { name: "Summarise" }).click();
  await page.fill("#text", source.text);
  await page.getByRole("button", { name: "Summarise", exact: true }).click();
  await told(page, "Done");
  online = true;
  await page.context().setOffline(false);
  await page.getByRole("link", { name: "Models" }).click();
  await page.locator('[data-test="cast-critic"]').selectOption("");
  await state(page, "ready");
  await kept(page, "own--critic").getByRole("button", { name: "Delete own--critic" }).click();
  await page.locator("p", { hasText: "Nothing yet" }).waitFor();
  // From an address, without a list of files.
  await bring(page, `${site}tiny/teacher`);
  await told(page, "teacher is on this device, a teacher");
  check(page.errors.length === 0, page.errors.join("; "));
  await close(page);
});

await test("models: two of one name, little room, and files that change between cancel and resume", async () => {
  const page = await open(cpu, "?device=cpu#models");
  await state(page, "ready");
  const folder = join(scratch, "moved/critic");
  await cp(join(dist, "tiny/critic"), folder, { recursive: true });
  const begun = page.locator('[data-test="begun-model"]', { hasText: "critic" });
  // Begun, and cancelled in the middle of its weights.
  const cancelled = async (start) => {
    hub.rate = 1000;
    await start();
    await page.locator('[data-test="bringing"]', { hasText: /model\.safetensors .* left/ }).waitFor();
    await page.getByRole("button", { name: "Cancel" }).click();
    await told(page, "Cancelled");
    await page.locator('[data-test="begun-model"]').waitFor();
  };
  await cancelled(() => bring(page, `${site}moved/critic`));
  // The same name from elsewhere does not take its place.
  await bring(page, `${site}tiny/critic`);
  await told(page, "A model named critic from elsewhere has begun to come");
  // Room for what is missing, not for all of it.
  const weights = join(folder, "model.safetensors");
  const there = Number((await begun.textContent()).match(/([\d.]+) MB/)[1]) * 1e6;
  const { size } = await stat(weights);
  check(there > 100_000 && there < size, `${there} of ${size} bytes are there`);
  const session = await page.context().newCDPSession(page);
  const origin = site.slice(0, -1);
  const used = await page.evaluate(async () => (await navigator.storage.estimate()).usage);
  await session.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: used + size - there / 2 });
  Object.assign(hub, { rate: 0, ranges: [] });
  await begun.getByRole("button", { name: "Resume" }).click();
  await told(page, "critic is on this device, a critic");
  check(hub.ranges.length === 1, `it did not go on where it was: ${hub.ranges}`);
  await session.send("Storage.overrideQuotaForOrigin", { origin });
  await kept(page, "critic").getByRole("button", { name: /Delete/ }).click();
  await page.locator("p", { hasText: "Nothing yet" }).waitFor();
  // Both a file that was whole and one that had begun are others by now, of the same size.
  const golden = join(folder, "golden.json");
  let hours = 0;
  const change = async (file) => {
    const bytes = await readFile(file);
    // The last digit, or a bit of the last weight.
    const text = bytes.toString().replace(/(\d)(\D*)$/, (_, digit, end) => `${(Number(digit) + 1) % 10}${end}`);
    if (file === golden) await writeFile(file, text);
    else await writeFile(file, bytes.with(bytes.length - 3, bytes.at(-3) ^ 1));
    const later = new Date(Date.now() + 3_600_000 * ++hours);
    await utimes(file, later, later);
  };
  const current = async (model) => {
    for (const [name, file] of [["model.safetensors", weights], ["golden.json", golden]]) {
      check((await storedHash(page, model, name)) === createHash("sha256").update(await readFile(file)).digest("hex"), `${name} is of the version before`);
    }
    await kept(page, model).getByRole("button", { name: /Delete/ }).click();
    await page.locator("p", { hasText: "Nothing yet" }).waitFor();
  };
  await cancelled(() => bring(page, `${site}moved/critic`));
  await change(weights);
  await change(golden);
  Object.assign(hub, { rate: 0, ranges: [] });
  await begun.getByRole("button", { name: "Resume" }).click();
  await told(page, "critic is on this device, a critic");
  check(hub.ranges.length === 0, `it went on in another version: ${hub.ranges}`);
  await current("critic");
  // A hub says the version of small files, too.
  await useHub(page);
  await cancelled(() => bring(page, "own/moved"));
  await change(golden);
  Object.assign(hub, { rate: 0, ranges: [] });
  await page.locator('[data-test="begun-model"]', { hasText: "own--moved" }).getByRole("button", { name: "Resume" }).click();
  await told(page, "own--moved is on this device, a critic");
  check(hub.ranges.length === 1, `the weights, which are the same, came anew: ${hub.ranges}`);
  await current("own--moved");
  // It changes while it comes, between a connection that breaks and the next.
  Object.assign(hub, { breaks: 1_500_000, broken: () => change(weights) });
  await bring(page, `${site}moved/critic`);
  await told(page, "model.safetensors has changed while it came");
  hub.broken = undefined;
  await begun.getByRole("button", { name: "Resume" }).click();
  await told(page, "critic is on this device, a critic");
  await current("critic");
  check(page.errors.length === 0, page.errors.join("; "));
  await close(page);
});

await test("models: each operation of the store fails once", async () => {
  faulty = true;
  const page = await open(cpu, "?device=cpu#models");
  await state(page, "ready");
  faulty = false;
  await useHub(page);
  let failed;
  page.on("console", (line) => { if (line.text().startsWith("FAULT")) failed = line.text(); });
  const set = (number) => page.evaluate((number) => new Promise((done) => {
    const numbers = new BroadcastChannel("faults");
    numbers.onmessage = () => { numbers.close(); done(); };
    numbers.postMessage(number);
  }), number);
  const critic = kept(page, "own--critic");
  const wanted = await criticHash();
  // One operation in five, and with FAULTS=all each.
  const step = process.env.FAULTS === "all" ? 1 : 5;
  let tried = 0;
  for (let number = 1; ; number += step) {
    failed = undefined;
    await set(number);
    await bring(page, "own/critic");
    const error = page.locator('[data-test="told"]', { hasText: "injected fault" });
    await critic.or(error).first().waitFor();
    await set(0);
    if (await critic.count() === 0) {
      await page.getByRole("button", { name: "Download it" }).and(page.locator(":enabled")).waitFor();
      const resume = page.locator('[data-test="begun-model"]', { hasText: "own--critic" }).getByRole("button", { name: "Resume" });
      if (await resume.count()) await resume.click();
      else await bring(page, "own/critic");
      await critic.waitFor();
    }
    check((await storedHash(page, "own--critic", "model.safetensors")) === wanted, `after ${failed}: another file`);
    await critic.getByRole("button", { name: /Delete/ }).click();
    await page.locator("p", { hasText: "Nothing yet" }).waitFor();
    if (!failed) break;
    tried += 1;
    if (process.env.VERBOSE) console.log(`  ${failed}`);
  }
  check(tried > 5, `only ${tried} faults`);
  check(page.errors.length === 0, page.errors.join("; "));
  await close(page);
  return `, ${tried} faults`;
});

await test("models: the tab is killed while a model comes", async () => {
  const page = await open(cpu, "?device=cpu#models");
  await state(page, "ready");
  await useHub(page);
  hub.rate = 1000;
  await bring(page, "own/critic");
  await page.locator('[data-test="bringing"]', { hasText: /model\.safetensors .* left/ }).waitFor();
  const session = await page.context().newCDPSession(page);
  const crashed = new Promise((done) => page.once("crash", done));
  session.send("Page.crash").catch(() => {});
  await crashed;
  Object.assign(hub, { rate: 0, ranges: [] });
  const next = await page.context().newPage();
  await next.goto(`${site}?device=cpu#models`);
  await state(next, "ready");
  await next.locator('[data-test="begun-model"]', { hasText: "own--critic" }).getByRole("button", { name: "Resume" }).click();
  await kept(next, "own--critic").waitFor();
  check(hub.ranges.length === 1 && hub.ranges[0] > 0, `it did not go on where it was: ${hub.ranges}`);
  check((await storedHash(next, "own--critic", "model.safetensors")) === (await criticHash()), "another file");
  await next.context().close();
});

await test("models: folders and zips of the visitor's own", async () => {
  const page = await open(cpu, "?device=cpu#models");
  await state(page, "ready");
  await page.setInputFiles("#folder", join(dist, "tiny/critic"));
  await told(page, "critic is on this device, a critic");
  // Files that are dropped, as a browser hands them over.
  const files = ["config.json", "tokenizer.json", "impossible.json", "model.safetensors"];
  const contents = await Promise.all(files.map(async (name) => [name, (await readFile(join(dist, "tiny/student", name))).toString("base64")]));
  await page.evaluate((contents) => {
    const data = new DataTransfer();
    for (const [name, text] of contents) {
      data.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name));
    }
    document.querySelector('[data-test="drop"]').dispatchEvent(new DragEvent("drop", { dataTransfer: data, cancelable: true }));
  }, contents);
  await told(page, "a student");
  let more = "";
  const zip = join(scratch, "student.zip");
  if (await stat(zip).catch(() => null)) {
    await page.setInputFiles("#files", zip);
    await told(page, "student is on this device, a student");
    await page.locator('[data-test="cast-student"]').selectOption("student");
    await state(page, "loading");
    await state(page, "ready");
    check(await page.locator("p", { hasText: "No values to check against came with student" }).isVisible(), "it is not said that it was not checked");
    await page.getByRole("link", { name: "Summarise" }).click();
    await page.fill("#text", source.text);
    await page.getByRole("button", { name: "Summarise", exact: true }).click();
    await told(page, "Done");
  } else {
    more = "; without the zip of the training";
  }
  check(page.errors.length === 0, page.errors.join("; "));
  await close(page);
  return more;
});

await test("wrong turns: models that cannot be had, are damaged, lie, or find no room", async () => {
  const page = await open(cpu, "?device=cpu#models");
  await state(page, "ready");
  const step = (text) => page.waitForFunction((t) => document.querySelector(".step")?.textContent.includes(t), text);
  await bring(page, "no repository");
  await told(page, "is no repository");
  await step("OWNER/REPOSITORY");
  await useHub(page);
  await bring(page, "own/nobody");
  await told(page, "answered 404 for own/nobody");
  await page.fill("#hub", "http://127.0.0.1:9");
  await page.locator("#hub").blur();
  await bring(page, "own/critic");
  await told(page, "did not answer");
  await step("online");
  await page.fill("#hub", `${site}hub`);
  await page.locator("#hub").blur();
  hub.lies = true;
  await bring(page, "own/critic");
  await told(page, "is not what the hub says it is");
  hub.lies = false;
  // Folders: cut off, hostile, of no known kind, without weights; each leaves nothing behind.
  for (const [what, change, expected] of [
    ["cut", { "model.safetensors": (bytes) => bytes.subarray(0, bytes.length - 1000) }, "damaged"],
    ["hostile", { "model.safetensors": () => Buffer.concat([Buffer.alloc(8, 255), Buffer.alloc(100)]) }, "damaged"],
    ["odd", { "config.json": () => Buffer.from("{}") }, "model_type"],
    ["huge", { "config.json": (bytes) => Buffer.from(bytes.toString().replace(/"hidden_size": *\d+/, '"hidden_size": 99999999')) }, ""],
    ["weightless", { "model.safetensors": null }, "has no model.safetensors"],
  ]) {
    const folder = join(scratch, what);
    await cp(join(dist, "tiny/critic"), folder, { recursive: true });
    for (const [file, make] of Object.entries(change)) {
      if (make) await writeFile(join(folder, file), make(await readFile(join(folder, file))));
      else await rm(join(folder, file));
    }
    await page.setInputFiles("#folder", folder);
    if (expected) {
      await told(page, expected);
      check((await kept(page, what).count()) === 0, `${what} is on the shelf`);
    } else {
      // Its sizes are only looked at when it is loaded.
      await told(page, "is on this device");
      await page.locator('[data-test="cast-critic"]').selectOption(what);
      await page.waitForSelector('[data-test="notice"]:has-text("The models of this site are used instead")');
      await state(page, "ready");
      check((await page.locator('[data-test="cast-critic"]').inputValue()) === "", "it still plays");
    }
  }
  await writeFile(join(scratch, "bad.zip"), Buffer.alloc(5000, 80));
  await page.setInputFiles("#files", join(scratch, "bad.zip"));
  await told(page, "is no zip that can be read here");
  // A full disk.
  const session = await page.context().newCDPSession(page);
  const used = await page.evaluate(async () => (await navigator.storage.estimate()).usage);
  await session.send("Storage.overrideQuotaForOrigin", { origin: site.slice(0, -1), quotaSize: used + 1_000_000 });
  await page.setInputFiles("#folder", join(dist, "tiny/teacher"));
  // Chromium's own estimate may be larger than what it lets us write.
  await step("elete a model");
  check((await kept(page, "teacher").count()) === 0, "half a model is on the shelf");
  check(page.errors.length === 0, page.errors.join("; "));
  await close(page);
});

const large = "nli-deberta-v3-xsmall";
if (await stat(join(process.env.IMPOSSIBLE_MODELS ?? "/nowhere", large)).catch(() => null)) {
  await test("models: a published critic, at its full size", async () => {
    const page = await open(cpu, "?device=cpu#models");
    await state(page, "ready");
    const seconds = async (body) => {
      const start = Date.now();
      await body();
      return ((Date.now() - start) / 1000).toFixed(1);
    };
    await bring(page, `${site}large/${large}`);
    await page.waitForFunction(() => Number(document.querySelector('[data-test="bringing"]')?.textContent.match(/([\d.]+) MB of/)?.[1]) > 150);
    await page.getByRole("button", { name: "Cancel" }).click();
    await told(page, "Cancelled");
    const begun = page.locator('[data-test="begun-model"]', { hasText: large });
    const resume = begun.getByRole("button", { name: "Resume" });
    await begun.waitFor();
    const there = (await begun.textContent()).match(/([\d.]+) MB/)[1];
    // What is there is hashed first, for a second or so; that can be cancelled as well.
    await resume.click();
    const stopping = await seconds(async () => {
      await page.getByRole("button", { name: "Cancel" }).click();
      await told(page, "Cancelled");
    });
    await begun.waitFor();
    const left = (await begun.textContent()).match(/([\d.]+) MB/)[1];
    check(Number(left) >= Number(there) && Number(left) < 290, `${there} MB were there, ${left} after a cancelled resume`);
    await resume.click();
    await told(page, "a critic of", 240_000);
    await kept(page, large).getByRole("button", { name: /Delete/ }).click();
    await page.locator("p", { hasText: "Nothing yet" }).waitFor();
    const brought = await seconds(async () => {
      await bring(page, `${site}large/${large}`);
      await told(page, "a critic of", 240_000);
    });
    const loaded = await seconds(async () => {
      await page.locator('[data-test="cast-critic"]').selectOption(large);
      await state(page, "loading");
      await state(page, "ready", 120_000);
    });
    check((await page.locator('[data-test="cast-critic"]').inputValue()) === large, "it does not play");
    await page.getByRole("link", { name: "Summarise" }).click();
    await page.fill("#text", source.text);
    await page.getByRole("button", { name: "Summarise", exact: true }).click();
    await told(page, "Done");
    const speed = await page.locator('[data-test="speed"]');
    const memory = Number(await speed.getAttribute("data-memory")) / 1e6;
    const words = await speed.textContent();
    check(!words.includes(", 0 pairs"), "it judged nothing");
    check(page.errors.length === 0, page.errors.join("; "));
    await close(page);
    return `; a resume of ${there} MB was cancelled in ${stopping} s; brought in ${brought} s, loaded in ${loaded} s; ${words}; the worker's memory: ${memory.toFixed(0)} MB`;
  });
} else {
  console.log(`SKIPPED browser, a published critic: ${large} is not in IMPOSSIBLE_MODELS`);
}

await test("two tabs side by side", async () => {
  const [a, b] = [await open(cpu), await open(cpu)];
  for (const page of [a, b]) {
    await page.fill("#text", source.text);
    await state(page, "ready");
    await page.getByRole("button", { name: "Paraphrase", exact: true }).click();
  }
  for (const page of [a, b]) {
    await told(page, "Done");
    await close(page);
  }
});

await test("accessible and readable, phone and desktop, light and dark", async () => {
  for (const colorScheme of ["light", "dark"]) {
    for (const [size, viewport] of [["phone", { width: 390, height: 844 }], ["desktop", { width: 1280, height: 900 }]]) {
      const page = await open(cpu, "?device=cpu", { colorScheme, viewport });
      await state(page, "ready");
      await page.fill("#text", source.text);
      for (const room of ["paraphrase", "summarise", "distil", "models", "how"]) {
        await page.evaluate((to) => { location.hash = to; }, room);
        await page.waitForFunction((to) => document.querySelector(`nav a[href="#${to}"]`).hasAttribute("aria-current"), room);
        const { violations } = await new AxeBuilder({ page }).analyze();
        check(violations.length === 0, `${room}, ${size}, ${colorScheme}: ${violations.map((v) => `${v.id}: ${v.nodes[0].html}`).join("; ")}`);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        check(wide <= 0, `${room}, ${size}: ${wide} pixels too wide`);
        await page.screenshot({ path: join(shots, `${room}-${size}-${colorScheme}.png`), fullPage: true });
      }
      await close(page);
    }
  }
});

await test("keyboard only", async () => {
  const page = await open(cpu);
  await state(page, "ready");
  await page.keyboard.press("Tab");
  check((await page.evaluate(() => document.activeElement.textContent)) === "Skip to the room", "no way past the navigation");
  await page.evaluate(() => { location.hash = "distil"; });
  await page.waitForSelector("h1:has-text('Watch')");
  await page.focus(".skip");
  await page.keyboard.press("Enter");
  check((await page.evaluate(() => document.activeElement.id)) === "main", "the skip link leads nowhere");
  check(await page.locator("h1:has-text('Watch')").isVisible(), "the skip link left the room");
  await page.evaluate(() => { location.hash = "paraphrase"; });
  await page.waitForSelector("#text");
  await page.focus("#text");
  await page.keyboard.type(source.sentences[0].text);
  for (let i = 0; i < 12; i += 1) {
    await page.keyboard.press("Tab");
    if ((await page.evaluate(() => document.activeElement.textContent)) === "Paraphrase") break;
  }
  await page.keyboard.press("Enter");
  await told(page, "Done");
  await close(page);
});

await test("ten runs leave no memory behind", async () => {
  const page = await open(cpu);
  await page.fill("#text", source.text);
  await state(page, "ready");
  const memory = async () => Number(await page.locator('[data-test="speed"]').getAttribute("data-memory"));
  const sizes = [];
  for (let i = 0; i < 10; i += 1) {
    await page.getByRole("button", { name: "Paraphrase", exact: true }).click();
    await told(page, "Done");
    sizes.push(await memory());
  }
  await close(page);
  check(sizes[1] > 0 && sizes[9] <= sizes[1] + 2e6, `the worker's memory grew: ${sizes.join(", ")}`);
  return `; the worker's memory after runs 2 and 10: ${[sizes[1], sizes[9]].map((s) => `${(s / 1e6).toFixed(1)} MB`).join(", ")}`;
});
await cpu.close();

// SwiftShader may lose its device on a busy machine: once more.
for (const attempt of [1, 2]) {
  const before = failed;
  await test("WebGPU: self-test and a sentence", async () => {
    const browser = await launch(gpu);
    try {
      const page = await open(browser, "?device=gpu");
      await page.fill("#text", source.sentences[0].text);
      await state(page, "ready", 240_000);
      const device = await page.locator('[data-test="device"]').textContent();
      check(device.includes("WebGPU"), `it runs on ${device}`);
      await page.locator("summary", { hasText: "Settings" }).click();
      await slide(page, "Versions of each sentence", 2);
      await page.getByRole("button", { name: "Paraphrase", exact: true }).click();
      await told(page, "Done", 240_000);
      const detail = await page.locator(".badge .sheet p").first().textContent();
      const speed = await page.locator('[data-test="speed"]').textContent();
      // The device is lost in the middle of a run: the CPU goes on, and the text is still there.
      await page.getByRole("button", { name: "Paraphrase", exact: true }).click();
      await page.getByRole("button", { name: "Stop" }).waitFor();
      await (await browser.newBrowserCDPSession()).send("Browser.crashGpuProcess");
      await page.waitForSelector('[data-test="notice"]:has-text("They are being started anew on the CPU")');
      await page.waitForFunction(() => document.querySelector('[data-test="device"]')?.textContent.startsWith("CPU"));
      await state(page, "ready");
      check((await page.inputValue("#text")) === source.sentences[0].text, "the text is lost");
      await page.getByRole("button", { name: "Paraphrase", exact: true }).click();
      await told(page, "Done");
      return `; ${device}. ${detail} ${speed}`;
    } finally {
      await browser.close();
    }
  });
  if (failed === before) break;
  if (attempt === 1) failed = before;
}
server.close();
await rm(scratch, { recursive: true, force: true });
process.exitCode = failed ? 1 : 0;
