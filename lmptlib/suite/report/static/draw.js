// Draws the figures of a page. A finger on a figure moves the page, as everywhere else: zooming is left to the mouse.
for (const box of document.querySelectorAll(".figure")) {
  const figure = JSON.parse(box.querySelector("script").textContent);
  if (matchMedia("(pointer: coarse)").matches) figure.layout = {...figure.layout, dragmode: false};
  Plotly.newPlot(box.querySelector("div"), {...figure, config: {responsive: true, displaylogo: false, showSendToCloud: false}});
}
