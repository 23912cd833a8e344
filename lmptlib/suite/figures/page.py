"""What JupyterLab is told of figures: they follow their cell, and its theme."""

# In the dark theme lightness is turned round and hues stay, so that whatever is drawn has its contrast there too, and
# white becomes the theme's own background; photographs are turned back. A widget's figure is drawn before it has a
# place, which is seen when it gets one or another; plotly tells of it and has a handler for it. A picture that
# JupyterLab saved of a figure follows nothing: once it stands in the page it becomes the figure, as if the mouse were
# on it. A widget gives up where plotly's script, 5 MB, is not there within two or three seconds, and stays blank: on a slow
# machine it gets a minute.
FOLLOW = """<script>
if (!document.getElementById("lmpt-figures")) {
  const style = document.head.appendChild(document.createElement("style"));
  style.id = "lmpt-figures";
  style.textContent = `
    [data-jp-theme-light="false"] .js-plotly-plot { filter: invert(0.933) hue-rotate(180deg); }
    [data-jp-theme-light="false"] .js-plotly-plot .imagelayer image { filter: invert(1) hue-rotate(180deg); }
    [data-jp-theme-light="false"] .js-plotly-plot .main-svg { background: none !important; }
    [data-jp-theme-light="false"] .js-plotly-plot .bglayer .bg { fill: none !important; }`;
  const places = new ResizeObserver((seen) => seen.forEach(({ target }) => target._responsiveChartHandler?.()));
  document.addEventListener("plotlywidget-after-render", ({ detail }) => places.observe(detail.element));
  const seen = new WeakSet();
  const draw = () => document.querySelectorAll(".jp-RenderedPlotly .plot-img[src]").forEach((picture) => {
    if (!seen.has(picture)) seen.add(picture) && picture.dispatchEvent(new MouseEvent("mouseenter"));
  });
  new MutationObserver(draw).observe(document, { childList: true, subtree: true });
  draw();
  const after = AbortSignal.timeout.bind(AbortSignal);
  AbortSignal.timeout = (milliseconds) => after(milliseconds <= 3000 ? 60_000 : milliseconds);
}
</script>"""
