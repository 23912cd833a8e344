"""A static page from executed notebooks: their titles, first words and figures, readable without a network."""

import html
import json
from pathlib import Path

import nbformat
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

_STYLE = """body{font-family:system-ui,sans-serif;max-width:1080px;margin:2rem auto;padding:0 1rem;line-height:1.5;color:#222}
h1{font-size:1.6rem}h2{margin-top:3rem;border-top:1px solid #ddd;padding-top:1rem}pre{overflow-x:auto;background:#f6f6f6;padding:.8rem}
a{color:#23508E}"""


def write_page(notebooks: list[Path], target: Path, title: str) -> Path:
    """Write an HTML page with every plotly figure of the notebooks; plotly's script lies beside it, nothing is fetched."""
    parts = [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style><h1>{html.escape(title)}</h1>"
    ]
    script = None
    for path in notebooks:
        notebook = nbformat.read(path, as_version=4)
        heading, question = _opening(notebook)
        parts.append(
            f"<h2>{html.escape(heading)}</h2><p>{html.escape(question)} <a href='{path.name}'>{path.name}</a></p>"
        )
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                figure = output.get("data", {}).get("application/vnd.plotly.v1+json")
                if figure:
                    figure = go.Figure(json.loads(json.dumps({k: figure[k] for k in ("data", "layout")})))
                    script = "directory" if script is None else False  # once is enough
                    parts.append(figure.to_html(full_html=False, include_plotlyjs=script, config={"responsive": True}))
    target.write_text("\n".join([*parts, "</html>"]), encoding="utf-8")
    (target.parent / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")
    return target


def _opening(notebook: nbformat.NotebookNode) -> tuple[str, str]:
    """The heading and the first paragraph of a notebook's first cell."""
    lines = [line for line in notebook.cells[0].source.splitlines() if line.strip()]
    return lines[0].lstrip("# "), lines[1].replace("**", "").replace("`", "") if len(lines) > 1 else ""
