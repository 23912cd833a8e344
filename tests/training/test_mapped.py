"""Inputs on the disk give the run that inputs in memory give."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pandas.testing import assert_frame_equal
from scipy.sparse import csr_array
from torch.testing import assert_close

from lmptlib import paths
from lmptlib.clip import features
from lmptlib.data import dataset
from lmptlib.data.dataset import Split
from lmptlib.data.loading import load_dataset
from lmptlib.data.samplers import SAMPLERS, epoch_order
from lmptlib.errors import DataError
from lmptlib.losses import mean_probabilities
from lmptlib.paths import DiskError
from lmptlib.runs.comparison import compare
from lmptlib.runs.run import Run
from lmptlib.training import inputs, mapped, state, training
from lmptlib.training.recorder import Recorder

METHODS = {
    "prompts": {"method": "coop", "sampler": "class_aware"},
    "captions": {"method": "lmpt", "logit_map": "affine_per_class"},
    "tokens of captions": {"method": "lmpt", "level": "token"},
    "single classes": {"method": "linear_probe", "loss": "asl"},
    "two phases": {"method": "lws", "epochs_second": 1},
    "nothing learned": {"method": "zero_shot"},
    "all at once": {"method": "lda"},
    "towers": {"method": "ballad", "tune_epochs": 1, "epochs": 1},
}


@pytest.fixture
def on_disk(monkeypatch):
    """Nothing is held in memory, and parts and chunks are small enough to be several."""

    def begin():
        monkeypatch.setattr(mapped, "HELD", 0)
        for module in (mapped, inputs):
            monkeypatch.setattr(module, "AT_ONCE", 7)
        monkeypatch.setattr(features, "PART", 16)

    return begin


@pytest.mark.parametrize("name", METHODS)
def test_a_run_from_the_disk_is_the_run_from_memory(make_run, on_disk, monkeypatch, tmp_path, name):
    held = make_run(**METHODS[name])
    on_disk()
    used = []
    monkeypatch.setattr(mapped.MappedInputs, "chunks", _noting(mapped.MappedInputs.chunks, used))
    read = make_run(tmp_path / "disk", **METHODS[name])
    assert used
    assert read.config["key"] == held.config["key"]
    same(read, held)


def _noting(function, used):
    def noting(*arguments):
        used.append(arguments)
        return function(*arguments)

    return noting


def same(one: Run, other: Run) -> None:
    for key, expected in other.scores().items():
        np.testing.assert_allclose(one.scores()[key], expected, atol=2e-5, err_msg=key)
    for key, tensor in other.prompts().items():
        assert_close(one.prompts()[key], tensor, atol=2e-5, rtol=1e-4, msg=key)
    for key, expected in other.class_probabilities().items():
        np.testing.assert_allclose(one.class_probabilities()[key], expected, atol=2e-5, err_msg=key)


def test_what_is_larger_than_the_bound_is_read_from_the_disk(tiny, cache, monkeypatch):
    clip, dataset = features_of(tiny)
    numbers = 24 * (2 * 128 + 4)
    for held, kind in ((4 * numbers, inputs.Inputs), (4 * numbers - 1, mapped.MappedInputs)):
        monkeypatch.setattr(mapped, "HELD", held)
        assert type(mapped.inputs_of(dataset, clip, cache, print)) is kind


def features_of(tiny):
    from lmptlib.clip.loading import load_clip

    return load_clip(log=lambda line: None), load_dataset(str(tiny.path))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"method": "lda"}, "train.txt: 24 images of 4 classes"),
        ({"method": "coop", "select": "folds", "trials": "lr: [1e-3]"}, "train.txt: 24 images of 4 classes"),
        ({"method": "coop", "select": "test"}, "test.txt: 12 images of 4 classes"),
    ],
)
def test_a_table_of_labels_that_is_too_large_is_said_before_features_are_computed(
    make_run, monkeypatch, settings, told
):
    monkeypatch.setattr(dataset, "_LARGEST_TABLE", 12 * 4 - 1)
    monkeypatch.setattr(training, "inputs_of", None)
    with pytest.raises(DataError, match=told):
        make_run(**settings)


def test_very_many_scores_stay_on_the_disk_and_say_the_same(make_run, monkeypatch, tmp_path):
    settings = {"method": "linear_probe", "lr": 0.1}
    held = [make_run(seed=seed, **settings) for seed in (0, 1)]
    monkeypatch.setattr(training, "DENSE", 12 * 4 - 1)
    wide = [make_run(tmp_path / "disk", seed=seed, **settings) for seed in (0, 1)]
    for one, other in zip(wide, held):
        scores = np.load(one.folder / "test_scores.npy", mmap_mode="r")
        np.testing.assert_array_equal(scores, other.scores()["scores"].T)
        assert not list(one.folder.glob(".*.draft"))
        for ranking, entry in other.metrics["scores"].items():
            found = one.metrics["scores"][ranking]
            assert found["per_class"] == pytest.approx(entry["per_class"], abs=1e-4)
            assert found["total"] == pytest.approx(entry["total"], abs=1e-4)
        with pytest.raises(ValueError, match="12 images by 4 classes are not read at once"):
            one.scores()
    table = compare({"ours": wide[:1], "theirs": wide[1:]}, "theirs")
    expected = compare({"ours": held[:1], "theirs": held[1:]}, "theirs")
    with pytest.raises(ValueError, match="class by class and others at once"):
        compare({"ours": wide[:1], "theirs": held[:1]}, "theirs")
    assert_frame_equal(table[["row", "group", "mean", "difference"]], expected[["row", "group", "mean", "difference"]])


def test_a_disk_without_room_for_the_scores_is_said_before_they_are_written(make_run, monkeypatch):
    monkeypatch.setattr(training, "DENSE", 0)
    monkeypatch.setattr(paths.shutil, "disk_usage", lambda folder: SimpleNamespace(free=12 * 4 * 4 - 1))
    with pytest.raises(DiskError, match="make room"):
        make_run(method="linear_probe")


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="not on macOS")
def test_a_disk_that_fills_up_meanwhile_is_said_and_leaves_no_draft(make_run, monkeypatch, tmp_path):
    def full(file: int, start: int, size: int) -> None:
        assert (start, size) == (0, os.fstat(file).st_size) and size > 12 * 4 * 4
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(training, "DENSE", 0)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DiskError, match="the disk is full"):
        make_run(tmp_path / "full", method="linear_probe")
    assert not list(tmp_path.glob("full/*/*.npy")) and not list(tmp_path.glob("full/*/.test_scores*"))


def test_scores_are_on_the_disk_before_they_have_their_name(make_run, monkeypatch):
    """As all that a run folder holds: or a machine that stops leaves metrics and no scores."""
    synced, named, fsync, replace = [], {}, os.fsync, Path.replace

    def note(path: Path, target: Path) -> Path:
        named[target.name] = path.stat().st_ino in synced
        # the number of a file that is gone may be another's soon
        synced.clear()
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino) or fsync(file))
    monkeypatch.setattr(Path, "replace", note)
    monkeypatch.setattr(training, "DENSE", 0)
    make_run(method="linear_probe")
    assert {"test_scores.npy", "spread.npz", "metrics.json"} <= named.keys() and all(named.values())


def test_of_a_long_epoch_a_few_hundred_steps_are_recorded(make_run, monkeypatch, tmp_path):
    every = make_run(method="linear_probe", batch_size=2)
    monkeypatch.setattr(state, "_RECORDS", 5)
    some = make_run(tmp_path / "some", method="linear_probe", batch_size=2)
    expected = every.class_probabilities()["iteration_positive"].reshape(2, 12, 4)[:, ::3].reshape(8, 4)
    np.testing.assert_array_equal(some.class_probabilities()["iteration_positive"], expected)
    assert some.probabilities("iteration")["step"].unique().tolist() == list(range(0, 24, 3))
    assert every.probabilities("iteration")["step"].unique().tolist() == list(range(24))


def test_probabilities_of_chunks_are_those_of_the_whole():
    logits, known = torch.randn(50, 3), torch.rand(50, 3) < 0.8
    targets = (torch.rand(50, 3) < torch.tensor([0.2, 0.2, 0.0])) * known  # what is not known is no positive
    recorder = Recorder(3, 8, "cpu")
    recorder.epoch([(logits[a:b], targets[a:b], known[a:b]) for a, b in ((0, 20), (20, 21), (21, 50))])
    recorder.read()
    for side, expected in zip(("positive", "negative"), mean_probabilities(logits, targets, known)):
        np.testing.assert_allclose(recorder.arrays()[f"epoch_{side}"][0], expected, rtol=1e-6)


@pytest.mark.parametrize("kind", SAMPLERS)
def test_sparse_labels_give_the_order_that_a_table_gives(kind):
    targets = torch.rand(200, 6) < torch.tensor([0.5, 0.3, 0.2, 0.1, 0.05, 0.0])
    orders = [
        epoch_order(kind, labels, torch.Generator().manual_seed(3))
        for labels in (targets, targets.float(), csr_array(targets.numpy()))
    ]
    assert torch.equal(orders[0], orders[1]) and torch.equal(orders[0], orders[2])


def test_a_label_that_is_stored_twice_or_as_none_counts_as_it_is(tiny):
    train = load_dataset(str(tiny.path)).train.rows(np.arange(2))
    stored = [True, True, True, False], [2, 0, 2, 1], [0, 3, 4]
    split = Split(train.source, train.places, train.names, train.paths, csr_array(stored, shape=(2, 4)))
    assert split.shown.sum(0).tolist() == split.labels.sum(0).tolist() == [1, 0, 1, 0]
    assert [split.classes(i) for i in range(2)] == [[0, 2], []]


def test_labels_as_a_table_and_sparse_are_the_same_split(tiny):
    dataset = load_dataset(str(tiny.path))
    train = dataset.train
    again = Split(train.source, train.places, train.names, train.paths, train.labels, train.captions)
    assert (again.shown != train.shown).nnz == 0 and train.shown.sum() == train.labels.sum()
    assert [again.classes(i) for i in range(24)] == [row.nonzero()[0].tolist() for row in train.labels]
    rows = np.array([5, 0, 5])
    np.testing.assert_array_equal(train.rows(rows).labels, train.labels[rows])
