"""TACKLE: what is fetched for rare classes, against plain loops; what is left out; and runs on the enlarged set."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import CLASSES, make_pool

from lmptlib.clip.loading import load_clip
from lmptlib.clip.tackle import class_probabilities, enriched, fetched_table, most_probable
from lmptlib.config import resolve
from lmptlib.data import emoji, emoji_pool
from lmptlib.data.loading import load_dataset
from lmptlib.data.pool import read_pool, usable
from lmptlib.errors import DataError
from lmptlib.runs.classifier import Classifier
from lmptlib.runs.labels import labels
from lmptlib.runs.run import Run
from lmptlib.training.folds import FoldInputs
from lmptlib.training.inputs import Inputs, folds_of
from lmptlib.training.loop import fit
from lmptlib.training.plan import plan_run
from lmptlib.training.state import TrainState
from lmptlib.training.training import train

# Classes of the tiny card have 12 training images each.
TO = 15


def silent(line: str) -> None:
    pass


@pytest.fixture
def pool(tmp_path) -> Path:
    return make_pool(tmp_path / "pool")


# ------------------------------------------------------------------------------------------------ what is fetched


def test_p_is_its_formula():
    generator = torch.Generator().manual_seed(0)
    images, text = (torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=1) for n in (4, 5))
    found = class_probabilities(images, text, 1 / 0.07)
    for i, f in enumerate(images.tolist()):
        powers = [math.exp(sum(a * b for a, b in zip(f, t)) / 0.07) for t in text.tolist()]
        np.testing.assert_allclose(found[i], [power / sum(powers) for power in powers], rtol=1e-5)


@pytest.mark.parametrize("wanted", [[3, 0, 5, 1], [0, 0, 0, 0], [40, 1, 0, 2], [0, 2, 0, 0]])
def test_the_selection_is_that_of_a_plain_loop(wanted):
    for seed in range(10):
        p = np.random.default_rng(seed).dirichlet(np.full(4, 0.3), size=30)
        left, free, expected = p.copy(), list(wanted), {c: [] for c in range(4)}
        left[:, [c for c in range(4) if not wanted[c]]] = -1
        while (left >= 0).any():
            image, c = np.unravel_index(left.argmax(), left.shape)
            expected[c].append(image)
            free[c] -= 1
            left[image] = -1
            if not free[c]:
                left[:, c] = -1
        images, classes = most_probable(p, np.array(wanted))
        assert {c: images[classes == c].tolist() for c in range(4)} == expected
        assert len(set(images.tolist())) == len(images) == min(sum(wanted), 30)
        assert (np.diff(classes) >= 0).all(), "class by class"


def test_an_image_that_two_classes_want_goes_where_p_is_higher():
    p = np.array([[0.6, 0.4], [0.1, 0.3], [0.2, 0.1]])
    images, classes = most_probable(p, np.array([1, 1]))
    assert list(zip(images, classes)) == [(0, 0), (1, 1)]
    images, _ = most_probable(np.array([[0.5], [0.5], [0.5]]), np.array([2]))
    assert images.tolist() == [0, 1], "of equal ones the first"


def test_images_that_the_data_have_and_unreadable_files_are_left_out(tiny, pool, cache):
    held = {"test": tiny.folder / "test" / "3.jpg", "train": tiny.folder / "train" / "0.jpg"}
    for split, path in held.items():
        Image.open(path).save(pool / f"same as {split}.png")  # other bytes, the same picture
    photo = Image.open(held["test"])
    photo.save(pool / "again.jpg", quality=40)
    photo.resize((photo.width // 2, photo.height // 2)).save(pool / "smaller.jpg", quality=70)
    Image.open(pool / "2.png").save(pool / "more" / "twice.bmp")
    (pool / "broken.jpg").write_bytes(b"no picture")
    (pool / "notes.txt").write_text("no picture, and not called one")
    (pool / ".hidden.png").write_bytes((pool / "1.png").read_bytes())
    read = read_pool(str(pool))
    assert len(read) == 12 + 6 and not {"notes.txt", ".hidden.png"} & set(read.names)
    kept, notes = usable(read, load_dataset(str(tiny.path)), cache)
    assert set(kept.names) == {f"{i}.png" for i in range(8)} | {f"more/{i}.png" for i in range(8, 12)}
    told = "\n".join(notes)
    assert "1 of 18 files cannot be read, left out: broken.jpg" in told
    assert "4 of 18 files are images of tiny, left out: again.jpg, same as test.png, same as train.png, ..." in told
    assert "1 of 18 files are there twice, left out: more/twice.bmp" in told
    assert usable(read_pool(str(pool)), load_dataset(str(tiny.path)), cache)[1] == notes, "from the cache, too"


def test_the_enlarged_set(tiny, pool, cache):
    dataset, clip, said = load_dataset(str(tiny.path)), load_clip(log=silent), []
    few = replace(dataset, train=dataset.train.rows(np.arange(6)))
    assert few.class_counts.tolist() == [5, 3, 1, 1]
    to = 5
    found = enriched(few, read_pool(str(pool)), clip, to, None, cache, said.append)
    fetched = found.train.rows(np.flatnonzero(~found.train.listed))
    np.testing.assert_array_equal(fetched.labels.sum(0), np.minimum(to - few.class_counts, 12))
    assert (fetched.labels.sum(1) == 1).all() and found.class_counts.tolist() == [to] * 4
    assert (found.groups == few.groups).all() and found.test is few.test
    assert fetched.captions == tuple(
        f"a photo of a {CLASSES[c].replace('_', ' ')}." for c in fetched.labels.argmax(1).tolist()
    )
    assert found.known[:6].all() and (found.known[6:] == fetched.labels).all()
    single = replace(found, task=replace(found.task, kind="single-label"))
    assert single.known is None, "a single label says all"
    table = fetched_table(found)
    assert (table.groupby("class")["p"].apply(lambda p: p.is_monotonic_decreasing)).all()
    assert table.groupby("class")["rank"].apply(list).map(lambda ranks: ranks == [*range(1, len(ranks) + 1)]).all()
    assert enriched(few, read_pool(str(pool)), clip, 0, None, cache, silent) is few
    enriched(few, read_pool(str(pool)), clip, 500, None, cache, said.append)
    assert any("were wanted, so all that the pool has were taken" in line for line in said)


def test_m_grows_with_tau_nowhere_but_p_does(tiny, pool, cache):
    dataset, clip = load_dataset(str(tiny.path)), load_clip(log=silent)
    sharp, flat = (
        fetched_table(enriched(dataset, read_pool(str(pool)), clip, TO, tau, cache, silent)) for tau in (0.005, 5.0)
    )
    assert len(sharp) == len(flat) and sharp["p"].max() > 0.9 and flat["p"].max() < 0.4


# ---------------------------------------------------------------------------------------------------------- runs


def config(tiny, pool, **given):
    usual = {"method": "coop", "epochs": 1, "batch_size": 8, "device": "cpu", "tackle": str(pool), "tackle_to": TO}
    given = {name: value for name, value in (usual | given).items() if value is not None}
    return resolve(dataset=str(tiny.path), **given)


@pytest.mark.parametrize("method", ["coop", "lda"])
def test_m_0_is_the_baseline_to_the_bit(tiny, pool, cache, tmp_path, method):
    own = {"epochs": None, "batch_size": None} if method == "lda" else {}
    enough = int(load_dataset(str(tiny.path)).class_counts.min())
    runs = [
        Run(train(config(tiny, pool, method=method, cache=str(cache), **own, **given), tmp_path / "out", log=silent))
        for given in ({"tackle": None, "tackle_to": None}, {"tackle_to": enough})
    ]
    assert runs[0].folder != runs[1].folder and runs[1].fetched.empty
    (before, after) = (run.scores() for run in runs)
    assert before.keys() == after.keys() and all((before[name] == after[name]).all() for name in before)
    none = config(tiny, pool, tackle_to=0)
    assert plan_run(none, tmp_path).key == plan_run(config(tiny, pool, tackle=None, tackle_to=None), tmp_path).key


def test_keys_of_runs_without_a_pool_know_nothing_of_it(tiny, pool, tmp_path):
    assert not any(name.startswith("tackle") for name in resolve().effective())
    plan = plan_run(config(tiny, pool), tmp_path)
    assert plan.fingerprints.keys() == {"dataset", "clip", "pool"}
    Image.new("RGB", (9, 9)).save(pool / "new.png")
    assert plan_run(config(tiny, pool), tmp_path).key != plan.key
    assert plan_run(config(tiny, pool, tackle_to=14), tmp_path).key != plan_run(config(tiny, pool), tmp_path).key
    pool.rename(moved := tmp_path / "elsewhere")
    (moved / "new.png").unlink()
    assert plan_run(config(tiny, moved), tmp_path).key == plan.key, "wherever it lies"


@pytest.mark.parametrize(
    "given, told",
    [
        ({"tackle": None}, "setting 'tackle_to' goes with tackle"),
        ({"tackle": None, "tackle_to": None, "tackle_tau": 0.1}, "setting 'tackle_tau' goes with tackle"),
        ({"tackle_tau": 0.0}, "'tackle_tau' must be above 0"),
        ({"tackle_to": -1}, "'tackle_to' must be at least 0"),
        ({"tackle": "nowhere"}, "nowhere is not a folder"),
        ({"method": "ridge", "epochs": None, "batch_size": None}, "method 'ridge' needs all labels of an image"),
        ({"loss": "ce"}, "loss 'ce' compares classes, so no tackle"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(tiny, pool, tmp_path, given, told):
    with pytest.raises(ValueError, match=told) as error:
        plan_run(config(tiny, pool, **given), tmp_path)
    assert "\n" not in str(error.value)


def test_drawings_do_not_go_with_photographs_and_an_empty_folder_with_nothing(tiny, pool, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no image in"):
        plan_run(config(tiny, tmp_path / "empty"), tmp_path)
    tiny.edit(pictures="photographs")
    with pytest.raises(ValueError, match="tackle 'emoji' are drawings, and these are photographs"):
        plan_run(config(tiny, "emoji", model="clip-emoji"), tmp_path)


def inputs_of(tiny, pool, cache, **given) -> tuple:
    plan = plan_run(config(tiny, pool, cache=str(cache), **given))
    clip = load_clip(log=silent)
    return plan, Inputs(plan.enriched(clip, silent), clip, cache, silent)


@pytest.mark.parametrize("method", ["coop", "lmpt", "linear_probe", "prompts_and_probe"])
def test_methods_that_learn_step_by_step_get_zero_gradient_at_masked_classes(tiny, pool, cache, method):
    plan, inputs = inputs_of(tiny, pool, cache, method=method)
    state = TrainState(plan.config, inputs)
    state.begin_epoch()
    index = torch.arange(len(inputs.targets))[-8:]
    batch = inputs.batch(state.phase.needs, index, torch.zeros(8, dtype=torch.long))
    terms = state.method.losses(batch, inputs.clip.encode_prompts([state.method.prompts(batch)])[0])
    (gradient,) = torch.autograd.grad(terms["loss_cls"], terms["logits"], retain_graph=True)
    assert not batch.known.all(1).any() and (gradient[~batch.known] == 0).all()
    assert (gradient[batch.known] != 0).all()


def test_fetched_images_are_trained_on_and_never_judged(tiny, pool, cache, tmp_path):
    given = {"select": "folds", "trials": "lr: [1e-3, 1e-2]"}
    run = Run(train(config(tiny, pool, cache=str(cache), **given), tmp_path, log=silent))
    scores, n = run.scores(), run.config["n_train"]
    assert run.config["n_fetched"] == len(run.fetched) > 0
    for name in ("fold_scores", "fold_logits", "fold_labels", "folds"):
        assert len(scores[name]) == n == 24
    np.testing.assert_array_equal(scores["fold_labels"], load_dataset(str(tiny.path)).train.labels)
    # by hand: a fold's scores are those of a training with all that was fetched, and without the fold
    plan, inputs = inputs_of(tiny, pool, cache, **given)
    folds = folds_of(inputs.dataset.train, cache, 3)
    assert (folds[:n] == scores["folds"]).all() and (folds[n:] == -1).all()
    part = FoldInputs(inputs, folds != 1, folds == 1)
    assert (part.known == inputs.known[folds != 1]).all() and len(part.targets) == (folds != 1).sum()
    settings = plan.config.with_settings(select="last", trials="", **run.config["chosen"])
    state = TrainState(settings, part)
    fit([state], silent)
    state.finish()
    np.testing.assert_allclose(state.evaluate("test")[1], scores["fold_logits"][scores["folds"] == 1], atol=1e-5)


def test_a_stopped_run_goes_on_with_the_images_that_it_fetched(tiny, pool, cache, tmp_path):
    """To the same bits as one that was not stopped, in phase A's pixels and in what follows."""
    settings = {
        "method": "ballad",
        "tune_epochs": 2,
        "epochs": 2,
        "batch_size": 8,
        "tackle": str(pool),
        "tackle_to": TO,
    }
    config = resolve(dataset=str(tiny.path), cache=str(cache), **settings)
    whole = Run(train(config, tmp_path / "whole", log=silent))
    for epochs in (1, 3):

        def goes_on(state, epochs=epochs):
            return state.epoch < epochs

        assert Run(train(config, tmp_path / "out", log=silent, on_epoch_end=goes_on)).stopped == epochs
    again = Run(train(config, tmp_path / "out", log=silent))
    assert again.stopped is None and again.fetched.equals(whole.fetched) and len(whole.fetched)
    assert again.history.drop(columns="seconds", errors="ignore").equals(
        whole.history.drop(columns="seconds", errors="ignore")
    )
    assert again.metrics["scores"] == whole.metrics["scores"]


