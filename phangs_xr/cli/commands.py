"""The command line: parse, call, print."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from logging import ERROR
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any

import typer

from phangs_xr.cli.console import (
    close_log,
    report_error,
    set_up_logging,
    show_line,
    show_lines,
    show_table,
    write_log,
)
from phangs_xr.cli.cutout import cutout
from phangs_xr.cli.export import export
from phangs_xr.cli.make_runner import Place, make_runner
from phangs_xr.cli.options import Debug, Directory, Log, Quiet
from phangs_xr.cli.run_fields import run_fields
from phangs_xr.engine.collect_seldom import collect_seldom
from phangs_xr.errors import InputError

if TYPE_CHECKING:
    from phangs_xr.engine.field import Field

app = typer.Typer(
    pretty_exceptions_enable=False,
    help="H-alpha maps with HST's sharpness and MUSE's calibration.",
)

Out = Annotated[Path | None, typer.Option("--out", help="Directory to write to.")]
Force = Annotated[
    list[str] | None, typer.Option("--force", help="Take this step, and what depends on it, again.")
]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Local worker processes.")]
Scheduler = Annotated[
    str | None, typer.Option("--scheduler", help="Address of a Dask cluster's scheduler.")
]
Memory = Annotated[
    str | None, typer.Option("--memory", help="Memory for each process to stay within, as 4GB.")
]
Chunk = Annotated[
    int | None, typer.Option("--chunk", help="Side of a chunk, a multiple of 100 pixels.")
]
NoReport = Annotated[bool, typer.Option("--no-report", help="Measure only.")]
Strict = Annotated[
    bool, typer.Option("--strict", help="Exit 1 if anything is found that is more than a note.")
]
Dashboard = Annotated[
    str | None,
    typer.Option("--dashboard", help="HOST:PORT of the workers' dashboard; else on this machine."),
]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Threads, without workers.")]

FIELDS_AT_ONCE = 4
"""Fields that share a cluster at a time: enough to keep it busy while one of them plans."""

DOUBTFUL = 1
"""Exit code of `qa --strict` where a field has problems or warnings."""

STOPPED = 130
"""Exit code after Ctrl-C, as shells have it."""

_CHECKING = Lock()
"""One field is checked at a time: the libraries that draw are not made for threads."""


@app.command()
def demo(
    out: Path,
    size: Annotated[int, typer.Option(min=400, help="Side of the mosaics in pixels.")] = 2000,
    seed: Annotated[int, typer.Option(help="Another seed, another galaxy.")] = 1,
    quiet: Quiet = False,
    debug: Debug = False,
    log: Log = None,
) -> None:
    """Simulate a galaxy, run the recipe on it, compare the nebulae, and print the summary."""
    from phangs_xr.recipes import DEFAULT
    from phangs_xr.simulate import make_real_galaxy, simulate_galaxy

    set_up_logging(quiet, debug)
    if not quiet:
        show_line(f"simulating a galaxy of {size} x {size} pixels in {out / 'data'}")
    galaxy = make_real_galaxy(size=size, seed=seed)
    config = simulate_galaxy(out / "data", galaxy, recipe=DEFAULT.name)
    from phangs_xr.engine.config import load_config
    from phangs_xr.engine.inputs import name_output, open_inputs

    loaded = load_config(config)
    directory = out / name_output(loaded, open_inputs(loaded))
    with make_runner(Place(), quiet) as runner:
        _run_one(config, runner, directory)
        _check(directory, runner, report=True)
    _show_truth(directory, out / "data/truth/halpha.fits")


def _show_truth(directory: Path, truth: Path) -> None:
    import xarray as xr

    from phangs_xr.io.zarr import open_store
    from phangs_xr.qa.measure.compare_truth import compare_truth

    with xr.open_dataset(truth, engine="fits", chunks={}) as dataset:
        show_line(str(compare_truth(open_store(directory), dataset["image"])))


@app.command()
def init(
    galaxy: str,
    hst: Annotated[Path | None, typer.Option(help="Directory of HST images.")] = None,
    muse: Annotated[Path | None, typer.Option(help="Directory of MUSE maps and masks.")] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Where to write; {galaxy}.toml here if not given."),
    ] = None,
    recipe: Annotated[str, typer.Option(help="Which recipe to configure.")] = "default",
    quiet: Quiet = False,
    debug: Debug = False,
    log: Log = None,
) -> None:
    """Write a commented configuration, with the files that are found for a galaxy."""
    from phangs_xr.cli.find_files import find_files, write_config
    from phangs_xr.recipes import get_recipe

    set_up_logging(quiet, debug)
    get_recipe(recipe)
    path = output or Path(f"{galaxy.replace(' ', '').lower()}.toml")
    if path.exists():
        message = (
            f"{path}: expected a new file, found one: remove it, or give another with --output"
        )
        raise InputError(message)
    here = Path()
    found = find_files(galaxy, hst or muse or here, muse or hst or here).choose(recipe)
    for name in ("narrow", "continuum1"):
        if name not in found and (hst or muse):
            message = (
                f"{name} of {galaxy}: expected a science image such as {galaxy}_uvis_f657n_exp_drc_"
                f"sci.fits or hlsp_phangs-hst_..._{galaxy}_f657n_v1_exp-drc-sci.fits, found none "
                f"in {hst or muse}: correct --hst"
            )
            raise InputError(message)
    text = write_config(galaxy.replace(" ", "").lower(), found, path.absolute().parent, recipe)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        message = f"{path}: expected a place for a new file, found: {error.strerror}: correct it"
        raise InputError(message) from None
    show_line(f"wrote {path} with {', '.join(found) or 'no inputs yet'}")


@app.command()
def plan(
    config: Path,
    out: Out = None,
    force: Force = None,
    memory: Memory = None,
    chunk: Chunk = None,
    threads: Threads = None,
    quiet: Quiet = False,
    debug: Debug = False,
    log: Log = None,
) -> None:
    """Say what a run would do: steps, bytes, memory. Nothing is written."""
    from phangs_xr.engine.dependencies import describe_hole
    from phangs_xr.engine.field import count_bytes, find_largest_tile, list_passes, prepare_field
    from phangs_xr.engine.memory import choose_chunk, count_threads, estimate_peak

    set_up_logging(quiet, debug)
    ready = prepare_field(config, out, force or [])
    rows = [
        (one.name, "done" if one.done else "will run", ", ".join(one.outputs))
        for one in ready.plan.steps
    ]
    rows += [
        (name, "left out", describe_hole(hole) if hole else "not wanted")
        for name, hole in ready.plan.holes.items()
    ]
    show_table(f"{ready.config.galaxy}: {ready.out}", ("step", "state", "products"), rows)
    side = choose_chunk(memory, chunk, threads)
    passes = list_passes(ready, side)
    for title, tasks in passes:
        show_line(f"pass: {title}: {tasks} chunks, 1 task each")
    peak = estimate_peak(find_largest_tile(ready, side), count_threads(threads))
    show_line(
        f"to write: {sum(count_bytes(ready)) / 1e9:.2f} GB before compression; "
        f"peak memory expected: {peak / 1e9:.2f} GB with chunks of {side} pixels"
    )


@app.command()
def run(
    configs: Annotated[list[Path], typer.Argument(metavar="CONFIG...")],
    out: Out = None,
    force: Force = None,
    check: Annotated[bool, typer.Option("--qa", help="Then check each field as qa does.")] = False,
    no_report: NoReport = False,
    workers: Workers = None,
    scheduler: Scheduler = None,
    memory: Memory = None,
    chunk: Chunk = None,
    threads: Threads = None,
    dashboard: Dashboard = None,
    quiet: Quiet = False,
    debug: Debug = False,
    log: Log = None,
) -> None:
    """Run the recipe on one field or several; what is done already is not done again."""
    set_up_logging(quiet, debug)
    if no_report and not check:
        raise InputError(
            "--no-report: expected with --qa, found without: add --qa, or leave it out"
        )
    if out is not None and len(configs) > 1:
        raise InputError("--out: expected one configuration with it, found several: leave it out")
    place = Place(workers, scheduler, threads, memory, chunk, dashboard)
    with make_runner(place, quiet) as runner:

        def run_and_check(config: Path) -> None:
            ready = _run_one(config, runner, out, force or [])
            if check:
                with _CHECKING:
                    _check(ready.store.location, runner, not no_report, ready.out / "qa")

        if len(configs) == 1:
            run_and_check(configs[0])
        else:
            at_once = FIELDS_AT_ONCE if runner.client is not None else 1
            run_fields(configs, run_and_check, at_once, debug)


@app.command()
def qa(
    directory: Directory,
    no_report: NoReport = False,
    strict: Strict = False,
    workers: Workers = None,
    scheduler: Scheduler = None,
    memory: Memory = None,
    chunk: Chunk = None,
    threads: Threads = None,
    dashboard: Dashboard = None,
    quiet: Quiet = False,
    debug: Debug = False,
    log: Log = None,
) -> None:
    """Measure the nebulae of a finished run, compare HST with MUSE, and write the report."""
    set_up_logging(quiet, debug)
    place = Place(workers, scheduler, threads, memory, chunk, dashboard)
    with make_runner(place, quiet) as runner:
        worst = _check(directory, runner, report=not no_report)
    if strict and worst != "note":
        raise typer.Exit(DOUBTFUL)


@app.command()
def explore(
    directory: Directory,
    port: Annotated[int, typer.Option(help="Port on this machine; 0 takes a free one.")] = 0,
    show: Annotated[bool, typer.Option(help="Open a browser.")] = True,
    quiet: Quiet = False,
    debug: Debug = False,
    log: Log = None,
) -> None:
    """Explore a finished run in the browser, on this machine only."""
    set_up_logging(quiet, debug)
    from phangs_xr.io.zarr import open_store
    from phangs_xr.qa.app import serve_app

    serve_app(open_store(directory), port=port, show=show)


@app.command()
def compare(
    places: Annotated[
        list[str], typer.Argument(metavar="DIR...", help="DIRs of runs, or stores; URLs too.")
    ],
    product: Annotated[
        str | None, typer.Option("--map", help="Which map; each recipe's best if not.")
    ] = None,
    out: Out = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    memory: Memory = None,
    chunk: Chunk = None,
    threads: Threads = None,
    dashboard: Dashboard = None,
    quiet: Quiet = False,
    debug: Debug = False,
    log: Log = None,
) -> None:
    """Compare runs of one galaxy with the first of them: nebulae, pixels, options."""
    from phangs_xr.qa.compare import compare_runs

    set_up_logging(quiet, debug)
    place = Place(workers, scheduler, threads, memory, chunk, dashboard)
    with make_runner(place, quiet) as runner:
        lines = compare_runs(places, out, runner, product=product)
    show_lines(lines)


@app.command()
def survey(
    places: Annotated[
        list[str],
        typer.Argument(metavar="DIR...", help="DIRs of runs, stores, archives, or configurations."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Directory to write to.")] = Path("survey"),
    report: Annotated[
        bool, typer.Option("--report", help="Write the reports of fields that have none.")
    ] = False,
    workers: Workers = None,
    scheduler: Scheduler = None,
    memory: Memory = None,
    chunk: Chunk = None,
    threads: Threads = None,
    dashboard: Dashboard = None,
    quiet: Quiet = False,
    debug: Debug = False,
    log: Log = None,
) -> None:
    """Put fields together: a table of all nebulae, one of all fields, an index page."""
    from phangs_xr.cli.survey import survey_and_show

    set_up_logging(quiet, debug)
    place = Place(workers, scheduler, threads, memory, chunk, dashboard)
    with make_runner(place, quiet) as runner:
        survey_and_show(places, out, runner, report=report, quiet=quiet)


@app.command()
def info(
    store: Annotated[str, typer.Argument(help="A store or the DIR of a run; a URL is one too.")],
    no_statistics: Annotated[
        bool, typer.Option("--no-statistics", help="Do not read the pixels.")
    ] = False,
    quiet: Quiet = False,
    debug: Debug = False,
    log: Log = None,
) -> None:
    """Say what is in a store: products, units, who made them when, statistics."""
    from phangs_xr.cli.describe import list_numbers, list_products

    set_up_logging(quiet, debug)
    with make_runner(Place(), quiet) as runner:
        attrs, rows = list_products(store, None if no_statistics else runner)
    show_line(f"galaxy {attrs['galaxy']}, recipe {attrs['recipe']}, {attrs['versions']}")
    for name, one in attrs["inputs"].items():
        show_line(f"input {name}: {one['path']} (sha256 {one['sha256'][:16]})")
    columns = ("product", "units", "shape", "step", "finished")
    statistics = () if no_statistics else ("covered", "median", "MAD std", "0.1 %", "99.9 %")
    show_table("products", (*columns, *statistics), rows)
    show_table("numbers", ("number", "value", "units", "meaning"), list_numbers(store))


def _run_one(
    config: Path, runner: Any, out: Path | None = None, force: Sequence[str] = ()
) -> Field:
    from phangs_xr.cli.describe import summarize_field
    from phangs_xr.engine.field import prepare_field
    from phangs_xr.engine.run import run_field

    ready = prepare_field(config, out, force)
    run_field(ready, runner)
    left_out = (f"left out {name}: {text}" for name, text in ready.describe_left_out())
    show_lines([*summarize_field(ready), *left_out])
    return ready


def _check(directory: str | Path, runner: Any, report: bool, out: Path | None = None) -> str:
    from phangs_xr.qa import examine_field
    from phangs_xr.qa.measure.findings import find_worst

    lines, findings = examine_field(directory, runner, report=report, out=out)
    show_lines(lines)
    return find_worst(findings)


app.command()(export)
app.command()(cutout)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exit 0 when done, 2 for the user's mistake with one line on stderr."""
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    collect_seldom()
    try:
        code = _call(given)
        write_log(f"exit {code}")
    finally:
        close_log()
    sys.exit(code)


