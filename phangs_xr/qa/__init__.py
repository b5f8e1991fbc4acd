"""How far to trust the maps, nebula by nebula: photometry, numbers, figures, report.

Figures (`phangs_xr.qa.figures`), the report and the app are imported when they are asked for: they
bring HoloViews, Bokeh and Matplotlib with them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from phangs_xr.qa.check_field import check_field, examine_field
from phangs_xr.qa.measure.findings import Finding, list_findings
from phangs_xr.qa.measure.nebulae import measure_nebulae
from phangs_xr.qa.measure.numbers import compare_fluxes
from phangs_xr.qa.measure.registration import measure_shift

if TYPE_CHECKING:
    from phangs_xr.qa.compare import compare_runs
    from phangs_xr.qa.survey import Survey, survey_fields

__all__ = [
    "Finding",
    "Survey",
    "check_field",
    "compare_fluxes",
    "compare_runs",
    "examine_field",
    "list_findings",
    "measure_nebulae",
    "measure_shift",
    "survey_fields",
]

_LATER = {"compare_runs": "compare", "Survey": "survey", "survey_fields": "survey"}
"""What reads configurations or draws, and its module: imported when it is asked for."""


def __getattr__(name: str) -> Any:
    """Import what not everyone needs when it is asked for."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
