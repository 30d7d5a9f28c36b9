// Makes the pages live. Everything can be read and done without it.
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const say = (text) => { $("#announcements").textContent = text; };

// Theme: as the system has it, until somebody chooses.
const theme = $("#theme");
const setTheme = (name) => {
  if (name) document.documentElement.dataset.theme = name; else delete document.documentElement.dataset.theme;
  if (theme) theme.textContent = `Theme: ${name || "auto"}`;
};
setTheme(localStorage.getItem("theme") || "");
if (theme) {
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const next = { "": "light", light: "dark", dark: "" }[localStorage.getItem("theme") || ""];
    localStorage.setItem("theme", next);
    setTheme(next);
  });
}

// On a small screen the pages are behind a button.
const pages = $("#pages");
if (pages && matchMedia("(max-width: 60rem)").matches) pages.open = false;

// Ages, in the words of the server.
function ago(seconds) {
  const ahead = seconds < 0;
  const n = Math.abs(seconds);
  if (n < 1) return "now";
  const [count, unit] = n < 60 ? [n, "s"] : n < 3600 ? [n / 60, "min"] : n < 86400 ? [n / 3600, "h"] : [n / 86400, "d"];
  const whole = ahead ? Math.round(count) : Math.floor(count);
  return ahead ? `in ${whole} ${unit}` : `${whole} ${unit} ago`;
}
// The server's clock decides, whatever the browser's says.
const skew = Date.now() - (Date.parse(document.body.dataset.now) || Date.now());
setInterval(() => {
  if (document.hidden) return;
  for (const time of $$("time[datetime]")) {
    const text = ago((Date.now() - skew - Date.parse(time.dateTime)) / 1000);
    if (time.textContent !== text) time.textContent = text;
  }
}, 5000);

// What changed on this page: parts that differ are replaced, unless somebody works in them.
let isLoading = false, isStale = false, isPaused = false, isLost = false;
async function refresh() {
  if (isPaused || document.hidden) { isStale = true; return; }
  if (isLoading) { isStale = true; return; }
  isLoading = true;
  isStale = false;
  const began = performance.now();
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
    if (answer.type === "opaqueredirect") { location.reload(); return; }
    if (!answer.ok) throw new Error(answer.status);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of $$("[data-part]")) {
      const other = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
      if (!other || other.innerHTML === part.innerHTML) continue;
      if (part.contains(document.activeElement) && document.activeElement.matches("input, textarea, select")) continue;
      if ($("input:checked", part)) continue;
      replace(part, other);
    }
    prepare();
    if (isLost) { isLost = false; live(source ? "on" : "off"); }
  } catch { isLost = true; live("lost"); later(5000); } finally {
    isLoading = false;
    // A page that takes long is asked for more seldom.
    if (isStale) later(Math.max(pause, 5 * (performance.now() - began)));
  }
}
// What is open stays open, what has the focus keeps it, a place scrolled to is kept.
function replace(part, other) {
  const open = $$("details", part).map((details) => details.open);
  const links = $$("a, button", part);
  const at = links.indexOf(document.activeElement);
  const left = $(".wide", part)?.scrollLeft;
  const row = $("tr.current", part)?.dataset.job;
  part.replaceChildren(...document.importNode(other, true).childNodes);
  $$("details", part).forEach((details, index) => { if (index < open.length) details.open = open[index]; });
  if (at >= 0) $$("a, button", part)[at]?.focus({ preventScroll: true });
  if (left) $(".wide", part).scrollLeft = left;
  if (row) $(`tr[data-job="${CSS.escape(row)}"]`, part)?.classList.add("current");
}
// Longer than what the server keeps of an answer: what is asked for then is not older than what was heard of.
const pause = 700;
let timer = 0;
function later(delay = pause) { if (!timer) timer = setTimeout(() => { timer = 0; refresh(); }, delay); }

function live(state) {
  const sign = $("#live");
  if (!sign || sign.dataset.state === state) return;
  sign.dataset.state = state;
  sign.textContent = { on: "live", off: "not live", lost: "disconnected", paused: "paused" }[state];
  if (state === "lost") say("Disconnected. The page shows what was last known.");
}

// Rows of a list change by what the event says of their job; nothing is asked for.
const signs = { completed: "✓", failed: "✗", dead_letter: "✗", processing: "▶", cancelled: "■", blocked: "◇" };
const words = (text) => (text || "").replaceAll("_", " ");
function patch(row, job) {
  const cell = (name) => $(`[data-field="${name}"]`, row);
  const state = document.createElement("span");
  state.className = `state state-${job.status}`;
  const sign = document.createElement("span");
  sign.ariaHidden = "true";
  sign.textContent = signs[job.status] || "○";
  state.append(sign, ` ${words(job.status)}`);
  cell("status")?.replaceChildren(state);
  const attempts = cell("attempts");
  if (attempts) attempts.textContent = `${job.attempts}/${job.max_attempts}`;
  const error = cell("error");
  if (error) error.textContent = (job.error_message || "").slice(0, 120);
  const percentage = job.progress?.percentage;
  const progress = cell("progress");
  if (progress && typeof percentage === "number") {
    const bar = document.createElement("progress");
    Object.assign(bar, { max: 100, value: percentage, ariaLabel: "Progress" });
    progress.replaceChildren(bar);
  }
  row.classList.remove("changed");
  requestAnimationFrame(() => row.classList.add("changed"));
}

