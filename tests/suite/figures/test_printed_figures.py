"""Printed totals as a figure."""

from lmptlib.suite.figures.printed_figures import printed_totals
from lmptlib.sweeps.grid import read_sweep
from lmptlib.sweeps.tables import printed_table


def test_printed_totals_stand_in_the_sweeps_order_inside_their_axes():
    sweep = read_sweep("ablation")
    figure = printed_totals(printed_table(sweep), "print")
    voc, coco = figure.data
    # LMPT, Table 3
    assert list(voc.y) == [85.77, 86.02, 87.28, 87.62, 87.88] and list(coco.y) == [60.17, 60.68, 65.34, 65.81, 66.19]
    assert list(voc.x) == list(sweep.rows)
    for trace, axis in ((voc, figure.layout.yaxis), (coco, figure.layout.yaxis2)):
        assert axis.range[0] < min(trace.y) and max(trace.y) < axis.range[1]
