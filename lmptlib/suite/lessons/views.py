"""Questions as widgets: an answer is checked where it is given, and kept in the file of answers."""

from pathlib import Path
from typing import Any, TypeAlias

import anywidget
import ipywidgets
import pandas as pd
import plotly.graph_objects as go
import traitlets

from lmptlib.suite.figures.guess_figures import guess_bars, guess_curves
from lmptlib.suite.lessons.answers import Answer, Answers, given_now
from lmptlib.suite.lessons.questions import Choice, Guess, Number, Order, Question, about
from lmptlib.suite.report.html import markdown
from lmptlib.suite.widgets.figures import figure_widget, redraw
from lmptlib.suite.widgets.tables import Paged, table_html, table_widget

# A path is one of a picture.
Result: TypeAlias = go.Figure | pd.DataFrame | Paged | Path | str


def guess_figure(guess: Guess, given: dict[str, float] | None, shown: bool) -> go.Figure:
    """A guess's figure: what is known, what was guessed, and the truth where it is shown."""
    if guess.curves:
        return guess_curves(guess.curves, given, shown, guess.unit, guess.bounds, guess.step)
    truth = guess.truth if shown else None
    return guess_bars(truth, given, guess.known, guess.known_name, guess.unit, guess.bounds)


def view(question: Question, notebook: str, answers: Answers, results: tuple[Result, ...] = ()) -> ipywidgets.VBox:
    """A question as its widget. results: what it hides until it is revealed, or a number's is answered; choices hide none."""
    match question:
        case Number():
            return NumberView(question, notebook, answers, results)
        case Choice():
            return ChoiceView(question, notebook, answers)
        case Guess():
            return GuessView(question, notebook, answers, results)
        case Order():
            return OrderView(question, notebook, answers, results)


def html(text: str) -> str:
    """Markdown as HTML that follows JupyterLab's theme."""
    return f"<div class='jp-RenderedHTMLCommon lmpt-text'>{markdown(text)}</div>"


class QuestionView(ipywidgets.VBox):
    """What all questions have: the text, places for what is told and for what hangs on the answer, the file of answers."""

    kind = ""

    def __init__(self, question: Question, notebook: str, answers: Answers, results: tuple[Result, ...] = ()):
        self.question, self.notebook, self.answers = question, notebook, answers
        before, now = answers.get(notebook, question.key), about(question)
        self.kept = before if before and before.about == now else Answer(kind=self.kind, asked=question.ask, about=now)
        if not (before and before.tries):
            # it was asked: whoever reads the file sees what was left open; an answer on other data stays until there is one
            answers.put(notebook, question.key, self.kept)
        self.text = ipywidgets.HTML(html(question.ask))
        # as high as two lines, so that what is below stays where it is
        self.told = ipywidgets.HTML(layout={"min_height": "44px"})
        self.results = results
        # made beforehand: a figure widget that comes later may stay blank
        self.hidden = ipywidgets.VBox([_place(result) for result in results], layout={"display": "none"})
        super().__init__(layout={"border_left": "4px solid var(--jp-brand-color1, #0072b2)", "padding": "4px 12px"})
        self.add_class("lmpt-question")

    def keep(self, given: Any, right: bool | None = None) -> None:
        """Keep one more try."""
        self.kept = given_now(self.kept, given, right)
        self.answers.put(self.notebook, self.question.key, self.kept)

    def tell(self, text: str, right: bool | None = None) -> None:
        sign = {True: "**✓** ", False: "**✗** ", None: ""}[right]
        self.told.value = html(sign + text) if text else ""

    def show_results(self) -> None:
        for place, result in zip(self.hidden.children, self.results):
            if isinstance(result, go.Figure):
                redraw(place, result)
            elif isinstance(result, Paged):
                place.update(result.table)
        self.hidden.layout.display = "flex"