def test_a_run_tells_what_it_fetched_and_is_read_back(tiny, pool, cache, tmp_path):
    said = []
    own = {"method": "kernel", "epochs": None, "batch_size": None, "cache": str(cache)}
    run = Run(train(config(tiny, pool, **own), tmp_path, log=said.append))
    table = run.fetched
    assert list(table) == ["class", "image", "p", "rank"] and (pool / table["image"][0]).is_file()
    assert len(table) == 12, "all of the pool: more were wanted"
    assert any("images of" in line and "fetched for" in line for line in said)
    assert run.class_rows["train"].tolist() == load_dataset(str(tiny.path)).class_counts.tolist()
    assert len(run.scores()["fold_labels"]) == 24
    found = Classifier(run)(load_dataset(str(tiny.path)).test.paths)
    np.testing.assert_allclose(found.to_numpy(), 1 / (1 + np.exp(-run.scores()["logits"])), atol=1e-6)
    plain = Run(train(config(tiny, pool, tackle=None, tackle_to=None, **own), tmp_path, log=silent))
    with pytest.raises(ValueError, match="no pool enriched its classes"):
        _ = plain.fetched
    assert labels([plain, run]) == ["kernel, no TACKLE", "kernel, TACKLE to 15"]
    assert run.data_fingerprint == plain.data_fingerprint and run.configuration != plain.configuration


