"""Training: what a run records, repeats and refuses."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from lmptlib.clip.features import extract
from lmptlib.clip.loading import load_clip
from lmptlib.clip.text import template_features
from lmptlib.config import read_loss_settings, resolve
from lmptlib.data.loading import load_dataset
from lmptlib.errors import NonFiniteLoss
from lmptlib.evaluation.average_precision import average_precision
from lmptlib.losses import make_loss, mean_probabilities
from lmptlib.paths import replace_folder, shipped
from lmptlib.published.tables import published
from lmptlib.recipes.reading import read_recipe, recipe_names
from lmptlib.runs.comparison import compare
from lmptlib.runs.ensemble import Ensemble
from lmptlib.runs.run import Run, find_runs, pick_runs
from lmptlib.runs.tables import class_table, group_table, labelled, results_table
from lmptlib.training.plan import plan_run
from lmptlib.training.state import TrainState, learning_rate
from lmptlib.training.training import train

silent = lambda line: None  # noqa: E731


def test_a_run_leaves_everything_behind(make_run, tiny, tmp_path):
    run = make_run()
    assert sorted(path.name for path in run.folder.iterdir()) == [
        ".lock", "config.json", "history.jsonl", "metrics.json", "probabilities.npz", "prompts.safetensors", "scores.npz",
    ]  # fmt: skip
    assert [path.name for path in run.folder.parent.iterdir()] == [run.folder.name]
    assert run.config["settings"]["epochs"] == 2 and run.config["settings"]["lr"] == 2e-3
    assert None not in [
        v for k, v in run.config["settings"].items() if k not in ("data_root", "weights", "tackle", "tackle_tau")
    ]
    history = run.history
    assert history["epoch"].tolist() == [1, 2]
    wanted = {"loss", "loss_cls", "loss_cse", "lr", "seconds", "grad_cls", "grad_cse", "inside_margin"}
    assert wanted <= set(history.columns)
    np.testing.assert_allclose(history["loss"], 0.5 * history["loss_cls"] + 0.5 * history["loss_cse"], rtol=1e-5)
    with np.load(run.folder / "probabilities.npz") as file:
        assert file["iteration_positive"].shape == (6, 4) and file["epoch_negative"].shape == (3, 4)
    metrics = run.metrics
    assert set(metrics) == {"scores", "n_pos", "n_scored_classes"} and set(metrics["scores"]) == {"softmax", "logit"}
    for entry in metrics["scores"].values():
        assert set(entry) == {"total", "head", "medium", "tail", "ci95", "per_class", "per_class_ci95"}
    scores = run.scores()
    ap = 100 * average_precision(scores["labels"], scores["scores"])
    assert metrics["scores"]["logit"]["total"] == pytest.approx(ap.mean(), abs=1e-3)


def test_the_recorded_means_are_those_of_equation_6():
    generator = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(9, 3, generator=generator), torch.zeros(9, 3)
    targets[:4, 0], targets[:, 2] = 1, 1
    positive, negative = mean_probabilities(logits, targets)
    p = 1 / (1 + np.exp(-logits.numpy()))
    assert positive[0].item() == pytest.approx(p[:4, 0].mean(), rel=1e-6)
    assert negative[0].item() == pytest.approx((1 - p[4:, 0]).mean(), rel=1e-6)
    assert positive[1].isnan() and negative[2].isnan()


def test_epoch_probabilities_are_exact(make_run, tiny, tmp_path):
    """Recompute them from the saved prompts and head."""
    run = make_run()
    prompts, dataset = run.prompts(), load_dataset(str(tiny.path))
    features = extract(load_clip(log=silent), dataset, log=silent)
    with np.load(run.folder / "probabilities.npz") as file:
        recorded = file["epoch_positive"]
    for text, row, head in (("after", -1, (prompts["logit_map.a"], prompts["logit_map.b"])),):
        z = head[0].exp() * features.train @ prompts[text].T + head[1]
        expected, _ = mean_probabilities(z, torch.from_numpy(dataset.train.labels).float())
        np.testing.assert_allclose(recorded[row], expected, atol=1e-5)
    by_group = run.probabilities("epoch")
    assert by_group["step"].max() == 2 and set(by_group["group"]) == {"head", "medium", "tail"}


def test_the_seed_decides(make_run, tiny, tmp_path):
    first, again, other = (make_run(tmp_path / name, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    assert torch.equal(first.prompts()["after"], again.prompts()["after"])
    assert not torch.equal(first.prompts()["after"], other.prompts()["after"])
    assert first.folder.name == again.folder.name != other.folder.name


def test_a_finished_run_is_not_repeated(make_run, tiny, tmp_path, monkeypatch):
    run = make_run()
    stamp = (run.folder / "metrics.json").stat().st_mtime_ns
    monkeypatch.setattr("lmptlib.training.training.load_clip", lambda *_: pytest.fail("repeated"))
    assert make_run().folder == run.folder
    monkeypatch.undo()
    train(resolve(dataset=str(tiny.path), epochs=2, batch_size=8), tmp_path / "outputs", force=True, log=silent)
    assert (run.folder / "metrics.json").stat().st_mtime_ns > stamp
    tiny.replace("captions.txt", "a photo of a dog.", "a dog.")
    assert make_run().folder != run.folder, "another caption is another run"


@pytest.mark.parametrize("spoilt", [b"", b'{"key', b"[1]"])
def test_a_run_whose_record_is_damaged_is_made_again(make_run, spoilt):
    record = make_run(method="linear_probe").folder / "config.json"
    before = json.loads(record.read_bytes())
    record.write_bytes(spoilt)
    assert make_run(method="linear_probe").config["key"] == before["key"]


def test_zero_shot_learns_nothing_and_leaves_a_folder(make_run, tiny, tmp_path):
    run = make_run(method="zero_shot")
    prompts = run.prompts()
    assert torch.equal(prompts["before"], prompts["after"]) and run.history.empty
    assert run.label == "zero-shot"
    stamp = (run.folder / "metrics.json").stat().st_mtime_ns
    again = make_run(method="zero_shot", recipe="probe", logit_map="affine")
    assert (again.folder / "metrics.json").stat().st_mtime_ns == stamp, "recipes of learning do not matter to it"
    with pytest.raises(ValueError, match=r"method 'zero_shot' has no setting 'lr' \(it goes with coop, lmpt"):
        make_run(method="zero_shot", lr=1.0)


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "coop"}, {"recipe": "paper"}, {"loss": "bce"}, {"class_specific": False}, {"ctx_init": "a bad photo of a"},
        {"n_ctx": 3}, {"soft_margin": False, "reweight": "uniform"}, {"reweight": "ones"}, {"lam": 0.0},
        {"method": "coop", "loss": "db_focal"},
        {"class_position": "front"}, {"class_position": "middle"}, {"class_specific": False, "n_ctx": 16}, {"level": "token"},
        {"logit_map": "affine_per_class"}, {"method": "prompts_and_probe", "centred": False},
        {"recipe": "prompts_and_probe"}, {"ema": 0.9}, {"warmup": 3},
        {"sampler": "class_aware"}, {"sampler": "square_root"}, {"sampler": "effective_number"}, {"loss": "pg"},
        {"loss": "pr", "loss_settings": "l1_neg: 5, l2_pos: [1, 1, 2]"}, {"preprocess": "imagenet"},
    ],
)  # fmt: skip
def test_every_switch_trains(make_run, tiny, tmp_path, settings):
    run = make_run(**settings)
    assert run.history["loss"].notna().all()
    assert not torch.equal(run.prompts()["before"], run.prompts()["after"])
    plain = make_run()
    assert not np.allclose(run.scores()["logits"], plain.scores()["logits"], atol=1e-5), "it is as if nothing was set"
    if settings.get("n_ctx"):
        contexts = 4 if settings.get("class_specific", True) else 1
        assert run.prompts()["learner.context"].shape[:2] == (contexts, settings["n_ctx"])
    if settings.get("ctx_init"):
        assert run.prompts()["learner.context"].shape[:2] == (4, 5)
    if settings.get("recipe") == "paper":
        assert run.prompts()["logit_map.b"] == 0 and run.config["settings"]["optimizer"] == "sgd"


def test_training_lowers_its_objective(make_run, tiny, tmp_path):
    history = make_run(epochs=12).history
    assert history["loss"].iloc[-1] < 0.8 * history["loss"].iloc[0]


def test_validation_chooses_the_epoch(make_run, tiny, tmp_path):
    with pytest.raises(ValueError, match="select 'val' needs a validation split"):
        make_run(select="val")
    tiny.edit(val="test.txt", test="train.txt", train="train2.txt")
    for i in range(24):
        (tiny.folder / "train" / f"copy{i}.jpg").write_bytes((tiny.folder / "train" / f"{i}.jpg").read_bytes())
    for file in ("train.txt", "captions.txt"):
        text = (tiny.folder / file).read_text().replace("train/", "train/copy")
        (tiny.folder / {"train.txt": "train2.txt", "captions.txt": file}[file]).write_text(text)
    run = make_run(select="val", epochs=4)
    best = run.history["val_map"].idxmax()
    assert run.config["selected_epoch"] == run.history["epoch"][best]


def test_a_loss_that_is_not_finite_stops_the_run(make_run, tiny, tmp_path):
    with pytest.raises(NonFiniteLoss, match=r"not finite in epoch \d+ \(class: .*lr 1e\+38.*lower lr"):
        make_run(recipe="paper", lr=1e38, epochs=5)
    with pytest.raises(NonFiniteLoss, match=r"logits are not finite after epoch 1 \(lr 3e\+38\)"):
        make_run(recipe="paper", lr=3e38, epochs=1, batch_size=24)
    assert not find_runs(tmp_path / "outputs")


def test_captions_are_needed_by_lmpt_alone(make_run, tiny, tmp_path):
    tiny.edit(captions=None)
    with pytest.raises(ValueError, match="learns from captions, and there are none"):
        make_run()
    assert make_run(method="coop").metrics["n_scored_classes"] == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "unknown setting 'epoch'. Did you mean 'epochs'?"),
        ({"recipe": "papers"}, "unknown recipe 'papers'. Did you mean 'paper'?"),
        (
            {"method": "cocoop"},
            "setting 'method' is one of zero_shot, zero_shot_templates, coop, lmpt, ballad, linear_probe, prompts_and_probe",
        ),
        ({"loss": "dbfocal"}, "setting 'loss' is one of"),
        ({"epochs": 0}, "setting 'epochs' must be at least 1, not 0"),
        ({"epochs": 2.5}, "setting 'epochs' must be a whole number, not 2.5"),
        ({"lam": 1.5}, "setting 'lam' must be from 0 to 1, not 1.5"),
        ({"lr": -1.0}, "setting 'lr' must be at least 0"),
        ({"lr": float("nan")}, "setting 'lr' must be at least 0"),
        ({"class_specific": "yes"}, "setting 'class_specific' must be true or false"),
        ({"loss": "pr", "loss_settings": "l1_ng: 5"}, "loss 'pr' has no setting 'l1_ng'. Did you mean 'l1_neg'?"),
        ({"loss_settings": "lam"}, "setting 'loss_settings' must be like 'gamma: 3, alpha: 0.25', not 'lam'"),
        ({"loss_settings": "lam: ["}, "setting 'loss_settings' must be like"),
        ({"loss": "db", "loss_settings": "lam: -5"}, "loss 'db': lam is above 0 and finite, not -5"),
        ({"loss": "focal", "loss_settings": "gamma: two"}, "loss 'focal': gamma is a number, not 'two'"),
        ({"loss": "pg", "loss_settings": "focal: some"}, "focal is one of none, fixed, adaptive, not 'some'"),
        ({"head": "affine"}, "setting 'head' is called 'logit_map' now"),
        ({"method": "linear_probe", "logit_map": "raw"}, "method 'linear_probe' has no setting 'logit_map'"),
        (
            {"method": "linear_probe", "n_ctx": 4},
            "method 'linear_probe' has no setting 'n_ctx' (it goes with coop, lmpt",
        ),
        ({"method": "coop", "lam": 0.5}, "method 'coop' has no setting 'lam' (it goes with lmpt, prompts_and_probe)"),
        ({"method": "coop", "centred": True}, "method 'coop' has no setting 'centred'"),
        ({"recipe": "prompts_and_probe", "hand_written": 1.5}, "setting 'hand_written' must be from 0 to 1, not 1.5"),
        ({"lr": float("inf")}, "setting 'lr' must be at least 0, not inf"),
        ({"seed": True}, "setting 'seed' must be a whole number, not True"),
        ({"sampler": "class-aware"}, "setting 'sampler' is one of shuffle, class_aware"),
        ({"recipe": "lmpt_table2/bcee"}, "unknown recipe 'lmpt_table2/bcee'. Did you mean 'lmpt_table2/bce'?"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(settings, message):
    with pytest.raises(ValueError) as error:
        resolve(**settings)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_recipes_are_complete():
    for name in recipe_names():
        recipe = read_recipe(name)
        assert recipe["about"] and recipe["minutes"] > 0
        for dataset in ("emoji-lt", "voc-lt", "coco-lt"):
            config = resolve(recipe=name, dataset=dataset)
            without = [name for name, value in config.flat().items() if value is None]
            assert without == ["data_root", "cache", "weights", "tackle", "tackle_tau"]
            if learning := config.learning:
                own = read_loss_settings(learning.loss_settings)
                make_loss(learning.loss, [120, 30, 3], 150, learning.preset, **own)
    assert (
        resolve(recipe="paper", dataset="coco-lt").settings.lr == 1e-4 and resolve(recipe="paper").settings.lr == 5e-4
    )
    coco = resolve(dataset="coco-lt").settings
    assert coco.preset == "coco-lt" and coco.lr == 2e-3
    assert (
        resolve(method="coop").settings.loss == "bce"
        and resolve(recipe="lmpt_table3/soft_prompt").settings.loss == "db_focal"
    )
    assert resolve(recipe="lmpt_table3/clip").method == "zero_shot", "a recipe says its method"
    assert resolve(recipe="probe", dataset="coco-lt").settings.lr != resolve(recipe="probe").settings.lr
    assert resolve(recipe="pg_table3/pr_l1_neg", loss="bce").settings.loss_settings == "", (
        "another loss leaves the recipe's settings"
    )


def test_every_printed_row_about_losses_has_its_recipe():
    addresses = {read_recipe(name)["published"] for name in recipe_names() if "/" in name}
    table = published()
    rows = set(table["source"] + "/" + table["table"] + "/" + table["row"])
    wanted = {row for row in rows if row.startswith(("lmpt/2/", "lmpt/3/", "pg/2/", "pg/3/", "pg/4/", "pg/5/"))}
    assert addresses == wanted - {"pg/2/ml_gcn"}, "ML-GCN is a network, not a loss"


def test_the_linear_probe_is_one(make_run, tiny, tmp_path):
    """Its scores are W f + b of the saved parameters."""
    images = extract(load_clip(log=silent), load_dataset(str(tiny.path)), log=silent).test
    run = make_run(method="linear_probe")
    kept = run.prompts()
    assert not kept["before"].any() and torch.equal(kept["probe.weight"], kept["after"])
    np.testing.assert_allclose(run.scores()["scores"], images @ kept["probe.weight"].T + kept["probe.bias"], atol=1e-5)


def test_an_ensemble_averages_logits(make_run, tiny, tmp_path):
    probe, prompts = make_run(method="linear_probe"), make_run(seed=3)
    both = Ensemble(((0.25, probe), (0.75, prompts)))
    logits = 0.25 * probe.scores()["scores"] + 0.75 * prompts.config["logit_scale"] * prompts.scores()["scores"]
    np.testing.assert_allclose(both.ranking_scores("logit")[1], logits, rtol=1e-5)
    ap = 100 * average_precision(probe.scores()["labels"], logits)
    assert both.metrics["scores"]["logit"]["total"] == pytest.approx(ap.mean(), abs=1e-3)
    assert both.seed == 0, "that of the first part that learns"
    zero_shot = make_run(method="zero_shot")
    assert Ensemble(((0.5, zero_shot), (0.5, prompts))).seed == 3
    assert len(class_table([both])) == 4 and not both.leaks
    table = compare({"both": [both], "probe": [probe]}, "probe")
    gap = table.query("row == 'both' and group == 'total'")["difference"].item()
    assert gap == pytest.approx(ap.mean() - probe.metrics["scores"]["logit"]["total"], abs=1e-3)


def test_shares_and_centring_are_of_the_text_features(make_run, tiny, tmp_path):
    clip, dataset = load_clip(log=silent), load_dataset(str(tiny.path))
    images, text = extract(clip, dataset, log=silent).test, template_features(clip, dataset.class_names)
    run = make_run(method="prompts_and_probe", hand_written=0.3, centred=True, residual=0.0)
    kept = run.prompts()
    mixed = torch.nn.functional.normalize(0.7 * run.prompts()["after"] + 0.3 * text, dim=-1)
    np.testing.assert_allclose(
        run.scores()["scores"],
        kept["logit_map.a"].exp() * (images @ (mixed - mixed.mean(0)).T) + kept["logit_map.b"],
        atol=1e-4,
    )
    plain, centred = (make_run(method="zero_shot", centred=c) for c in (False, True))
    np.testing.assert_allclose(plain.ranking_scores("softmax")[1], centred.ranking_scores("softmax")[1], atol=1e-5)
    assert np.abs(plain.scores()["scores"] - centred.scores()["scores"]).max() > 0.1


def test_what_zero_shot_does_not_use_does_not_reach_it(make_run, tiny, tmp_path):
    """Recipe best has a linear probe and a share of hand-written prompts: neither is zero-shot's."""
    plain = make_run(method="zero_shot", centred=True)
    stamp = (plain.folder / "metrics.json").stat().st_mtime_ns
    again = make_run(method="zero_shot", recipe="prompts_and_probe", centred=True)
    assert (again.folder / "metrics.json").stat().st_mtime_ns == stamp and not again.leaks
    clip, dataset = load_clip(log=silent), load_dataset(str(tiny.path))
    text = template_features(clip, dataset.class_names)
    images = extract(clip, dataset, log=silent).test
    np.testing.assert_allclose(again.scores()["scores"], images @ (text - text.mean(0)).T, atol=1e-5)


