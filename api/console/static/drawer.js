// What opens beside a page: a form about one resident. It is no modal dialog on purpose: an alert
// that arrives while somebody types stays visible and is told. Nothing typed is thrown away unasked.
"use strict";

(() => {
  const drawer = document.getElementById("drawer");
  if (!drawer) return;
  const body = document.getElementById("drawer-body");
  const failure = document.getElementById("drawer-failure");
  const done = document.getElementById("done");
  let opener = null;
  let typed = false;

  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest('[hx-target="#drawer-body"]');
    if (!link || drawer.contains(link)) return;
    opener = link;
    done.hidden = true;
  });
  document.addEventListener("htmx:after:swap", (event) => {
    if (event.detail.ctx.target === body) show();
  });
  for (const name of ["htmx:error", "htmx:response:error"]) {
    document.addEventListener(name, (event) => {
      const asked = event.detail.ctx;
      if (drawer.hidden || !body.contains(asked?.sourceElement)) return;
      const said = failure.querySelector("span");
      said.textContent = asked.response?.status === 401 ? said.dataset.signedOut : said.dataset.failed;
      failure.hidden = false;
    });
  }
  document.addEventListener("htmx:before:request", () => { failure.hidden = true; });
  drawer.addEventListener("input", () => { typed = true; });
  document.getElementById("drawer-close").addEventListener("click", close);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !drawer.hidden) close();
  });
  // While something is typed, an ended session does not take the page away.
  document.addEventListener("suifang:expired", (event) => { if (typed && !drawer.hidden) event.preventDefault(); });

  function show() {
    const said = body.querySelector("[data-done]");
    if (said) {
      done.textContent = said.dataset.done;
      done.hidden = false;
      typed = false;
      if (said.dataset.reload) { location.reload(); return; }
      close();
      document.dispatchEvent(new Event("suifang:refresh"));
      return;
    }
    const wrong = body.querySelector("#wrong");
    if (!wrong) typed = false;
    drawer.hidden = false;
    (wrong || body.querySelector("h2")).focus();
  }

  function close() {
    if (typed && !confirm(drawer.dataset.closeFirst)) return;
    typed = false;
    drawer.hidden = true;
    failure.hidden = true;
    document.getElementById("drawer-news").textContent = "";
    body.replaceChildren();
    if (opener && opener.isConnected) opener.focus();
  }
})();
