"""A site of executed notebooks and finished runs: HTML pages that anyone reads in a browser, without a network."""

import base64
import html
import json
import re
import shutil
from dataclasses import dataclass, replace
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import mistune
import nbformat
import pandas as pd
from nbformat import NotebookNode
from plotly.io.json import to_json_plotly
from plotly.offline import get_plotlyjs

from lmptlib import __version__
from lmptlib.data.dataset import GROUPS
from lmptlib.errors import first_line
from lmptlib.evaluation.rankings import RANKINGS
from lmptlib.methods.prompts import METHODS
from lmptlib.paths import outputs_folder, replace_folder, safe_name
from lmptlib.runs.run import Run
from lmptlib.runs.tables import group_table, results_table
from lmptlib.suite.figures import curve_figures, group_ap

_MANIFEST = "site.json"  # names the files that are the site's own

_STYLE = """:root{color-scheme:light dark;--ink:#1f2733;--soft:#5d6776;--line:#dde2e8;--back:#fafaf8;--card:#fff;--accent:#23508e}
@media(prefers-color-scheme:dark){:root{--ink:#e3e7ec;--soft:#9ba6b5;--line:#363e49;--back:#13171c;--card:#1b2027;--accent:#8fb8f2}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1160px;padding:1rem;background:var(--back);color:var(--ink);line-height:1.6;overflow-wrap:break-word;
 font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
a{color:var(--accent)}p,ul,ol,blockquote{max-width:50rem}
h1{font-size:1.75rem;line-height:1.25;margin:1.5rem 0 .5rem}h2{font-size:1.25rem;margin:2.5rem 0 .5rem}
h3{font-size:1.05rem;margin:1.5rem 0 .5rem}
nav{display:flex;flex-wrap:wrap;gap:.2rem 1.5rem;padding:.6rem 0;font-size:.9rem}nav a{text-decoration:none}
nav:first-of-type{border-bottom:1px solid var(--line)}nav:last-of-type{border-top:1px solid var(--line);margin-top:3rem}
.up{flex-basis:100%;font-weight:600}[rel=next]{margin-left:auto;text-align:right}
.soft{color:var(--soft);font-size:.85rem}
.cards{display:grid;gap:1rem;grid-template-columns:repeat(auto-fill,minmax(min(20rem,100%),1fr))}
.card{display:flex;flex-direction:column;padding:1rem 1.2rem;background:var(--card);border:1px solid var(--line);border-radius:8px;
 color:inherit;text-decoration:none;min-width:0}
.card:hover{border-color:var(--accent)}.card h3{margin:0;color:var(--accent)}.card p{margin:.4rem 0}.card .soft{margin:auto 0 0}
.box{overflow:auto;max-height:80vh;margin:1rem 0;max-width:100%}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{padding:.28rem .5rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
th{font-weight:600}thead{position:sticky;top:0;background:var(--back)}th:empty{padding-block:0}
.number,.frame td,.frame thead th{text-align:right}
td small{display:block;color:var(--soft);white-space:nowrap}.run{display:block;min-width:10rem;font-size:.8rem}
.frame td,.frame tbody th{white-space:nowrap}
pre{overflow:auto;max-height:80vh;margin:1rem 0;padding:.8rem 1rem;background:var(--card);border:1px solid var(--line);border-radius:6px;
 font-size:.82rem;line-height:1.45;overflow-wrap:normal}
code{font-size:.88em;overflow-wrap:anywhere}pre code{font-size:inherit;overflow-wrap:normal}
pre.error{border-left:4px solid #cc4678}
details{margin:.6rem 0}summary{cursor:pointer;color:var(--soft);font-size:.85rem}details pre{margin:.4rem 0}
.note{padding:.6rem 1rem;border-left:4px solid var(--line);color:var(--soft)}
.paper{background:#fff;border:1px solid var(--line);border-radius:6px;max-height:none}
.figure>div{min-width:840px}
img{max-width:100%}.paper img{display:block;max-width:none}"""