def test_a_residual_is_a_linear_head_in_the_logits(make_run, tiny, tmp_path):
    run = make_run(method="prompts_and_probe", residual=0.75, centred=True, hand_written=0.0)
    kept = run.prompts()
    images = extract(load_clip(log=silent), load_dataset(str(tiny.path)), log=silent).test
    cosine = images @ (kept["after"] - kept["after"].mean(0)).T
    expected = 0.25 * (kept["logit_map.a"].exp() * cosine + kept["logit_map.b"])
    expected += 0.75 * (images @ kept["probe.weight"].T + kept["probe.bias"])
    np.testing.assert_allclose(run.scores()["scores"], expected, atol=1e-4)
    assert kept["probe.weight"].any() and run.config["logit_scale"] == 1


def test_averaged_weights_replace_the_live_ones(make_run, tiny, tmp_path):
    live, still = make_run(ema=0.0).prompts(), make_run(ema=0.999).prompts()
    moved, hardly = ((kept["after"] - kept["before"]).norm() for kept in (live, still))
    assert hardly < 0.02 * moved and hardly > 0


def test_a_recipe_that_chooses_on_the_test_set_says_so_everywhere(make_run, tiny, tmp_path):
    run = make_run(recipe="reported", epochs=3)
    assert run.config["selected_epoch"] == run.history["epoch"][run.history["test_map"].idxmax()]
    assert run.metrics["scores"]["softmax"]["total"] == pytest.approx(run.history["test_map"].max(), abs=1e-3)
    assert run.config["settings"]["preprocess"] == "imagenet"
    assert "TEST-SET LEAKAGE" in run.label and "TEST-SET LEAKAGE" in results_table([run])["run"][0]
    assert not make_run().leaks


