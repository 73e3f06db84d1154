// Theme, language and floating notes. Runs before the first paint and sends no requests.
(() => {
  const root = document.documentElement;
  const home = document.currentScript.dataset.root; // other centers may be under other paths of the same host
  const kept = (name) => (document.cookie.match(new RegExp(`(?:^|; )${name}=([^;]*)`)) || [])[1];
  const keep = (name, value) => (document.cookie = `${name}=${value}; path=${home}; max-age=31536000; SameSite=Lax`);
  const system = matchMedia("(prefers-color-scheme: dark)");
  const paint = () => (root.dataset.theme = kept("nhip_theme") || (system.matches ? "dark" : "light"));
  system.addEventListener("change", paint);
  paint();

  document.addEventListener("click", (event) => {
    const key = event.target.closest?.("[data-set-lang], [data-flip-theme]");
    if (!key) return;
    if (key.dataset.setLang) {
      keep("nhip_lang", key.dataset.setLang);
      location.reload();
    } else {
      keep("nhip_theme", root.dataset.theme === "dark" ? "light" : "dark");
      paint();
    }
  });

  document.addEventListener("click", (event) => event.target.closest?.("[data-print]") && print());

  // The page that is open, in the header's links. A live page has its header twice: as plain HTML until it is built.
  const mark = () => {
    const plain = document.getElementById("first-paint");
    const isBuilt = document.querySelector("#app header.top");
    if (isBuilt) plain?.remove();
    const links = document.querySelectorAll("nav.pages a, .pages-menu a");
    for (const link of links) if (link.pathname === location.pathname) link.setAttribute("aria-current", "page");
    if (links.length && (isBuilt || !plain)) watching.disconnect();
  };
  const watching = new MutationObserver(mark);
  watching.observe(root, { childList: true, subtree: true });

  // A screen in the hall: what has not changed for ten seconds says so in the whole picture.
  const silent_ms = 10000;
  let clock, beat, changedAt, cover;
  const watchHall = () => {
    clock = document.querySelector(".hall-clock");
    if (!clock) return;
    if (clock.innerHTML !== beat) [beat, changedAt] = [clock.innerHTML, performance.now()];
    const age_ms = performance.now() - changedAt;
    cover ||= document.body.appendChild(Object.assign(document.createElement("div"), { className: "cut-off" }));
    cover.classList.toggle("shown", age_ms > silent_ms);
    if (age_ms > silent_ms)
      cover.innerText =
        clock.dataset.cut + "\n" + clock.dataset.age.replace("{at}", clock.textContent).replace("{age}", Math.round(age_ms / 1000));
  };
  setInterval(watchHall, 1000);

  // A page that says how often shows its content anew, unless somebody is at work in it.
  const isBusy = (main) => main.contains(document.activeElement) && document.activeElement.matches("input, select, textarea, button, summary, a");
  const renew = async () => {
    const main = document.querySelector("main[data-refresh-s]");
    if (!main) return;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
    if (answer?.redirected) return location.reload(); // the session has ended
    const fresh = answer?.ok && new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
    if (fresh && !isBusy(main)) {
      if (fresh.innerHTML !== main.innerHTML) main.replaceChildren(...fresh.childNodes);
      if (!fresh.dataset.refreshS) return main.removeAttribute("data-refresh-s");
    }
    setTimeout(renew, main.dataset.refreshS * 1000);
  };
  addEventListener("DOMContentLoaded", () => {
    const main = document.querySelector("main[data-refresh-s]");
    if (main) setTimeout(renew, main.dataset.refreshS * 1000);
  });

  // What is picked on a picture goes to the page as one event, and so does the browser's way back.
  const tell = (name, detail, target) => target?.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));
  const pick = (target) => {
    const stops = document.getElementById("stops");
    tell("pick", target.dataset.pick, target);
    stops?.scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    stops?.focus({ preventScroll: true });
  };
  document.addEventListener("click", (event) => {
    const target = event.target.closest?.(".machine-page [data-pick]");
    if (!target || event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab has the same address
    event.preventDefault();
    pick(target);
  });

  // A live page may draw a link anew between the press on it and the release: then the browser clicks nothing, and this does.
  let pressed;
  document.addEventListener("pointerdown", (event) => {
    pressed = event.isPrimary && event.button === 0 ? event.target.closest?.("a[href]") : undefined;
  });
  document.addEventListener("pointerup", (event) => {
    if (!pressed || pressed.isConnected || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const below = document.elementFromPoint(event.clientX, event.clientY)?.closest("a[href]");
    if (below?.getAttribute("href") === pressed.getAttribute("href")) below.click();
  });

  // Drawing across the trend zooms: the page is told from where to where, as parts of its width.
  let drag;
  document.addEventListener("pointerdown", (event) => {
    const area = event.target.closest?.("[data-zoom]");
    if (area && event.isPrimary && event.button === 0) drag = { area, from: event.clientX, box: area.getBoundingClientRect() };
  });
  const across = (event) => [drag.from, event.clientX].map((x) => Math.min(Math.max((x - drag.box.left) / drag.box.width, 0), 1)).sort((a, b) => a - b);
  document.addEventListener("pointermove", (event) => {
    if (!drag || (!drag.drawn && Math.abs(event.clientX - drag.from) < 8)) return;
    drag.drawn ||= drag.area.appendChild(Object.assign(document.createElement("div"), { className: "drawn-across" }));
    const [low, high] = across(event);
    Object.assign(drag.drawn.style, { left: `${low * 100}%`, width: `${(high - low) * 100}%` });
  });
  document.addEventListener("dragstart", (event) => event.target.closest?.("[data-zoom]") && event.preventDefault());
  const drop = (event, zooms) => {
    if (drag?.drawn) {
      if (zooms) tell("zoom", [...across(event), drag.area.dataset.zoom].join(" "), drag.area);
      drag.drawn.remove();
      addEventListener("click", (click) => (click.stopPropagation(), click.preventDefault()), { capture: true, once: true });
      setTimeout(() => dispatchEvent(new Event("click")), 0); // where no click follows, none is swallowed later
    }
    drag = undefined;
  };
  document.addEventListener("pointerup", (event) => drop(event, true));
  document.addEventListener("pointercancel", (event) => drop(event, false));
  addEventListener("popstate", () => tell("back", location.search.slice(1), document.querySelector(".machine-page")));
  document.addEventListener("keydown", (event) => {
    const band = event.target.closest?.("svg.band");
    const step = { ArrowRight: 1, ArrowLeft: -1, Enter: 0, " ": 0 }[event.key];
    if (!band || step === undefined) return;
    const parts = [...band.querySelectorAll("[data-pick]")].sort((a, b) => a.x.baseVal.value - b.x.baseVal.value);
    const now = parts.findIndex((part) => part.classList.contains("at"));
    event.preventDefault();
    if (!step) return void (parts[now] && pick(parts[now]));
    const next = parts[now < 0 ? (step > 0 ? 0 : parts.length - 1) : Math.min(Math.max(now + step, 0), parts.length - 1)];
    parts[now]?.classList.remove("at");
    next?.classList.add("at");
    if (next) show(next);
  });

  // One note for all elements with data-tip; its content is set as text, never as HTML.
  let note;
  const show = (target) => {
    note ||= document.body.appendChild(Object.assign(document.createElement("div"), { id: "tip" }));
    note.textContent = target.dataset.tip;
    const box = target.getBoundingClientRect();
    const left = Math.min(Math.max(box.left + box.width / 2 - note.offsetWidth / 2, 8), innerWidth - note.offsetWidth - 8);
    const above = box.top - note.offsetHeight - 8;
    note.style.left = `${left}px`;
    note.style.top = `${above > 4 ? above : box.bottom + 8}px`;
    note.classList.add("shown");
  };
  const hide = () => note?.classList.remove("shown");
  for (const name of ["pointerover", "focusin"])
    document.addEventListener(name, (event) => {
      const target = event.target.closest?.("[data-tip]");
      target?.dataset.tip ? show(target) : hide();
    });
  document.addEventListener("focusout", hide);
  document.addEventListener("scroll", hide, { passive: true, capture: true });
})();
