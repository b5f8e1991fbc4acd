"""What a measurement of a whole image is given of each window."""

from collections import Counter

import numpy as np

from phangs_xr.numerics.reductions import Block


def test_block_remember__goes_by_pixels_not_by_object():
    calls = Counter()

    def total(array, power=1):
        calls[power] += 1
        return float((array**power).sum())

    image = np.arange(12.0).reshape(3, 4)
    whole = slice(0, 3), slice(0, 4)
    block = Block((image, image + 1), whole, (0, 0), (0, 0), image.shape)
    assert block.remember(total, block.owned[0]) == block.remember(total, block.owned[0])
    assert block.select(0).remember(total, block.owned[0]) == image.sum()
    assert calls == {1: 1}
    assert block.remember(total, block.owned[1]) == image.sum() + 12
    assert block.remember(total, block.owned[0][:2]) == image[:2].sum()
    assert block.remember(total, block.owned[0], 2) == (image**2).sum()
    assert calls == {1: 3, 2: 1}