def _call(given: list[str]) -> int:
    """Run a command; return its exit code."""
    command: Callable[..., Any] = typer.main.get_command(app)
    try:
        code = command(given, prog_name="phangs-xr", standalone_mode=False, obj=given)
    except InputError as error:
        if "--debug" in given:
            write_log(str(error), ERROR)
            raise
        report_error(str(error))
        return 2
    except (KeyboardInterrupt, typer.Abort):
        code = STOPPED
    except Exception as error:
        text = _explain(error, given)
        if text is None:
            write_log(f"{type(error).__name__}: {error}", ERROR)
            raise
        report_error(text)
        return 2
    # Some versions of Typer raise what Ctrl-C raises, others return its code.
    if code == STOPPED:
        report_error("stopped: the next run completes what is not finished")
    return code if isinstance(code, int) else 0


def _explain(error: Exception, given: Sequence[str]) -> str | None:
    """Return what a user did wrong where it is Typer that says so; None of other errors."""
    # Typer brings its own copy of click, whose exceptions it does not export.
    if hasattr(error, "format_message"):
        return str(error.format_message())
    if isinstance(error, OSError) and given[0] == "--install-completion":
        return (
            f"--install-completion: a home that can be written is needed, found {error}: put what "
            f"--show-completion prints where your shell looks"
        )
    return None