class NumberView(QuestionView):
    """A field that Enter checks, as its button does; editing takes the verdict away."""

    kind = "number"
    question: Number

    def __init__(self, question: Number, notebook: str, answers: Answers, results: tuple[Result, ...] = ()):
        super().__init__(question, notebook, answers, results)
        self.field = ipywidgets.Text(
            value=self.kept.given or "", placeholder="0.81, 29/36, 81 %", layout={"width": "220px"}
        )
        button = ipywidgets.Button(description="check", layout={"width": "80px"})
        button.on_click(lambda _: self.check())
        self.field.on_msg(lambda _, content, __: self.check() if content.get("event") == "submit" else None)
        self.field.observe(lambda _: self.tell(""), names="value")
        unit = ipywidgets.Label(question.unit)
        self.give_up = ipywidgets.Button(description="show", tooltip="what the answer is read from")
        self.give_up.layout = {"width": "80px", "display": "flex" if results else "none"}
        self.give_up.on_click(lambda _: self.show_results())
        row = ipywidgets.HBox([self.field, unit, button, self.give_up])
        self.children = (self.text, row, self.told, self.hidden)
        if self.kept.tries:
            right, told = question.verdict(self.field.value)
            self._tell(told, right)

    def check(self) -> None:
        right, told = self.question.verdict(self.field.value)
        if right is not None:
            self.keep(self.field.value, right)
        self._tell(told, right)

    def _tell(self, told: str, right: bool | None) -> None:
        self.tell(told, right)
        if right:
            self.show_results()


class ChoiceView(QuestionView):
    """Sentences of which one is right: choosing one is the answer."""

    kind = "choice"
    question: Choice

    def __init__(self, question: Choice, notebook: str, answers: Answers):
        super().__init__(question, notebook, answers)
        chosen = self.kept.given if self.kept.given in question.options else None
        wide = {"width": "auto"}
        self.field = ipywidgets.RadioButtons(options=question.shown, value=chosen, layout=wide)
        self.children = (self.text, self.field, self.told)
        if chosen:
            right, told = question.verdict(chosen)
            self.tell(told, right)
            self.field.disabled = right
        self.field.observe(lambda change: self.check(change["new"]), names="value")

    def check(self, option: str) -> None:
        right, told = self.question.verdict(option)
        self.keep(option, right)
        self.tell(told, right)
        self.field.disabled = right


class _Revealing(QuestionView):
    """A guess that a button ends: then the truth stands beside it, and what hung on it below."""

    kind = "guess"
    question: Guess | Order

    def __init__(self, question: Guess | Order, notebook: str, answers: Answers, results: tuple[Result, ...]):
        super().__init__(question, notebook, answers, results)
        self.button = ipywidgets.Button(description="reveal", icon="eye", button_style="primary")
        self.button.on_click(lambda _: self.reveal())

    @property
    def revealed(self) -> bool:
        return self.button.disabled

    @property
    def given(self) -> Any:
        raise NotImplementedError

    def show_truth(self) -> None:
        raise NotImplementedError

    def reveal(self) -> None:
        """Keep the guess and show what is true."""
        self.keep(self.given)
        self._show()

    def _show(self) -> None:
        self.show_truth()
        self.tell(self.question.verdict(self.given))
        self.show_results()
        self.button.disabled = True


def _place(result: Result) -> ipywidgets.Widget:
    match result:
        case go.Figure():
            return figure_widget()
        case Paged():
            return table_widget(result.name)
        case Path():
            return ipywidgets.Image.from_file(result, layout={"max_width": "100%", "object_fit": "contain"})
        case pd.DataFrame():
            return ipywidgets.HTML(table_html(result))
        case _:
            return ipywidgets.HTML(html(result))


class GuessView(_Revealing):
    """Sliders move the outlines of bars, or the ends of curves, until they are revealed."""

    question: Guess

    def __init__(self, question: Guess, notebook: str, answers: Answers, results: tuple[Result, ...] = ()):
        super().__init__(question, notebook, answers, results)
        low, high = question.bounds
        before = self.kept.given if isinstance(self.kept.given, dict) and self.kept.tries else {}
        # as wide as the longest name asks
        name_width = max(80, 10 + 7 * max(map(len, question.truth), default=0))
        look = {"continuous_update": False, "readout_format": ".3g", "layout": {"width": f"{190 + name_width}px"}}
        look["style"] = {"description_width": f"{name_width}px"}
        self.sliders = {}
        for name in question.truth:
            start = before.get(name, question.known.get(name, (low + high) / 2))
            value = min(max(start, low), high)
            slider = ipywidgets.FloatSlider(value, min=low, max=high, step=(high - low) / 100, description=name, **look)
            slider.observe(self._draw, names="value")
            self.sliders[name] = slider
        self.figure = figure_widget(guess_figure(question, self.given, shown=False))
        sliders = ipywidgets.Box([*self.sliders.values(), self.button], layout={"flex_flow": "row wrap"})
        self.children = (self.text, sliders, self.figure, self.told, self.hidden)
        if self.kept.tries:
            self._show()

    @property
    def given(self) -> dict[str, float]:
        return {name: slider.value for name, slider in self.sliders.items()}

    def _draw(self, _: dict) -> None:
        new = guess_figure(self.question, self.given, shown=False)
        with self.figure.batch_update():
            for trace, fresh in zip(self.figure.data, new.data):
                trace.y = fresh.y

    def show_truth(self) -> None:
        for slider in self.sliders.values():
            slider.disabled = True
        redraw(self.figure, guess_figure(self.question, self.given, shown=True))


