// The live part of the operators' pages: parts that are asked for again, and charts.
//
// A part comes whole from the server every few seconds, so nothing is counted here and a lost answer
// costs nothing but time. While somebody types into a part, it stands still.
"use strict";

(() => {
  const INK = "#51626b";
  const GRID = "#e6ecee";
  const TONES = ["#0b6b6b", "#8a3f8f", "#a9161b"];
  const SYMBOLS = ["circle", "rect", "triangle"];
  const SAMPLE_MS = 15000;
  const DASHES = ["solid", "dashed", "dotted"];
  const font = getComputedStyle(document.body).fontFamily;
  const charts = new Map();

  for (const part of document.querySelectorAll("[data-poll]")) poll(part.id);
  for (const place of document.querySelectorAll("[data-flow]")) {
    drawFlow(place);
    setInterval(() => drawFlow(place), SAMPLE_MS);
  }
  drawWeeks();
  addEventListener("resize", () => { for (const chart of charts.values()) chart.resize(); });

  // --- parts ------------------------------------------------------------------------------------

  async function poll(id) {
    for (;;) {
      const part = document.getElementById(id);
      if (!part || !part.dataset.poll) return;
      await new Promise((done) => setTimeout(done, Number(part.dataset.poll)));
      if (!document.hidden && !isTyping(part)) await refresh(id);
    }
  }

  function isTyping(part) {
    const active = document.activeElement;
    return Boolean(active && part.contains(active) && active.matches("input, select, textarea") && active.type !== "checkbox");
  }

  async function refresh(id) {
    const part = document.getElementById(id);
    let response;
    let text;
    try {
      response = await fetch(part.dataset.source, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
      text = await response.text();
    } catch {
      return show("lost");
    }
    const expired = new Event("suifang:expired", { cancelable: true });
    if (response.status === 401 && document.dispatchEvent(expired)) return location.reload();
    if (!response.ok) return show("lost");
    if (isTyping(part)) return;
    const checked = [...part.querySelectorAll("input[type=checkbox]:checked")].map((box) => box.id);
    if (window.htmx) await window.htmx.swap({ text, target: part, sourceElement: part, swap: "outerMorph" });
    else part.outerHTML = text;
    for (const name of checked) {
      const box = document.getElementById(name);
      if (box) box.checked = true;
    }
    show("live");
    drawWeeks();
  }

  function show(next) {
    const live = document.getElementById("polled");
    if (!live) return;
    live.dataset.state = next;
    live.querySelector(".text").textContent = live.dataset[next];
    document.getElementById("unanswered").hidden = next !== "lost";
  }

  // --- charts -----------------------------------------------------------------------------------

  async function drawFlow(place) {
    if (!window.echarts || document.hidden) return;
    let data;
    try {
      const response = await fetch(place.dataset.source, { credentials: "same-origin" });
      if (!response.ok) return show("lost");
      data = await response.json();
    } catch {
      return show("lost");
    }
    const points = data[place.dataset.flow];
    place.hidden = points.length < 2;
    place.nextElementSibling.hidden = !place.hidden;
    place.setAttribute("aria-busy", "false");
    if (place.hidden) return;
    const names = place.dataset.names.split("|");
    chartOf(place).setOption({
      ...base(names),
      xAxis: { type: "time", axisLabel: { color: INK, hideOverlap: true }, splitLine: { show: false } },
      yAxis: { type: "value", min: 0, name: place.dataset.unit, nameTextStyle: { color: INK, align: "left" }, axisLabel: { color: INK }, splitLine: { lineStyle: { color: GRID } } },
      series: names.map((name, at) => ({
        name, type: "line", showSymbol: false, symbol: SYMBOLS[at], data: points.map((point) => [point[0], point[at + 1]]),
        lineStyle: { width: 1.6, color: TONES[at], type: DASHES[at] }, itemStyle: { color: TONES[at] }, emphasis: { disabled: true },
      })),
    });
  }

  // What the second profile asks for beyond the first, by week, a bar for each team.
  function drawWeeks() {
    if (!window.echarts) return;
    const tones = ["#0b6b6b", "#8a3f8f", "#34558b", "#9a4a00", "#4b6a2f", "#5b4a9b"];
    for (const place of document.querySelectorAll("[data-weeks]")) {
      if (place.dataset.drawn) continue;
      place.dataset.drawn = "yes";
      const data = JSON.parse(place.dataset.weeks);
      chartOf(place).setOption({
        ...base(data.teams),
        xAxis: { type: "category", data: data.weeks, axisLine: { onZero: true }, axisLabel: { color: INK, hideOverlap: true }, axisTick: { show: false } },
        yAxis: { type: "value", minInterval: 1, axisLabel: { color: INK }, splitLine: { lineStyle: { color: GRID } } },
        series: data.teams.map((name, at) => ({
          name, type: "bar", barMaxWidth: 40, data: data.extra[at], itemStyle: { color: tones[at % tones.length], decal: { symbol: SYMBOLS[at % 3], symbolSize: 0.5, color: "rgba(255,255,255,0.5)" } }, emphasis: { disabled: true },
        })),
      });
      place.setAttribute("aria-busy", "false");
    }
  }

  function base(names) {
    return {
      animation: false,
      textStyle: { fontFamily: font },
      grid: { left: 52, right: 16, top: 46, bottom: 28 },
      legend: { data: names, top: 0, right: 0, type: "scroll", textStyle: { color: INK } },
      tooltip: { trigger: "axis", confine: true, renderMode: "richText", textStyle: { fontFamily: font } },
    };
  }

  function chartOf(place) {
    const known = charts.get(place.id);
    if (known && known.getDom() === place) return known;
    if (known) known.dispose();
    const made = window.echarts.init(place, null, { renderer: "svg" });
    charts.set(place.id, made);
    return made;
  }
})();