def test_zero_shot_ranks_as_before(tiny, pool, cache, tmp_path):
    own = {"method": "zero_shot", "epochs": None, "batch_size": None, "cache": str(cache)}
    given = ({}, {"tackle": None, "tackle_to": None})
    first, second = (Run(train(config(tiny, pool, **own, **each), tmp_path, log=silent)).scores() for each in given)
    assert (first["scores"] == second["scores"]).all() and (first["logits"] == second["logits"]).all()


# ------------------------------------------------------------------------------------------------ the drawn pool


def test_the_drawn_pool_is_the_same_each_time_and_tells_what_it_shows(tmp_path, monkeypatch):
    monkeypatch.setattr(emoji_pool, "N_SCENES", 40)
    folders = [emoji_pool.write_emoji_pool(tmp_path / name, silent) for name in ("a", "b")]
    files = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]
    assert files[0] == files[1] and len(files[0]) == 40
    assert emoji_pool.write_emoji_pool(tmp_path / "a", pytest.fail) == folders[0]
    shown = emoji_pool.read_scenes(folders[0].parent)
    assert set(shown.index) == set(files[0]) and shown.map(len).between(1, 3).all()
    classes, _ = emoji.vocabulary()
    of_class = shown.map(lambda names: bool(names & classes.keys()))
    assert of_class.any() and not of_class.all()


