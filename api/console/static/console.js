// The live part of the pages: one stream of events per browser, whatever number of tabs.
//
// The list itself always comes whole from the server. An event only says "ask again", so an event
// that is lost, doubled or late can never leave an alert out: whenever the stream begins anew, the
// list is read first and the stream goes on after the number that the list carries.
"use strict";

(() => {
  const RETRY_MS = [500, 1000, 2000, 4000, 8000];
  const SAFETY_MS = 60000; // Asks even when nothing is heard: days become overdue without an event.
  const NEW_MS = 6000; // How long a new line stays marked.
  const EVENTS = [
    "alert.raised", "alert.changed", "alert.acknowledged", "alert.acknowledgement_withdrawn", "alert.snoozed",
    "alert.snooze_ended", "alert.escalated", "case.changed",
  ];
  const panel = () => document.getElementById("panel");

  // While something is typed, an ended session does not take the page away.
  document.addEventListener("suifang:expired", (event) => {
    if ([...document.querySelectorAll("main input, main textarea")].some(isTyped)) event.preventDefault();
  });
  watchExpiry();
  const filters = document.getElementById("filters");
  if (filters) filters.addEventListener("change", () => filters.requestSubmit());
  const printing = document.getElementById("print");
  if (printing) printing.addEventListener("click", () => print());
  for (const name of ["htmx:error", "htmx:response:error"]) {
    document.addEventListener(name, (event) => {
      const source = event.detail.ctx?.sourceElement; // What is beside the page says so itself.
      if (!source?.closest?.("#drawer-body")) document.getElementById("failure").hidden = false;
    });
  }
  document.addEventListener("htmx:before:request", () => { document.getElementById("failure").hidden = true; });
  if (panel()) watchPanel();

  function watchExpiry() {
    // By the server's clock: that of a computer in a clinic may be hours off.
    const session = Date.parse(document.body.dataset.expires || "") - Date.parse(document.body.dataset.now || "");
    if (!session) return;
    const tick = () => {
      const left = session - performance.now();
      if (left <= 0 && document.dispatchEvent(expired())) return location.reload(); // It says where to sign in.
      document.getElementById("expiry").hidden = left > 10 * 60000;
      if (left > 0) setTimeout(tick, Math.min(left + 500, 30000));
    };
    tick();
  }

  function expired() { return new Event("suifang:expired", { cancelable: true }); }

  // Text that was typed and not sent yet. What is beside a page, drawer.js knows.
  function isTyped(field) { return field.type !== "hidden" && field.value !== field.defaultValue; }

  function watchPanel() {
    const channel = "BroadcastChannel" in window ? new BroadcastChannel("suifang-feed") : null;
    let failures = 0;
    let asking = null;
    let again = false;
    let timer = 0;
    const arrived = new Map();

    const tell = (message) => {
      hear(message);
      if (channel) channel.postMessage(message);
    };
    const hear = (message) => {
      if (message.state) show(message.state);
      if (message.news) refresh();
    };
    if (channel) channel.onmessage = (event) => hear(event.data);

    // Without locks (a page not served by https) every tab has a stream of its own.
    if (navigator.locks && channel) {
      navigator.locks.request("suifang-feed", () => { lead(); return new Promise(() => {}); });
      setTimeout(() => { if (state() === "connecting") show("live"); }, 1500); // Another tab leads.
    } else {
      lead();
    }
    setInterval(refresh, SAFETY_MS);
    document.addEventListener("suifang:refresh", refresh);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });

    // --- the stream, in the one tab that leads -------------------------------------------------

    async function lead() {
      for (;;) {
        if (failures || !panel()) await wait(RETRY_MS[Math.min(failures, RETRY_MS.length) - 1] || 0);
        if (failures && !(await refresh())) { failures += 1; continue; }
        await follow(panel().dataset.feed);
        failures += 1;
        tell({ state: "lost" });
      }
    }

    function follow(after) {
      return new Promise((ended) => {
        const source = new EventSource(`/console/feed/stream?after=${after}`);
        source.onopen = () => {
          failures = 0;
          tell({ state: "live", news: true });
        };
        for (const kind of EVENTS) source.addEventListener(kind, () => tell({ news: true }));
        source.onerror = () => { source.close(); ended(); };
        addEventListener("pagehide", () => source.close(), { once: true });
      });
    }

    // --- the list ------------------------------------------------------------------------------

    // One question at a time; what is heard meanwhile asks once more.
    function refresh() {
      if (asking) { again = true; return asking; }
      asking = ask().finally(() => {
        asking = null;
        if (again) { again = false; clearTimeout(timer); timer = setTimeout(refresh, 150); }
      });
      return asking;
    }

    async function ask() {
      const headers = { "HX-Request": "true" };
      let response;
      let text;
      try {
        response = await fetch(panel().dataset.source, { headers, credentials: "same-origin" });
        text = await response.text(); // An api that stops may break off in the middle of it.
      } catch {
        show("lost");
        return false;
      }
      if (response.status === 401 && document.dispatchEvent(expired())) { location.reload(); return false; }
      if (!response.ok) { show("lost"); return false; }
      await swap(text);
      if (state() === "lost" && !failures) show("live");
      return true;
    }

    async function swap(text) {
      const before = new Set([...document.querySelectorAll(".alert")].map((each) => each.id));
      if (window.htmx) {
        const place = { target: panel(), sourceElement: panel(), swap: "outerMorph" };
        await window.htmx.swap({ text, ...place });
      } else {
        panel().outerHTML = text;
      }
      document.dispatchEvent(new Event("suifang:listed"));
      const rows = [...document.querySelectorAll(".alert")];
      const fresh = rows.filter((each) => !before.has(each.id));
      for (const each of fresh) arrived.set(each.id, Date.now());
      for (const each of rows) {
        if (Date.now() - (arrived.get(each.id) || 0) < NEW_MS) each.classList.add("is-new");
      }
      if (!fresh.length) return;
      const teller = document.getElementById("announce");
      teller.textContent = teller.dataset.arrived.replace("{what}", fresh[0].dataset.what);
      const critical = fresh.find((each) => each.dataset.severity === "critical");
      if (!critical) return;
      const news = document.getElementById("drawer-news");
      if (news) news.textContent = teller.dataset.arrived.replace("{what}", critical.dataset.what);
      document.dispatchEvent(new Event("suifang:critical"));
    }

    // --- what is shown of it -------------------------------------------------------------------

    function state() { return document.getElementById("live").dataset.state; }

    function show(next) {
      const live = document.getElementById("live");
      live.dataset.state = next;
      live.querySelector(".text").textContent = live.dataset[next];
      document.getElementById("lost").hidden = next !== "lost";
    }
  }

  function wait(ms) { return new Promise((done) => setTimeout(done, ms)); }
})();
