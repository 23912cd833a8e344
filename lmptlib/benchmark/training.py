"""The rows of a problem: an epoch and a whole run, against the naive loop and against the bare text tower."""

import copy
from dataclasses import dataclass, replace

import torch
import torch.profiler
from torch import Tensor

from lmptlib.benchmark import bars
from lmptlib.benchmark.bars import Row
from lmptlib.benchmark.clock import Spread, now, seconds
from lmptlib.benchmark.floor import floor_step, n_context
from lmptlib.benchmark.naive import NaiveLoop
from lmptlib.benchmark.problems import Problem
from lmptlib.losses import CSELoss, make_loss
from lmptlib.training.loop import fit
from lmptlib.training.state import TrainState


@dataclass(frozen=True)
class Effort:
    """How much is measured: budgets in seconds and least numbers of repeats.

    naive_steps, naive_batch: steps of the naive loop, and the images of one; at another number than a run's own they are scaled.
    """

    epochs: float = 45.0
    least_epochs: int = 2
    naive_steps: int = 20
    naive_batch: int | None = None
    encoding: float = 10.0
    word: str = ""


FULL = Effort()
QUICK = Effort(epochs=5.0, least_epochs=2, naive_steps=3, encoding=1.0, word="quick: few steps")
# of a large image tower
QUICKEST = replace(QUICK, epochs=1.0, least_epochs=1, naive_steps=2, naive_batch=4)


@dataclass(frozen=True)
class ImageCosts:
    """Seconds an image of a CLIP's image tower: in the naive loop's steps, in its test batches, and as lmptlib encodes."""

    step: Spread
    test: Spread
    cached: Spread
    how: str


@dataclass(frozen=True)
class Trained:
    """Seconds of a training from cached features.

    begin: before its first step. epochs: each. floors: the bare tower's steps, run after each. n_epochs: of a whole run.
    """

    begin: float
    epochs: list[float]
    floors: list[float]
    n_epochs: int

    @property
    def epoch(self) -> Spread:
        return Spread.of(self.epochs)

    @property
    def bare(self) -> Spread:
        return Spread.of(self.floors)

    def total(self, n_epochs: int | None = None) -> Spread:
        """Of the first so many epochs, measured if they were run, else by their median."""
        wanted = n_epochs or self.n_epochs
        if wanted <= len(self.epochs):
            return Spread.of([self.begin + sum(self.epochs[:wanted])])
        return Spread.of([epoch + self.begin / wanted for epoch in self.epochs]) * wanted

    @property
    def ratio(self) -> Spread:
        """Of whole runs to their bare tower, each epoch with its share of what is done before the first."""
        share = self.begin / self.n_epochs
        return Spread.of([(epoch + share) / floor for epoch, floor in zip(self.epochs, self.floors)])

    @property
    def how(self) -> str:
        ran = len(self.epochs)
        return "measured" if ran >= self.n_epochs else f"extrapolated from epochs: {ran}"


def training_rows(problem: Problem, trained: Trained, images: ImageCosts, effort: Effort) -> list[Row]:
    """An epoch and a whole run, against the naive loop and against the bare tower."""
    dataset, name = problem.dataset, problem.name
    learn = naive_learning(problem, effort)
    n_train, n_test, n_epochs = len(dataset.train), len(dataset.test), trained.n_epochs
    naive = (images.step + learn) * n_train + images.test * n_test
    epoch, bare = trained.epoch, trained.bare
    paired = Spread.of([ours / floor for ours, floor in zip(trained.epochs, trained.floors)])
    features = images.cached * (2 * n_train + n_test) + caption_costs(problem, effort) * n_train
    whole, run = trained.total(), trained.total() + features
    how, word = images.how, effort.word or "measured"
    encoded = "images extrapolated from some batches"
    return [
        Row(name, bars.CACHED, epoch, "s", word),
        Row(name, bars.BARE, bare, "s", word),
        Row(name, bars.NAIVE, naive, "s", how),
        Row(name, bars.FLOOR_RATIO, paired, "x", word),
        Row(name, bars.NAIVE_RATIO, naive / epoch, "x", how),
        Row(name, bars.TRAINING, whole, "s", trained.how),
        Row(name, bars.TRAINING_RATIO, trained.ratio, "x", trained.how),
        Row(name, bars.RUN, run, "s", encoded),
        Row(name, bars.NAIVE_RUN, naive * n_epochs, "s", how),
        Row(name, bars.RUN_RATIO, naive * n_epochs / run, "x", how),
    ]


