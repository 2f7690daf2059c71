// Keeps pages true while they are open: ages grow, and what is in flight is asked for again every two seconds.
// A piece is an element with data-live="key"; pieces with data-live-active are in flight. The address to ask is
// data-live-url of <main data-live-url> (a list: only its active rows are asked for) or the page itself.
"use strict";
(() => {
  const EVERY = 2000; // or data-live-every of the page
  const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

  function duration(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    const [size, unit] = UNITS.find(([size]) => whole >= size) || UNITS[UNITS.length - 1];
    return `${Math.floor(whole / size)} ${unit}`;
  }

  // What lies ahead is rounded: a day less a minute is a day.
  function ahead(seconds) {
    const [size] = UNITS.find(([size]) => seconds >= size) || UNITS[UNITS.length - 1];
    return duration(Math.round(seconds / size) * size);
  }

  function age() {
    for (const time of document.querySelectorAll("time[data-age]")) {
      const seconds = (Date.now() - Date.parse(time.dateTime)) / 1000;
      if (time.dataset.age === "since") time.textContent = duration(seconds);
      else if (Math.abs(seconds) < 1) time.textContent = "now";
      else time.textContent = seconds > 0 ? `${duration(seconds)} ago` : `in ${ahead(-seconds)}`;
    }
  }

  function address(active) {
    const list = document.querySelector("[data-live-url]");
    if (!list) return location.href;
    const url = new URL(list.dataset.liveUrl, location.href);
    url.searchParams.set("ids", [...new Set(active.map((piece) => piece.dataset.liveActive))].join(","));
    return url.href;
  }

  // A piece that has not changed, but for its ages, is left alone: focus and open details stay where they are.
  const bare = (piece) => piece.outerHTML.replace(/<time datetime="([^"]*)"[^>]*>[^<]*/g, "$1");
  const shown = new WeakMap();

  function swap(piece, fresh) {
    if (!fresh || bare(fresh) === (shown.get(piece) ?? bare(piece))) return;
    const focused = piece.contains(document.activeElement) ? document.activeElement.id : "";
    shown.set(fresh, bare(fresh));
    piece.replaceWith(fresh);
    if (focused) document.getElementById(focused)?.focus();
  }

  async function refresh() {
    const active = [...document.querySelectorAll("[data-live-active]")];
    if (!active.length || document.hidden) return;
    const answer = await fetch(address(active), { credentials: "same-origin", headers: { "X-Live": "1" } });
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const piece of document.querySelectorAll("[data-live]")) {
      swap(piece, page.querySelector(`[data-live="${CSS.escape(piece.dataset.live)}"]`));
    }
    age();
  }

  async function loop() {
    try { await refresh(); } catch { /* the server is away for a moment: ask again */ }
    setTimeout(loop, pause());
  }

  const pause = () => Number(document.querySelector("[data-live-every]")?.dataset.liveEvery) || EVERY;

  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh().catch(() => {}); });

  // The room under an owner's cap, said as soon as the owner is typed.
  function room(input) {
    const target = document.getElementById("room");
    let wanted = 0;
    input.addEventListener("input", async () => {
      const mine = ++wanted;
      await new Promise((done) => setTimeout(done, 250));
      if (mine !== wanted) return;
      const url = new URL(input.dataset.roomUrl, location.href);
      url.searchParams.set("owner", input.value);
      const answer = await fetch(url, { credentials: "same-origin" });
      if (!answer.ok || mine !== wanted) return;
      target.innerHTML = await answer.text();
      document.getElementById("create").disabled = target.querySelector("[data-forbids]") !== null;
    });
  }

  // The two dates of a filter are one parameter: first..last.
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-days]");
    if (!form) return;
    event.preventDefault();
    const query = new URLSearchParams(new FormData(form));
    const [first, last] = ["first", "last"].map((which) => form.querySelector(`[data-day=${which}]`).value);
    if (first || last) query.set(form.dataset.days, `${first}..${last}`);
    location.search = query;
  });

  // Unfold hides the page until its scripts have run, and what is hidden cannot take the focus that it asks for.
  window.addEventListener("load", () => {
    if (document.activeElement === document.body) document.querySelector("[autofocus]")?.focus();
  });

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("input[data-room-url]").forEach(room);
    setInterval(age, 1000);
    setTimeout(loop, pause());
    makeReachable();
    new MutationObserver(makeReachable).observe(document.body, { childList: true, subtree: true });
  });

  // What Unfold lets be clicked, though it is neither a link nor a button, can be reached and pressed by keys too.
  const CLICKABLE = "a:not([href])[x-on\\:click], :is(div, span)[x-on\\:click].cursor-pointer";

  function makeReachable() {
    for (const element of document.querySelectorAll(`:is(${CLICKABLE}):not([tabindex])`)) {
      element.tabIndex = 0;
      element.setAttribute("role", "button");
    }
  }

  document.addEventListener("keydown", (event) => {
    if ((event.key !== "Enter" && event.key !== " ") || !event.target.matches(CLICKABLE)) return;
    event.preventDefault();
    event.target.click();
  });

  // Words of charts, as light or dark as the page.
  if (window.Chart) {
    Chart.defaults.color = () => getComputedStyle(document.documentElement).getPropertyValue("--sk-chart").trim();
  }

  // Copying the old way too: it needs no permission, and no HTTPS.
  async function copied(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const done = await copied(button.dataset.copy);
    button.querySelector(".material-symbols-outlined").textContent = done ? "check" : "error";
    say(done ? "Copied." : "It could not be copied: select it and press Ctrl+C.");
  });

  // What is said to those who hear the page.
  function say(words) {
    let line = document.getElementById("sk-said");
    if (!line) {
      line = Object.assign(document.createElement("div"), { id: "sk-said", className: "sk-hidden" });
      line.setAttribute("role", "status");
      document.body.append(line);
    }
    line.textContent = words;
  }

  // The exact time, in the zone of whoever reads: on hover as a title, when it is pressed in a bubble that copies it.
  const LOCAL = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });
  const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const local = (time) => `${LOCAL.format(Date.parse(time.dateTime))} ${ZONE}`;

  document.addEventListener("mouseover", (event) => {
    const time = event.target.closest?.("time[data-age]");
    if (time) time.title = local(time);
  });

  document.addEventListener("click", (event) => {
    const time = event.target.closest("time[data-age]");
    if (!time) return;
    event.preventDefault();
    const bubble = document.getElementById("sk-moment") || document.body.appendChild(
      Object.assign(document.createElement("div"), { id: "sk-moment", className: "sk-moment sk-small", popover: "auto" }),
    );
    const utc = new Date(time.dateTime).toISOString();
    bubble.replaceChildren(line(local(time)), line(utc));
    bubble.showPopover();
    const at = time.getBoundingClientRect();
    bubble.style.left = `${Math.max(8, Math.min(at.left, innerWidth - bubble.offsetWidth - 8))}px`;
    bubble.style.top = `${Math.min(at.bottom + 4, innerHeight - bubble.offsetHeight - 8)}px`;
  });

  // A text with a button that copies it, as html.copyable makes it.
  function line(text) {
    const row = document.createElement("div");
    row.innerHTML = '<span class="sk-mono"></span> <button type="button" class="sk-copy"><span class="material-symbols-outlined" aria-hidden="true">content_copy</span></button>';
    row.firstChild.textContent = text;
    row.lastChild.dataset.copy = text;
    row.lastChild.setAttribute("aria-label", "Copy");
    return row;
  }
})();
