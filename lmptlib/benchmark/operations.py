"""Operations and bytes of a step: how far training is from what the machine can do."""

from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from lmptlib.benchmark.bars import Row
from lmptlib.benchmark.clock import Spread
from lmptlib.benchmark.floor import floor_step, n_context
from lmptlib.benchmark.problems import Problem
from lmptlib.benchmark.training import Trained
from lmptlib.training.state import TrainState


def operation_rows(problem: Problem, trained: Trained) -> list[Row]:
    """Operations (a multiplication with its addition is two) of a step and of the bare tower's, those reached a second, and
    the bytes of the tower's weights, which a step reads forwards and backwards.
    """
    state = TrainState(problem.config, problem.inputs)
    state.begin_epoch()
    bare_step = floor_step(problem.clip, problem.dataset.class_names, n_context(state))

    def step() -> None:
        batch = state.batch(min(problem.batch_size, len(problem.dataset.train)))
        (text,) = problem.clip.encode_prompts([state.method.prompts(batch)])
        state.method.losses(batch, text)["loss"].backward()

    rows = []
    for name, work, taken in (("a step", step, trained.epoch), ("a step of the bare tower", bare_step, trained.bare)):
        # of fused attention a CPU's is not counted
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            work()
        giga = counter.get_total_flops() / 1e9
        rate = Spread.of([giga * problem.n_steps]) / taken
        rows += [
            Row(problem.name, f"operations of {name}", Spread.of([giga]), "GFLOP", "counted"),
            Row(problem.name, f"operations a second, {name}", rate, "GFLOP/s", "counted / measured"),
        ]
    weights = problem.clip.text.transformer.parameters()
    size = 2 * sum(weight.numel() * weight.element_size() for weight in weights) / 1e6
    return [*rows, Row(problem.name, "weights that a step reads", Spread.of([size]), "MB", "counted")]
