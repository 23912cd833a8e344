"""Boxes that crops are cut from."""

from hypothesis import given
from hypothesis import strategies as st

from lmptlib.clip.features import VIEWS, boxes

SIDE = st.one_of(st.sampled_from([1, 2, 7, 300]), st.integers(1, 5000))


@given(size=st.tuples(SIDE, SIDE))
def test_boxes_lie_inside_and_reach_every_edge(size):
    for share, along in VIEWS[14]:
        found = boxes(size, share, along)
        assert len(found) == along**2
        for left, upper, right, lower in found:
            assert 0 <= left < right <= size[0] and 0 <= upper < lower <= size[1]
            assert abs((right - left) - share * size[0]) <= 0.5 or right - left == 1
            assert abs((lower - upper) - share * size[1]) <= 0.5 or lower - upper == 1
        lefts, uppers, rights, lowers = (set(edge) for edge in zip(*found))
        assert min(lefts) == min(uppers) == 0 and (max(rights), max(lowers)) == size
        # Row by row: boxes of a row share their height, those of a column their breadth.
        for i, box in enumerate(found):
            assert (box[1], box[3]) == found[i // along * along][1::2] and (box[0], box[2]) == found[i % along][::2]
        assert found[0][:2] == (0, 0) and found[along - 1][2] == size[0] and found[-1][2:] == size


def test_views_count_the_whole():
    assert all(views == 1 + sum(along**2 for _, along in grids) for views, grids in VIEWS.items())
