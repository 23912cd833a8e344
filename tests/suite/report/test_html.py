"""Notebooks are other people's: what they hold is shown, and neither runs, nor restyles, nor fetches."""

from html.parser import HTMLParser

import pytest

from lmptlib.suite.report.html import clean, follow_notebooks, formula, markdown

ATTACKS = (
    "<script>alert(1)</script>kept",
    "<ScRiPt src=//x.org/a.js></sCrIpT>kept",
    "<scr<script>ipt>alert(1)</script>kept",
    "<b onclick=alert(1) onmouseover='alert(1)'>kept</b>",
    "kept<img src=x onerror=alert(1)>",
    "kept<img/src='x'/onerror=alert(1)//",
    "kept<svg/onload=alert(1)>",
    "kept<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "kept<svg></p><style><a id='</style><img src=1 onerror=alert(1)>'>",
    "<a href='javascript:alert(1)'>kept</a>",
    "<a href=' JaVaScRiPt:alert(1)'>kept</a>",
    "<a href='java&#x09;script:alert(1)'>kept</a>",
    "<a href='&#106;avascript:alert(1)'>kept</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>kept</a>",
    "<a href='vbscript:alert(1)' target=_blank ping='//x.org'>kept</a>",
    "<a href='//x.org'>kept</a>",
    "kept<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "kept<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<math href='javascript:alert(1)'><mi xlink:href='javascript:alert(1)' style='color:red'>kept</mi></math>",
    "kept<math><annotation-xml encoding='text/html'><script>alert(1)</script></annotation-xml></math>",
    "kept<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "kept<textarea><script>alert(1)</script></textarea>",
    "kept<template><script>alert(1)</script></template>",
    "kept<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "kept<object data=//x.org/a></object><embed src=//x.org/a><video src=//x.org/a poster=//x.org/b></video>",
    "kept<img src='data:text/html,<script>alert(1)</script>'><img srcset='//x.org/a.png'><img src=file:///etc/passwd>",
    "kept<link rel=stylesheet href=//x.org/a.css><base href=//x.org><meta http-equiv=refresh content='0;url=//x.org'>",
    "kept<style>@import '//x.org/a.css'; body { display: none }</style>",
    "<p style='position:fixed;background:url(//x.org/a)' class='card' id='x'>kept</p>",
    "<table background=//x.org/a><tr><td background=//x.org/b style='background:url(//x.org/c);text-align:right'>kept",
    "<form action=//x.org><input name=password><button formaction='javascript:alert(1)'>kept</button></form>",
    "<nav class='up'>kept</nav></main></body></html>",
)


class Tags(HTMLParser):
    """The tags of a text, with their attributes."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.mark.parametrize("render", [clean, markdown])
@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_leaves_its_words_alone(attack, render):
    text = render(attack)
    assert "kept" in text
    assert clean(text) == text, "a browser reads it as it was checked"
    for tag, attributes in Tags(text).found:
        assert tag in {"a", "b", "img", "math", "mi", "mtext", "nav", "p", "table", "tbody", "td", "tr"}
        assert attributes.keys() <= {"href", "rel", "src", "alt", "style"}
        assert attributes.get("src", "data:image/").startswith("data:image/")
        assert attributes.get("href", "https://").startswith(("https://", "http://", "mailto:"))
        assert attributes.get("style", "text-align:right") == "text-align:right"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("<p onclick='x()'>a<script>b</script>c</p>", "<p>ac</p>"),
        (
            "<table><tr style='text-align: right;'><td style='color:red' colspan='2'>1",
            '<table><tbody><tr style="text-align:right"><td style="" colspan="2">1</td></tr></tbody></table>',
        ),
        ("<a href='http://x.org?a=1&amp;b'>b</a>", '<a href="http://x.org?a=1&amp;b" rel="noopener noreferrer">b</a>'),
        ("<img src='http://x.org/a.png' alt='<far>'>", '<img alt="&lt;far&gt;">'),
        ("</div></main><b>bold", "<b>bold</b>"),
        ("a &lt;script&gt; & b", "a &lt;script&gt; &amp; b"),
    ],
)
def test_html_is_cleaned(given, shown):
    assert clean(given) == shown


def test_attached_pictures_are_embedded():
    pictures = {"attachment:a b.svg": "data:image/svg+xml;base64,PHN2Zy8+", "attachment:c.svg": "http://x.org/c.svg"}
    shown = '<img src="data:image/svg+xml;base64,PHN2Zy8+" alt="near">'
    assert shown in markdown("![near](<attachment:a b.svg>)", pictures)
    assert shown in markdown("<img src='attachment:a%20b.svg' alt='near'>", pictures)
    for absent in ("attachment:c.svg", "attachment:d.svg", "d.svg"):
        assert markdown(f"![far]({absent})", pictures) == '<p><img alt="far"></p>\n'


def test_formulas_are_mathml():
    text = markdown("So $p_t < \\hat{y}$:\n\n$$\\sum_{c=1}^{C} \\left( w_c \\text{ & <b>} \\right)$$\n")
    assert '<math display="inline"><mrow><msub><mi>p</mi><mi>t</mi></msub><mo>&lt;</mo><mover' in text
    assert '<math display="block"><mrow><munderover><mo>∑</mo>' in text
    assert "<mtext>&nbsp;&amp;&nbsp;&lt;b&gt;</mtext>" in text and "<code>" not in text
    assert clean(formula(r"a \backslash \{b\}")).count("<mi>") == 3, "what stands for itself is no failure"


@pytest.mark.parametrize(
    "latex", [r"\unknown{x} < 1", r"\left( a", r"\begin{aligned} a &= b \end{aligned}", "{" * 5000, r"\frac", "a }"]
)
def test_a_formula_that_cannot_be_converted_stays_as_its_source(latex):
    source = latex.replace("&", "&amp;").replace("<", "&lt;")
    assert clean(formula(latex)) == f"<code>{source}</code>"
    assert clean(formula(latex, "block")) == f"<pre>{source}</pre>"


def test_a_formula_is_no_way_in():
    attack = r"\text{<img src=x onerror=alert(1)>}\href{javascript:alert(1)}{x}\style{background:url(//x.org)}{y}"
    for tag, attributes in Tags(markdown(f"${attack}$")).found:
        assert tag in {"p", "math", "mrow", "mtext", "mi"} and attributes.keys() <= {"display"}


def test_links_to_notebooks_lead_to_their_pages():
    text = markdown(
        "[next](03_train.ipynb), [there](11_ablation.ipynb), [gone](05_x.ipynb) [out](../a.ipynb) [f](a.html)"
    )
    shown = follow_notebooks(text, ["03_train", "11_ablation-emoji-lt"])
    assert 'href="03_train.html">next</a>' in shown and 'href="11_ablation-emoji-lt.html">there</a>' in shown
    assert "gone" in shown and "05_x" not in shown and "a.ipynb" not in shown and "a.html" not in shown
