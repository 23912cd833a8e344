"""What runs gave when the golden numbers were written. `python tests/golden/numbers_of_runs.py` writes them anew.

A number that changes on purpose is written anew in the commit that changes it, and the commit says why.
"""

import json
import platform
import tempfile
from pathlib import Path

import numpy as np
import torch
from card import make_long_tail

from lmptlib.config import fitting, resolve
from lmptlib.evaluation.rankings import RANKINGS
from lmptlib.runs.run import Run
from lmptlib.training.training import train

FOLDER = Path(__file__).parent
CONFIGURATIONS: dict[str, dict] = {
    "zero_shot": {"method": "zero_shot"},
    "zero_shot_templates": {"method": "zero_shot_templates"},
    "coop": {"method": "coop"},
    "coop_random": {"method": "coop", "n_ctx": 16, "class_specific": False, "class_position": "middle"},
    "lmpt": {},
    "lmpt_paper": {"recipe": "paper"},
    "prompts_and_probe": {"recipe": "prompts_and_probe"},
    "reported": {"recipe": "reported"},
    "probe": {"recipe": "probe"},
    "token_level": {"level": "token"},
    "logit_map_per_class": {"logit_map": "affine_per_class"},
    "select_val": {"select": "val", "loss": "bce"},
    "pg": {"loss": "pg"},
    "class_aware": {"sampler": "class_aware"},
    "square_root": {"sampler": "square_root", "loss": "asl"},
    "effective_number": {"sampler": "effective_number", "ema": 0.9, "warmup": 5},
}


def numbers(card: Path, out: Path, settings: dict) -> dict:
    """History, probabilities, scores and metrics of one run, as lists of numbers by name."""
    config = resolve(**fitting({"dataset": str(card), "epochs": 3, "batch_size": 16, **settings}))
    run = Run(train(config, out, log=lambda line: None))
    found: dict = {f"history/{name}": run.history[name] for name in run.history if name != "seconds"}
    with np.load(run.folder / "probabilities.npz") as file:
        found |= {f"probabilities/{name}": file[name] for name in file}
    for split in ("test", "val"):
        for name in RANKINGS:
            found[f"scores/{split} {name}"] = run.ranking_scores(name, split)[1]
    for name in RANKINGS:
        metrics = run.metrics["scores"][name]
        means = [metrics[group] for group in ("total", "head", "medium", "tail")]
        found[f"metrics/{name}"] = [*means, *metrics["per_class"].values()]
        found[f"metrics/{name} intervals"] = list(metrics["ci95"].values())
    return {name: np.asarray(values, np.float64) for name, values in found.items()}


def machine() -> str:
    """What decides the last digits of a float32 sum."""
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"


def write() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as space:
        card = make_long_tail(Path(space) / "card")
        for name, settings in CONFIGURATIONS.items():
            found = numbers(card, Path(space) / "out", settings)
            shown = {key: [float(f"{value:.9g}") for value in values.ravel()] for key, values in found.items()}
            lines = [f"{json.dumps(key)}: {json.dumps(values)}" for key, values in shown.items()]
            (FOLDER / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    (FOLDER / "machine.txt").write_text(f"{machine()}\n")


if __name__ == "__main__":
    write()