def test_the_learning_rate_rises_and_falls():
    factors = [learning_rate(step, 100, 10) for step in range(101)]
    assert factors[0] == pytest.approx(1 / 3) and factors[100] == pytest.approx(0, abs=1e-12)
    assert np.argmax(factors) == 10 and learning_rate(50, 100, 0) == pytest.approx(0.5)


def test_photographs_give_the_known_zero_shot_scores(shared, cache, tmp_path):
    photos = shared / "photos"
    config = resolve(
        dataset=str(photos / "photos.yaml"), model=str(photos / "photo-mini.json"),
        weights=str(photos / "photo-mini.safetensors"), method="zero_shot", cache=str(cache),
    )  # fmt: skip
    run = Run(train(config, tmp_path, log=silent))
    assert run.metrics["scores"]["softmax"]["total"] == pytest.approx(49.08, abs=0.3)
    assert run.metrics["scores"]["logit"]["total"] == pytest.approx(45.71, abs=0.3)
    assert run.metrics["n_scored_classes"] == 19 and run.metrics["scores"]["softmax"]["per_class"]["bird"] is None


def test_other_weights_are_another_run(make_run, tiny, tmp_path):
    weights = load_file(shipped("data/emoji") / "clip-emoji.safetensors")
    weights["visual.conv1.weight"] *= 1.1
    save_file(weights, tmp_path / "other.safetensors")
    first = make_run(method="zero_shot")
    other = make_run(method="zero_shot", weights=str(tmp_path / "other.safetensors"))
    assert first.folder != other.folder
    moved = tmp_path / "moved.safetensors"
    (tmp_path / "other.safetensors").rename(moved)
    assert make_run(method="zero_shot", weights=str(moved)).folder == other.folder


