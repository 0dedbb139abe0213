// What makes the pages better where JavaScript runs. They work without it, and nothing here changes anything.
"use strict";

(() => {
  const every = 15000;
  const live = document.getElementById("live");
  let shown = document.querySelector("main").innerHTML;

  // Times: relative to now, exact in the reader's zone.
  const units = [[60, 1, ""], [3600, 60, "min"], [172800, 3600, "h"], [5184000, 86400, "days"]];
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
  const clock = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  function relative(at, now) {
    const seconds = Math.trunc((now - at) / 1000);
    const unit = units.find(([limit]) => Math.abs(seconds) < limit);
    if (!unit) return null;
    if (!unit[2]) return seconds < 0 ? "in a moment" : "just now";
    const text = `${Math.floor(Math.abs(seconds) / unit[1])} ${unit[2]}`;
    return seconds < 0 ? `in ${text}` : `${text} ago`;
  }
  function tick() {
    const now = Date.now();
    for (const time of document.querySelectorAll("time")) {
      const at = Date.parse(time.dateTime);
      const text = time.matches(".clock") ? clock.format(at) : relative(at, now);
      if (text && time.textContent !== text) time.textContent = text;
      time.title = exact.format(at);
    }
  }

  // Commands: a button that copies each of them.
  function dress() {
    for (const command of document.querySelectorAll("code.command")) {
      if (command.nextElementSibling?.matches("button.copy")) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = "Copy";
      button.setAttribute("aria-label", `Copy: ${command.textContent}`);
      command.after(button);
    }
    tick();
  }
  async function write(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // Without https there is no clipboard: the command is selected instead.
      return false;
    }
  }
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    const command = button.previousElementSibling;
    if (await write(command.textContent)) {
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    } else {
      getSelection().selectAllChildren(command);
      button.textContent = "Selected";
    }
  });
  // What was shortened is copied whole.
  document.addEventListener("copy", (event) => {
    const selection = getSelection();
    if (!selection.rangeCount || selection.isCollapsed) return;
    const copy = selection.getRangeAt(0).cloneContents();
    const tags = copy.querySelectorAll("code.tag[title]");
    if (!tags.length) return;
    for (const tag of tags) tag.textContent = tag.title;
    event.clipboardData.setData("text/plain", copy.textContent);
    event.preventDefault();
  });

  // The page refreshes by itself, and keeps the place: what is focused, open and typed.
  function key(element) {
    if (!element || element === document.body) return null;
    if (element.id) return `#${CSS.escape(element.id)}`;
    if (element.name) return `${element.tagName}[name="${CSS.escape(element.name)}"]`;
    if (element.getAttribute("href")) return `a[href="${CSS.escape(element.getAttribute("href"))}"]`;
    const label = element.getAttribute("aria-label");
    return label ? `${element.tagName}[aria-label="${CSS.escape(label)}"]` : null;
  }
  function swap(html) {
    const main = document.querySelector("main");
    const focused = main.contains(document.activeElement) ? document.activeElement : null;
    const where = key(focused);
    const caret = focused && "selectionStart" in focused ? [focused.selectionStart, focused.selectionEnd] : null;
    const open = [...main.querySelectorAll("details[open]")].map(key);
    const typed = [...main.querySelectorAll("form [name]")].map((field) => [key(field), field.value]);
    const above = focused ? focused.getBoundingClientRect().top : null;
    const scroll = scrollY;
    main.innerHTML = html;
    shown = html;
    for (const details of open) if (details) main.querySelector(details)?.setAttribute("open", "");
    for (const [field, value] of typed) {
      const again = main.querySelector(field);
      if (again) again.value = value;
    }
    dress();
    const again = where && main.querySelector(where);
    if (again) {
      again.focus({ preventScroll: true });
      if (caret && caret[0] !== null) again.setSelectionRange(caret[0], caret[1]);
      scrollTo({ top: scroll + again.getBoundingClientRect().top - above, behavior: "instant" });
    } else {
      scrollTo({ top: scroll, behavior: "instant" });
    }
  }
  let loading = null;
  async function load(address) {
    loading?.abort();
    const own = (loading = new AbortController());
    try {
      const answer = await fetch(address, { signal: own.signal, headers: { Accept: "text/html" } });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const main = page.querySelector("main");
      if (!main || own.signal.aborted) return;
      live.textContent = "The page refreshes by itself.";
      live.className = "";
      document.title = page.title;
      // Times are made live here, so those of the server are no news.
      const plain = (html) => html.replace(/(<time[^>]*>)[^<]*/g, "$1");
      if (plain(main.innerHTML) !== plain(shown)) swap(main.innerHTML);
    } catch (error) {
      if (own.signal.aborted) return;
      live.textContent = "The agent does not answer: this is not up to date.";
      live.className = "stale";
    }
  }
  const refresh = () => { if (!document.hidden) load(location.href); };
  setInterval(refresh, every);
  setInterval(() => { if (!document.hidden) tick(); }, 5000);
  document.addEventListener("visibilitychange", refresh);

  // Lists filter while somebody types or chooses, and the address can be shared.
  let waiting = null;
  document.addEventListener("input", (event) => {
    const form = event.target.closest("form.filter");
    if (!form) return;
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      const pairs = [...new FormData(form)].filter(([, value]) => value !== "");
      const query = new URLSearchParams(pairs).toString();
      history.replaceState(null, "", query ? `?${query}` : location.pathname);
      load(location.href);
    }, 200);
  });
  document.addEventListener("keydown", (event) => {
    const search = document.querySelector("input[type=search]");
    if (event.key !== "/" || !search || event.target.closest("input, select, textarea")) return;
    event.preventDefault();
    search.focus();
  });

  live.textContent = "The page refreshes by itself.";
  live.setAttribute("role", "status");
  dress();
})();
