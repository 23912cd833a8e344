"""The default model, a toy, looks at photographs where it is asked to alone."""

import json
from dataclasses import replace

import pytest

from lmptlib.config import changed, resolve
from lmptlib.data.loading import load_dataset
from lmptlib.runs.run import Run
from lmptlib.runs.tables import results_table
from lmptlib.suite.report.run_page import run_page
from lmptlib.training.plan import check_model, plan_run
from lmptlib.training.training import train

REFUSED = (
    "tiny: the default model, clip-emoji, is a toy that has seen drawings of emoji alone: name one that has seen photo"
)


@pytest.mark.parametrize("pictures", [None, "photographs"])
def test_the_default_model_does_not_look_at_photographs(tiny, tmp_path, pictures):
    config = resolve(dataset=str(tiny.path), method="zero_shot")
    assert plan_run(config, tmp_path).marks == []
    tiny.edit(pictures=pictures)
    for same in (config, config.with_settings(views=5), resolve(dataset=str(tiny.path), epochs=2)):
        with pytest.raises(ValueError) as error:
            plan_run(same, tmp_path)
        assert str(error.value).startswith(REFUSED) and "-p model ViT-B-16 -p weights openai" in str(error.value)
        assert "\n" not in str(error.value)


def test_by_hand_it_runs_and_the_run_says_so(tiny, tmp_path):
    drawn = Run(train(resolve(dataset=str(tiny.path), method="zero_shot"), tmp_path, log=lambda line: None))
    assert drawn.marks == [] and not [w for w in drawn.config["warnings"] if "toy" in w]
    tiny.edit(pictures="photographs")
    lines: list[str] = []
    config = resolve(dataset=str(tiny.path), method="zero_shot", model="clip-emoji")
    run = Run(train(config, tmp_path / "photographs", log=lines.append))
    (warning,) = set(check_model(config, photographs := load_dataset(config.dataset)).warnings) - set(
        photographs.warnings
    )
    assert warning in run.config["warnings"] and check_model(
        config, replace(photographs, pictures="emoji")
    ).warnings == (photographs.warnings)
    assert run.marks == ["TOY MODEL"] and run.label == "zero-shot, TOY MODEL"
    assert "zero-shot, TOY MODEL" in run_page(run, run.label).title and "TOY MODEL" in lines[-1]
    assert any("a toy that has seen no photograph" in line for line in lines)
    assert any("a toy that has seen no photograph" in line for line in run.config["warnings"])
    assert "TOY MODEL" in results_table([run]).loc[0, "run"]
    assert run.config["key"] == drawn.config["key"] and run.folder.name == drawn.folder.name
    # what a sweep is given keeps the model
    assert changed({"model": "clip-emoji", "recipe": "calibrated", "seed": 3}) == {"model": "clip-emoji"}
    # a run made before there were marks
    record = json.loads((run.folder / "config.json").read_text())
    del record["marks"], record["grouping"]
    (run.folder / "config.json").write_text(json.dumps(record))
    assert Run(run.folder).marks == [] and Run(run.folder).grouping == ""


def test_pictures_are_of_one_kind_or_the_other(tiny, tmp_path):
    tiny.edit(pictures="paintings")
    with pytest.raises(ValueError, match="'pictures' are photographs or emoji, not 'paintings'"):
        plan_run(resolve(dataset=str(tiny.path)), tmp_path)