# A finger on a figure moves the page, as everywhere else: zooming is left to the mouse.
_DRAW = """<script>
for (const box of document.querySelectorAll(".figure")) {
  const figure = JSON.parse(box.querySelector("script").textContent);
  if (matchMedia("(pointer: coarse)").matches) figure.layout = {...figure.layout, dragmode: false};
  Plotly.newPlot(box.querySelector("div"), {...figure, config: {responsive: true, displaylogo: false}});
}
</script>"""


@dataclass(frozen=True)
class Page:
    """A page of the site, under construction."""

    name: str  # of its file, without .html
    title: str
    question: str
    about: str  # when it was made and what is in it
    body: str  # HTML
    source: Path | None = None  # the notebook it shows


def write_site(notebooks: list[Path], runs: list[Run], target: Path, title: str) -> Path:
    """Write index.html, a page for each executed notebook and run, and what they need, as the folder `target`.

    It appears whole, in place of an earlier one, or not at all; the notebooks lie beside the pages, and other files of the
    folder stay. Raises ValueError for what is no notebook or was not executed, and for a folder that cannot be taken.
    """
    check_place(target)
    runs = sorted(runs, key=lambda run: run.folder.name)
    pages = _named([_notebook_page(path) for path in notebooks] + [_run_page(run) for run in runs])
    with replace_folder(target) as draft:
        (draft / "style.css").write_text(_STYLE, encoding="utf-8")
        (draft / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")
        (draft / "index.html").write_text(_document(title, _index(title, pages, runs)), encoding="utf-8")
        for i, page in enumerate(pages):
            links = f"<a class='up' href='index.html'>{html.escape(title)}</a>"
            if i > 0:
                links += f"<a rel='prev' href='{pages[i - 1].name}.html'>← {html.escape(pages[i - 1].title)}</a>"
            if i + 1 < len(pages):
                links += f"<a rel='next' href='{pages[i + 1].name}.html'>{html.escape(pages[i + 1].title)} →</a>"
            about = html.escape(page.about)
            if page.source:
                shutil.copyfile(page.source, draft / f"{page.name}.ipynb")
                about = f"<a href='{page.name}.ipynb' download>{page.name}.ipynb</a> · {about}"
            text = f"<nav>{links}</nav><p class='soft'>{about}</p><main>{page.body}</main><nav>{links}</nav>"
            (draft / f"{page.name}.html").write_text(_document(f"{page.title} · {title}", text), encoding="utf-8")
        _keep(target, draft, {path.resolve() for path in notebooks})
    return target / "index.html"


def check_place(target: Path) -> None:
    """Raises ValueError where a site would sit among folders that are none of its own, or in the place of a file."""
    if target.exists() and not target.is_dir():
        raise ValueError(f"{target}: is a file: name a folder")
    folders = [path.name for path in target.glob("*/") if path.name != ".ipynb_checkpoints"]
    if folders:
        raise ValueError(
            f"{target}: holds other folders ({folders[0]}): name one that is new, empty or an earlier report"
        )


def _keep(target: Path, draft: Path, sources: set[Path]) -> None:
    """Note which files are the site's own, and bring over the others that lie in its place. Raises ValueError on a clash."""
    manifest, there = target / _MANIFEST, list(target.iterdir()) if target.exists() else []
    guests = {path.name for path in there if path.resolve() in sources}
    own = json.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else []
    made = [path.name for path in draft.iterdir()]
    (draft / _MANIFEST).write_text(json.dumps(sorted({*made} - guests)), encoding="utf-8")
    for path in there:
        if path.name in (*own, *guests, _MANIFEST):
            continue
        if path.name in made:
            raise ValueError(f"{path}: is of no earlier report, and would be lost: name another folder")
        copy = shutil.copytree if path.is_dir() else shutil.copy2
        copy(path, draft / path.name)


def find_executed(name: str, out: str | Path | None = None) -> list[Path]:
    """Executed notebooks by path, or by name in notebooks/, demo/ or a run's folder below the outputs folder.

    A name may leave out number and data set: `ablation` is `11_ablation-emoji-lt`, and that of any other data set. Raises
    ValueError, one line.
    """
    path, outputs = Path(name).expanduser(), outputs_folder(out)
    if path.suffix == ".ipynb":
        if path.is_file():
            return [path]
        raise ValueError(f"no notebook {name}")
    for folder in ("notebooks", "demo"):
        known = sorted((outputs / folder).glob("*.ipynb"))
        found = [path for path in known if re.fullmatch(rf"(\d+_)?{re.escape(name)}(-.*)?", path.stem)]
        if found:
            return found
    if (outputs / name / "notebook.ipynb").is_file():
        return [outputs / name / "notebook.ipynb"]
    raise ValueError(f"no executed notebook '{name}' in {outputs}: run it first, 'lmpt run {name}', or name its path")


# ------------------------------------------------------------------------------------------------- pages


def _named(pages: list[Page]) -> list[Page]:
    """Pages with file names that differ from each other and from the index; those of runs stay as they are."""
    taken, named = {"index", *(page.name.lower() for page in pages if not page.source)}, []
    for page in pages:
        name, number = page.name, 2
        while page.source and name.lower() in taken:
            name, number = f"{page.name}-{number}", number + 1
        taken.add(name.lower())
        named.append(replace(page, name=name))
    return named


def _document(title: str, body: str) -> str:
    draw = f"<script src='plotly.min.js' charset='utf-8'></script>{_DRAW}" if "class='box paper figure'" in body else ""
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{html.escape(title)}</title><link rel='stylesheet' href='style.css'></head><body>{body}{draw}</body></html>"
    )


