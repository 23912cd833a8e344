"""Labels of runs: different configurations never share one, seeds always do, and they say what differs."""

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from lmptlib.config import Config, fitting, resolve
from lmptlib.runs.labels import described, differing, labels
from lmptlib.runs.run import Run, find_runs, give_label

CLASSES = [{"class": "dog", "group": "head", "train": 9}]
VALUES = {
    "method": ["zero_shot", "coop", "lmpt", "linear_probe", "ridge", "prompts_and_probe", "ensemble"],
    "recipe": ["calibrated", "paper"],
    "loss": ["bce", "asl", "db_focal"],
    "preset": ["voc-lt", "coco-lt"],
    "loss_settings": ["", "gamma_neg: 2"],
    "lr": [2e-3, 1e-3, 0.1, 0.0010000001],
    "lam": [0.5, 0.05],
    "soft_margin": [True, False],
    "sampler": ["shuffle", "class_aware"],
    "n_ctx": [4, 16],
    "views": [1, 5],
    "pool": ["max", "mean"],
    "ridge": [None, 0.1],
    "members": ["ridge, lda", "lda, ridge"],
    "seed": [0, 1],
}


def fake(out: Path, name: str, config: Config, **record) -> Run:
    """A run's folder as far as its label goes."""
    folder = out / name
    folder.mkdir(parents=True)
    told = {"settings": config.flat(), "dataset": "tiny", "classes": CLASSES, "warnings": [], "versions": {}}
    told |= {"n_train": 9, "n_val": 0, "n_test": 9, "logit_scale": 1.0, "fingerprints": {"dataset": "a", "clip": "b"}}
    (folder / "config.json").write_text(json.dumps(told | record))
    (folder / "metrics.json").write_text("{}")
    return Run(folder)


@pytest.fixture
def called(tmp_path):
    """The labels of runs with some settings, in their order."""

    def labels_of(*asked: dict) -> list[str]:
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        return labels([fake(out, f"{i}", resolve(**one)) for i, one in enumerate(asked)])

    return labels_of


@examples(max_examples=60)
@given(st.lists(st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in VALUES.items()}), max_size=7))
def test_configurations_never_share_a_label_and_seeds_always_do(tmp_path_factory, asked):
    out, configs = tmp_path_factory.mktemp("runs"), []
    for one in asked:
        try:
            configs.append(resolve(**fitting(one)))
        except ValueError:
            # settings that do not go together
            continue
    runs = [fake(out, f"{i}", config) for i, config in enumerate(configs)]
    effective = [{**config.effective(), "seed": None} for config in configs]
    for (a, ours), (b, theirs) in combinations(zip(labels(runs), effective), 2):
        assert (a == b) == (ours == theirs), f"{a}: {ours}, {theirs}"


def test_a_label_says_what_differs_in_the_words_of_the_field(called):
    lmpt = {"method": "lmpt"}
    assert called(lmpt) == ["LMPT"]
    # the losses of CoOp and LMPT are those that the recipe gives their methods
    assert called({"method": "zero_shot"}, {"method": "coop"}, lmpt) == ["zero-shot", "CoOp", "LMPT"]
    assert called({"method": "coop"}, lmpt, lmpt | {"loss": "asl"}) == ["CoOp, BCE", "LMPT, DB-Focal", "LMPT, ASL"]
    assert called(lmpt, lmpt | {"loss": "bce", "sampler": "class_aware"}) == [
        "LMPT, DB-Focal, shuffle",
        "LMPT, BCE, class-aware",
    ]
    assert called(lmpt, lmpt | {"lr": 1e-3}) == ["LMPT, lr 2e-3", "LMPT, lr 1e-3"]
    assert called(lmpt, lmpt | {"soft_margin": False}) == ["LMPT, soft margin", "LMPT, no soft margin"]
    assert called(lmpt, lmpt | {"recipe": "paper"}) == ["LMPT", "LMPT, recipe paper"]
    four = {"lr": 1e-3, "lam": 0.05, "sampler": "class_aware", "n_ctx": 16}
    assert called(lmpt, lmpt | four) == [
        "LMPT",
        "LMPT, class-aware, lr 1e-3, context length 16, init 'random', lam 0.05",
    ]
    searched = {"select": "folds", "trials": "lr: [1e-3, 1e-2], lam: [0.2, 0.8]"}
    assert called(lmpt | searched, lmpt | searched | {"sampler": "class_aware"}) == [
        "LMPT, shuffle",
        "LMPT, class-aware",
    ]
    trials = called(lmpt | searched, lmpt | {"select": "folds", "trials": "eta: [0.5, 1]"})
    assert "trials lr and lam" in trials[0] and "trials eta" in trials[1]


def test_what_has_no_effect_is_not_said(called):
    pair = called({"loss": "bce", "preset": "voc-lt"}, {"loss": "bce", "preset": "coco-lt", "lr": 1e-3})
    assert pair == ["LMPT, lr 2e-3", "LMPT, lr 1e-3"]
    assert called({"loss": "bce"}, {"loss": "bce", "preset": "coco-lt", "seed": 1}) == ["LMPT", "LMPT"]


def test_marks_and_weights_part_what_settings_do_not(tmp_path):
    config = resolve(method="coop")
    runs = [fake(tmp_path, "a", config), fake(tmp_path, "b", config, stopped_after=2)]
    runs.append(fake(tmp_path, "c", config, fingerprints={"dataset": "a", "clip": "other"}))
    bits = [run.configuration.rpartition("-")[2][:6] for run in runs]
    # nothing that has a name tells the first and the last apart
    assert labels(runs) == [f"CoOp #{bits[0]}", "CoOp, stopped after 2 of 30 epochs", f"CoOp #{bits[2]}"]


