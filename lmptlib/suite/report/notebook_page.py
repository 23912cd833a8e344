"""The page of an executed notebook: text as it is rendered, code folded away, and what the code showed."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from lmptlib.paths import safe_name, shipped
from lmptlib.suite.report.executed import read_executed
from lmptlib.suite.report.html import clean, markdown
from lmptlib.suite.report.page import Page

_CODE_LABELS = {"parameters": "parameters", "injected-parameters": "parameters of this run"}


@dataclass(frozen=True)
class Piece:
    """What a page shows of a cell.

    kind: words or frame (HTML that is clean), text, error, figure (plotly's dict), picture (its address), explorer; any
    other is the label of code.
    """

    kind: str
    content: Any = None


def notebook_page(path: Path) -> Page:
    """The page of an executed notebook. Raises ValueError, one line."""
    notebook = read_executed(path)
    pieces = [piece for cell in notebook.cells for piece in _pieces(cell)]
    # That of a run has its folder's name.
    name = path.resolve().parent.name if path.name == "notebook.ipynb" else path.stem
    title, question = _opening(notebook, name)
    try:
        when = datetime.fromisoformat(notebook.metadata["papermill"]["end_time"]).astimezone()
    except (KeyError, TypeError, ValueError):
        # Papermill did not run it to its end.
        when = datetime.fromtimestamp(path.stat().st_mtime)
    n_figures = sum(piece.kind in ("figure", "picture") for piece in pieces)
    about = f"{when:%Y-%m-%d %H:%M} · {n_figures} figure{'s' * (n_figures != 1)} · {path.stat().st_size / 1e6:.1f} MB"
    has_heading = any(piece.kind == "words" and "<h1>" in piece.content for piece in pieces)
    content = {"pieces": pieces, "has_heading": has_heading}
    return Page(safe_name(name), title, question, about, "notebook.html", content, path)


def glossary_page() -> Page:
    """The page of the words that notebooks use."""
    notebook = nbformat.read(shipped("notebooks") / "glossary.ipynb", as_version=4)
    pieces = [piece for cell in notebook.cells for piece in _pieces(cell)]
    return Page("glossary", "Glossary", "", "", "notebook.html", {"pieces": pieces, "has_heading": True})


def _opening(notebook: NotebookNode, name: str) -> tuple[str, str]:
    """The heading and the first paragraph of a notebook's first cell of text."""
    text = next((cell.source.strip() for cell in notebook.cells if cell.cell_type == "markdown"), "")
    title, _, text = text.partition("\n") if text.startswith("#") else (name, "", text)
    paragraphs = (part for part in re.split(r"\n\s*\n", text.strip()) if not part.startswith(("|", "#", "!", "-", "<")))
    title, question = (" ".join(re.sub("[*`]", "", part).split()) for part in (title, next(paragraphs, "")))
    return title.lstrip("# "), question


def _pieces(cell: NotebookNode) -> Iterator[Piece]:
    if cell.cell_type == "markdown":
        bundles = cell.get("attachments", {}).items()
        pictures = {
            f"attachment:{name}": _address(kind, content)
            for name, bundle in bundles
            for kind, content in bundle.items()
        }
        yield Piece("words", markdown(cell.source, pictures))
    if cell.cell_type == "code":
        if cell.source.strip():
            tags = cell.metadata.get("tags", [])
            yield Piece(next((_CODE_LABELS[tag] for tag in tags if tag in _CODE_LABELS), "code"), cell.source)
        for output in _joined(cell.outputs):
            piece = _output(output)
            if piece.kind not in ("text", "error") or piece.content:
                yield piece


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """A cell's outputs with what was printed piece by piece put together."""
    joined: list[NotebookNode] = []
    for output in outputs:
        if joined and output.output_type == "stream" == joined[-1].output_type:
            joined[-1] = NotebookNode(joined[-1], text=joined[-1].text + output.text)
        else:
            joined.append(output)
    return joined


def _output(output: NotebookNode) -> Piece:
    if output.output_type == "stream":
        return Piece("text", _printed(output.text))
    if output.output_type == "error":
        return Piece("error", _printed("\n".join(output.traceback) or f"{output.ename}: {output.evalue}"))
    data = output.data
    figure = data.get("application/vnd.plotly.v1+json")
    if isinstance(figure, dict) and isinstance(figure.get("layout", {}), dict):
        return Piece("figure", figure)
    if "application/vnd.jupyter.widget-view+json" in data:
        return Piece("explorer")
    for kind in ("image/png", "image/jpeg", "image/gif", "image/svg+xml"):
        if kind in data:
            return Piece("picture", _address(kind, data[kind]))
    if "text/html" in data and (text := clean(data["text/html"])).strip():
        return Piece("frame", text)
    if "text/markdown" in data:
        return Piece("words", markdown(data["text/markdown"]))
    return Piece("text", _printed(data.get("text/plain", "")))


def _printed(text: str) -> str:
    """Printed text, without the colours of a terminal and what a carriage return has overwritten."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    return re.sub(r"[^\n]*\r(?!\n)(?=.)", "", text).rstrip()


def _address(kind: str, content: str) -> str:
    """A picture of a notebook as the address that holds it whole."""
    text = base64.b64encode(content.encode()).decode() if kind == "image/svg+xml" else "".join(content.split())
    return f"data:{kind};base64,{text}"