def _index(title: str, pages: list[Page], runs: list[Run]) -> str:
    cards = "".join(
        f"<a class='card' href='{page.name}.html'><h3>{html.escape(page.title)}</h3><p>{html.escape(page.question)}</p>"
        f"<p class='soft'>{html.escape(f'{page.name} · {page.about}')}</p></a>"
        for page in pages
        if page.source
    )
    parts = [f"<h1>{html.escape(title)}</h1><p class='soft'>lmptlib {__version__}, {datetime.now():%Y-%m-%d %H:%M}</p>"]
    if cards:
        parts.append(f"<div class='cards'>{cards}</div>")
    if runs:
        parts.append(
            f"<h2>{len(runs)} run{'s' * (len(runs) > 1)}</h2><p>mAP in percent under both rankings, and below it the 95% bootstrap "
            "interval over test images.</p>"
        )
        parts.append(_results(runs))
    return "".join(parts)


def _results(runs: list[Run]) -> str:
    """A table for each data set and model, with a link to the page of each run and the interval below each mAP."""
    table = results_table(runs).astype(object)
    for i, run in enumerate(runs):
        table.at[i, "run"] = _Entry(
            f"<a class='run' href='{_run_name(run)}.html'>{html.escape(run.folder.name)}</a>", False
        )
        for ranking in RANKINGS:
            for name in ("total", *GROUPS):
                table.at[i, f"{ranking} {name}"] = _interval(run, ranking, name)
    parts = []
    for (dataset, model), part in table.groupby(["dataset", "model"], sort=False):
        parts.append(
            f"<h3>{html.escape(f'{dataset} with {model}')}</h3>{_table(part.drop(columns=['dataset', 'model']))}"
        )
    return "".join(parts)


