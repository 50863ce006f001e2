// Draws one resident's blood pressure and glucose. Values, limits and words come from the server;
// nothing is judged here. Each side of the pressure has a pane of its own, because the bands of
// both would lie over each other in one.
"use strict";

(() => {
  const place = document.getElementById("charts");
  if (!place || !window.echarts) return;
  const words = JSON.parse(place.dataset.words);
  const INK = "#51626b";
  const GRID = "#e6ecee";
  const BANDS = { emergency: "#f6c9ca", high: "#faecc2" };
  const TONES = { systolic: "#0b6b6b", diastolic: "#34558b" };
  const CONTEXTS = {
    fasting: ["#0b6b6b", "circle"], preprandial: ["#4b6a2f", "rect"], postprandial_2h: ["#8a3f8f", "triangle"],
    random: ["#34558b", "diamond"], bedtime: ["#5b4a9b", "roundRect"], unknown: ["#6b7a82", "circle"],
  };
  const SESSION_MS = 10 * 60000; // As the rules group readings: profile, [session] gap_minutes.
  const MANY = 120; // Points of one line from which on they would cover it.
  const SEVERITY = { critical: "#a9161b", high: "#9a4a00", warn: "#8a6d00", info: "#3c5566" };
  const font = getComputedStyle(document.body).fontFamily;
  const drawn = [];

  start();

  async function start() {
    let data;
    try {
      const response = await fetch(place.dataset.source, { credentials: "same-origin" });
      if (response.status === 401) return location.reload();
      if (!response.ok) throw new Error(String(response.status));
      data = await response.json();
    } catch {
      for (const name of ["pressure", "glucose"]) note(name, [words.failed]);
      place.setAttribute("aria-busy", "false");
      return;
    }
    drawPressure(data);
    drawGlucose(data);
    place.setAttribute("aria-busy", "false");
    addEventListener("resize", () => { for (const chart of drawn) chart.resize(); });
  }

  function drawPressure(data) {
    const limits = data.pressure_limits;
    const sources = source(limits, [limits.high, limits.emergency]);
    if (!data.pressure.length) return empty("pressure", words.no_pressure);
    const panes = ["systolic", "diastolic"].map((side, at) => {
      const values = data.pressure.map((point) => point[at + 1]);
      const high = limits.high[side];
      const emergency = limits.emergency[side];
      const low = Math.floor((Math.min(...values, high - 30) - 4) / 20) * 20;
      const top = Math.ceil((Math.max(...values, emergency + 8) + 2) / 20) * 20;
      return {
        axis: { ...valueAxis(low, top), interval: 20, gridIndex: at },
        series: {
          ...line(words[side], TONES[side], values.length),
          xAxisIndex: at, yAxisIndex: at,
          data: data.pressure.map((point) => dot([point[0], point[at + 1], point[3]], data, "circle")),
          markArea: areas([
            [high, emergency, BANDS.high, `${limits.high.comparator} ${high}`],
            [emergency, top, BANDS.emergency, `${words.emergency} ${limits.emergency.comparator} ${emergency}`],
          ]),
          markLine: visits(data),
        },
      };
    });
    const sittings = [1, 2].map((at) => sitting(data.sessions, at));
    draw("pressure", data, {
      grid: [{ left: 44, right: 16, top: 30, height: 150 }, { left: 44, right: 16, top: 206, height: 116 }],
      xAxis: [0, 1].map((at) => ({ ...timeAxis(data), gridIndex: at, axisLabel: { show: at === 1, color: INK, hideOverlap: true } })),
      yAxis: panes.map((pane) => pane.axis),
      series: [...panes.map((pane) => pane.series), ...(data.sessions.length ? sittings : [])],
      axisPointer: { link: [{ xAxisIndex: "all" }] },
    }, "mmHg");
    note("pressure", [data.visits.length ? words.visits : "", sources, data.truncated ? words.truncated : ""]);
  }

  function drawGlucose(data) {
    const limits = data.glucose_limits;
    const lists = Object.values(data.glucose);
    if (!lists.length) return empty("glucose", words.no_glucose);
    const values = lists.flat().map((point) => point[1]);
    const top = Math.ceil(Math.max(...values, limits.emergency_high.value + 1));
    const series = Object.entries(data.glucose).map(([context, points]) => {
      const [tone, symbol] = CONTEXTS[context] || CONTEXTS.unknown;
      return {
        ...line(words[context] || context, tone, points.length),
        symbol,
        data: points.map((point) => dot(point, data, symbol)),
      };
    });
    const { emergency_high: high, emergency_low: low, fasting, after_meal: after } = limits;
    series[0].markArea = areas([
      [0, low.value, BANDS.emergency, `${words.low} ${low.comparator} ${low.value}`],
      [high.value, top, BANDS.emergency, `${words.emergency} ${high.comparator} ${high.value}`],
      [fasting.value, high.value, BANDS.high, ""],
    ]);
    const lines = [[fasting, words.fasting_limit]];
    if (after) lines.push([after, words.after_meal]);
    series[0].markLine = visits(data);
    series[0].markLine.data.push(...lines.map(([limit, text]) => ({
      yAxis: limit.value,
      lineStyle: { color: "#735a00", type: "dashed", width: 1 },
      label: { formatter: `${text} ${limit.comparator} ${limit.value}`, position: "insideStartTop", color: "#5c4800", fontSize: 11 },
    })));
    draw("glucose", data, {
      grid: { left: 44, right: 16, top: 30, bottom: 26 },
      xAxis: { ...timeAxis(data), axisLabel: { color: INK, hideOverlap: true } },
      yAxis: valueAxis(0, top),
      series,
    }, "mmol/L");
    const missing = data.without_value ? words.without_value.replace("{count}", data.without_value) : "";
    note("glucose", [source(limits, [fasting]), missing]);
  }

  // The mean of several readings of one sitting: what the rules judge. Not a line: a mark.
  function sitting(sessions, at) {
    return {
      name: words.sitting, type: "scatter", xAxisIndex: at - 1, yAxisIndex: at - 1, symbol: "diamond", z: 1, silent: true,
      symbolSize: sessions.length > MANY / 2 ? 5 : 9, emphasis: { disabled: true },
      itemStyle: { color: "rgba(255,255,255,.75)", borderColor: "#17242b", borderWidth: 1.2 },
      data: sessions.map((session) => [session[0], session[at], session[3]]),
    };
  }

  // --- parts ---------------------------------------------------------------------------------

  function draw(name, data, option, unit) {
    const chart = window.echarts.init(document.getElementById(name), null, { renderer: "svg" });
    chart.setOption({
      animation: false,
      textStyle: { fontFamily: font },
      legend: { top: 0, left: 36, selectedMode: false, itemHeight: 8, itemWidth: 16, textStyle: { color: "#17242b" } },
      tooltip: {
        trigger: "axis", confine: true, enterable: false, transitionDuration: 0,
        backgroundColor: "#fff", borderColor: "#b9c6cb", padding: [8, 12],
        formatter: (points) => tip(points, data, unit),
      },
      ...option,
    });
    drawn.push(chart);
  }

  function line(name, tone, count) {
    return {
      name, type: "line", symbol: "circle", symbolSize: count > MANY ? 3 : 6, showAllSymbol: true,
      lineStyle: { width: 1.6, color: tone }, itemStyle: { color: tone }, emphasis: { disabled: true },
    };
  }

  // A flagged point is larger and ringed in the colour of its severity; the tooltip says why.
  function dot([at, value, id], data, symbol) {
    const flag = data.flags[id];
    if (!flag) return { value: [at, value, id] };
    return {
      value: [at, value, id], symbol, symbolSize: 11,
      itemStyle: { borderColor: SEVERITY[flag.severity], borderWidth: 2.5, color: "#fff" },
    };
  }

  function areas(list) {
    return {
      silent: true,
      data: list.map(([from, to, color, text]) => [
        {
          yAxis: from, itemStyle: { color, opacity: 0.55 },
          label: { show: Boolean(text), formatter: text, position: "insideTopLeft", color: "#5b3a1a", fontSize: 11 },
        },
        { yAxis: to },
      ]),
    };
  }

  // Dotted: records. Where a visit says what is taken, a word at the top; the tooltip has the rest.
  function visits(data) {
    const at = new Map();
    for (const visit of data.visits) at.set(visit.at, at.get(visit.at) || visit.medication);
    return {
      symbol: "none", silent: true,
      data: [...at].map(([when, medication]) => ({
        xAxis: when,
        lineStyle: { color: medication ? "#5b4a9b" : "#51626b", type: medication ? "dashed" : "dotted", width: 1.4 },
        label: { show: Boolean(medication), formatter: words.medication, position: "insideEndTop", rotate: 0, color: "#44377a", fontSize: 11, backgroundColor: "rgba(255,255,255,.8)" },
      })),
    };
  }

  function timeAxis(data) {
    return { type: "time", min: data.from, max: data.to, axisLine: { lineStyle: { color: "#b9c6cb" } }, splitLine: { show: false } };
  }

  function valueAxis(min, max) {
    return { type: "value", min, max, axisLabel: { color: INK }, splitLine: { lineStyle: { color: GRID } } };
  }

  function tip(points, data, unit) {
    const box = document.createElement("div");
    box.className = "tip";
    const say = (text, kind) => {
      const part = document.createElement("p");
      part.textContent = text;
      if (kind) part.className = kind;
      box.append(part);
    };
    const shown = points.filter((point) => point.value);
    if (!shown.length) return box;
    say(new Date(shown[0].value[0]).toLocaleString(document.documentElement.lang, { timeZone: "Asia/Shanghai", dateStyle: "medium", timeStyle: "short" }), "tip-time");
    for (const point of shown) {
      if (point.seriesName !== words.sitting) say(`${point.seriesName} ${point.value[1]} ${unit}`);
    }
    const means = shown.filter((point) => point.seriesName === words.sitting);
    if (means.length) say(`${words.sitting_of.replace("{count}", means[0].value[2])} ${means.map((point) => point.value[1]).join("/")} ${unit}`);
    for (const visit of data.visits) {
      if (Math.abs(visit.at - shown[0].value[0]) < 86400000) say(`${visit.text} · ${visit.mode}${visit.medication ? ` · ${words.medication}: ${visit.medication}` : ""}`);
    }
    for (const flag of near(data, shown[0].value[0])) {
      say(`${flag.severity_text} · ${flag.title}${flag.text ? `\u2002${flag.text}` : ""}`);
    }
    return box;
  }

  // What was said of this reading and of the others of its session: one of them stands for all.
  function near(data, at) {
    const points = [...data.pressure, ...Object.values(data.glucose).flat()];
    const ids = points.filter((point) => Math.abs(point[0] - at) <= SESSION_MS).map((point) => point.at(-1));
    return ids.map((id) => data.flags[id]).filter(Boolean);
  }

  function source(limits, used) {
    const sources = [...new Set(used.map((each) => each.source))].join(" ");
    return words.by_profile.replace("{profile}", limits.profile).replace("{version}", limits.version).replace("{source}", sources);
  }

  function empty(name, text) {
    document.getElementById(name).classList.add("is-empty");
    note(name, [text]);
  }

  function note(name, texts) {
    document.getElementById(`${name}-note`).textContent = texts.filter(Boolean).join(" ");
  }
})();