def test_labels_tell_settings_apart_and_seeds_together(make_run, tiny, tmp_path):
    one, two, three = (make_run(**s) for s in ({}, {"seed": 1}, {"lr": 1e-3}))
    labels = [label for label, _ in labelled([one, two, three])]
    assert labels[0] == labels[1] == "LMPT, lr 2e-3"
    assert labels[2] == "LMPT, lr 1e-3"
    assert [label for label, _ in labelled([one, two])] == ["LMPT"] * 2
    tiny.replace("captions.txt", "a photo of a person.", "one person.")
    with pytest.raises(ValueError, match="are of different data"):
        class_table([one, make_run()])


def test_a_failed_write_leaves_the_old_run(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "old").touch()
    with pytest.raises(RuntimeError), replace_folder(tmp_path / "run") as draft:
        (draft / "new").touch()
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["run"] and (tmp_path / "run" / "old").exists()
    with replace_folder(tmp_path / "run") as draft:
        (draft / "new").touch()
    assert [p.name for p in tmp_path.rglob("*")] == ["run", "new"]


def test_tables_of_runs(make_run, tiny, tmp_path):
    made = [make_run(method="zero_shot"), make_run()]
    found = find_runs(tmp_path / "outputs")
    assert [run.folder for run in found] == [run.folder for run in made]
    table = results_table(found)
    assert table["softmax total"].tolist() == [run.metrics["scores"]["softmax"]["total"] for run in made]
    assert len(class_table(found)) == 8 and len(group_table(found)) == 8
    assert [run.folder for run in pick_runs("all", tmp_path / "outputs")] == [run.folder for run in made]
    with pytest.raises(ValueError, match="no run 'tiny-lmp'"):
        pick_runs("tiny-lmp", tmp_path / "outputs")
    with pytest.raises(ValueError, match="not a run"):
        Run(tmp_path)
    config = json.loads((made[1].folder / "config.json").read_text())
    assert {"settings", "fingerprints", "versions", "classes", "device", "seconds"} <= set(config)