def _notebook_page(path: Path) -> Page:
    """The page of an executed notebook. Raises ValueError, one line."""
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
    except Exception as error:  # nbformat raises what its JSON and schema readers raise
        raise ValueError(f"{path}: not a notebook ({first_line(error)})") from error
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if code and not any(cell.outputs or cell.execution_count for cell in code):
        raise ValueError(f"{path}: was never executed: 'lmpt run {path}' does it")
    body = "".join(map(_cell, notebook.cells))
    name = path.parent.name if path.name == "notebook.ipynb" else path.stem  # that of a run has its folder's name
    title, question = _opening(notebook, name)
    ended = notebook.metadata.get("papermill", {}).get("end_time")
    when = datetime.fromisoformat(ended).astimezone() if ended else datetime.fromtimestamp(path.stat().st_mtime)
    n_figures = body.count("class='box paper")
    about = f"{when:%Y-%m-%d %H:%M} · {n_figures} figure{'s' * (n_figures != 1)} · {path.stat().st_size / 1e6:.1f} MB"
    heading = "" if "<h1>" in body else f"<h1>{html.escape(title)}</h1>"
    return Page(safe_name(name), title, question, about, heading + body, path)


def _opening(notebook: NotebookNode, name: str) -> tuple[str, str]:
    """The heading and the first paragraph of a notebook's first cell of text."""
    text = next((cell.source.strip() for cell in notebook.cells if cell.cell_type == "markdown"), "")
    title, _, text = text.partition("\n") if text.startswith("#") else (name, "", text)
    paragraphs = (part for part in re.split(r"\n\s*\n", text.strip()) if not part.startswith(("|", "#", "!", "-", "<")))
    title, question = (" ".join(re.sub("[*`]", "", part).split()) for part in (title, next(paragraphs, "")))
    return title.lstrip("# "), question


def _run_name(run: Run) -> str:
    return f"run-{safe_name(run.folder.name)}"


def _run_page(run: Run) -> Page:
    config, name = run.config, run.folder.name
    about = f"{name} · {datetime.fromtimestamp((run.folder / 'metrics.json').stat().st_mtime):%Y-%m-%d %H:%M}"
    title = f"{run.label} on {config['dataset']}"
    if METHODS[config["settings"]["method"]].learns:
        title += f", seed {config['settings']['seed']}"
    groups = pd.concat([group_table([run], ranking).assign(run=f"{ranking} ranking") for ranking in RANKINGS])
    scores = {name: [_interval(run, ranking, name) for ranking in RANKINGS] for name in ("total", *GROUPS)}
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        f"<p>{config['n_train']:,} training and {config['n_test']:,} test images of {len(config['classes'])} classes.</p>",
        *(f"<p class='note'>{html.escape(warning)}</p>" for warning in config["warnings"]),
        "<h2>mAP by class group</h2>",
        _table(pd.DataFrame({"ranking": list(RANKINGS), **scores}, dtype=object)),
        _figure(group_ap.group_map(groups).update_yaxes(title="mAP (%)").to_plotly_json()),
    ]
    if not run.history.empty:
        curves = {run.label: (run.probabilities(), run.probabilities("epoch"))}
        parts += ["<h2>Training</h2>", _figure(curve_figures.training_curves(run.history).to_plotly_json())]
        parts += [_figure(curve_figures.probability_curves(curves).to_plotly_json())]
    classes = run.classes.sort_values("train", ascending=False, kind="stable")
    columns = {"train": "training images", "n_pos": "test images", **{name: f"AP, {name}" for name in RANKINGS}}
    settings = {**config["settings"], **{f"{name} version": value for name, value in config["versions"].items()}}
    settings = pd.DataFrame(
        [{"setting": key, "value": "–" if value is None else str(value)} for key, value in settings.items()]
    )
    parts += ["<h2>AP of each class, in percent</h2>", _table(classes.rename(columns=columns))]
    parts += ["<h2>Settings</h2>", _table(settings)]
    return Page(_run_name(run), title, "", about, "".join(parts))


# ------------------------------------------------------------------------------------------------- cells