def train(problem: Problem, effort: Effort) -> Trained:
    """A training from cached features, the bare tower's steps after each of its epochs, so that both meet the same machine."""
    config, inputs, device = problem.config, problem.inputs, problem.clip.device
    warm_up(problem)
    # Nothing of what a run computes once is a warm machine's: a state of its own, timed from the start.
    started = now(device)
    state = TrainState(config, inputs)
    begin = now(device) - started
    bare = floor_step(problem.clip, problem.dataset.class_names, n_context(state))
    bare()
    epochs: list[float] = []
    floors: list[float] = []

    def after(state: TrainState) -> bool:
        nonlocal started
        epochs.append(now(device) - started)
        started = now(device)
        for _ in range(problem.n_steps):
            bare()
        floors.append(now(device) - started)
        started = now(device)
        return len(epochs) < effort.least_epochs or sum(epochs) + sum(floors) < effort.epochs

    started = now(device)
    fit([state], after)
    return Trained(begin, epochs, floors, state.epochs)


def profile(problem: Problem) -> str:
    """Where an epoch's time goes: the 20 operations that take most of it."""
    warm_up(problem)
    sort = f"self_{problem.clip.device}_time_total"
    with torch.profiler.profile() as profiler:
        warm_up(problem)
    return f"{problem.name}\n{profiler.key_averages().table(sort_by=sort, row_limit=20)}"


def warm_up(problem: Problem) -> None:
    """One epoch that is not counted."""
    fit([TrainState(problem.config.with_settings(epochs=1), problem.inputs)], lambda state: None)


def image_costs(problem: Problem, effort: Effort) -> ImageCosts:
    """What an image costs, decoded already, of any data: pixels are random. Once for all problems of a CLIP."""
    clip, device = problem.clip, problem.clip.device
    naive, batch = naive_loop(problem), effort.naive_batch or problem.batch_size
    pixels = random_pixels(problem, batch)
    # the same work in a step and in a test batch
    encoded = seconds(lambda: naive.encode_images(pixels), device, effort.naive_steps) * (1 / batch)
    # the batches in which lmptlib encodes
    own = pixels[:8] if device == "cpu" else pixels
    cached = seconds(lambda: clip.encode_images(own).cpu(), device, 3, effort.encoding) * (1 / len(own))
    how = f"extrapolated from {effort.naive_steps} batches of {batch} images, and as many steps"
    how = f"quick: {how}" if effort.word else how
    return ImageCosts(encoded, encoded, cached, how)


def naive_learning(problem: Problem, effort: Effort) -> Spread:
    """Seconds an image of the naive loop's steps without the image tower."""
    naive, batch = naive_loop(problem), effort.naive_batch or problem.batch_size
    captions = problem.clip.tokenize(list((problem.dataset.train.captions or ())[:batch]))
    targets = problem.inputs.targets[:batch]
    images = problem.inputs.images[0, :batch].float()
    taken = seconds(lambda: naive.learn(images, captions, targets), problem.clip.device, effort.naive_steps)
    return taken * (1 / batch)


def caption_costs(problem: Problem, effort: Effort) -> Spread:
    """Seconds a caption, encoded once."""
    captions = list((problem.dataset.train.captions or ())[:256])
    taken = seconds(lambda: problem.clip.encode_texts(captions).cpu(), problem.clip.device, 1, effort.encoding / 4)
    return taken * (1 / len(captions))


def naive_loop(problem: Problem) -> NaiveLoop:
    """The naive loop on a problem's model, which it gets in memory as open_clip makes it."""
    dataset, clip = problem.dataset, problem.clip
    counts = torch.from_numpy(dataset.class_counts)
    loss = make_loss("db_focal", counts, len(dataset.train), "voc-lt", allow_empty=True).to(clip.device)
    model = copy.deepcopy(clip.model).to(memory_format=torch.contiguous_format)
    cse = CSELoss(counts).to(clip.device)
    return NaiveLoop(model, clip.tokenizer, dataset.class_names, loss, cse, 30 * problem.n_steps)


def random_pixels(problem: Problem, n_images: int) -> Tensor:
    """Pixels (B, 3, H, W) as the model takes them."""
    size = problem.clip.model.visual.image_size
    height, width = size if isinstance(size, tuple) else (size, size)
    return torch.randn(n_images, 3, height, width, device=problem.clip.device)
