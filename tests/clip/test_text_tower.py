"""The tower for prompts gives what open_clip's own modules give of the same prompts at all 77 tokens."""

import itertools

import open_clip
import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from lmptlib.clip.loading import load_clip
from lmptlib.clip.model import Clip
from lmptlib.clip.text_tower import TILE, Prompts, Shape, TextTower, _group, layout_of
from lmptlib.methods.prompt_learner import PromptLearner

NAMES = ("person", "dog", "potted_plant", "tvmonitor", "aeroplane")
POSITIONS = ("end", "front", "middle")


@pytest.fixture(scope="module")
def clip() -> Clip:
    return load_clip(log=lambda line: None)


def full_features(clip: Clip, learner: PromptLearner) -> Tensor:
    """Unit features (C, D) by open_clip's modules of prompts at 77 tokens, written out word by word, random behind their ends."""
    rows = []
    n_ctx = learner.context.shape[1]
    for c, name in enumerate(NAMES):
        context = learner.context[c % len(learner.context)]
        words = clip.tokenizer([name.replace("_", " ")])[0]
        words = words[1 : words.argmax()]
        start, stop, end = (clip.tokenizer(["."])[0][i] for i in range(3))
        before = {"end": n_ctx, "front": 0, "middle": n_ctx // 2}[learner.position]
        pieces = [
            clip.embed(start[None]),
            context[:before],
            clip.embed(words),
            context[before:],
            clip.embed(torch.stack([stop, end])),
        ]
        prompt = torch.cat(pieces)
        rows.append(torch.cat([prompt, torch.randn(77 - len(prompt), clip.width)]))
        rows[-1].end = len(prompt) - 1
    x = torch.stack(rows) + clip.text.positional_embedding
    x = clip.text.ln_final(clip.text.transformer(x, attn_mask=clip.text.attn_mask))
    x = x[torch.arange(len(x)), torch.tensor([row.end for row in rows])]
    return torch.nn.functional.normalize(x @ clip.text.text_projection, dim=-1)


def learner_of(clip: Clip, class_specific: bool, position: str) -> PromptLearner:
    learner = PromptLearner(clip, NAMES, class_specific=class_specific, class_position=position)
    with torch.no_grad():
        learner.context += 0.1 * torch.randn(learner.context.shape, generator=torch.Generator().manual_seed(0))
    learner.position = position
    return learner


@pytest.mark.parametrize(("class_specific", "position"), itertools.product([True, False], POSITIONS))
def test_features_and_gradients_are_those_of_full_prompts(clip, class_specific, position):
    learner = learner_of(clip, class_specific, position)
    (found,), full = clip.encode_prompts([learner()]), full_features(clip, learner)
    torch.testing.assert_close(found, full, atol=1e-5, rtol=0)
    weights = torch.randn(full.shape)
    gradients = [torch.autograd.grad((each * weights).sum(), learner.context)[0] for each in (found, full)]
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)


def test_a_context_of_all_classes_is_encoded_once(clip):
    """5 tokens for all, then what each has of its own: its name, '.', and the end-of-text token."""
    shared, own = learner_of(clip, False, "end"), learner_of(clip, True, "end")
    n_own = [end + 1 - 5 for end in shared.shape.ends]
    assert len(shared().tokens) == 5 + sum(n_own) and len(own().tokens) == 1 + sum(n + 4 for n in n_own)


def test_sets_and_parts_change_nothing(clip):
    """Sets of different shapes at once, and a few prompts at a time, have the features and gradients of each set alone."""
    learners = [
        learner_of(clip, specific, position) for specific, position in itertools.product([True, False], POSITIONS)
    ]
    weights = torch.randn(len(NAMES), 128)[:, : clip.text.text_projection.shape[1]]

    def all_of(clip: Clip) -> list[Tensor]:
        features = clip.encode_prompts([learners[0](), None, *(learner() for learner in learners[1:])])
        assert features.pop(1) is None
        loss = sum((of_set * weights).sum() for of_set in features)
        return [*features, *torch.autograd.grad(loss, [learner.context for learner in learners])]

    alone = [clip.encode_prompts([learner()])[0] for learner in learners]
    alone += [torch.autograd.grad((f * weights).sum(), learner.context)[0] for f, learner in zip(alone, learners)]
    at_once = all_of(clip)
    clip.prompts_at_once = 2
    in_parts = all_of(clip)
    clip.prompts_at_once = None
    for each, other, single in zip(at_once, in_parts, alone):
        torch.testing.assert_close(each, single, atol=2e-6, rtol=1e-4)
        torch.testing.assert_close(other, single, atol=2e-6, rtol=1e-4)


@pytest.mark.parametrize("tile", [20, 64])
def test_prompts_that_stand_in_one_row_do_not_read_each_other(clip, tile, monkeypatch):
    """As they do on a GPU: features and gradients are those of a prompt a row."""
    learners = [learner_of(clip, specific, "end") for specific in (True, False, True)]

    def all_of() -> list[Tensor]:
        layout_of.cache_clear()
        features = torch.cat(clip.encode_prompts([learner() for learner in learners]))
        weights = torch.linspace(-1, 1, features.numel()).view_as(features)
        return [features, *torch.autograd.grad((features * weights).sum(), [learner.context for learner in learners])]

    alone = all_of()
    monkeypatch.setitem(TILE, "cpu", tile)
    together = all_of()
    assert layout_of(tuple(learner.shape for learner in learners), torch.device("cpu")).group == {20: 1, 64: 5}[tile]
    layout_of.cache_clear()
    for found, expected in zip(together, alone):
        torch.testing.assert_close(found, expected, atol=2e-6, rtol=1e-4)


