// Keeps pages true while they are open: ages grow, and a page with data-live-page is asked for again.
// Pieces are elements with data-live="key". Of a list only the rows on the screen are asked for, by the keys in
// data-live-rows; rows do not come, go or move while somebody reads. The server answers 304 while nothing has changed.
// While something with data-live-active is on the page, it is asked for more often.
"use strict";
(() => {
  const SOON = 2000, LATER = 5000; // or data-live-every of the page
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

  // A piece that has not changed, but for its ages, is left alone: focus and open details stay where they are.
  const bare = (piece) => piece.outerHTML.replace(/<time datetime="([^"]*)"[^>]*>[^<]*/g, "$1").replace(/ style="[^"]*"/g, "");
  const shown = new WeakMap();

  function swap(piece, fresh) {
    if (!fresh || bare(fresh) === (shown.get(piece) ?? bare(piece))) return;
    const focused = piece.contains(document.activeElement) ? document.activeElement.id : "";
    shown.set(fresh, bare(fresh));
    piece.replaceWith(fresh);
    if (focused) document.getElementById(focused)?.focus();
  }

  // The rows of a list, by what each is known by.
  function rowsOf(page) {
    const source = page.querySelector("[data-live-rows]");
    if (!source) return null;
    const keys = JSON.parse(page.querySelector(source.dataset.liveRows).textContent);
    return new Map([...page.querySelectorAll("#result_list tr.data-row")].map((row, place) => [keys[place], row]));
  }

  function isOnScreen(row) {
    const { top, bottom } = row.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  }

  let tag = "", asked = "", failing = false, rows = null, latest = new Date();

  // What is known of the page's truth, for whoever reads it.
  function tell(problem, link) {
    const line = document.getElementById("sk-live");
    if (!line) return;
    failing = Boolean(problem);
    const words = problem ? `${problem} Not live since ${latest.toLocaleTimeString()}.` : "live";
    if (line.textContent === words) return;
    line.classList.toggle("sk-lost", failing);
    line.textContent = words;
    if (link) line.append(" ", Object.assign(document.createElement("a"), { href: link, textContent: "Sign in", className: "sk-link" }));
  }

  async function refresh() {
    if (document.hidden || !document.querySelector("[data-live-page]")) return;
    const url = new URL(location.href);
    const onScreen = rows && new Map([...rows].filter(([, row]) => isOnScreen(row)));
    if (onScreen) {
      if (!onScreen.size) return;
      url.search = new URLSearchParams([...onScreen.keys()].map((key) => ["ids", key]));
    }
    const headers = { "X-Live": "1" };
    if (url.href === asked && tag) headers["If-None-Match"] = tag;
    let answer, text;
    try {
      answer = await fetch(url, { credentials: "same-origin", headers, signal: AbortSignal.timeout(20000) });
      text = await answer.text(); // which may break off as well
    } catch {
      return tell("The server does not answer.");
    }
    if (answer.redirected) return tell("You are signed out.", location.href);
    if (answer.status === 403) return tell("You may no longer see this page.");
    if (answer.status === 404) return tell("This page no longer exists.");
    if (!answer.ok && answer.status !== 304) return tell("The server cannot answer.");
    latest = new Date();
    tell("");
    if (answer.status === 304) return;
    asked = url.href;
    tag = answer.headers.get("ETag") || "";
    const page = new DOMParser().parseFromString(text, "text/html");
    for (const piece of document.querySelectorAll("[data-live]")) {
      swap(piece, page.querySelector(`[data-live="${CSS.escape(piece.dataset.live)}"]`));
    }
    if (onScreen) {
      const fresh = rowsOf(page);
      for (const [key, row] of onScreen) swapRow(row, fresh.get(key));
    }
    age();
  }

  // Cell by cell, so that the tick of a row stays.
  function swapRow(row, fresh) {
    row.classList.toggle("sk-gone", !fresh);
    if (!fresh) return;
    [...row.cells].forEach((cell, place) => {
      if (!cell.querySelector("input.action-select")) swap(cell, fresh.cells[place]);
    });
  }

  async function loop() {
    try { await refresh(); } catch (error) { console.error(error); }
    setTimeout(loop, pause());
  }

  const pause = () => {
    const page = document.querySelector("[data-live-every]");
    if (page) return Number(page.dataset.liveEvery);
    return failing || document.querySelector("[data-live-active]") ? SOON : LATER;
  };

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
    rows = rowsOf(document);
    if (document.querySelector("[data-live-page]")) tell("");
    setTimeout(loop, pause());
    makeReachable();
    new MutationObserver(makeReachable).observe(document.body, { childList: true, subtree: true });
  });

  // What Unfold lets be clicked, though it is neither a link nor a button, can be reached and pressed by keys too.
  const CLICKABLE = "a:not([href])[x-on\\:click], :is(div, span)[x-on\\:click].cursor-pointer";

  // Icons of Unfold's that are buttons without a word.
  const NAMELESS = [
    ["#header-inner .material-symbols-outlined[x-on\\:click]", "Show or hide the navigation"],
    ["[x-on\\:click*='openTheme']", "Theme"],
    ["[x-on\\:click*='openRelatedWidget']", "Actions for what is chosen"],
    ["#searchbar-submit, #command-submit", "Search"],
    ["#nav-sidebar a[href='/admin/']:has(> .material-symbols-outlined)", "Sandkeeper"],
  ];

  function makeReachable() {
    for (const element of document.querySelectorAll(`:is(${CLICKABLE}):not([tabindex])`)) {
      element.tabIndex = 0;
      element.setAttribute("role", "button");
    }
    for (const icon of document.querySelectorAll(`.material-symbols-outlined:not([aria-hidden], [x-on\\:click])`)) icon.ariaHidden = "true";
    for (const [icon, name] of NAMELESS) {
      for (const element of document.querySelectorAll(icon)) if (element.ariaLabel !== name) element.ariaLabel = name;
    }
    document.querySelectorAll(".help-tooltip[aria-label]").forEach((help) => help.removeAttribute("aria-label"));
    document.querySelectorAll(".simplebar-content-wrapper[role=region]").forEach((box, place) => {
      box.ariaLabel = box.closest("nav") ? "Pages of the admin" : box.querySelector("#result_list") ? "Rows" : `Scrollable content ${place + 1}`;
    });
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