def _cell(cell: NotebookNode) -> str:
    """A cell as HTML: text as it is rendered, code folded away, and what the code showed."""
    if cell.cell_type == "raw":
        return ""
    if cell.cell_type == "markdown":
        return _markdown(cell.source, cell.get("attachments", {}))
    labels = {"parameters": "parameters", "injected-parameters": "parameters of this run"}
    label = next((labels[tag] for tag in cell.metadata.get("tags", []) if tag in labels), "code")
    code = f"<details><summary>{label}</summary><pre><code>{html.escape(cell.source)}</code></pre></details>"
    return (code if cell.source.strip() else "") + "".join(map(_output, _joined(cell.outputs)))


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """A cell's outputs with what was printed piece by piece put together."""
    joined: list[NotebookNode] = []
    for output in outputs:
        if joined and output.output_type == "stream" == joined[-1].output_type:
            joined[-1] = NotebookNode(joined[-1], text=joined[-1].text + output.text)
        else:
            joined.append(output)
    return joined


def _output(output: NotebookNode) -> str:
    if output.output_type == "stream":
        return _printed(output.text)
    if output.output_type == "error":
        return _printed("\n".join(output.traceback) or f"{output.ename}: {output.evalue}", "error")
    data = output.data
    if "application/vnd.plotly.v1+json" in data:
        return _figure(data["application/vnd.plotly.v1+json"])
    if "application/vnd.jupyter.widget-view+json" in data:
        return "<p class='note'>Here is an explorer: it lives in JupyterLab, where this notebook can be run.</p>"
    for kind in ("image/png", "image/jpeg", "image/gif", "image/svg+xml"):
        if kind in data:
            return f"<div class='box paper'><img alt='figure' src='{html.escape(_embedded(kind, data[kind]))}'></div>"
    if "text/html" in data and (text := clean(data["text/html"])).strip():
        return f"<div class='frame'>{text}</div>"
    if "text/markdown" in data:
        return _markdown(data["text/markdown"])
    return _printed(data.get("text/plain", ""))


def _printed(text: str, kind: str = "text") -> str:
    """Printed text, without the colours of a terminal and what a carriage return has overwritten."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    text = re.sub(r"[^\n]*\r(?!\n)(?=.)", "", text)
    return f"<pre class='{kind}'>{html.escape(text.rstrip())}</pre>" if text.strip() else ""


def _embedded(kind: str, content: str) -> str:
    """A picture of a notebook as the address that holds it whole."""
    text = base64.b64encode(content.encode()).decode() if kind == "image/svg+xml" else "".join(content.split())
    return f"data:{kind};base64,{text}"


def _figure(figure: dict) -> str:
    """A box in which the page's script draws a plotly figure."""
    content = to_json_plotly({key: figure[key] for key in ("data", "layout", "frames") if key in figure})
    height = figure.get("layout", {}).get("height")
    space = f" style='height:{height:g}px'" if isinstance(height, (int, float)) else ""
    return f"<div class='box paper figure'><div{space}></div><script type='application/json'>{content}</script></div>"


@dataclass(frozen=True)
class _Entry:
    """What a table's cell holds, as HTML."""

    html: str
    is_number: bool


def _interval(run: Run, ranking: str, name: str) -> _Entry:
    """A run's mAP and below it its 95% interval."""
    scores = run.metrics["scores"][ranking]
    interval = scores["ci95"][name]
    below = "<small>{:.1f}–{:.1f}</small>".format(*interval) if interval else ""
    return _Entry("–" if scores[name] is None else f"{scores[name]:.1f}{below}", True)


def _entry(value) -> _Entry:
    if isinstance(value, _Entry):
        return value
    if isinstance(value, str):
        return _Entry(html.escape(value), False)
    return _Entry("–" if pd.isna(value) else f"{value:.1f}" if isinstance(value, float) else f"{value:,}", True)


