// Where "back" leads from a resident: to the worklist as it was filtered, if one came from there.
// Kept by this tab alone and for as long as it is open. An address of a list names nobody.
"use strict";

(() => {
  const key = "suifang.list";
  const list = document.querySelector("[data-list]")?.dataset.list;
  if (list === "today") sessionStorage.removeItem(key);
  if (list === "worklist") {
    const address = new URL(location.href);
    address.searchParams.delete("recorded"); // What was just done is told once.
    sessionStorage.setItem(key, address.pathname + address.search);
  }
  const back = document.querySelector("a.back[data-worklist]");
  const kept = sessionStorage.getItem(key);
  if (back && kept) {
    back.href = kept;
    back.textContent = back.dataset.worklist;
  }
})();