def test_tuned_towers_and_pools_have_their_names(tmp_path):
    config = resolve(method="lda")
    runs = [fake(tmp_path, "a", config)]
    for name in ("ballad-s0-0a1b2c", "ballad-s1-3d4e5f"):
        tuned = resolve(method="lda", weights=f"out/{name}/tuned.safetensors")
        runs.append(fake(tmp_path, name, tuned, fingerprints={"dataset": "a", "clip": name}))
    assert labels(runs) == ["LDA, embedded", "LDA, tuned 0a1b2c", "LDA, tuned 3d4e5f"]
    pools = [
        resolve(method="lda", tackle=pool, tackle_to=to)
        for pool, to in [("emoji", 20), ("my/photos", 20), ("emoji", 0)]
    ]
    runs = [
        fake(tmp_path, f"{i}", config, fingerprints={"dataset": "a", "clip": "b", "pool": str(i)})
        for i, config in enumerate(pools)
    ]
    assert labels(runs) == ["LDA, TACKLE to 20, from emoji", "LDA, TACKLE to 20, from photos", "LDA, no TACKLE"]


def test_a_user_calls_a_configuration_and_two_of_one_name_are_told_apart(tmp_path):
    one, two = resolve(method="coop"), resolve(method="coop", seed=1)
    for name, config in {"a": one, "b": two, "c": resolve(method="lmpt")}.items():
        fake(tmp_path, name, config)
    runs = find_runs(tmp_path)
    before = [run.configuration for run in runs]
    by_name = {run.folder.name: run for run in runs}
    assert {run.folder.name for run in give_label(by_name["b"], " mine ", runs)} == {"a", "b"}
    names = [run.folder.name for run in runs]
    assert dict(zip(names, labels(find_runs(tmp_path)))) == {"a": "mine", "b": "mine", "c": "LMPT"}
    assert [run.configuration for run in find_runs(tmp_path)] == before, "it is no part of the configuration"
    give_label(by_name["c"], "mine", runs)
    assert dict(zip(names, labels(runs))) == {"a": "mine (CoOp)", "b": "mine (CoOp)", "c": "mine (LMPT)"}
    assert by_name["c"].label == "mine"
    give_label(by_name["a"], "", runs)
    assert by_name["b"].label == "CoOp"
    for text in ("x" * 81, "a\nb"):
        with pytest.raises(ValueError, match="a label is one line of at most 80 letters"):
            give_label(by_name["a"], text, runs)


def test_a_seed_that_is_trained_later_is_called_as_its_configuration(tmp_path):
    base = fake(tmp_path, "a", resolve(method="coop"))
    give_label(base, "mine", [base])
    later, other = fake(tmp_path, "b", resolve(method="coop", seed=1)), fake(tmp_path, "c", resolve(method="lmpt"))
    assert labels([base, later, other]) == ["mine", "mine", "LMPT"] and labels([later]) == ["mine"]
    assert fake(tmp_path / "elsewhere", "a", resolve(method="coop")).label == "CoOp", "of another outputs folder"
    (tmp_path / "labels.json").write_text('{"coop": 1}')
    with pytest.raises(ValueError, match=r"labels\.json: damaged: mend it, or take it away"):
        labels([later])


def test_labels_that_are_given_at_once_are_all_kept(tmp_path):
    runs = [fake(tmp_path, f"{i}", resolve(method="coop", n_ctx=i + 1)) for i in range(8)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda run: give_label(run, run.folder.name, runs), runs))
    assert [run.own_label for run in runs] == [run.folder.name for run in runs]


def test_a_run_whose_recipe_is_gone_is_shown_beside_others(tmp_path):
    runs = [fake(tmp_path, f"{i}", resolve(method="coop", lr=lr)) for i, lr in enumerate((2e-3, 1e-3))]
    before = runs[1].configuration
    record = json.loads((tmp_path / "1" / "config.json").read_text())
    record["settings"]["recipe"] = "my_own"
    (tmp_path / "1" / "config.json").write_text(json.dumps(record))
    gone = Run(tmp_path / "1")
    assert gone.configuration == before, "a recipe is no part of it"
    assert labels([runs[0], gone]) == ["CoOp, lr 2e-3", "CoOp, lr 1e-3"]
    assert "recipe my_own" in described(gone) and differing([runs[0], gone])[1] == {"lr": 1e-3}
    assert gone.trained_config.settings.lr == 1e-3
    there = fake(tmp_path, "2", resolve(method="coop", select="folds", trials="lr: [1e-3, 1e-2]"))
    folds = there.config["settings"] | {"recipe": "my_own"}
    (tmp_path / "1" / "config.json").write_text(json.dumps(record | {"settings": folds}))
    assert Run(tmp_path / "1").configuration == there.configuration


def test_the_whole_configuration_is_told_and_what_differs_as_it_is_set(tmp_path):
    config = resolve(method="lmpt", recipe="paper", loss="asl", lr=1e-3)
    runs = [fake(tmp_path, "a", config), fake(tmp_path, "b", resolve(method="ridge"))]
    assert described(runs[0]) == "LMPT; recipe paper; ASL; SGD; lr 1e-3; weight decay 1e-4; logit map raw"
    assert described(runs[1]) == "ridge"
    assert differing(runs) == [{"method": "lmpt", "select": "last"}, {"method": "ridge", "select": "folds"}]