def test_the_drawn_pool_has_glyphs_that_training_lists_hold_out(tmp_path, monkeypatch):
    drawn: list[str] = []
    monkeypatch.setattr(emoji_pool, "N_SCENES", 200)
    monkeypatch.setattr(emoji_pool, "draw_scene", lambda glyphs, rng: drawn.extend(glyphs) or Image.new("RGB", (2, 2)))
    emoji_pool.write_emoji_pool(tmp_path / "pool", silent)
    classes, _ = emoji.vocabulary()
    for kind in ("glyphs", "held_out"):
        assert set(drawn) & set("".join(getattr(thing, kind) for thing in classes.values()))


def test_photographs_are_fetched_from_a_pool_of_photographs(shared, cache):
    """Of the first photographs of the pool, captions say of which there is a dog."""
    photos = shared / "photos"
    dataset = load_dataset(str(photos / "photos.yaml"))
    dog = dataset.class_names.index("dog")
    without = np.flatnonzero(~dataset.train.labels[:, dog])[:60]
    part = replace(dataset, train=dataset.train.rows(without), test=dataset.test.rows(np.arange(20)))
    clip = load_clip(str(photos / "photo-mini.json"), str(photos / "photo-mini.safetensors"), log=silent)
    pool = read_pool(str(shared / "photos-pool"))
    found = enriched(part, pool.rows(np.arange(100)), clip, 10, None, cache, silent)
    lines = (shared / "photos-pool" / "pool_captions.txt").read_text().splitlines()
    dogs = {line.partition(" ")[0] for line in lines if "dog" in line.lower()}
    table = fetched_table(found)
    fetched = table["image"][table["class"] == "dog"]
    assert found.class_counts[dog] == len(fetched) == 10 and fetched.isin(dogs).mean() >= 0.8
    assert np.mean([name in dogs for name in pool.names[:100]]) < 0.5


def test_a_pool_of_the_data_sets_own_images_is_refused(tiny, tmp_path):
    config = resolve(dataset=str(tiny.path), method="zero_shot", tackle=str(tiny.folder), tackle_to=TO)
    with pytest.raises(
        DataError, match="has no image that can be read and is not one of tiny's own: name another pool"
    ):
        train(config, tmp_path / "out", log=silent)


def test_a_classifier_scores_as_its_run_whose_counts_hold_what_was_fetched(tiny, pool, tmp_path):
    tiny.single()
    config = resolve(dataset=str(tiny.path), method="logit_adjusted", tackle=str(pool), tackle_to=TO, epochs=2, tau=1.0)
    run = Run(train(config, tmp_path / "out", log=silent))
    paths = load_dataset(str(tiny.path)).test.paths
    classifier = Classifier(run)
    found = classifier.scores(classifier.features(paths))
    np.testing.assert_allclose(found, run.scores()["scores"], atol=1e-4)