def _table(table: pd.DataFrame) -> str:
    """A table in a box that scrolls; texts stand left, numbers right."""
    rows = [[_entry(value) for value in row] for row in table.itertuples(index=False)]

    def line(tag: str, entries: list[_Entry]) -> str:
        cells = (f"<{tag}{' class=number' * entry.is_number}>{entry.html}</{tag}>" for entry in entries)
        return f"<tr>{''.join(cells)}</tr>"

    head = [_Entry(html.escape(name), entry.is_number) for name, entry in zip(table.columns, rows[0])]
    body = "".join(line("td", row) for row in rows)
    return f"<div class='box'><table><thead>{line('th', head)}</thead><tbody>{body}</tbody></table></div>"


# -------------------------------------------------------------------------------------- markdown and HTML


class _Renderer(mistune.HTMLRenderer):
    """Formulas as they are written, which nothing on the page typesets, and pictures with their own addresses."""

    def image(self, text: str, url: str, title: str | None = None) -> str:
        return f"<img src='{html.escape(unquote(url))}' alt='{html.escape(html.unescape(text))}'>"

    def inline_math(self, text: str) -> str:
        return f"<code>{html.escape(text)}</code>"

    def block_math(self, text: str) -> str:
        return f"<pre>{html.escape(text.strip())}</pre>"


_render = mistune.create_markdown(
    renderer=_Renderer(escape=False), plugins=["table", "strikethrough", "url", "footnotes", "math"]
)


def _markdown(text: str, attachments: dict | None = None) -> str:
    pictures = {
        f"attachment:{name}": _embedded(kind, content)
        for name, bundle in (attachments or {}).items()
        for kind, content in bundle.items()
    }
    return clean(_render(text), pictures)


def clean(text: str, pictures: dict[str, str] | None = None) -> str:
    """HTML of a notebook as the page shows it: known tags alone, nothing that runs, restyles or fetches.

    Links to the web stay; pictures stay where they are embedded or in `pictures`, by address, else their text does.
    """
    parser = _Clean(pictures or {})
    parser.feed(text)
    parser.close()
    while parser.open:
        parser.handle_endtag(parser.open[-1])
    return "".join(parser.parts)


class _Clean(HTMLParser):
    TAGS = frozenset({
        "a", "b", "blockquote", "caption", "code", "dd", "del", "details", "dl", "dt", "em", "h1", "h2",
        "h3", "h4", "h5", "h6", "i", "kbd", "li", "mark", "ol", "p", "pre", "s", "section", "small",
        "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul",
    })  # fmt: skip
    VOID = frozenset({"br", "hr"})

    def __init__(self, pictures: dict[str, str]):
        super().__init__()
        self.pictures = pictures
        self.parts: list[str] = []
        self.open: list[str] = []
        self.hidden = False  # inside a script or a style sheet

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "img":
            source = self.pictures.get(given.get("src", ""), given.get("src", ""))
            alt = html.escape(given.get("alt", ""))
            self.parts.append(
                f"<img alt='{alt}' src='{html.escape(source)}'>" if source.startswith("data:image/") else alt
            )
        self.hidden = tag in ("script", "style")
        kept = {name: value for name, value in given.items() if self._keeps(name, value)}
        written = "".join(f" {name}='{html.escape(value)}'" for name, value in kept.items())
        if tag in self.VOID:
            self.parts.append(f"<{tag}>")
        elif tag in self.TAGS:
            self.parts.append("<div class='box'>" * (tag == "table") + f"<{tag}{written}>")
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.hidden = False
        while tag in self.open:
            last = self.open.pop()
            self.parts.append(f"</{last}>" + "</div>" * (last == "table"))
            if last == tag:
                break

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(html.escape(data))

    @staticmethod
    def _keeps(name: str, value: str) -> bool:
        return (
            (name == "href" and value.startswith(("https://", "http://", "mailto:")))
            or (name in ("colspan", "rowspan", "start") and value.isdecimal())
            or (name == "style" and re.fullmatch(r"text-align: ?(left|right|center);?", value) is not None)
        )
