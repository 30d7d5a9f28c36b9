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

// What changed on this page: parts that differ are replaced, unless somebody works in them.
let isLoading = false, isStale = false, isPaused = false;
async function refresh() {
  if (isPaused) return;
  if (isLoading) { isStale = true; return; }
  isLoading = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
    if (answer.type === "opaqueredirect") { location.reload(); return; }
    if (!answer.ok) throw new Error(answer.status);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of $$("[data-part]")) {
      const other = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
      if (!other || other.innerHTML === part.innerHTML || part.contains(document.activeElement)) continue;
      if ($("input:checked", part)) continue;
      const open = $$("details", part).map((details) => details.open);
      part.replaceChildren(...document.importNode(other, true).childNodes);
      $$("details", part).forEach((details, index) => { if (index < open.length) details.open = open[index]; });
    }
    prepare();
  } catch { live("lost"); } finally {
    isLoading = false;
    if (isStale) { isStale = false; later(); }
  }
}
let timer = 0;
const later = (delay = 700) => { if (!timer) timer = setTimeout(() => { timer = 0; refresh(); }, delay); };

const live = (state) => {
  const sign = $("#live");
  if (!sign || sign.dataset.state === state) return;
  sign.dataset.state = state;
  sign.textContent = { on: "live", off: "not live", lost: "disconnected", paused: "paused" }[state];
  if (state === "lost") say("Disconnected. The page shows what was last known.");
};

const address = document.body.dataset.events;
if (address && "EventSource" in window) {
  const source = new EventSource(address);
  let newer = 0;
  source.addEventListener("open", () => live(isPaused ? "paused" : "on"));
  source.addEventListener("error", () => live("lost"));
  source.addEventListener("reset", () => { live("on"); later(100); });
  source.addEventListener("deleted", () => later());
  source.addEventListener("job", (event) => {
    const job = JSON.parse(event.data);
    const button = $("#newer");
    // Rows don't jump under the pointer: what is new waits behind a button.
    if (button && !$(`tr[data-job="${CSS.escape(job.id)}"]`)) {
      newer += 1;
      button.hidden = false;
      button.textContent = `Show newer jobs (${newer})`;
      say(`${newer} newer jobs`);
      if ($("table tr[data-job]")) return;
    }
    later();
  });
  $("#newer")?.addEventListener("click", () => { location.reload(); });
  addEventListener("pagehide", () => source.close());
}

// Buttons that only a script can do.
function prepare() {
  for (const button of $$("[data-copy]")) button.hidden = false;
}
prepare();
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  try { await navigator.clipboard.writeText($("#" + button.dataset.copy).textContent); say("Copied"); }
  catch { getSelection().selectAllChildren($("#" + button.dataset.copy)); say("Selected; copy it with the keyboard"); }
});
document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});

// Keys.
let prefix = "";
const rows = () => $$("main tbody tr");
function move(step) {
  const all = rows();
  const index = all.findIndex((row) => row.classList.contains("current"));
  const next = all[Math.min(Math.max(index + step, 0), all.length - 1)];
  if (!next) return;
  all[index]?.classList.remove("current");
  next.classList.add("current");
  next.scrollIntoView({ block: "nearest" });
  ($("a", next) || next).focus?.();
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches?.("input:not([type=checkbox]), textarea, select")) return;
  if (prefix === "g") {
    prefix = "";
    const link = $(`nav [data-key="${CSS.escape(event.key)}"]`);
    if (link) { event.preventDefault(); link.click(); }
    return;
  }
  const current = $("tr.current");
  switch (event.key) {
    case "g": prefix = "g"; setTimeout(() => { prefix = ""; }, 1500); break;
    case "/": event.preventDefault(); $("#search")?.focus(); break;
    case "?": event.preventDefault(); $("#help")?.showModal(); break;
    case "j": move(1); break;
    case "k": move(-1); break;
    case "x": { const box = current && $("input[type=checkbox]", current); if (box) box.checked = !box.checked; break; }
    case ".": isPaused = !isPaused; live(isPaused ? "paused" : "on"); if (!isPaused) later(0); break;
  }
});
