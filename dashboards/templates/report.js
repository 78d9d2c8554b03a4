"use strict";
const content = JSON.parse(document.getElementById("content").textContent);
const { columns, rows, names, pictures } = content;
const STEP = 100, MARK = "#D55E00";
const INK = { "#000000": "#ffffff", "#3C4043": "#dbe2ea" };  // on a dark page
const table = document.getElementById("table");
const head = table.tHead, body = table.tBodies[0];
const more = document.getElementById("more"), count = document.getElementById("count");
const filter = document.getElementById("filter"), aside = document.getElementById("trial");
const dark = matchMedia("(prefers-color-scheme: dark)");
let shown = rows, sorted = null, limit = STEP, chosen = null;

// The table: cells of a row begin at 1, before them is the run's place.
function text(value) {
  if (value === null) return "–";
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));
}
function compare(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
}
function sortBy(column) {
  const down = sorted && sorted.column === column && !sorted.down;
  sorted = { column, down };
  const at = column + 1;
  rows.sort((one, two) => {
    if (one[at] === null || two[at] === null) return compare(one[at], two[at]);
    return down ? compare(two[at], one[at]) : compare(one[at], two[at]);
  });
  refresh();
  performance.mark("sorted");
}
function term(word) {
  const found = /^(.+?)(<=|>=|<|>|=)(.+)$/.exec(word);
  const at = found ? columns.findIndex((each) => each.name.toLowerCase().endsWith(found[1])) : -1;
  if (at < 0) return (row) => row.some((cell, i) => i && text(cell).toLowerCase().includes(word));
  const [, , sign, wanted] = found, number = Number(wanted);
  return (row) => {
    const cell = row[at + 1];
    if (cell === null) return false;
    if (Number.isNaN(number)) return sign === "=" && text(cell).toLowerCase() === wanted;
    return { "<": cell < number, ">": cell > number, "<=": cell <= number, ">=": cell >= number,
      "=": cell === number }[sign];
  };
}
function refresh() {
  const terms = filter.value.toLowerCase().split(/\s+/).filter(Boolean).map(term);
  shown = terms.length ? rows.filter((row) => terms.every((holds) => holds(row))) : rows;
  limit = STEP;
  fill();
}
function fill() {
  [...head.rows[0].cells].forEach((cell, i) => {
    const is = sorted && sorted.column === i;
    cell.setAttribute("aria-sort", is ? (sorted.down ? "descending" : "ascending") : "none");
  });
  const lines = document.createDocumentFragment();
  for (const row of shown.slice(0, limit)) {
    const line = document.createElement("tr");
    line.tabIndex = 0;
    line.dataset.run = row[0];
    columns.forEach((column, i) => {
      const cell = document.createElement("td");
      const value = row[i + 1];
      cell.textContent = text(value);
      if (typeof value === "number") { cell.className = "number"; cell.title = String(value); }
      line.append(cell);
    });
    lines.append(line);
  }
  body.replaceChildren(lines);
  more.hidden = shown.length <= limit;
  const of = shown.length === rows.length ? "" : ` of ${rows.length.toLocaleString("en")}`;
  count.textContent = `${shown.length.toLocaleString("en")}${of} runs`;
}
function start() {
  const line = head.insertRow();
  columns.forEach((column, i) => {
    const cell = document.createElement("th"), button = document.createElement("button");
    cell.scope = "col";
    button.type = "button";
    button.textContent = column.name;
    button.addEventListener("click", () => sortBy(i));
    cell.append(button);
    line.append(cell);
  });
  filter.addEventListener("input", refresh);
  more.addEventListener("click", () => { limit += STEP; fill(); });
  for (const kind of ["mouseover", "focusin"]) {
    body.addEventListener(kind, (event) => {
      const row = event.target.closest("tr");
      if (row) choose(Number(row.dataset.run));
    });
  }
  fill();
  performance.mark("table");
}

// One run, everywhere.
function choose(run) {
  if (run === chosen) return;
  chosen = run;
  aside.textContent = names[run].replaceAll("<br>", "\n");
  aside.hidden = false;
  for (const row of body.rows) row.classList.toggle("chosen", Number(row.dataset.run) === run);
  requestAnimationFrame(() => {
    if (run === chosen) document.querySelectorAll(".plot.drawn").forEach((plot) => show(plot, run));
  });
}
function show(plot, run) {
  const marks = plot.marks, xs = [], ys = [];
  for (const axes of marks.axes) {
    const x = [], y = [];
    for (const trace of plot.data.slice(0, marks.first)) {
      if (!trace.customdata || (trace.xaxis || "x") !== axes) continue;
      trace.customdata.forEach((each, i) => {
        if (each !== run) return;
        x.push(trace.base ? trace.base[i] + trace.x[i] : trace.x[i]);
        y.push(trace.y[i]);
      });
    }
    xs.push(x);
    ys.push(y);
  }
  Plotly.restyle(plot, { x: xs, y: ys }, marks.axes.map((_, i) => marks.first + i));
}
function looks() {
  const ink = dark.matches ? "#dbe2ea" : "#1d2530";
  return { font: { family: "system-ui, sans-serif", size: 12, color: ink } };
}
// Panels one below the other, where there is no room for them side by side.
function stack(layout, axes) {
  const n = axes.length, gap = n > 1 ? 0.25 / n : 0, height = (1 - gap * (n - 1)) / n;
  if (n === 1) return;
  layout.height = 300 * n + 180;
  axes.forEach((x, i) => {
    const top = 1 - i * (height + gap), title = layout.annotations[i];
    layout[x.replace("x", "xaxis")].domain = [0, 1];
    layout[x.replace("x", "yaxis")].domain = [Math.max(top - height, 0), top];
    if (title) Object.assign(title, { x: 0, y: top });
  });
}
function draw(plot) {
  if (plot.classList.contains("drawn")) return;
  plot.classList.add("drawn");
  const { data, layout } = pictures[plot.dataset.picture];
  const axes = [...new Set(data.map((trace) => trace.xaxis))];
  if (plot.clientWidth < 700) stack(layout, axes);
  const marks = axes.map((x) => ({
    type: "scatter", mode: "lines+markers", x: [], y: [], xaxis: x, yaxis: x.replace("x", "y"),
    line: { color: MARK, width: 3 }, marker: { color: MARK, size: 9, symbol: "diamond" },
    hoverinfo: "skip", showlegend: false,
  }));
  if (dark.matches) {
    for (const trace of data) {
      for (const part of [trace.line, trace.marker]) if (part && INK[part.color]) part.color = INK[part.color];
    }
  }
  plot.marks = { first: data.length, axes };
  Plotly.newPlot(plot, [...data, ...marks], { ...layout, ...looks() },
    { responsive: true, displaylogo: false });
  plot.on("plotly_hover", ({ points }) => {
    const run = points[0].customdata;
    if (Number.isInteger(run) && run >= 0) choose(run);
  });
}
function drawAll() {
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
  }, { rootMargin: "200px" });
  document.querySelectorAll(".plot").forEach((plot) => watcher.observe(plot));
  dark.addEventListener("change", () => {
    document.querySelectorAll(".plot.drawn").forEach((plot) => Plotly.relayout(plot, looks()));
  });
}
start();