class SortableList(anywidget.AnyWidget):
    """Names that are dragged into order, or moved by their buttons. order: from top to bottom."""

    order = traitlets.List(traitlets.Unicode()).tag(sync=True)
    fixed = traitlets.Bool(False).tag(sync=True)

    _esm = """
    function render({ model, el }) {
      const list = Object.assign(document.createElement("ol"), { className: "lmpt-sortable" });
      const move = (from, to) => {
        const order = [...model.get("order")];
        if (to < 0 || to >= order.length || from === to || model.get("fixed")) return;
        order.splice(to, 0, ...order.splice(from, 1));
        model.set("order", order);
        model.save_changes();
      };
      const draw = () => {
        list.replaceChildren(...model.get("order").map((name, place) => {
          const item = Object.assign(document.createElement("li"), { draggable: !model.get("fixed") });
          const label = Object.assign(document.createElement("span"), { textContent: name });
          item.append(label);
          for (const [sign, word, step] of [["▲", "up", -1], ["▼", "down", 1]]) {
            const button = Object.assign(document.createElement("button"), { textContent: sign, disabled: model.get("fixed") });
            button.setAttribute("aria-label", `${name} ${word}`);
            button.addEventListener("click", () => move(place, place + step));
            item.append(button);
          }
          item.addEventListener("dragstart", (event) => event.dataTransfer.setData("text/plain", place));
          item.addEventListener("dragover", (event) => event.preventDefault());
          item.addEventListener("drop", (event) => {
            event.preventDefault();
            event.stopPropagation();
            move(Number(event.dataTransfer.getData("text/plain")), place);
          });
          return item;
        }));
      };
      model.on("change:order", draw);
      model.on("change:fixed", draw);
      draw();
      el.append(list);
    }
    export default { render };
    """
    _css = """
    .lmpt-sortable { margin: 4px 0; padding-left: 2em; min-width: 240px; max-width: 420px; color: var(--jp-ui-font-color1, #222); }
    .lmpt-sortable li { padding: 2px 6px; margin: 3px 0; cursor: grab; border-radius: 4px;
      border: 1px solid var(--jp-border-color2, #bbb); }
    .lmpt-sortable span { display: inline-block; min-width: 70%; }
    .lmpt-sortable button { border: 0; background: none; cursor: pointer; color: inherit; }
    .lmpt-sortable button:disabled { opacity: 0.3; }
    """


class OrderView(_Revealing):
    """A list to bring into order; then the values, from the greatest."""

    question: Order

    def __init__(self, question: Order, notebook: str, answers: Answers, results: tuple[Result, ...] = ()):
        super().__init__(question, notebook, answers, results)
        kept = self.kept.given if self.kept.tries else None
        # the alphabet gives nothing away
        start = kept if isinstance(kept, list) and sorted(kept) == sorted(question.truth) else sorted(question.truth)
        self.list = SortableList(order=start)
        self.values = ipywidgets.HTML()
        row = ipywidgets.HBox([self.list, self.values], layout={"align_items": "flex-start"})
        self.children = (self.text, row, self.button, self.told, self.hidden)
        if self.kept.tries:
            self._show()

    @property
    def given(self) -> list[str]:
        return list(self.list.order)

    def show_truth(self) -> None:
        self.list.fixed = True
        self.values.value = table_html(order_table(self.question))


def order_table(order: Order) -> pd.DataFrame:
    """The things in their right order, with their values."""
    return pd.DataFrame({"in order": order.right, order.unit: [round(order.truth[name], 3) for name in order.right]})
