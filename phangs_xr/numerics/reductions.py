"""What reduces whole images to few numbers: block by block, in as many passes as it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from numpy.typing import NDArray


@dataclass(frozen=True)
class Block:
    """What a reduction sees at a time: the pixels it owns and the neighbours it may look at.

    Attributes
    ----------
    arrays
        One window per image, all of one shape: the owned pixels and, where there are some, `depth`
        neighbours on each side. An image may be read only when it is asked for.
    core
        Where in the windows the owned pixels are.
    offset
        Row and column of the first owned pixel, counted from the image's first pixel.
    origin
        Absolute row and column (the `y`, `x` labels) of the image's first pixel.
    shape
        Rows and columns of the whole image.
    memo
        What `remember` keeps, shared by blocks of the same pixels.
    """

    arrays: Sequence[NDArray[Any]]
    core: tuple[slice, slice]
    offset: tuple[int, int]
    origin: tuple[int, int]
    shape: tuple[int, int]
    memo: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def owned(self) -> tuple[NDArray[Any], ...]:
        """The owned pixels of each image, without neighbours."""
        return tuple(array[self.core] for array in self.arrays)

    def select(self, *indices: int) -> Block:
        """Return the same block with only some of its images."""
        arrays = tuple(self.arrays[index] for index in indices)
        return replace(self, arrays=arrays)

    def remember(self, function: Callable[..., Any], array: NDArray[Any], *others: Any) -> Any:
        """Return `function(array, *others)`, called once for all who look at the same pixels."""
        place = array.__array_interface__["data"][0], array.shape, array.strides
        key = (function, place, others)
        if key not in self.memo:
            # With the array, whose place in memory must not become another's meanwhile.
            self.memo[key] = array, function(array, *others)
        return self.memo[key][1]


class Reduction(Protocol):
    """A way from whole images to few numbers, in one or more passes over the chunks.

    A pass calls `look` once per chunk and `merge` on the partial results in any order (so `merge`
    must be exact: integers, or numbers kept apart by absolute cell); `advance` then makes the
    state that the next pass starts from.
    """

    @property
    def depth(self) -> int:
        """Neighbours that `look` needs around its chunk [pixel]."""

    @property
    def cell(self) -> int:
        """Chunks must start at multiples of this from the image's first pixel."""

    @property
    def passes(self) -> int:
        """The most passes that can be needed."""

    def start(self) -> Any:
        """Return the state before the first pass."""

    def look(self, state: Any, block: Block) -> Any:
        """Return what one chunk contributes to this pass."""

    def merge(self, one: Any, other: Any) -> Any:
        """Join two contributions."""

    def advance(self, state: Any, merged: Any) -> Any:
        """Return the state after a pass."""

    def is_done(self, state: Any) -> bool:
        """Tell whether no further pass is needed."""

    def finish(self, state: Any) -> Any:
        """Return the numbers."""


def find_depth(reduction: Reduction, state: Any) -> int:
    """Return the neighbours that a reduction's next pass needs [pixel].

    They are its `depth`, unless it has a method `find_depth` of the state that says less.
    """
    find: Callable[[Any], int] | None = getattr(reduction, "find_depth", None)
    return reduction.depth if find is None else find(state)
