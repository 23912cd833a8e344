"""Settings chosen by folds of the training images, and scores over crops."""

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from lmptlib.clip.features import crop_features
from lmptlib.clip.loading import load_clip
from lmptlib.config import resolve, trials_of
from lmptlib.data.loading import load_dataset
from lmptlib.data.stratified import draw_folds
from lmptlib.errors import NonFiniteLoss
from lmptlib.evaluation.metrics import OUT_OF_FOLD
from lmptlib.losses import loss_title
from lmptlib.methods.base import Batch
from lmptlib.runs.classifier import Classifier
from lmptlib.runs.labels import described
from lmptlib.runs.run import Run
from lmptlib.training.folds import FoldInputs
from lmptlib.training.inputs import Inputs
from lmptlib.training.loop import fit
from lmptlib.training.plan import plan_run
from lmptlib.training.state import TrainState
from lmptlib.training.training import train

PROBE = {"method": "linear_probe", "select": "folds", "trials": "lr: [1e-3, 1e-1], loss: [asl, bce]"}


def silent(line: str) -> None:
    """Says nothing."""


def test_a_trial_is_scored_by_trainings_without_the_fold(make_run, tiny, cache):
    """The stored scores are those of three runs on two folds each, trained here by hand; the best trial is the one kept."""
    run = make_run(**PROBE)
    found, dataset = run.metrics["out_of_fold"], load_dataset(str(tiny.path))
    assert found["name"] == OUT_OF_FOLD and found["n_folds"] == 3 and len(found["trials"]) == 4
    best = max(found["trials"], key=lambda trial: trial["total"])
    assert found["chosen"] == {name: best[name] for name in ("lr", "loss")} == run.config["chosen"]
    folds = draw_folds(dataset.train.labels, dataset.train.digests(cache), 3)
    given = {"dataset": str(tiny.path), "cache": str(cache), "epochs": 2, "batch_size": 8, "method": "linear_probe"}
    config = plan_run(resolve(**given, **found["chosen"])).config
    inputs = Inputs(dataset, load_clip(log=silent), cache, silent)
    scores = run.scores()
    for fold in range(3):
        held = folds == fold
        state = TrainState(config, FoldInputs(inputs, ~held, held))
        fit([state], lambda state: None)
        state.finish()
        np.testing.assert_allclose(scores["fold_logits"][held], state.evaluate("test")[1], atol=1e-6)
    standard = scores["fold_scores"].copy()
    for fold in range(3):
        part = standard[folds == fold]
        standard[folds == fold] = (part - part.mean(0)) / part.std(0)
    ap = [average_precision_score(y, s) for y, s in zip(dataset.train.labels.T, standard.T)]
    np.testing.assert_allclose(found["total"], 100 * np.mean(ap), atol=1e-3)
    assert found["total"] == pytest.approx(100 * best["total"], abs=1e-3)


def test_the_run_is_that_of_the_chosen_settings(make_run):
    """And all seeds share one search."""
    run = make_run(**PROBE)
    plain = make_run(method="linear_probe", **run.config["chosen"])
    for name in ("scores", "logits"):
        np.testing.assert_array_equal(run.scores()[name], plain.scores()[name])
    assert run.settings["loss"] == run.config["chosen"][
        "loss"
    ] and f"{loss_title(run.settings['loss'])} (chosen by folds)" in described(run)
    assert Classifier(run.folder).config.settings.lr == run.config["chosen"]["lr"]


