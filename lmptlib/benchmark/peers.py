"""What others take for the same data: open_clip's own zero-shot, and scikit-learn's probes on the same features."""

from functools import partial

from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier

from lmptlib.benchmark.bars import Row
from lmptlib.benchmark.clock import seconds
from lmptlib.benchmark.problems import Problem
from lmptlib.benchmark.training import Effort, ImageCosts
from lmptlib.config import resolve
from lmptlib.training.loop import fit
from lmptlib.training.state import TrainState

SKLEARN = {
    "scikit-learn LogisticRegression, one against the rest": OneVsRestClassifier(LogisticRegression(max_iter=1000)),
    "scikit-learn Ridge": Ridge(),
}
# With the settings among which the closed forms choose by folds.
OURS = {
    "lmptlib logistic, 5 folds": "logistic",
    "lmptlib ridge, 5 folds": "ridge",
    "lmptlib probe, 30 epochs": "linear_probe",
}


def peer_rows(problem: Problem, images: ImageCosts, effort: Effort) -> list[Row]:
    """Seconds of zero-shot by open_clip for all test images; of real ones, too, to fit on cached features, theirs and ours."""
    clip, dataset, device = problem.clip, problem.dataset, problem.clip.device
    prompts = [f"a photo of a {name}." for name in dataset.class_names]

    def read_texts() -> None:
        clip.model.encode_text(clip.tokenizer(prompts).to(device))

    zero_shot = images.test * len(dataset.test) + seconds(read_texts, device, effort.least_epochs)
    rows = [Row(problem.name, "open_clip zero-shot, all test images", zero_shot, "s", images.how)]
    if not problem.real:
        # a fit takes the longer, the less there is to learn
        return rows
    features, labels = problem.inputs.images[0].float().cpu().numpy(), dataset.train.labels.astype(int)
    for name, model in SKLEARN.items():
        taken = seconds(partial(model.fit, features, labels), "cpu", effort.least_epochs, warm_up=0)
        rows.append(Row(problem.name, name, taken, "s", effort.word or "measured"))

    def learn(method: str) -> None:
        config = resolve(method=method, device=device)
        fit([TrainState(config, problem.inputs)], lambda state: None)

    # the choice among settings takes a while
    for name, method in {} if effort.word else OURS.items():
        taken = seconds(partial(learn, method), device, 1, warm_up=0)
        rows.append(Row(problem.name, name, taken, "s", effort.word or "measured"))
    return rows
