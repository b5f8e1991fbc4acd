"""The notebooks run from top to bottom on the simulated galaxy, and are stored clean."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from phangs_xr.qa import figures

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
NAMES = ("contsub", "qa", "survey")

SMALLER = "size = 400\nchunk = 200"
"""What a test puts after the cell of inputs."""


def read_notebook(name):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook


def find_inputs(notebook):
    return [
        number
        for number, cell in enumerate(notebook.cells)
        if "parameters" in cell.metadata.get("tags", [])
    ]


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """All notebooks with their output, run one after the other as a reader would."""
    place = tmp_path_factory.mktemp("notebooks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(place))
        # Said by tqdm, which Panel brings, wherever ipywidgets is not installed.
        patch.setenv("PYTHONWARNINGS", "ignore:IProgress not found")
        # Matplotlib's list of fonts is made in a new home, and a slow machine is told so.
        subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], check=True)
        notebooks = {}
        for name in NAMES:
            notebook = read_notebook(name)
            (inputs,) = find_inputs(notebook)
            notebook.cells.insert(inputs + 1, nbformat.v4.new_code_cell(SMALLER))
            client = NotebookClient(notebook, timeout=None, kernel_name="python3")
            notebooks[name] = client.execute(cwd=str(place))
    return notebooks, place / "phangs_xr"


def list_outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


def list_texts(notebook):
    """What a reader without a browser sees of each output."""
    outputs = list_outputs(notebook)
    return [output.get("text") or output.get("data", {}).get("text/plain") for output in outputs]


@pytest.mark.parametrize("name", NAMES)
def test_notebook_is_stored_without_output(name):
    notebook = read_notebook(name)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in cells] == [[]] * len(cells)
    assert {cell.execution_count for cell in cells} == {None}
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert all(set(cell.metadata) <= {"tags"} for cell in notebook.cells)


@pytest.mark.parametrize("name", NAMES)
def test_notebook_has_one_cell_of_inputs_and_it_comes_first(name):
    notebook = read_notebook(name)
    first = next(n for n, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    assert find_inputs(notebook) == [first]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_notebook_runs_without_a_warning(executed, name):
    outputs = list_outputs(executed[0][name])
    assert outputs
    assert [one["text"] for one in outputs if one.get("name") == "stderr"] == []


@pytest.mark.slow
def test_contsub_shows_lazy_images_and_then_four_pictures(executed):
    texts = list_texts(executed[0]["contsub"])
    assert any("halpha_joint" in text and "dask.array<" in text for text in texts if text)
    assert any(text.startswith(":Layout") and text.count(":Image") == 4 for text in texts if text)
    assert any(text.startswith("halpha_joint / truth: median ") for text in texts if text)


@pytest.mark.slow
def test_contsub_makes_by_hand_what_the_run_stores(executed):
    notebooks, _ = executed
    (text,) = [text for text in list_texts(notebooks["contsub"]) if text and "largest diff" in text]
    assert float(text.split(":")[1].split()[0]) < 1e-5


@pytest.mark.slow
def test_contsub_leaves_the_products_where_it_says(executed):
    _, out = executed
    assert (out / "ngc0628.zarr").is_dir()
    assert len(list(out.glob("ngc0628_*.fits"))) == 7


@pytest.mark.slow
def test_qa_draws_every_figure_and_writes_the_report(executed):
    notebooks, out = executed
    drawn = [text for text in list_texts(notebooks["qa"]) if text and text.startswith(":")]
    source = "\n".join(cell.source for cell in notebooks["qa"].cells)
    # Of the recipe that the notebook runs: these show the fits of another.
    others = {"plot_backgrounds", "plot_nii", "plot_histogram2d", "plot_cosmic_rays"}
    names = [name for name in figures.__all__ if name.startswith("plot_") and name not in others]
    assert [name for name in names if f"figures.{name}(" not in source] == []
    assert len(drawn) == len(names)
    assert (out / "qa" / "report.html").stat().st_size > 100_000


@pytest.mark.slow
def test_survey_reads_all_fields(executed):
    notebooks, out = executed
    texts = [text for text in list_texts(notebooks["survey"]) if text]
    assert any(text.startswith("2 fields made anew") for text in texts)
    page = out.parent / "phangs_xr_survey/survey/index.html"
    assert page.read_text().count("<tr>") == 3
