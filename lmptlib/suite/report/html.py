"""Text of notebooks as HTML that is safe to show: markdown, formulas as MathML, other people's HTML."""

import re
from collections.abc import Collection
from urllib.parse import unquote
from xml.etree.ElementTree import tostring

import mistune
import nh3
from latex2mathml.converter import convert_to_element

# A link to a notebook beside this one.
NOTEBOOK = r"(\w+)\.ipynb"
_MATHML = {
    "math", "menclose", "mfrac", "mi", "mn", "mo", "mover", "mpadded", "mphantom", "mroot", "mrow", "mspace",
    "msqrt", "mstyle", "msub", "msubsup", "msup", "mtable", "mtd", "mtext", "mtr", "munder", "munderover",
}  # fmt: skip
_MATHML_ATTRIBUTES = {
    "accent", "columnalign", "columnspacing", "depth", "display", "displaystyle", "fence", "form", "height",
    "linethickness", "lspace", "mathvariant", "maxsize", "minsize", "movablelimits", "notation", "rowspacing",
    "rspace", "scriptlevel", "stretchy", "voffset", "width",
}  # fmt: skip
_ATTRIBUTES = {
    "a": {"href"},
    "img": {"src", "alt"},
    "ol": {"start"},
    **{tag: {"colspan", "rowspan", "style"} for tag in ("tr", "th", "td")},
    **{tag: _MATHML_ATTRIBUTES for tag in _MATHML},
}


def markdown(text: str, pictures: dict[str, str] | None = None) -> str:
    """Markdown as HTML, cleaned; `pictures` as in `clean`."""
    return clean(str(_render(text)), pictures)


def clean(text: str, pictures: dict[str, str] | None = None) -> str:
    """HTML of a notebook as the page shows it: known tags alone, nothing that runs, restyles or fetches.

    Links to the web and to notebooks stay; pictures stay where they are embedded or in `pictures`, by address, else their
    text does.
    """
    embedded = pictures or {}

    def keep(tag: str, name: str, value: str) -> str | None:
        if name == "src":
            value = embedded.get(unquote(value), value)
            return value if value.startswith("data:image/") else None
        if name == "href":
            return (
                value if value.startswith(("https://", "http://", "mailto:")) or re.fullmatch(NOTEBOOK, value) else None
            )
        return value

    return nh3.clean(
        text,
        tags=nh3.ALLOWED_TAGS | _MATHML,
        attributes=_ATTRIBUTES,
        attribute_filter=keep,
        filter_style_properties={"text-align"},
        url_schemes={"https", "http", "mailto", "data", "attachment"},
    )


def follow_notebooks(text: str, pages: Collection[str]) -> str:
    """Cleaned HTML whose links to notebooks lead to the pages of these names; of a notebook without a page its name stays.

    `11_ablation.ipynb` is found as `11_ablation-emoji-lt` too.
    """

    def page(link: re.Match) -> str:
        name, words = link[1], link[2]
        found = next((page for page in pages if page == name or page.startswith(f"{name}-")), None)
        return f'<a href="{found}.html">{words}</a>' if found else words

    # as `clean` writes links: the page's own, to what can be downloaded, stay
    return re.sub(rf'<a href="{NOTEBOOK}" rel="noopener noreferrer">(.*?)</a>', page, text, flags=re.DOTALL)


def formula(latex: str, display: str = "inline") -> str:
    """LaTeX as MathML; as its source where it cannot be converted. display: `inline` or `block`."""
    try:
        # the element and not the library's text, where what stands in \text is HTML
        mathml = tostring(convert_to_element(latex, display=display), encoding="unicode")
    # errors of its own, StopIteration, RecursionError, ...: the source is shown
    except Exception:
        mathml = ""
    # what the library does not know it passes on as an identifier: a command, a brace, a column sign
    if not mathml or re.search(r"<mi>(\\|[{}]<|&amp;<)", mathml):
        source = mistune.escape(latex.strip())
        return f"<code>{source}</code>" if display == "inline" else f"<pre>{source}</pre>"
    # its symbols are character references
    return re.sub(r"&amp;(?=#x[0-9A-F]+;)", "&", mathml)


class _Renderer(mistune.HTMLRenderer):
    """mistune's own, with formulas; what is harmful goes afterwards, in `clean`."""

    def __init__(self) -> None:
        super().__init__(escape=False, allow_harmful_protocols=True)

    def inline_math(self, text: str) -> str:
        return formula(text)

    def block_math(self, text: str) -> str:
        return formula(text, "block")


_render = mistune.create_markdown(renderer=_Renderer(), plugins=["table", "strikethrough", "url", "footnotes", "math"])
