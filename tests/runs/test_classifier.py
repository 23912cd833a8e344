"""A run reloaded: the scores it was saved with, probabilities of new photographs, words of its prompts."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from lmptlib.clip.features import extract
from lmptlib.clip.loading import load_clip
from lmptlib.config import fitting, resolve
from lmptlib.data.loading import load_dataset
from lmptlib.runs.classifier import Classifier
from lmptlib.runs.decisions import label_rule, labels_said
from lmptlib.runs.run import Run
from lmptlib.suite.widgets.classify import ClassifyExplorer
from lmptlib.training.training import train

SETTINGS = {
    "zero-shot": {"method": "zero_shot"},
    "templates": {"method": "zero_shot_templates"},
    "prompts": {"method": "lmpt"},
    "per class": {"method": "coop", "logit_map": "affine_per_class", "n_ctx": 2, "class_specific": False},
    "probe": {"recipe": "probe", "method": "linear_probe"},
    "best": {"recipe": "prompts_and_probe"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_reloaded_run_scores_as_the_saved_one(name, tiny, tmp_path):
    settings = {"dataset": str(tiny.path), "epochs": 2, "batch_size": 8, **SETTINGS[name]}
    run = Run(train(resolve(**fitting(settings)), tmp_path, log=lambda line: None))
    classifier, dataset = Classifier(run.folder), load_dataset(str(tiny.path))
    features = extract(classifier.clip, dataset, captions=False, log=lambda line: None)
    np.testing.assert_allclose(classifier.scores(features.test), run.scores()["scores"], atol=1e-5)
    found = classifier(dataset.test.paths)
    assert list(found.columns) == list(dataset.class_names) and list(found.index) == list(map(str, dataset.test.paths))
    logits = torch.from_numpy(run.scores()["logits"])
    np.testing.assert_allclose(found.to_numpy(), logits.sigmoid().numpy(), atol=1e-4)
    first = dataset.test.paths[:2]
    for same in (
        [str(path) for path in first],
        [path.read_bytes() for path in first],
        [Image.open(path) for path in first],
        [np.asarray(Image.open(path)) for path in first],
        np.stack([np.asarray(Image.open(path)) for path in first]),
    ):
        np.testing.assert_allclose(classifier(same).to_numpy(), found.to_numpy()[:2], atol=1e-6)
    if name in ("prompts", "per class", "probe"):  # the probabilities are those that training recorded at its end
        train_probabilities = classifier.probabilities(features.train)
        positives = (train_probabilities * dataset.train.labels).sum(0) / dataset.train.labels.sum(0)
        with np.load(run.folder / "probabilities.npz") as file:
            np.testing.assert_allclose(positives, file["epoch_positive"][-1], atol=1e-4)


def test_contexts_at_words_have_those_words_nearest(tiny, tmp_path):
    config = resolve(dataset=str(tiny.path), method="coop", epochs=1, lr=0.0, ctx_init="a photo of a")
    words = Classifier(train(config, tmp_path, log=lambda line: None)).words(2)
    nearest = words[words["rank"] == 1]
    assert list(nearest["word"]) == 4 * ["a", "photo", "of", "a"] and (nearest["distance"] < 1e-3).all()
    assert set(words["class"]) == set(load_dataset(str(tiny.path)).class_names)
    assert (words[words["rank"] == 2]["distance"] > 0.01).all()
    clip = load_clip()
    a, photo = clip.embed(clip.tokenize(["a photo"])[:, 1:3])[0]
    assert words.query("`class` == 'dog' and token == 2 and rank == 1")["word"].item() == "photo"
    (between,) = clip.nearest_words((0.4 * a + 0.6 * photo)[None, None], 1)[0]
    assert between[0][0] in ("photo", "a") and between[0][1] <= 0.4 * (a - photo).norm() + 1e-4


def test_what_cannot_be_done_is_said(tiny, tmp_path):
    config = resolve(dataset=str(tiny.path), method="zero_shot")
    run = Run(train(config, tmp_path, log=lambda line: None))
    with pytest.raises(ValueError, match="learned no context"):
        Classifier(run).words()
    with pytest.raises(ValueError, match="not a run"):
        Classifier(tmp_path / "nothing")
    (tmp_path / "text.jpg").write_text("no image")
    with pytest.raises(ValueError, match=r"text.jpg: cannot be decoded"):
        Classifier(run)([tmp_path / "text.jpg"])
    for one in ("a.jpg", tmp_path / "a.jpg", b"", Image.new("RGB", (9, 9)), np.zeros((9, 9, 3), np.uint8)):
        with pytest.raises(ValueError, match=r"takes a list of pictures: put the one into \[ \]"):
            Classifier(run)(one)
    run.config["fingerprints"]["clip"] = "another"
    with pytest.raises(ValueError, match="its model or weights have changed"):
        Classifier(run)


def test_dropped_photographs_are_scored_by_the_chosen_runs(tiny, tmp_path):
    common = {"dataset": str(tiny.path), "epochs": 2, "batch_size": 8}
    runs = [
        Run(train(resolve(**fitting({**common, "method": method})), tmp_path / "out", log=lambda line: None))
        for method in ("zero_shot", "coop", "lmpt")
    ]
    explorer = ClassifyExplorer(runs, k=3)
    paths = [tiny.folder / "test" / f"{i}.jpg" for i in (0, 5)]
    for path in paths:
        explorer.zone._handle_custom_msg({"name": path.name}, [memoryview(path.read_bytes())])
    assert explorer.photograph.options == ("0.jpg", "5.jpg") and explorer.photograph.value == "5.jpg"
    explorer.chosen.value = runs[1:]
    explorer.photograph.value = "0.jpg"
    (figure,) = explorer.scores.children
    assert len(figure.data) == 2 and explorer.picture.value[:2] == b"\xff\xd8"
    expected = {run.label: Classifier(run)(paths[:1]).iloc[0] for run in runs[1:]}
    top = set().union(*(of_run.nlargest(3).index for of_run in expected.values()))
    for trace in figure.data:
        shown = [name.rpartition(" ")[0] for name in trace.y]
        assert set(shown) == top
        np.testing.assert_allclose(trace.x, expected.pop(trace.name)[shown], atol=1e-6)
    assert not expected
    assert len(explorer.clips) == 1
    explorer.add("notes.jpg", b"no image")
    assert "notes.jpg: cannot be decoded" in explorer.status.value and len(explorer.photograph.options) == 2


def saved(link: str) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(base64.b64decode(re.search(r"base64,([^']+)", link)[1])), keep_default_na=False)


def test_many_photographs_are_taken_one_by_one_and_decided(make_run, tiny, monkeypatch):
    runs = [make_run(method="zero_shot"), make_run(method="gda")]
    explorer, answers = ClassifyExplorer(runs), []
    monkeypatch.setattr(explorer.zone, "send", answers.append)
    dropped = [(f"{i}.jpg", (tiny.folder / "test" / f"{i}.jpg").read_bytes()) for i in range(4)]
    dropped += [("0.jpg", dropped[1][1]), ("0.jpg", dropped[0][1]), ("<b>.jpg", b"\xff\xd8\xff no more")]
    progress = []
    for number, (name, content) in enumerate(dropped, 1):
        about = {"name": name, "number": number, "of": len(dropped) + 1}
        explorer.zone._handle_custom_msg(about, [memoryview(content)])
        progress.append(explorer.status.value.partition("<div")[0])
    assert progress == [f"{number} of 8" for number in range(1, 8)] and explorer.grid.children == ()
    about = {"name": "big.jpg", "number": 8, "of": 8, "why": "is over 8 MiB: make it smaller"}
    explorer.zone._handle_custom_msg(about, [])
    assert [answer["taken"] for answer in answers] == [*(name for name, _ in dropped), "big.jpg"]

    names = ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "0.jpg (2)"]
    assert explorer.photograph.options == tuple(names) and explorer.photograph.value == names[-1]
    lines = re.findall("<div>(.*?)</div>", explorer.status.value)
    assert lines[0].startswith("&lt;b&gt;.jpg: cannot be decoded as an image (") and len(lines) == 2
    assert lines[1] == "big.jpg: is over 8 MiB: make it smaller" and "photographs: 5" in explorer.status.value

    table = saved(explorer.table.value)
    assert table["image"].drop_duplicates().tolist() == names and len(table) == 10
    for run, label in explorer.labels.items():
        said = labels_said(run)[[0, 1, 2, 3, 1]]
        expected = [";".join(run.class_rows["class"][row]) for row in said]
        assert table.loc[table["run"] == label, "labels"].tolist() == expected
        assert any(expected) and label_rule(run).told in explorer.table.value
    for tile, name in zip(explorer.grid.children, names):
        assert name in tile.value and "data:image/jpeg;base64," in tile.value and len(tile.value) < 20_000
    explorer.chosen.value = runs[1:]
    assert len(saved(explorer.table.value)) == 5 and explorer.grid.children[0].value.count("<b>") == 1
    folder = Path(explorer.folder.name)
    assert len(list(folder.iterdir())) == 5
    explorer.folder.cleanup()


def test_runs_of_one_label_are_told_apart(tiny, tmp_path):
    common = {"dataset": str(tiny.path), "method": "coop", "epochs": 1, "batch_size": 8}
    runs = [Run(train(resolve(lr=lr, **common), tmp_path / "out", log=lambda line: None)) for lr in (1e-3, 2e-3)]
    explorer = ClassifyExplorer(runs)
    explorer.add("0.jpg", (tiny.folder / "test" / "0.jpg").read_bytes())
    (figure,) = explorer.scores.children
    assert len(figure.data) == 2 and all(len(trace.x) == 4 for trace in figure.data)


def test_a_run_is_read_by_the_name_of_its_folder(make_run):
    run = make_run(method="zero_shot")
    assert Run(str(run.folder)).metrics == run.metrics
