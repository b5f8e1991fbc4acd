"""How large the chunks are that fit into an amount of memory."""

import threading

import pytest
from dask.system import CPU_COUNT

from phangs_xr.engine.memory import choose_chunk, count_threads, estimate_peak, parse_memory
from phangs_xr.engine.runner import Runner
from phangs_xr.errors import InputError
from phangs_xr.numerics.lazy import DEFAULT_CHUNK


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4GB", 4e9),
        ("800 MB", 8e8),
        ("1.5g", 1.5e9),
        ("2GiB", 2 * 1024**3),
        ("64kib", 64 * 1024),
        ("1000", 1000),
    ],
)
def test_amounts(text, expected):
    assert parse_memory(text) == expected


@pytest.mark.parametrize("text", ["much", "", "-1GB", "0", "4GBs", "1e9"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(InputError, match="--memory should be an amount such as 4GB"):
        parse_memory(text)


@pytest.mark.parametrize("threads", [1, 2, 8])
@pytest.mark.parametrize("memory", ["600MB", "1GB", "2GB", "64GB"])
def test_chunk_is_the_largest_that_fits(memory, threads):
    try:
        side = choose_chunk(memory, None, threads)
    except InputError:
        assert estimate_peak(200, threads) > parse_memory(memory)
        return
    assert side % 100 == 0
    assert estimate_peak(side, threads) <= parse_memory(memory)
    larger = side + 100
    assert larger > DEFAULT_CHUNK or estimate_peak(larger, threads) > parse_memory(memory)


def test_more_memory_never_makes_smaller_chunks():
    sides = [choose_chunk(f"{size}MB", None, 2) for size in range(420, 2000, 20)]
    assert sides == sorted(sides)
    assert sides[-1] == DEFAULT_CHUNK


def test_chunk_asked_for_takes_precedence():
    assert choose_chunk("1GB", 3000, 2) == 3000
    assert choose_chunk(None, None, 2) == DEFAULT_CHUNK


@pytest.mark.parametrize("chunk", [0, -100, 150, 2001])
def test_odd_chunk_is_refused(chunk):
    with pytest.raises(InputError, match=f"multiple of 100 pixels, found {chunk}"):
        choose_chunk(None, chunk, 2)


def test_too_little_memory_is_refused_with_what_is_needed():
    with pytest.raises(InputError, match="at least 405 MB are needed with 2 threads"):
        choose_chunk("300MB", None, 2)


def note_thread(barrier, item):
    """Wait until so many threads have come as are wanted, and say which this is."""
    barrier.wait(60)
    return {threading.get_ident()}


def count_threads_at_work(threads):
    wanted = threads or CPU_COUNT
    found = Runner(threads=threads).run(
        "count",
        note_thread,
        threading.Barrier(wanted),
        range(10 * wanted),
        lambda parts: set().union(*parts),
    )
    return len(found)


@pytest.mark.parametrize("threads", [None, 1, 3])
def test_plan_and_runner_count_the_same_threads_wherever_it_is_called(threads):
    assert count_threads(threads) == (threads or CPU_COUNT)
    counted = [count_threads_at_work(threads)]
    # Several fields are run from threads of their own.
    other = threading.Thread(target=lambda: counted.append(count_threads_at_work(threads)))
    other.start()
    other.join()
    assert counted == [count_threads(threads)] * 2
