"""Plain aligned tables."""

from collections.abc import Iterable, Sequence

Cell = str | float | int | None


def format_cell(value: Cell) -> str:
    """Return a number with three digits or so, and `-` for what was not measured."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Print at once, so that a long benchmark can be followed."""
    lines = [tuple(columns), *(tuple(map(format_cell, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    print(f"\n{title}")
    for first, *others in lines:
        numbers = (text.rjust(width) for text, width in zip(others, widths[1:], strict=True))
        print("  ".join((first.ljust(widths[0]), *numbers)).rstrip())
    print(end="", flush=True)


def divide(one: float | None, other: float | None) -> float | None:
    """Return the ratio of two measurements, None if there are not both."""
    return one / other if one is not None and other else None
