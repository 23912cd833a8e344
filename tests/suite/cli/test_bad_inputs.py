"""Inputs that are wrong: each is refused in short lines that name it, and nothing that was there is lost.

`PYTHONPATH=. python tests/suite/cli/test_bad_inputs.py` prints the table of inputs and lines.
"""

import io
import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import nbformat
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from lmptlib.config import resolve
from lmptlib.suite import notebooks
from lmptlib.suite.cli.main import main
from lmptlib.training.training import train


@dataclass(frozen=True)
class Bad:
    """A wrong input: what it is, the command that meets it, what its line says, and the files that it is made of.

    The command runs in a folder with a data set, data/card.yaml, and a finished run of it, out/run. files: path -> what
    stands there: text, bytes, or a number, of the bytes of the file that are kept. In a tuple: what is added to it. None:
    the file is not there.
    """

    name: str
    command: str
    says: str
    files: Mapping[str, str | bytes | int | tuple[str] | None] = field(default_factory=dict)


TRAIN = "run train --out out -p dataset data/card.yaml"
SWEEP = "sweep grid.yaml --out out -p dataset data/card.yaml"
REPORT = "report --out out"
# Ten lists of ten lists of ten lists ...: a few hundred letters that unfold to a billion numbers.
UNFOLDS = ", ".join(f"&{name} [{', '.join([f'*{past}'] * 10)}]" for past, name in zip("abcdefgh", "bcdefghi"))
UNFOLDS = f"[&a [{', '.join('1' * 10)}], {UNFOLDS}]"
UNKNOWN = json.dumps(
    {"settings": {"method": "lmtp", "model": "RN50", "recipe": "best"}, "dataset": "x", "classes": [], "warnings": []}
    | {
        "n_train": 1,
        "n_val": 1,
        "n_test": 1,
        "logit_scale": 1,
        "fingerprints": {"dataset": "", "clip": ""},
        "versions": {},
    }
)
EMPTY = io.BytesIO()
np.savez(EMPTY, other=np.zeros(3))
FRESH = nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")]))


def parameter(name: str, command: str, says: str) -> Bad:
    return Bad(f"parameter: {name}", f"{TRAIN} {command}", says)


def settings_file(name: str, content: str | bytes, says: str = "own.yaml") -> Bad:
    return Bad(f"settings file: {name}", f"{TRAIN} -f own.yaml", says, {"own.yaml": content})


def grid(name: str, content: str | bytes, says: str, options: str = "") -> Bad:
    return Bad(f"grid: {name}", f"{SWEEP} {options}", says, {"grid.yaml": content})


def run_folder(name: str, file: str, content: str | bytes | int | None, command: str = REPORT) -> Bad:
    return Bad(f"run: {file} {name}", command, f"out/run/{file}", {f"out/run/{file}": content})


def csv(name: str, content: str | bytes | None, says: str) -> Bad:
    """A CSV file whose images lie in data/."""
    return Bad(
        f"CSV: {name}",
        "data check photos.csv --root data --cache c",
        says,
        {} if content is None else {"photos.csv": content},
    )


def a_list(file: str, name: str, content: str | bytes | None, says: str) -> Bad:
    return Bad(f"{file}: {name}", "data check data/card.yaml --cache c", says, {f"data/{file}": content})


def a_line(file: str, name: str, line: str, says: str) -> Bad:
    """A line behind those of a file that is in order."""
    return Bad(f"{file}: {name}", "data check data/card.yaml --cache c", says, {f"data/{file}": (line,)})


def image(name: str, content: str | bytes | int, says: str) -> Bad:
    line = f"data/test.txt line 1: data/test/0.jpg: cannot be decoded as an image ({says}"
    return Bad(f"image: {name}", "data check data/card.yaml --cache c", line, {"data/test/0.jpg": content})


