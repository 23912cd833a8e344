"""What a run fetched, read back: tables by class, pictures, and the truth where the drawn pool tells it."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lmptlib.data import emoji_pool
from lmptlib.suite.analysis.tackle import fetched_classes, fetched_images, fetched_pictures


@pytest.fixture
def pool(tmp_path):
    folder = tmp_path / "pool"
    folder.mkdir()
    for i in range(8):
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (20, 20, 3), dtype=np.uint8)).save(
            folder / f"{i}.png"
        )
    return folder


def test_a_run_says_which_images_it_fetched_for_which_classes(make_run, pool):
    run = make_run(method="zero_shot", tackle=str(pool), tackle_to=12)
    table = fetched_classes(run)
    assert table["train"].is_monotonic_increasing and table["fetched"].sum() == len(run.fetched) == 6
    first = run.fetched["class"][0]
    assert table.set_index("class").loc[first, "fetched"] == (run.fetched["class"] == first).sum()
    assert table["right"].isna().all()
    pictures, rows = fetched_pictures(run, [first], k=1)
    assert len(pictures) == 1 and rows["rank"].tolist() == [1]
    assert pictures[0].tobytes() == Image.open(pool / rows["image"][0]).tobytes()
    assert fetched_pictures(run, [])[0] == []
    with pytest.raises(ValueError, match=r"no class 'dgo'\. Did you mean 'dog'"):
        fetched_pictures(run, ["dgo"])
    (pool / rows["image"][0]).unlink()
    with pytest.raises(ValueError, match="no such file"):
        fetched_pictures(run, [first], k=1)


def test_of_the_drawn_pool_it_is_known_what_is_right(make_run, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(emoji_pool, "N_SCENES", 100)
    monkeypatch.setattr(emoji_pool, "CLASS_SHARE", 1)
    monkeypatch.setattr("lmptlib.data.pool.home", lambda: tmp_path)
    run = make_run(method="zero_shot", tackle="emoji", tackle_to=12)
    shown = pd.read_csv(tmp_path / "data" / "emoji-pool" / "scenes.csv", index_col="image")["things"]
    table = fetched_images(run)
    right = [name in shown[image].split(";") for name, image in zip(table["class"], table["image"])]
    assert table["right"].tolist() == right and any(right)
    assert fetched_classes(run)["right"].sum() == sum(right)
