// How many critical alerts nobody has taken, on every page of a doctor's: beside "Today" and in the
// title of the tab. One that arrives while another page than Today is open is told there.
//
// Today knows by its own list; the other pages ask every few seconds, and at once when a tab with
// Today hears of something. What was told in this tab is not told again on its next page.
"use strict";

(() => {
  const badge = document.getElementById("untaken");
  if (!badge) return;
  const ASK_MS = 10000;
  const TOLD = "suifang-critical";
  const title = document.title;
  const panel = () => document.getElementById("panel");

  if (panel()) {
    for (const name of ["suifang:listed", "htmx:after:swap"]) {
      document.addEventListener(name, () => see(panel().dataset));
    }
    see(panel().dataset);
  } else {
    ask();
    setInterval(ask, ASK_MS);
    document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });
    if ("BroadcastChannel" in window) {
      new BroadcastChannel("suifang-feed").onmessage = (event) => { if (event.data.news) ask(); };
    }
  }

  async function ask() {
    try {
      const response = await fetch(badge.dataset.source, { credentials: "same-origin" });
      if (response.ok) tell(await response.json());
    } catch {
      // The API is away: what is open stays, and the next question comes in a moment.
    }
  }

  function see({ critical, newest }) {
    show(Number(critical));
    sessionStorage.setItem(TOLD, newest);
  }

  function tell({ critical, newest }) {
    show(critical);
    const told = sessionStorage.getItem(TOLD);
    sessionStorage.setItem(TOLD, Math.max(newest, Number(told)));
    if (told === null || newest <= Number(told)) return;
    document.getElementById("critical-news").hidden = false;
    document.dispatchEvent(new Event("suifang:critical"));
  }

  function show(count) {
    badge.hidden = !count;
    badge.querySelector("span").textContent = count;
    document.title = count ? `(${count}) ${title}` : title;
  }
})();