@pytest.mark.parametrize(
    "settings",
    [{}, {"optimizer": "sgd", "lr": 0.02, "ema": 0.9, "warmup": 3, "sampler": "class_aware"},
     {"recipe": "prompts_and_probe"}, {"recipe": "probe"}],
)  # fmt: skip
def test_a_stopped_run_goes_on_to_the_same_result(tiny, tmp_path, settings):
    config = resolve(dataset=str(tiny.path), epochs=4, batch_size=8, **settings)
    whole = Run(train(config, tmp_path / "whole", log=silent))
    seen, lines = [], []
    folder = train(config, tmp_path / "broken", log=silent, on_epoch_end=lambda state: state.epoch < 2)
    part = Run(folder)
    assert part.stopped == 2 and "stopped after 2 of 4 epochs" in part.label and len(part.history) == 2
    assert "stopped after 2 of 4 epochs" in results_table([part])["run"][0]
    assert not plan_run(config, tmp_path / "broken").folder.finished
    again = train(
        config,
        tmp_path / "broken",
        log=lines.append,
        on_epoch_end=lambda state: not seen.append(state.mean_ap("train")),
    )
    assert again == folder and any("going on after epoch 2 of 4" in line for line in lines) and len(seen) == 2
    joined = Run(folder)
    assert joined.stopped is None and not (folder / "checkpoint.pt").exists()
    assert seen[-1] > 0
    columns = whole.history.columns.drop("seconds")
    pd.testing.assert_frame_equal(joined.history[columns], whole.history[columns], check_exact=True)
    pd.testing.assert_frame_equal(joined.probabilities(), whole.probabilities(), check_exact=True)
    for name, tensor in whole.prompts().items():
        assert torch.equal(joined.prompts()[name], tensor), name
    assert joined.metrics == whole.metrics
    assert train(config, tmp_path / "broken", log=lines.append) == folder and "finished already" in lines[-1]


