"""CLIP's own architectures with random weights from disk: two steps of `lmpt run train` each."""

import json

import open_clip
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from lmptlib.clip.loading import load_clip
from lmptlib.config import resolve
from lmptlib.suite.cli.main import main
from lmptlib.training import training as train_module


def shorten(tiny):
    """Keep six images of each list: real architectures are slow on a CPU."""
    for file in ("train.txt", "captions.txt", "test.txt"):
        lines = (tiny.folder / file).read_text().splitlines(keepends=True)
        (tiny.folder / file).write_text("".join(lines[:6]))


@pytest.mark.usefixtures("forked_kernels")
@pytest.mark.parametrize("name", ["ViT-B-16-quickgelu", "RN50-quickgelu"])
def test_two_steps(name, tiny, tmp_path):
    torch.manual_seed(0)
    weights = tmp_path / "random.safetensors"
    save_file(open_clip.create_model(name).state_dict(), weights)
    shorten(tiny)
    args = ["run", "train", "-p", "dataset", tiny.path, "-p", "model", name, "-p", "weights", weights]
    args += ["-p", "epochs", "1", "-p", "batch_size", "3", "--out", tmp_path / "out"]
    result = CliRunner().invoke(main, list(map(str, args)))
    assert result.exit_code == 0, result.output
    assert f"model {name}, weights {weights}, activation QuickGELU" in result.output
    (folder,) = [path.parent for path in (tmp_path / "out").glob("*/metrics.json")]
    (row,) = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert 0 < row["loss"] < 100
    prompts = load_file(folder / "prompts.safetensors")
    assert prompts["learner.context"].shape == (4, 4, 512) and not torch.equal(prompts["before"], prompts["after"])


def test_batch_norm_of_rn50_is_left_alone(tiny, tmp_path, monkeypatch):
    torch.manual_seed(0)
    weights = tmp_path / "random.safetensors"
    save_file(open_clip.create_model("RN50-quickgelu").state_dict(), weights)
    loaded = []
    monkeypatch.setattr(train_module, "load_clip", lambda *args: loaded.append(load_clip(*args)) or loaded[0])
    shorten(tiny)
    config = resolve(dataset=str(tiny.path), model="RN50-quickgelu", weights=str(weights), epochs=1, batch_size=3)
    train_module.train(config, tmp_path / "out", log=lambda line: None)
    (clip,) = loaded
    stored = load_file(weights)
    buffers = dict(clip.model.named_buffers())
    checked = [name for name in buffers if "running" in name or "num_batches" in name]
    assert len(checked) > 100
    for name in checked:
        assert torch.equal(buffers[name], stored[name]), name
    assert not any(module.training for module in clip.model.modules())