def most_bytes(function) -> int:
    """Bytes that tensors take at most while a function runs, beyond those that were there."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        function()
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    return max(itertools.accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())))


def test_memory_is_that_of_the_prompts_at_once(clip):
    """600 prompts, 20 at a time, take less than twice what 20 take; the tokens themselves apart."""

    def most(n_prompts: int) -> int:
        prompts = Prompts(torch.randn(1 + 8 * n_prompts, clip.width, requires_grad=True), Shape((8,) * n_prompts, 1))
        whole = most_bytes(lambda: clip.encode_prompts([prompts])[0].sum().backward())
        return whole - 3 * 4 * prompts.tokens.numel()

    few = most(20)
    assert most(600) > 10 * few
    clip.prompts_at_once = 20
    try:
        assert most(600) < 2 * few
    finally:
        clip.prompts_at_once = None


@pytest.mark.parametrize("tile", [1, 20, 64])
@pytest.mark.parametrize("specific", [True, False])
def test_one_set_that_is_not_finite_leaves_the_others_alone(clip, specific, tile, monkeypatch):
    """As they stand on a CPU, a prompt a row, and on a GPU, several."""
    monkeypatch.setitem(TILE, "cpu", tile)
    layout_of.cache_clear()
    good, bad, other = (learner_of(clip, specific, "end") for _ in range(3))
    with torch.no_grad():
        bad.context.fill_(torch.nan)
    alone = clip.encode_prompts([good()])[0]
    gradient = torch.autograd.grad(alone.sum(), good.context)[0]
    features = clip.encode_prompts([good(), bad(), other()])
    layout_of.cache_clear()
    for found in (features[0], features[2]):
        torch.testing.assert_close(found, alone, atol=2e-6, rtol=1e-5)
    total = sum(each.sum() for each in features)
    for found in torch.autograd.grad(total, [good.context, other.context]):
        torch.testing.assert_close(found, gradient, atol=1e-5, rtol=1e-4)


def test_a_row_has_prompts_of_one_set_alone():
    """Six fit into a row of 64 tokens: five of sets of 20 and of 5, four of sets of 20 and of 8, one of sets of 20 and of 7."""
    for sizes, expected in {(20, 20): 5, (20, 5): 5, (20, 8): 4, (20, 7): 1, (7,): 6, (3,): 3}.items():
        assert _group(6, tuple(Shape((9,) * size, 1) for size in sizes)) == expected
    assert _group(0, (Shape((70,) * 4), Shape((70,) * 4))) == 1


def test_a_tower_of_another_kind_is_run_by_its_own_modules(clip):
    """Blocks with normalised attention are not ours: open_clip's own run, over prompts side by side."""
    text_cfg = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
    vision_cfg = {"image_size": 32, "patch_size": 16, "width": 32, "layers": 1, "head_width": 16}
    model = open_clip.CLIP(8, vision_cfg, text_cfg | {"block_type": "custom", "qk_norm": True})
    assert not TextTower.supports(model) and TextTower.supports(clip.text)
    other = Clip(model, clip.tokenizer, None, "other", "", "cpu")
    texts = [f"a photo of a {name.replace('_', ' ')}." for name in NAMES]
    learner = PromptLearner(other, NAMES)
    torch.testing.assert_close(other.encode_prompts([learner()])[0], other.encode_texts(texts).clone())


def test_a_layout_tells_where_tokens_stand():
    """Two prompts that share their first token, one of three tokens and one of two, and a set of one prompt behind them."""
    layout = layout_of((Shape((2, 1), 1), Shape((0,))), torch.device("cpu"))
    assert layout.places.view(3, 3).tolist() == [[0, 1, 2], [0, 3, 0], [4, 4, 4]]
    assert layout.own.tolist() == [0, 1, 2, 4, 6] and layout.positions.tolist() == [0, 1, 2, 1, 0]
    assert layout.last.tolist() == [2, 3, 4] and layout.shared.tolist() == [0]
    prompts = Prompts.padded(torch.arange(12.0).view(2, 3, 2), [1, 2])
    assert prompts.tokens[:, 0].tolist() == [0, 2, 6, 8, 10] and prompts.shape == Shape((1, 2))


def test_precision_is_bf16_where_it_is_asked_for(clip):
    """Features then deviate by bfloat16's 8 bits, and have a fingerprint of their own."""
    half = Clip(clip.model, clip.tokenizer, clip.preprocess, clip.name, "weights", "cpu", "bf16")
    whole = Clip(clip.model, clip.tokenizer, clip.preprocess, clip.name, "weights", "cpu", "fp32")
    learner = learner_of(clip, True, "end")
    (found,), (exact,) = half.encode_prompts([learner()]), whole.encode_prompts([learner()])
    error = (found - exact).abs().max()
    assert found.dtype == torch.float32 and 0 < error < 2**-8
    assert (found * exact).sum(1).min() > 0.9999
    gradients = [
        torch.autograd.grad(each.square().sum() + each[:, 0].sum(), learner.context)[0] for each in (found, exact)
    ]
    assert torch.nn.functional.cosine_similarity(*(g.flatten() for g in gradients), dim=0) > 0.99
    plain = Clip(clip.model, clip.tokenizer, clip.preprocess, clip.name, "weights", "cpu")
    assert plain.fingerprint == whole.fingerprint != half.fingerprint
    assert (
        plain.fingerprint_on("cpu", "bf16") == half.fingerprint
        and half.fingerprint_on("cuda", "auto") == plain.fingerprint
    )