def test_an_interrupt_leaves_a_run_that_goes_on(tiny, tmp_path, monkeypatch):
    config = resolve(dataset=str(tiny.path), epochs=3, batch_size=8, select="test")
    whole = Run(train(config, tmp_path / "whole", log=silent))
    steps = []

    def interrupt(self, step):
        steps.append(step)
        if len(steps) == 5:  # in the second epoch
            raise KeyboardInterrupt
        return batch(self, step)

    batch = TrainState.batch
    monkeypatch.setattr(TrainState, "batch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "broken", log=silent)
    (part,) = find_runs(tmp_path / "broken")
    assert part.stopped == 1
    joined = Run(train(config, tmp_path / "broken", log=silent))
    columns = whole.history.columns.drop("seconds")
    pd.testing.assert_frame_equal(joined.history[columns], whole.history[columns], check_exact=True)
    assert joined.metrics == whole.metrics and joined.config["selected_epoch"] == whole.config["selected_epoch"]
    assert all(torch.equal(joined.prompts()[name], tensor) for name, tensor in whole.prompts().items())


def test_a_test_image_that_cannot_be_read_is_said_before_training(make_run, tiny):
    (tiny.folder / "test" / "3.jpg").write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"test.txt line 4: .*3.jpg: cannot be decoded"):
        make_run(loss="bce", epochs=10**6)


def test_a_run_on_pictures_that_are_read_otherwise_is_another_run(tiny, monkeypatch):
    config = resolve(dataset=str(tiny.path), method="zero_shot")
    key = plan_run(config).key
    assert plan_run(config).key == key
    monkeypatch.setattr("lmptlib.training.folder.READING", 1)
    assert plan_run(config).key != key
