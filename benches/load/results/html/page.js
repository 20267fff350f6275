"use strict";
// Shows the values of the row that is nearest to the pointer in the legend, where they cover no curve. Each chart of a
// group shows its own row for the same place. Positions and texts are those of the tables.
const charts = [...document.querySelectorAll("figure[data-group]")].map((figure) => ({
  group: figure.dataset.group,
  area: figure.querySelector(".plot"),
  svg: figure.querySelector("svg"),
  at: figure.querySelector(".at"),
  legend: figure.querySelector(".legend"),
  values: [...figure.querySelectorAll(".key b")],
  cursor: figure.querySelector(".cursor"),
  rows: [...figure.querySelector("tbody").rows],
  shown: -1,
}));

function show(chart, index) {
  const row = chart.rows[index];
  const [label, ...cells] = row.cells;
  chart.shown = index;
  chart.at.textContent = "at " + label.textContent;
  chart.cursor.classList.add("shown");
  const [line, ...dots] = chart.cursor.children;
  line.setAttribute("x1", row.dataset.x + "%");
  line.setAttribute("x2", row.dataset.x + "%");
  cells.forEach((cell, curve) => {
    chart.values[curve].textContent = cell.textContent;
    dots[curve].setAttribute("cx", row.dataset.x + "%");
    dots[curve].setAttribute("cy", cell.dataset.y ?? -1000);
  });
}

function hide(chart) {
  chart.shown = -1;
  chart.at.textContent = chart === charts[0] ? "point at a curve, or use the arrow keys" : "";
  chart.cursor.classList.remove("shown");
  for (const value of chart.values) value.textContent = "";
}

function nearest(chart, x) {
  const distance = (row) => Math.abs(row.dataset.x - x);
  let best = 0;
  chart.rows.forEach((row, index) => { if (distance(row) < distance(chart.rows[best])) best = index; });
  return best;
}

function together(chart, action) {
  for (const other of charts) if (other.group === chart.group && other.rows.length) action(other);
}

for (const chart of charts) {
  if (!chart.rows.length) continue;
  hide(chart);
  const point = (event) => {
    const area = chart.svg.getBoundingClientRect();
    const x = 100 * (event.clientX - area.left) / area.width;
    together(chart, (other) => show(other, nearest(other, x)));
  };
  chart.area.addEventListener("pointermove", point);
  chart.area.addEventListener("pointerdown", point);
  // A finger leaves when it is lifted; its values stay.
  chart.area.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") together(chart, hide); });
  // A screen reader reads what the arrow keys select.
  chart.area.addEventListener("focus", () => chart.legend.setAttribute("aria-live", "polite"));
  chart.area.addEventListener("blur", () => { chart.legend.removeAttribute("aria-live"); together(chart, hide); });
  chart.area.addEventListener("keydown", (event) => {
    const last = chart.rows.length - 1;
    const to = { ArrowLeft: chart.shown - 1, ArrowRight: chart.shown + 1, Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const x = chart.rows[Math.min(Math.max(to, 0), last)].dataset.x;
    together(chart, (other) => show(other, nearest(other, x)));
  });
}