def picture(kind: str, image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


HEADER = "image,labels\n"
SIX = HEADER + "".join(f"train/{i}.jpg,{'cat;dog' if i % 2 else 'dog'}\n" for i in range(6))


def of_split(split: str) -> str:
    return SIX.replace("\n", f",{split}\n").replace(f"labels,{split}", "labels,split")


BAD = (
    csv("not there", None, "photos.csv: no such file"),
    csv("empty", "", "its first line is to name the columns, as image,labels; it is empty"),
    csv("no header", SIX.removeprefix(HEADER), "its first line is to name the columns, as image,labels; it is 'train/0.jpg', 'dog'"),
    csv("an .xlsx file", b"PK\x03\x04" + bytes(30), "a zip archive, as .xlsx files are, and no text: save it as CSV in UTF-8"),
    csv("no rows", HEADER, "photos.csv: no images in it"),
    csv("one row", f"{HEADER}train/0.jpg,dog\n", "one image is no data set"),
    csv("no labels", SIX.replace("cat;dog", "").replace("dog", ""), "photos.csv: no labels in it"),
    csv("no such column", SIX.replace("labels", "colour"), "no column 'labels'; its columns are 'image', 'colour'"),
    csv("a column misspelt", SIX.replace("labels", "lables"), "unknown column 'lables'. Did you mean 'labels'?"),
    csv("a column twice", SIX.replace("image,", "labels,"), "photos.csv: no column 'image'"),
    csv("a quote left open", f'{SIX}"train/7.jpg,dog\n', "line 8: cannot be read as a CSV file"),
    csv("a field too many", f"{SIX}train/7.jpg,dog,cat\n", "line 8: not 2 fields, as the line of column names has"),
    csv("a missing image", f"{SIX}train/99.jpg,dog\n", "line 8: no image data/train/99.jpg"),
    csv("back-slashes", f"{SIX}train\\7.jpg,dog\n", "line 8: no image data/train\\7.jpg; there is train/7.jpg"),
    csv("other capitals", f"{SIX}train/7.JPG,dog\n", "; there is train/7.jpg"),
    csv("a name of 300 letters", f"{SIX}{'x' * 300}.jpg,dog\n", "its name has 304 characters, more than a file's can have"),
    csv("a path upwards", f"{SIX}../run/7.jpg,dog\n", "../run/7.jpg is not below data"),
    csv("a path of the system", f"{SIX}/etc/passwd,dog\n", "/etc/passwd is not below data"),
    csv("an image that is none", f"{SIX}../photos.csv,dog\n", "is not below data"),
    csv("an image twice", f"{SIX}train/0.jpg,dog\n", "line 8: train/0.jpg is in line 2 already"),
    csv("two spellings", f"{SIX}train/7.jpg,Dog\n", "label 'Dog' is 'dog' elsewhere; write one of them"),
    csv("a label twice", f"{SIX}train/7.jpg,dog;dog\n", "a label stands twice in 'dog;dog'"),
    csv("an empty label", f"{SIX}train/7.jpg,dog;;cat\n", "write names with ';' between them"),
    csv("commas for semicolons", f'{SIX}train/7.jpg,cat\ntrain/8.jpg,"dog,cat"\n', "line 9: labels 'dog,cat': write names with ';'"),
    csv("a mark that nobody sees", f"{SIX}train/7.jpg,do\u200eg\n", "label 'dog' has an invisible U+200E LEFT-TO-RIGHT MARK"),
    csv("an unknown split", of_split("tarin"), "split is train, val or test, not 'tarin'"),
    csv("no test split", of_split("train"), "no image has split 'test'"),
    csv("cp1252", SIX.replace("cat", "Kätzchen").encode("cp1252"), "line 3; as cp1252, the likely encoding, it says 'train/1.jpg,Kä"),
    csv("UTF-16 without its mark", SIX.encode("utf-16-le"), "UTF-16 without its mark"),
    csv("bytes", bytes(range(256)), "photos.csv: cannot be read as UTF-8 text"),
    a_list("card.yaml", "broken", "name: [", "card.yaml"),
    a_list("card.yaml", "a list", "- 1", "a card is a list of 'key: value' lines"),
    a_list("card.yaml", "not text", b"\xff\xfe\x00", "card.yaml"),
    a_list("card.yaml", "nested without end", "[" * 5000, "card.yaml"),
    a_list("card.yaml", "a day that is none", "name: 2020-13-45", "card.yaml"),
    a_list("card.yaml", "asks for code", "!!python/object/apply:os.system ['touch owned']", "card.yaml"),
    a_line("card.yaml", "an unknown key", "trian: x\n", "unknown key 'trian'. Did you mean 'train'?"),
    a_line("card.yaml", "cut-offs that rise", "cutoffs: [20, 100]\n", "two falling whole numbers above 0"),
    a_line("card.yaml", "cut-offs that unfold without end", f"cutoffs: {UNFOLDS}\n", "'cutoffs'"),
    a_line("card.yaml", "a name that moves the cursor", 'name: "\\e[2J"\n', "'name'"),
    a_line("card.yaml", "a list of another place", "train: /etc/passwd\n", "'train' must lie in the card's folder, not at"),
    a_line("card.yaml", "a list above it", "train: ../../../etc/passwd\n", "'train' must lie in the card's folder, not at"),
    a_line("card.yaml", "everything for its root", "root: /\ntrain: /etc/passwd\n", "'train' must lie in the card's folder"),
    a_line("card.yaml", "the home of nobody", "root: ~nobody-is-called-so/x\n", "there is no home folder of that user"),
    a_list("train.txt", "not there", None, "train.txt: no such file"),
    a_list("train.txt", "empty", "", "train.txt: no images in it"),
    a_list("train.txt", "no paths", "3 1 2\n", "'3 1 2' does not begin with an image path"),
    a_list("train.txt", "no ids", "train/0.jpg dog\n", "'dog' is not a class id; ids run from 0 to 3"),
    a_line("train.txt", "a path upwards", "../7.jpg 0\n", "line 25: ../7.jpg is not below data"),
    a_line("train.txt", "an image of the test list", "test/0.jpg 0\n", "test/0.jpg is in train.txt too"),
    a_line("test.txt", "an id of 5,000 digits", f"train/0.png {'9' * 5000}\n", "is not a class id; ids run from 0 to 3"),
    a_line("labels.txt", "an id of 2,000,000", "cat 2000000\n", "missing: 4, 5, 6, 7, 8, ... (1,999,996 in all)"),
    a_line("labels.txt", "a name twice", "Dog 4\n", "line 5: class 'Dog' stands twice"),
    a_line("labels.txt", "a class without an image", "cat 4\n", "class 'cat' has no training image"),
    a_line("captions.txt", "a caption of no image", "train/99.jpg a dog\n", "train/99.jpg is not in the training list train.txt"),
    a_line("captions.txt", "a second caption", "train/0.jpg a dog\n", "a second caption for train/0.jpg; one each, please"),
    a_list("captions.txt", "one for all", "train/0.jpg a dog\n", "train/1.jpg has no caption in captions.txt"),
    image("empty", b"", "it is empty"),
    image("text", "no image", "in no format that is known"),
    image("cut off", 300, ""),
    image("HTML", "<!DOCTYPE html><p>404", "it is an HTML page"),
    image("a Git LFS pointer", "version https://git-lfs.github.com/spec/v1\nsize 9\n", "it is a Git LFS pointer: run git lfs pull"),
    image("an SVG drawing", "<svg xmlns='http://www.w3.org/2000/svg'/>", "it is an SVG drawing: save it as PNG"),
    image("PostScript", "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is PostScript"),
    image("HEIC", b"\0\0\0\x18ftypheic\0\0\0\0", "it is HEIC or a video: save it as JPEG"),
    image("a zip archive", b"PK\x03\x04" + bytes(30), "it is a zip archive"),
    image("floating point", picture("TIFF", Image.new("F", (9, 9), 0.5)), "grey values in floating point, and nothing says which is white"),
    image("a strip", picture("PNG", Image.new("L", (1, 999))), "a strip of 1 x 999 pixels, over 200 times as long as wide"),
    image("10,000 x 10,000", picture("PNG", Image.new("1", (10_000, 10_000))), "10,000 x 10,000 are more than 75,000,000 pixels"),
    parameter("unknown", "-p epoch 3", "'epoch'. Did you mean 'epochs'?"),
    parameter("of another type", "-p epochs many", "'epochs' must be a whole number, not 'many'"),
    parameter("not a number", "-p lr nan", "'lr'"),
    parameter("infinite", "-p lr 1e999", "'lr'"),
    parameter("below its bound", "-p lr -1", "'lr'"),
    parameter("far above its bound", "-p n_ctx 99999999999999999999", "'n_ctx'"),
    parameter("negative seed", "-p seed -1", "'seed'"),
    parameter("seed above its bound", f"-p seed {2**70}", "'seed'"),
    parameter("empty batch", "-p batch_size 0", "'batch_size'"),
    parameter("of another choice", "-p loss bse", "'loss' is one of"),
    parameter("of another method", "-p method linear_probe -p n_ctx 4", "'linear_probe' has no setting 'n_ctx'"),
    parameter("of version 0.1", "-p head raw", "'head' is called 'logit_map' now"),
    parameter("empty", "-p method ''", "'method'"),
    parameter("very long", f"-p epochs {'9x' * 5000}", "'epochs'"),
    parameter("that moves the cursor", "-p epochs '\x1b[2J\x1b[H3'", "'epochs'"),
    parameter("without a value", "-p epochs", "-p"),
    parameter("in settings, broken", "-p settings 'lr: [1'", "settings must be like"),
    parameter("in settings, unknown", "-p settings 'lrr: 1'", "'lrr'"),
    parameter("of a loss, broken", "-p loss_settings 'gamma: ['", "'loss_settings' must be like"),
    parameter("in settings, nested without end", f"-p settings 'lr: {'[' * 5000}'", "settings must be like"),
    parameter("in settings, a day that is none", "-p settings 'lr: 2020-13-45'", "settings must be like"),
    parameter("of a loss, nested without end", f"-p loss_settings 'gamma: {'[' * 5000}'", "'loss_settings' must be like"),
    parameter("of a loss, a list of itself", "-p loss focal -p loss_settings 'gamma: &a [*a]'", "gamma is a number"),
    parameter("of a loss, unknown", "-p loss focal -p loss_settings 'gama: 3'", "'gama'"),
    parameter("of a loss, of another type", "-p loss focal -p loss_settings 'gamma: much'", "gamma"),
    parameter("no such preset", "-p preset voc", "'preset'"),
    parameter("data set of no name", "-p dataset ''", "dataset"),
    Bad("timeout: no number", "run train --timeout soon", "--timeout"),
    Bad("timeout: very long", f"run train --timeout {'9x' * 5000}", "--timeout"),
    Bad("option: unknown", "run train --timeot 3", "--timeot"),
    Bad("command: unknown", "rnu train", "'rnu'"),
    Bad("notebook: unknown", "run trian", "'trian'. Did you mean 'train'?"),
    Bad("notebook: absent", "run absent.ipynb", "absent.ipynb"),
    Bad("notebook: a folder", "run own.ipynb", "own.ipynb", {"own.ipynb/x": ""}),
    Bad("notebook: not JSON", "run own.ipynb", "own.ipynb", {"own.ipynb": "{"}),
    Bad("out: a file", f"{TRAIN.replace('--out out', '--out file')} --force", "file", {"file": "mine"}),
    Bad("recipe: unknown", "recipes papr", "'papr'. Did you mean 'paper'?"),
    Bad("recipe: a path", f"{TRAIN} -p recipe ../paper", "'../paper'"),
    Bad("recipe: unknown row", f"{TRAIN} -p recipe lmpt_table3/none", "'lmpt_table3/none'"),
    Bad("settings: neither method nor loss", "settings lmtp", "'lmtp'. Did you mean 'lmpt'?"),
    Bad("settings file: absent", f"{TRAIN} -f absent.yaml", "absent.yaml"),
    Bad("settings file: a folder", f"{TRAIN} -f data", "data"),
    settings_file("broken", "lr: [1", "own.yaml: not a YAML file (line 1: "),
    settings_file("a list", "- lr: 1"),
    settings_file("not text", b"\xff\xfe\x00lr"),
    settings_file("asks for code", "lr: !!python/object/apply:os.system ['touch owned']"),
    settings_file("a list for a number", "epochs: [1, 2]", "'epochs' must be a whole number, not '[1, 2]'"),
    settings_file("a list that unfolds without end", f"epochs: {UNFOLDS}", "'epochs'"),
    settings_file("nested without end", f"lr: {'[' * 5000}", "own.yaml: not a YAML file"),
    settings_file("a day that is none", "lr: 2020-13-45", "own.yaml: not a YAML file"),
    settings_file("a list of itself", "epochs: &a [*a]", "'epochs'"),
    settings_file("unknown name", "1: 2", "'1'"),
    settings_file("no value", "epochs: !!str", "'epochs'"),
    Bad("grid: absent", SWEEP, "grid.yaml: no such file"),
    Bad("grid: unknown name", "sweep loses", "loses"),
    Bad("grid: a folder", SWEEP, "grid.yaml", {"grid.yaml/x": ""}),
    grid("no words", "", "grid.yaml: a grid has the keys"),
    grid("values that unfold without end", f"grid: {{lr: {UNFOLDS}}}", "'lr'"),
    grid("a baseline that is none", "grid: {loss: [bce, asl]}\nbaseline: cse", "no row 'cse' to compare with"),
    grid("an unknown printed row", "grid: {loss: [bce, asl]}\npublished: {bce: lmpt/9}", "nothing printed at 'lmpt/9'"),
    grid("broken", "rows: [1", "grid.yaml: not a YAML file (line 1: "),
    grid("nested without end", f"rows: {'[' * 5000}", "grid.yaml: not a YAML file"),
    grid("a day that is none", "settings: {lr: 2020-13-45}", "grid.yaml: not a YAML file"),
    grid("a list of itself", "rows: &a {bce: *a}", "'bce'"),
    grid("not text", b"\xff\xfe\x00", "grid.yaml: not a YAML file"),
    grid("a list", "- rows", "grid.yaml: a grid has the keys"),
    grid("unknown key", "row: {}", "unknown key 'row'"),
    grid("empty", "about: nothing", "grid.yaml: a grid needs"),
    grid("rows without settings", "rows: {a: 3}", "row 'a' is a mapping"),
    grid("rows without a name", "rows: {a: {lr: 1}, 1: null}", "row '1' is a mapping"),
    grid("an empty list", "grid: {loss: []}", "a list in 'grid' is empty"),
    grid("a mapping for values", "grid: {lr: {a: 1}}", "'lr'"),
    grid("a value of another type", "grid: {lr: [fast]}", "'lr' must be a number, not 'fast'"),
    grid("a value out of bounds", "grid: {lr: [-1]}", "'lr'"),
    grid("unknown setting", "settings: {lrr: 1}", "'lrr'"),
    grid("settings none", "settings:", "'settings' is a mapping"),
    grid("a seed among the settings", "settings: {seed: 1}", "'seed' is given by 'seeds'"),
    grid("seeds no list", "settings: {lr: 1}\nseeds: 3", "'seeds' is a list"),
    grid("seeds twice", "settings: {lr: 1}\nseeds: [0, 0]", "'seeds' is a list of different"),
    grid("seeds that unfold without end", f"settings: {{lr: 1}}\nseeds: {UNFOLDS}", "'seeds'"),
    grid("a negative seed", "settings: {lr: 1}\nseeds: [-1]", "'seed'"),
    grid("no such baseline", "grid: {loss: [bce, asl]}\nbaseline: [bce]", "'baseline'"),
    grid("an ensemble of no row", "grid: {loss: [bce, asl]}\nensembles: {both: {bec: 1}}", "no row 'bec'"),
    grid("an ensemble without weights", "grid: {loss: [bce, asl]}\nensembles: {both: {bce: much}}", "ensemble 'both'"),
    grid("nothing printed", "grid: {loss: [bce, asl]}\npublished: {bce: [1]}", "published 'bce'"),
    grid("two data sets", "rows: {a: {dataset: voc-lt}}", "'dataset'"),
    grid("--seeds no numbers", "settings: {lr: 1}", "--seeds", "--seeds a,b"),
    grid("--seeds empty", "settings: {lr: 1}", "--seeds", "--seeds ''"),
    grid("--workers 0", "settings: {lr: 1}", "--workers", "--workers 0"),
    grid("--workers no number", "settings: {lr: 1}", "--workers", "--workers many"),
    grid("--notebook unknown", "settings: {lr: 1}", "'trian'", "--notebook trian"),
    Bad("data set: a path without end", f"{TRAIN} -p dataset {'x/' * 100}y.csv", "y.csv: no such file"),
    run_folder("cut off", "metrics.json", 40, "results --out out"),
    run_folder("empty", "metrics.json", "", "results --out out"),
    run_folder("a list", "metrics.json", "[1]", "results --out out"),
    run_folder("without its content", "metrics.json", "{}", "results --out out"),
    run_folder("without a ranking", "metrics.json", '{"scores": {"logit": {}}, "n_pos": {}}'),
    run_folder("not text", "metrics.json", b"\xff\x00"),
    run_folder("cut off", "config.json", 40, "results --out out"),
    run_folder("not there", "config.json", None, "results --out out"),
    run_folder("without its content", "config.json", "{}", "results --out out"),
    run_folder("without settings", "config.json", '{"settings": {}, "dataset": "x"}'),
    Bad("run: of an unknown method", "results --out out", "unknown method 'lmtp'", {"out/run/config.json": UNKNOWN}),
    run_folder("cut off", "history.jsonl", 40),
    run_folder("not there", "history.jsonl", None),
    run_folder("cut off", "probabilities.npz", 40),
    run_folder("of another kind", "probabilities.npz", "words"),
    run_folder("not there", "probabilities.npz", None),
    run_folder("without its arrays", "probabilities.npz", EMPTY.getvalue()),
    Bad("run: unknown", f"{REPORT} --runs rnu", "no run 'rnu' in out. Did you mean 'run'?"),
    Bad("run: none", "results --out data", "no finished runs in data"),
    Bad("report: into a file", f"{REPORT} --to file", "file: is a file", {"file": "mine"}),
    Bad("report: over other folders", f"{REPORT} --to data", "data: holds other folders"),
    Bad("report: its list of files is broken", REPORT, "out/report/site.json", {"out/report/site.json": "["}),
    Bad("report: its list of files is none", REPORT, "out/report/site.json", {"out/report/site.json": "3"}),
    Bad("report: notebook not JSON", f"{REPORT} own.ipynb", "own.ipynb", {"own.ipynb": "{"}),
    Bad("report: notebook never executed", f"{REPORT} own.ipynb", "own.ipynb", {"own.ipynb": FRESH}),
    Bad("report: notebook of no cells", f"{REPORT} own.ipynb", "own.ipynb", {"own.ipynb": "[1]"}),
    Bad("report: notebook absent", f"{REPORT} moved", "'moved'"),
)  # fmt: skip


def make_place(folder: Path) -> Path:
    """A folder with a data set, data/card.yaml, and a finished run, out/run."""
    from tiny import make_tiny

    card = make_tiny(folder / "data").path
    made = train(resolve(dataset=str(card), epochs=1, batch_size=8), folder / "out", log=lambda line: None)
    made.rename(folder / "out" / "run")
    return folder


def spoil(bad: Bad) -> None:
    """Make the input's files in the current folder."""
    for name, content in bad.files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.unlink()
        elif isinstance(content, tuple):
            path.write_text(path.read_text() + content[0])
        else:
            content = path.read_bytes()[:content] if isinstance(content, int) else content
            path.write_bytes(content.encode() if isinstance(content, str) else content)


def meet(bad: Bad) -> Result:
    """What the command says of it; a notebook that is begun would be a fault, and takes seconds."""
    fault = mock.patch.object(notebooks, "execute", side_effect=AssertionError("a notebook was begun"))
    # its kernel would be started meanwhile
    with fault, mock.patch("lmptlib.suite.kernel.started_kernel", nullcontext):
        return CliRunner().invoke(main, shlex.split(bad.command))


def there() -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return make_place(tmp_path_factory.mktemp("place"))


@pytest.mark.parametrize("bad", BAD, ids=[bad.name for bad in BAD])
def test_a_wrong_input_is_named_and_nothing_is_lost(bad, place, tmp_path, monkeypatch):
    monkeypatch.chdir(shutil.copytree(place, tmp_path / "place"))
    spoil(bad)
    before = there()
    result = meet(bad)
    assert isinstance(result.exception, SystemExit) and result.exit_code in (1, 2), result.exception
    assert bad.says in result.output and "Traceback" not in result.output
    assert all(len(line) < 520 and line.isprintable() for line in result.output.splitlines())
    after = there()
    assert {path: after.get(path) for path in before} == before and not Path("owned").exists()


def print_table() -> None:
    """A line a wrong input: what it is, what the command says of it, and its exit status."""
    print("| input | line | exit |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        place = make_place(Path(folder) / "place")
        for number, bad in enumerate(BAD):
            os.chdir(shutil.copytree(place, Path(folder) / str(number)))
            spoil(bad)
            result = meet(bad)
            line = result.output.strip().splitlines()[-1].replace("|", "\\|")
            print(f"| {bad.name} | {line} | {result.exit_code} |")


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[2]))  # as pytest does
    print_table()
