"""The report: one page that answers whether to trust the maps, and each figure on paper."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phangs_xr.qa.report.compose_page import compose_report, write_report

__all__ = ["compose_report", "write_report"]


def __getattr__(name: str) -> Any:
    """Import what writes the page when it is asked for: the process that draws on paper is not."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from phangs_xr.qa.report import compose_page as module

    return getattr(module, name)
