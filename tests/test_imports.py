"""What the package offers, and what importing it does not bring along."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import phangs_xr

DRAWING = {"bokeh", "holoviews", "matplotlib", "panel"}
ELSEWHERE = {"distributed", "photutils", "reproject", "scipy.ndimage", "scipy.spatial"}


def run_fresh(code: str) -> str:
    """Return what a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@cache
def list_imported(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has after running some code."""
    return set(run_fresh(f"{code}\nimport sys\nprint(*sys.modules)").split())


def test_all_that_is_named_is_there():
    for name in phangs_xr.__all__:
        assert getattr(phangs_xr, name).__module__.startswith("phangs_xr.")
    assert set(phangs_xr.__all__) < set(dir(phangs_xr))


def test_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="'phangs_xr' has no attribute 'runn'"):
        phangs_xr.runn  # noqa: B018


def test_package_registers_the_accessor_and_imports_little_else():
    code = "import phangs_xr, xarray\nassert xarray.DataArray.sky"
    assert not list_imported(code) & (DRAWING | ELSEWHERE | {"dask", "pydantic", "zarr"})


@pytest.mark.parametrize("parts", ["cli.describe, phangs_xr.engine.run", "qa"])
def test_commands_start_without_what_they_may_not_need(parts):
    imported = list_imported(f"import phangs_xr.cli, phangs_xr.{parts}")
    assert "phangs_xr.engine.tiles" in imported
    assert not imported & (DRAWING | ELSEWHERE)


def test_a_process_that_draws_imports_one_library_to_draw_with():
    assert "matplotlib.pyplot" not in list_imported("import phangs_xr.qa.report")
    assert "holoviews.plotting.bokeh" not in list_imported(
        "import phangs_xr.qa.report.draw_on_paper"
    )


def test_measuring_nebulae_needs_no_configuration():
    assert "pydantic" not in list_imported("import phangs_xr.cli, phangs_xr.qa")


def test_import_leaves_nothing_for_the_next_look_at_young_objects():
    code = (
        "import gc, phangs_xr\n"
        "assert gc.isenabled()\n"
        "print(len(gc.get_objects(0)) + len(gc.get_objects(1)), len(gc.get_objects(2)))"
    )
    young, old = map(int, run_fresh(code).split())
    assert young < old / 20


@pytest.mark.parametrize("state", ["gc.freeze()", "gc.disable()"])
def test_import_leaves_the_collector_as_it_is(state):
    say = "gc.isenabled(), gc.get_freeze_count() > 0"
    code = f"import gc\n{state}\nbefore = {say}\nimport phangs_xr\nprint(before == ({say}))"
    assert run_fresh(code) == "True"


@pytest.mark.slow
@pytest.mark.parametrize("chosen", ["bokeh", "matplotlib"])
def test_figures_carry_options_for_both_backends_and_leave_that_chosen(chosen):
    code = f"import holoviews as hv\nhv.extension({chosen!r})\n"
    code += "from phangs_xr.qa.figures import plot_maps\n"
    code += "print(hv.Store.current_backend, *sorted(hv.Store.registry))"
    assert run_fresh(code).splitlines()[-1] == f"{chosen} bokeh matplotlib"


def test_only_lazy_knows_dask_arrays():
    package = Path(phangs_xr.__file__).parent
    pattern = re.compile(r"^\s*(import|from) dask(\.array| import array)", re.M)
    found = {path.name for path in package.rglob("*.py") if pattern.search(path.read_text())}
    assert found == {"lazy.py"}