def test_seeds_share_one_search_and_other_data_do_not(tiny, tmp_path):
    """Trials that are made are told: none for another seed, all of them for another label, caption or image, or by force."""

    def trials(method: str = "linear_probe", force: bool = False, **settings) -> int:
        given = {"dataset": str(tiny.path), "cache": str(tmp_path / "cache"), "epochs": 1, "batch_size": 8}
        config = resolve(**given, method=method, select="folds", trials="lr: [1e-3, 1e-1]", **settings)
        lines: list[str] = []
        train(config, tmp_path / "out", force, lines.append)
        return sum(line.startswith("trial ") for line in lines)

    assert [trials(), trials(seed=1), trials(seed=2, force=True), trials(seed=3)] == [2, 0, 2, 0]
    assert trials(ema=0.5) == 2
    tiny.replace("train.txt", "train/3.jpg 0 3", "train/3.jpg 0 2")
    assert trials() == 2
    tiny.replace("captions.txt", "train/3.jpg a photo", "train/3.jpg a picture")
    assert trials() == 2
    (tiny.folder / "train" / "3.jpg").write_bytes((tiny.folder / "train" / "4.jpg").read_bytes())
    assert trials() == 2
    stored = max((tmp_path / "cache").glob("folds-*.npz"), key=lambda path: path.stat().st_mtime)
    stored.write_bytes(stored.read_bytes()[:100])
    assert trials(seed=4) == 2


def test_a_trial_that_breaks_drops_out(make_run):
    """And where all break the run fails, naming what to do."""
    run = make_run(method="linear_probe", select="folds", trials="lr: [1e30, 1e-2]", optimizer="sgd")
    assert [trial["total"] is None for trial in run.metrics["out_of_fold"]["trials"]] == [True, False]
    assert run.config["chosen"] == {"lr": 1e-2}
    with pytest.raises(NonFiniteLoss, match="no trial has a finite loss"):
        make_run(method="linear_probe", select="folds", trials="lr: [1e30, 1e29]", optimizer="sgd")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"select": "folds"}, "select 'folds' needs trials: name them, as in trials 'lr: [1e-3, 1e-2]'"),
        ({"trials": "lr: [1e-3]"}, "setting 'trials' goes with select 'folds'"),
        ({"select": "folds", "trials": "lr"}, "setting 'trials' must be like 'lr: [1e-3, 1e-2]', not 'lr'"),
        (
            {"select": "folds", "trials": "lr: [0.1, 0.2, 0.3, 0.4], ema: [0, 0.5, 0.9]"},
            "12 trials; 10 at most: name fewer",
        ),
        ({"select": "folds", "trials": "lr: [-1]"}, "setting 'lr' must be at least 0, not -1.0"),
        ({"select": "folds", "trials": "lrr: [1]"}, "unknown setting 'lrr'. Did you mean 'lr'?"),
        ({"select": "folds", "trials": "lam: [0.5]"}, "method 'coop' has no setting 'lam'"),
        ({"select": "folds", "trials": "seed: [0, 1]"}, "trials cannot vary 'seed'"),
        ({"views": 3}, "is one of 1, 5, 14, not '3'"),
        ({"pool": "min"}, "setting 'pool' is one of max, mean, softmax, not 'min'"),
        ({"pool": "mean"}, "setting 'pool' goes with views 5 or 14"),
        ({"select": "folds", "trials": "lr: []"}, "trials of 'lr' are different values, at least one"),
        ({"select": "folds", "trials": "lr: [0.1, 0.1]"}, "trials of 'lr' are different values, at least one"),
        ({"method": "mil_lda"}, "method 'mil_lda' needs crops: views 5 or 14"),
        ({"recipe": "best", "views": 1, "method": None}, "method 'ensemble' needs crops: views 5 or 14"),
        ({"method": "ensemble", "members": "ridge, svm"}, "setting 'members' names closed forms, some of ridge, lda"),
        ({"method": "ridge", "ridge": 0.0}, "setting 'ridge' must be above 0"),
    ],
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError) as error:
        resolve(**{"method": "coop", **settings})
    assert message in str(error.value) and "\n" not in str(error.value)


def test_trials_may_change_what_others_go_with():
    """Words that the contexts begin with give way to a number of tokens, and the recipe's loss settings to another loss."""
    config = resolve(method="coop", select="folds", trials="n_ctx: [2, 4]")
    assert trials_of(config) == [{"n_ctx": 2}, {"n_ctx": 4}]
    assert [config.with_settings(select="last", trials="", n_ctx=n).settings.ctx_init for n in (2, 4)] == ["random"] * 2