let source = null, newer = new Set();
const address = document.body.dataset.events;
const isPatched = Boolean($("[data-patch]"));
function heard(event) {
  const job = JSON.parse(event.data);
  if (isPaused) { isStale = true; return; }
  if (!isPatched) { later(); return; }
  const row = $(`tr[data-job="${CSS.escape(job.id)}"]`);
  if (row) { patch(row, job); return; }
  const isFirst = !$("tr[data-job]");
  // An older job that changed is no newer one.
  const newest = Math.max(...$$("tr[data-job] time").map((time) => Date.parse(time.dateTime)));
  if (!isFirst && Date.parse(job.created_at) < newest) return;
  // Rows don't jump under the pointer: what is new waits behind a button.
  newer.add(job.id);
  const button = $("#newer");
  button.hidden = false;
  button.textContent = `Show newer jobs (${newer.size})`;
  say(`${newer.size} newer jobs`);
  if (isFirst) later();
}
// A hidden page follows nothing: browsers have few connections for all of a site's pages.
function follow() {
  if (!address || !("EventSource" in window)) { if (!address && document.body.dataset.every) live("on"); return; }
  if (document.hidden || isPaused) { source?.close(); source = null; return; }
  if (source) return;
  source = new EventSource(address);
  source.addEventListener("open", () => { isLost = false; live("on"); });
  source.addEventListener("error", () => { isLost = true; live("lost"); });
  // The first says that changes are heard of from now on; the page itself is a moment older.
  source.addEventListener("reset", () => { live("on"); later(); });
  source.addEventListener("deleted", () => later());
  source.addEventListener("job", heard);
}
follow();
document.addEventListener("visibilitychange", () => {
  follow();
  if (!document.hidden && (address || document.body.dataset.every)) later(0);
});
addEventListener("pagehide", () => { source?.close(); source = null; });
addEventListener("pageshow", (event) => { if (event.persisted) { follow(); later(0); } });
$("#newer")?.addEventListener("click", () => location.reload());
// What no event tells of.
function again() {
  const seconds = Number($("[data-every]")?.dataset.every || document.body.dataset.every);
  if (seconds) setTimeout(() => { later(0); again(); }, seconds * 1000);
}
again();

// Buttons that only a script can do.
function prepare() {
  for (const button of $$("[data-copy]")) button.hidden = false;
}
prepare();
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const text = $("#" + button.dataset.copy);
  try { await navigator.clipboard.writeText(text.textContent); say("Copied"); button.textContent = "Copied"; }
  catch { getSelection().selectAllChildren(text); say("Selected; copy it with the keyboard"); }
});
document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

// Keys.
let prefix = "";
const keysOff = $("#keys-off");
if (keysOff) {
  keysOff.checked = localStorage.getItem("keys") === "off";
  keysOff.addEventListener("change", () => localStorage.setItem("keys", keysOff.checked ? "off" : ""));
}
const rows = () => $$("main tbody tr").filter((row) => row.offsetParent);
function move(step) {
  const all = rows();
  const index = all.findIndex((row) => row.classList.contains("current"));
  const next = all[Math.min(Math.max(index + step, 0), all.length - 1)];
  if (!next) return;
  all[index]?.classList.remove("current");
  next.classList.add("current");
  next.scrollIntoView({ block: "nearest" });
  $("a", next)?.focus();
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("dialog[open]")) return;
  if (event.target.matches?.("input:not([type=checkbox]):not([type=radio]), textarea, select")) return;
  if (event.key === "?") { event.preventDefault(); $("#help")?.showModal(); return; }
  if (localStorage.getItem("keys") === "off") return;
  if (prefix === "g") {
    prefix = "";
    const link = $(`nav [data-key="${CSS.escape(event.key)}"]`);
    if (link) { event.preventDefault(); location.assign(link.href); }
    return;
  }
  const current = $("tr.current");
  switch (event.key) {
    case "g": prefix = "g"; setTimeout(() => { prefix = ""; }, 1500); break;
    case "/": event.preventDefault(); $("#search")?.focus(); break;
    case "j": move(1); break;
    case "k": move(-1); break;
    case "[": history.back(); break;
    case "]": $("[data-page=older]")?.click(); break;
    case "y": $("[data-copy=job-id]")?.click(); break;
    case "e": { const field = $("#payload"); if (field) { event.preventDefault(); field.focus(); } break; }
    case "x": { const box = current && $("input[type=checkbox]", current); if (box) box.checked = !box.checked; break; }
    case ".":
      isPaused = !isPaused;
      live(isPaused ? "paused" : address ? "off" : "on");
      follow();
      if (!isPaused) later(0);
      break;
  }
});
