"""Settings that change between epochs: events of a run, which is then none of its configuration any more."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from lmptlib.clip.loading import load_clip
from lmptlib.config import resolve
from lmptlib.losses import CSELoss, make_loss
from lmptlib.methods.base import Batch
from lmptlib.runs.comparison import compare
from lmptlib.runs.labels import described
from lmptlib.runs.run import Run, find_runs
from lmptlib.runs.tables import by_label, results_table, settings_table
from lmptlib.training.events import edited
from lmptlib.training.folder import RunFolder
from lmptlib.training.inputs import Inputs
from lmptlib.training.plan import plan_again, plan_run
from lmptlib.training.state import TrainState, build_method
from lmptlib.training.training import train

silent = lambda line: None  # noqa: E731
CHANGES = {1: {"lr": 2e-2}, 3: {"lam": 0.9, "loss": "asl"}}  # after these epochs


class Killed(BaseException):
    """Stands for a SIGKILL: nothing is written after it."""


def editor(changes: dict, stop: int | None = None, kill: int | None = None):
    """What changes settings after epochs, and may stop or kill the run after one."""

    def on_epoch_end(state: TrainState) -> bool:
        if state.epoch == kill:
            raise Killed
        if state.epoch == stop:
            return False
        for setting, value in changes.get(state.epoch, {}).items():
            state.edit(setting, value)
        return True

    return on_epoch_end


@pytest.fixture
def config(tiny, cache):
    return resolve(dataset=str(tiny.path), cache=str(cache), epochs=5, batch_size=8, device="cpu", loss="bce")


def same(one: Run, other: Run) -> None:
    columns = one.history.columns.drop("seconds")
    pd.testing.assert_frame_equal(one.history[columns], other.history[columns], check_exact=True)
    assert one.metrics == other.metrics
    assert all(torch.equal(one.prompts()[name], tensor) for name, tensor in other.prompts().items())


def test_an_edited_run_is_a_loop_with_the_same_changes(config, tmp_path):
    """Written out by hand: AdamW, a cosine to 0, the two losses."""
    run = Run(train(config, tmp_path, log=silent, on_epoch_end=editor(CHANGES)))
    plan = plan_run(config, tmp_path)
    inputs = Inputs(plan.dataset, load_clip(device="cpu", log=silent), plan.cache, silent)
    counts, own = torch.from_numpy(plan.dataset.class_counts), config.settings
    method = build_method(config, plan.dataset.class_names, counts, 24, 128, inputs.clip)
    method.calibrate([inputs.whole()])
    groups = [{"params": [method.learner.context], "weight_decay": own.weight_decay}]
    groups.append({"params": [method.logit_map.a, method.logit_map.b], "weight_decay": 0.0})
    optimizer = torch.optim.AdamW(groups, betas=(own.momentum, 0.999), fused=True)
    cse, now, told, step = CSELoss(counts, own.eta, own.gamma), {"lr": own.lr, "lam": own.lam, "loss": "bce"}, [], 0
    generator = method.problem.generator
    for epoch in range(1, 6):
        order, total = torch.randperm(24, generator=generator), 0.0
        flips = torch.randint(2, (24,), generator=generator)
        classification = make_loss(now["loss"], counts, 24, own.preset)
        for rows in order.split(8):
            factor = 0.5 * (1 + math.cos(math.pi * step / 15))
            optimizer.param_groups[0]["lr"], optimizer.param_groups[1]["lr"] = now["lr"] * factor, 1e-2 * factor
            (text,) = inputs.clip.encode_prompts([method.prompts(None)])
            targets = inputs.targets[rows]
            images = inputs.images[flips[step % 3 * 8 : step % 3 * 8 + 8], rows]
            terms = (
                classification(method.logits(Batch(targets, images=images), text), targets),
                cse(inputs.captions[rows], text, targets),
            )
            loss = now["lam"] * terms[0] + (1 - now["lam"]) * terms[1]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step, total = step + 1, total + loss.item() / 3
        told.append(total)
        now |= CHANGES.get(epoch, {})
    np.testing.assert_allclose(run.history["loss"], told, rtol=1e-5)
    np.testing.assert_allclose(run.prompts()["learner.context"], method.learner.context.detach(), atol=1e-5)
    expected = [2e-3, *(2e-2 * 0.5 * (1 + math.cos(math.pi * epoch / 5)) for epoch in range(1, 5))]
    np.testing.assert_allclose(run.history["lr"], expected)
    assert [tuple(event.values()) for event in run.events] == [
        (1, "lr", 2e-3, 2e-2), (3, "lam", 0.5, 0.9), (3, "loss", "bce", "asl"),
    ]  # fmt: skip
    assert run.marks == ["edited"] and run.config["settings"]["lr"] == 2e-3


@pytest.mark.parametrize("breaks", [{"kill": 2}, {"kill": 4}, {"stop": 4}, {"kill": 4, "damaged": True}])
def test_an_edited_run_goes_on_to_the_same_bits(breaks, config, tmp_path):
    whole = Run(train(config, tmp_path / "whole", log=silent, on_epoch_end=editor(CHANGES)))
    damaged, broken, said = breaks.pop("damaged", False), tmp_path / "broken", []
    try:
        train(config, broken, log=silent, on_epoch_end=editor(CHANGES, **breaks))
    except Killed:
        assert not find_runs(broken)
    (folder,) = broken.glob("*-edited-*")
    if damaged:
        (folder / "checkpoint.pt").write_bytes(b"")
    plan = plan_again(folder, broken)
    done = plan.folder.epochs_done
    assert done == (0 if damaged else max(breaks.values()))
    later = {epoch: changes for epoch, changes in CHANGES.items() if epoch > done and not damaged}
    assert train(config, broken, log=said.append, plan=plan, on_epoch_end=editor(later)) == folder
    same(Run(folder), whole)
    assert Run(folder).events == whole.events
    assert train(config, broken, log=said.append, plan=plan_again(folder, broken)) == folder
    assert "finished already" in said[-1]


def test_the_run_without_the_edit_is_another(config, tmp_path):
    """It stays at the epoch of the first edit, and goes on from there as if there had been none."""
    edited = train(config, tmp_path, log=silent, on_epoch_end=editor(CHANGES))
    plain, said = plan_run(config, tmp_path), []
    assert plain.path != edited and plain.folder.epochs_done == 1 and not plain.folder.finished
    assert train(config, tmp_path, log=said.append) == plain.path and any("going on after epoch 1" in s for s in said)
    same(Run(plain.path), Run(train(config, tmp_path / "whole", log=silent)))
    again = train(config, tmp_path / "whole", log=silent, force=True, on_epoch_end=editor(CHANGES))
    assert again.name != edited.name, "the same edits by hand are another run"


def test_a_kill_while_an_edited_run_begins_leaves_the_plain_one(config, tmp_path, monkeypatch):
    def killed(self, state):
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(RunFolder, "go_on", killed)
        train(config, tmp_path, log=silent, on_epoch_end=editor(CHANGES))
    assert plan_run(config, tmp_path).folder.epochs_done == 1
    same(Run(train(config, tmp_path, log=silent)), Run(train(config, tmp_path / "whole", log=silent)))


def test_a_loss_that_comes_back_has_its_settings_again(config, tmp_path):
    config, seen = config.with_settings(loss="asl", loss_settings="gamma_neg: 2"), {}

    def edit(state: TrainState) -> None:
        if state.epoch in (1, 2):
            state.edit("loss", "bce" if state.epoch == 1 else "asl")
        seen[state.epoch] = state.config.learning.loss_settings, state.method.problem.loss

    folder = train(config, tmp_path, log=silent, on_epoch_end=edit)
    assert {epoch: settings for epoch, (settings, _) in seen.items()} == {1: ""} | dict.fromkeys(
        range(2, 6), "gamma_neg: 2"
    )
    assert seen[5][1].gamma_neg == 2
    assert edited(config, Run(folder).events) == config
    other = edited(config, Run(folder).events[:1])
    assert (other.learning.loss, other.learning.loss_settings) == ("bce", "")


def test_an_edited_run_is_no_seed(config, tmp_path):
    seeds = [config.with_settings(seed=seed) for seed in (0, 1)]
    plain = [Run(train(one, tmp_path / "plain", log=silent)) for one in seeds]
    changed = [
        Run(train(one, tmp_path / "edited", log=silent, on_epoch_end=editor(CHANGES))) for one in (*seeds, seeds[1])
    ]
    rows = by_label([*plain, *changed])
    assert [len(part) for part in rows.values()] == [2, 1, 1, 1]
    assert all("edited" in label for label in list(rows)[1:]) and "edited" not in next(iter(rows))
    table = compare(rows).query("group == 'total'")
    assert table["n_seeds"].tolist() == [2, 1, 1, 1]
    # once: with what was edited
    assert all(label.count("edited") == 1 for label in list(rows)[1:]), list(rows)
    assert described(changed[0]).count("edited") == 1 and changed[0].label.count("edited") == 1
    assert "edited" in results_table(changed)["run"][0] and set(settings_table(changed[1:])) == {"edited"}


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("eta", 2.0, "setting 'eta' cannot change while a run trains: only lr, lam, loss can"),
        ("lam", 0.5, "method 'coop' has no setting 'lam'"),
        ("lr", -1.0, "setting 'lr' must be at least 0"),
        ("loss", "db_focus", "setting 'loss' is one of"),
    ],
)
def test_what_cannot_be_edited_is_refused(setting, value, message, config, tmp_path):
    plain = resolve(dataset=config.dataset, cache=config.cache, epochs=2, method="coop", batch_size=8)
    refused = []

    def edit(state: TrainState) -> None:
        with pytest.raises(
            ValueError, match=message if state.epoch == 1 else message + "|after the last epoch"
        ) as error:
            state.edit(setting, value)
        refused.append(str(error.value))

    run = Run(train(plain, tmp_path, log=silent, on_epoch_end=edit))
    assert len(refused) == 2 and not run.events and "\n" not in refused[0]
    assert plan_run(plain, tmp_path).folder.finished


def test_other_data_are_not_gone_on_with(config, tiny, tmp_path):
    folder = train(config, tmp_path, log=silent, on_epoch_end=editor(CHANGES, stop=2))
    assert plan_again(folder, tmp_path).path == folder
    tiny.replace("captions.txt", "a photo of a dog.", "a dog.")
    with pytest.raises(ValueError, match="are not those of its first epochs"):
        plan_again(folder, tmp_path)
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        plan_again(folder, tmp_path)