def test_settings_without_effect_change_no_key(tiny, tmp_path):
    """A run of one view has the key that it had before there were views, and `pool` is nothing to it."""
    plain = plan_run(resolve(dataset=str(tiny.path)), tmp_path)
    spelled = [
        plan_run(resolve(dataset=str(tiny.path), method="ensemble", members=text), tmp_path).key
        for text in ("ridge, lda", "ridge,lda")
    ]
    assert spelled[0] == spelled[1]
    assert plan_run(resolve(dataset=str(tiny.path), views=5), tmp_path).key != plain.key
    assert not {"views", "pool", "trials"} & resolve(dataset=str(tiny.path)).effective().keys()


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "zero_shot", "pool": "mean"},
        {"method": "lmpt", "pool": "softmax"},
        {"method": "ensemble"},
        {"method": "ridge", "pool": "softmax"},
    ],
)
def test_views_are_scored_as_the_formula_says(settings, make_run, tiny, cache):
    """(whole + pooled crops) / 2, from scores of the whole and of each crop by itself."""
    run = make_run(**settings, views=5)
    dataset, classifier = load_dataset(str(tiny.path)), Classifier(run.folder)
    whole = classifier.features(dataset.test.paths)[:, 0]
    crops = crop_features(classifier.clip, dataset.test, 5, cache, silent)
    assert crops.shape == (12, 4, whole.shape[1])
    found = classifier.logits(torch.cat([whole[:, None], crops], 1))
    np.testing.assert_allclose(found, run.scores()["logits"], atol=1e-4)
    np.testing.assert_allclose(classifier(dataset.test.paths).to_numpy(), 1 / (1 + np.exp(-found)), atol=1e-5)
    if settings["method"] in ("zero_shot", "lmpt"):
        method, one = (
            classifier.method,
            lambda images: classifier.method.logits(Batch(images[:, :4], images=images), classifier.text),
        )
        with torch.no_grad():
            first = one(whole).numpy()
            others = np.stack([one(crops[:, i]).numpy() for i in range(4)], 1)
        weights = (
            np.full_like(others, 0.25)
            if settings["pool"] == "mean"
            else np.exp(others) / np.exp(others).sum(1, keepdims=True)
        )
        np.testing.assert_allclose(found, (first + (weights * others).sum(1)) / 2, atol=1e-4)
        assert method.problem.pool == settings["pool"]
    with pytest.raises(ValueError, match="scores images by 5 views, not 1"):
        classifier.scores(whole)


def test_passes_of_the_tower_are_told_before(tiny, tmp_path):
    lines: list[str] = []
    given = {"dataset": str(tiny.path), "cache": str(tmp_path / "cache"), "method": "zero_shot", "views": 14}
    train(resolve(**given), tmp_path / "out", log=lines.append)
    assert [line for line in lines if "passes of the" in line] == [
        "crops of test.txt: 4 an image, 48 passes of the image tower",
        "crops of test.txt: 9 an image, 108 passes of the image tower",
    ]
    again: list[str] = []
    train(resolve(**given), tmp_path / "out", force=True, log=again.append)
    assert not [line for line in again if "passes of the" in line]


def test_a_closed_form_says_what_it_chose(make_run):
    """Among ten settings, in metrics.json and config.json; and the table of classes that it has no figure for."""
    run = make_run(method="ridge")
    found = json.loads((run.folder / "metrics.json").read_text())["out_of_fold"]
    assert len(found["trials"]) == 10 and found["n_folds"] == 5 and found["left_out"] == []
    totals = [trial["total"] for trial in found["trials"]]
    assert run.config["chosen"] == {"ridge": found["trials"][int(np.argmax(totals))]["ridge"]}
    given = make_run(method="ridge", ridge=0.7)
    assert given.config["chosen"] == {"ridge": 0.7} and len(given.metrics["out_of_fold"]["trials"]) == 1
    assert isinstance(Run(run.folder).metrics["out_of_fold"]["total"], float)
