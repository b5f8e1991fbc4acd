"""How far to trust the maps, nebula by nebula: photometry, numbers, figures, report.

Figures (`phangs_xr.qa.figures`), the report and the app are imported when they are asked for: they
bring HoloViews, Bokeh and Matplotlib with them.
"""

from phangs_xr.qa.check_field import check_field, examine_field
from phangs_xr.qa.measure.findings import Finding, list_findings
from phangs_xr.qa.measure.nebulae import measure_nebulae
from phangs_xr.qa.measure.numbers import compare_fluxes
from phangs_xr.qa.measure.registration import measure_shift
from phangs_xr.qa.survey import Survey, survey_fields

__all__ = [
    "Finding",
    "Survey",
    "check_field",
    "compare_fluxes",
    "examine_field",
    "list_findings",
    "measure_nebulae",
    "measure_shift",
    "survey_fields",
]
