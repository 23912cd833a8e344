"""Words for a text tower: what does not fit is counted."""

import pytest

from lmptlib.clip.loading import load_clip
from lmptlib.clip.text import cut_texts
from lmptlib.config import resolve


@pytest.fixture(scope="module")
def clip():
    return load_clip(log=lambda line: None)


def test_a_text_is_cut_where_it_has_more_tokens_than_are_read(clip):
    """Start, 75 words of a token each, and end are 77 tokens."""
    for words, is_cut in ((75, False), (76, True), (20, False), (200, True)):
        assert clip.is_cut([" ".join(["dog"] * words), "a dog"]) == [is_cut, False]
    assert clip.is_cut([]) == [] and clip.is_cut(["internationalisation " * 5]) == [False]


def test_what_is_cut_is_counted(clip):
    long = " ".join(["dog"] * 80)
    assert cut_texts(clip, ("dog", "cat"), ["a dog", "a cat"]) == []
    names, captions = cut_texts(clip, ("dog", f"{long}_end"), ["a dog", long, f"cat {long}"])
    assert names.startswith("1 of 2 class names are cut at 77 tokens, as 'dog dog") and len(names) < 120
    assert captions.startswith("2 of 3 captions are cut at 77 tokens, as 'dog dog")


def test_it_is_said_before_anything_starts(tiny, tmp_path, cache):
    from lmptlib.training.training import train

    tiny.replace("captions.txt", "a photo of a person.", "a person. " * 40)
    said: list[str] = []
    config = resolve(dataset=str(tiny.path), cache=str(cache), epochs=1, batch_size=8)
    train(config, tmp_path / "out", log=said.append)
    (note,) = [i for i, line in enumerate(said) if "1 of 24 captions are cut at 77 tokens" in line]
    assert said[note].startswith("note: tiny: ") and not any(
        "epoch" in line or "features" in line for line in said[:note]
    )
    said.clear()
    coop = resolve(dataset=str(tiny.path), cache=str(cache), method="coop", epochs=1, batch_size=8)
    train(coop, tmp_path / "out", log=said.append)
    assert not any("captions are cut" in line for line in said), "coop reads no captions"


def test_the_words_of_a_context(tiny):
    written = resolve(method="coop", ctx_init="a_photo_of  a")
    assert written.settings == resolve(method="coop", ctx_init="a photo of a").settings
    for text in ("a photo of a {}.", "{}", "a } b"):
        with pytest.raises(ValueError, match="setting 'ctx_init' is the words before a class name"):
            resolve(method="coop", ctx_init=text)
