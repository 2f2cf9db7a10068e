"use strict";
const coarse = matchMedia("(pointer: coarse)").matches;
const plots = [...document.querySelectorAll(".plot")];
for (const plot of plots) {
  const { data, layout } = JSON.parse(document.getElementById(plot.dataset.json).textContent);
  if (coarse) layout.dragmode = false; // a finger scrolls the page
  Plotly.newPlot(plot, data, layout, { responsive: true, displayModeBar: false });
}
// On paper every figure is as wide as the text, whatever the window was.
addEventListener("beforeprint", () => {
  for (const unfolding of document.querySelectorAll("details.on-paper")) unfolding.open = true;
  for (const plot of plots) Plotly.relayout(plot, { width: 680, autosize: false });
});
addEventListener("afterprint", () => {
  for (const plot of plots) Plotly.relayout(plot, { width: null, autosize: true });
});
document.documentElement.dataset.drawn = plots.length;
