"""The configuration of a field: TOML in, validated models out."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
    field_validator,
)

from phangs_xr.errors import InputError
from phangs_xr.io.archive import NODES
from phangs_xr.photometry.curves import Curve, encode_curve, list_curves
from phangs_xr.photometry.units import normalise_units
from phangs_xr.recipes import Recipe, Step, get_recipe
from phangs_xr.schema import BANDS, SOURCES

_LONGEST_GALAXY = 150
"""Bytes of it, which leave room for a product's name."""

_LARGEST = 1e30
"""Of a curve's wavelengths and throughputs."""

_RESOLUTION = re.compile(r"(?:-|_copt_)(\d+(?:\.\d+)?)asec")


class Input(BaseModel):
    """One input file, and what its header should say but does not.

    Attributes
    ----------
    path
        Of the FITS file, relative to the configuration.
    hdu
        Number or name of the extension; None takes the first image.
    photflam, photplam, photbw
        Override the header's cards [erg/cm²/Å/electron, Å, Å].
    photometry
        "header", or "curve" where these shall be those of the filter's throughput curve.
    curve
        The filter's: one of `phangs_xr.photometry.list_curves`, or the path, relative to the
        configuration, of a text file with wavelength [Å, vacuum] and throughput.
    units
        Overrides BUNIT, in any spelling that `phangs_xr.photometry.units` knows.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path
    hdu: int | str | None = None
    photflam: float | None = None
    photplam: float | None = None
    photbw: float | None = None
    units: str | None = None
    photometry: Literal["header", "curve"] = "header"
    curve: str | None = None

    @field_validator("units")
    @classmethod
    def _read_units(cls, value: str | None) -> str | None:
        read = None if value is None else normalise_units(value)
        if read == "":
            message = (
                f"units should be a unit such as 'electron/s' or '10**-20 erg/s/cm**2', found "
                f"{value!r}: correct it"
            )
            raise InputError(message)
        return read

    @property
    def overrides(self) -> dict[str, float | str]:
        """What is given here of the header: photometry, filter curve and unit."""
        names = ("photflam", "photplam", "photbw", "units", "curve")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


class Inputs(BaseModel):
    """The input files of a field: one `Input`, or None, for each of `phangs_xr.schema.SOURCES`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _accept_path(cls, value: Any) -> Any:
        return {"path": value} if isinstance(value, str | Path) else value

    @property
    def given(self) -> dict[str, Input]:
        """The inputs there are, by name."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in found.items() if value is not None}


_NamedInputs: type[Inputs] = create_model(
    "Inputs",
    __base__=Inputs,
    **{
        source.name: (Input, ...) if source.required else (Input | None, None)
        for source in SOURCES.values()
        if not source.part_of
    },  # type: ignore[call-overload]  # its stub wants each field written out
)


class Output(BaseModel):
    """What is written.

    Attributes
    ----------
    products
        Names of the products to make; all of the recipe if None.
    fits
        Names of the products to write as FITS files; the published set if None.
    store
        Where the Zarr store goes, a path or a URL such as `s3://bucket/name.zarr`;
        `DIR/{galaxy}.zarr` if None.
    group
        Of the store, as `ngc0628c/f555w_f814w`, for a field that shares it with others; the whole
        store is the field's if None.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    products: tuple[str, ...] | None = None
    fits: tuple[str, ...] | None = None
    store: str | None = None
    group: str | None = None

    @property
    def location(self) -> str | None:
        """Where the field goes: the store, or the group in it; None if it is not said."""
        return self.store if self.group is None else f"{self.store}/{self.group}"


CUBE = "muse_cube"
"""The input that MUSE's synthetic bands are folded from where they are no files."""


@dataclass(frozen=True)
class Config:
    """A field: its files, its recipe and the options of its steps.

    Attributes
    ----------
    galaxy
        Names the files.
    inputs
        Their paths are absolute.
    recipe
        Name of the recipe.
    options
        Of each step of the recipe, by its name.
    output
        What is written.
    path
        Where the configuration was read from, for messages.
    distance
        Of the galaxy [Mpc], for lengths in figures; None if it is not known.
    """

    galaxy: str
    inputs: Inputs
    recipe: str = "barnes2023"
    options: Mapping[str, Any] = field(default_factory=dict)
    output: Output = field(default_factory=Output)
    path: Path | None = None
    distance: float | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of the recipe that can be wanted.

        What is folded from a cube is no file for those that take it; without a cube none is.
        """
        steps = get_recipe(self.recipe).steps
        if CUBE not in self.inputs.given:
            return tuple(step for step in steps if CUBE not in step.sources)
        folded = {f"muse_{band}" for band in BANDS} - set(self.inputs.given)
        return tuple(
            replace(step, sources=tuple(name for name in step.sources if name not in folded))
            for step in steps
        )

    @property
    def fits_names(self) -> tuple[str, ...]:
        """The products that are to become FITS files, as far as they are made."""
        asked = self.output.fits
        return get_recipe(self.recipe).fits if asked is None else asked

    def get_options(self, step: Step) -> Any:
        """Return the options of a step."""
        return self.options.get(step.name) or step.options()


class _Document(BaseModel):
    """The TOML file as it stands."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    galaxy: str
    distance: Annotated[float, Field(gt=0, lt=_LARGEST)] | None = None
    recipe: str = "barnes2023"
    inputs: _NamedInputs  # type: ignore[valid-type]  # made of data
    output: Output = Output()
    options: dict[str, dict[str, Any]] = {}


def load_config(path: str | Path) -> Config:
    """Read and validate a configuration file.

    Parameters
    ----------
    path
        Of the TOML file; paths in it are relative to it.

    Returns
    -------
    Config
        With absolute paths and the options of all steps.

    Raises
    ------
    InputError
        If the file is missing or not TOML, or anything in it is unknown or of the wrong kind; an
        unknown name is answered with the nearest one there is.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        message = (
            f"{path}: expected a configuration file, found none: write one with 'phangs-xr init'"
        )
        raise InputError(message) from None
    except IsADirectoryError:
        message = f"{path}: expected a configuration file (TOML), found a directory"
        raise InputError(message) from None
    except OSError as error:
        message = f"{path}: expected a configuration file that can be read, found: {error.strerror}"
        raise InputError(message) from None
    except (ValueError, RecursionError) as error:
        # Not all that tomllib raises is its own: integers too long, brackets too deep.
        message = f"{path}: expected TOML, found: {error}"
        raise InputError(message) from None
    return make_config(content, path)


def make_config(content: Mapping[str, Any], path: Path | None = None) -> Config:
    """Validate a configuration given as nested mappings; see `load_config`."""
    where = path or Path("configuration")
    base = (path.parent if path else Path()).absolute()
    try:
        document = _Document.model_validate(dict(content))
    except ValidationError as error:
        raise InputError(f"{where}: {_explain(error)}") from None
    _check_galaxy(document.galaxy, where)
    recipe = get_recipe(document.recipe)
    _check_products(document.output, recipe, where)
    inputs = _place_inputs(document.inputs, base, where)
    _check_known(document.options, recipe.names, f"{where}: [options] step")
    options = {}
    for step in recipe.steps:
        values = {**recipe.options.get(step.name, {}), **document.options.get(step.name, {})}
        values = _read_curves(step, values, base, where)
        values = _read_resolutions(step, values, inputs)
        options[step.name] = _make_options(step, values, where)
    _share_options(recipe, options)
    _require_asked(recipe, options, document.galaxy, where)
    return Config(
        galaxy=document.galaxy,
        inputs=inputs,
        recipe=document.recipe,
        options=options,
        output=_place_store(document.output, base, where),
        path=path,
        distance=document.distance,
    )


def _place_inputs(inputs: Inputs, base: Path, where: Path) -> Inputs:
    """Let the paths of input files count from the configuration; read filter curves."""
    placed = {}
    for name, one in inputs.given.items():
        changed: dict[str, Any] = {"path": base / one.path}
        if one.curve is not None and one.curve not in list_curves():
            key = f"{where}: [inputs] {name} curve"
            columns = _read_curve(key, one.curve, base)
            named = Path(one.curve).name.rsplit(".", 1)[0]
            changed["curve"] = encode_curve(Curve(named, columns[:, 0], columns[:, 1]))
        placed[name] = one.model_copy(update=changed)
    return inputs.model_copy(update=placed)


def _share_options(recipe: Recipe, options: dict[str, Any]) -> None:
    """Fill options that are those of another step where they are not given."""
    for step in recipe.steps:
        for option, other in step.shared.items():
            if getattr(options[step.name], option) is None and other in options:
                value = getattr(options[other], option)
                options[step.name] = replace(options[step.name], **{option: value})


def _require_asked(recipe: Recipe, options: Mapping[str, Any], galaxy: str, where: Path) -> None:
    """Refuse a configuration that lacks an option which has no default."""
    for step in recipe.steps:
        for option, suggest in step.asked.items():
            if getattr(options[step.name], option) is None:
                message = (
                    f"{where}: [options.{step.name}] {option} is needed, found none: "
                    f"{suggest(galaxy)}"
                )
                raise InputError(message)


def find_option(config: Config, name: str) -> Any:
    """Return an option of this name of the first step of a recipe that has it, None if none has."""
    for step in config.steps:
        value = getattr(config.get_options(step), name, None)
        if value is not None:
            return value
    return None


def _place_store(output: Output, base: Path, where: Path) -> Output:
    """Let the path of a store, unlike a URL, count from the configuration."""
    _check_group(output, where)
    if output.store is None or re.fullmatch(r"\w+://[^\x00]+", output.store):
        if output.group is not None and not str(output.store).rstrip("/").endswith(".zarr"):
            raise InputError(_ask_suffix(output, where))
        return output.model_copy(update={"store": output.store and output.store.rstrip("/")})
    named = output.store.rstrip("/").endswith(".zarr") and "://" not in output.store
    if not named or "\0" in output.store:
        raise InputError(_ask_suffix(output, where))
    return output.model_copy(update={"store": str(base / output.store)})


def _ask_suffix(output: Output, where: Path) -> str:
    return (
        f"{where}: [output] store should be a path or URL that ends in .zarr, found "
        f"{output.store!r}: name the store itself"
    )


def _check_group(output: Output, where: Path) -> None:
    """Refuse a group without a store, and names that are none or mean something else."""
    if output.group is None:
        return
    if output.store is None:
        message = (
            f"{where}: [output] group needs a store, found none: name the archive, as store = "
            f'"survey.zarr"'
        )
        raise InputError(message)
    for part in output.group.split("/"):
        plain = re.fullmatch(r"[^\x00-\x1f\\/:]+", part) and not part.startswith((".", "__"))
        if not plain or part in NODES or part.endswith(".zarr") or part == "zarr.json":
            message = (
                f"{where}: [output] group should be plain names, as ngc0628c/f555w_f814w, found "
                f"{output.group!r}: names of a field's own ({', '.join(NODES)}), leading dots and "
                f".zarr are not for groups"
            )
            raise InputError(message)


def find_resolution(path: Path) -> float | None:
    """Return the FWHM [arcsec] that a MUSE file's own name gives, None if it gives none.

    `NGC0628-0.92asec_MAPS.fits` and `NGC0628_MAPS_copt_0.92asec.fits` both say 0.92.
    """
    found = _RESOLUTION.search(path.name)
    return float(found.group(1)) if found else None


def suggest_name(name: str, known: Iterable[str]) -> str:
    """Return a remedy for an unknown name: the nearest known one, or all of them."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"


def _check_known(found: Iterable[str], known: Iterable[str], what: str) -> None:
    known = list(known)
    for name in found:
        if name not in known:
            raise InputError(f"{what} {name!r} is not known: {suggest_name(name, known)}")


def _check_galaxy(galaxy: str, where: Path) -> None:
    plain = not galaxy.startswith(".") and not re.search(r"[/\\\x00-\x1f]", galaxy)
    if not plain or not 0 < len(os.fsencode(galaxy)) <= _LONGEST_GALAXY:
        message = (
            f"{where}: galaxy should be a plain name for the files, of 1 to {_LONGEST_GALAXY} "
            f"bytes, found {galaxy!r}: leave out path separators and leading dots"
        )
        raise InputError(message)


def _check_products(output: Output, recipe: Recipe, where: Path) -> None:
    made = [name for step in recipe.steps for name in step.outputs]
    for key in ("products", "fits"):
        _check_known(getattr(output, key) or (), made, f"{where}: [output] {key}:")


def _make_options(step: Step, values: Mapping[str, Any], where: Path) -> Any:
    known = [one.name for one in fields(step.options)]
    _check_known(values, known, f"{where}: [options.{step.name}]")
    try:
        return TypeAdapter(step.options).validate_python(dict(values))
    except ValidationError as error:
        raise InputError(f"{where}: [options.{step.name}] {_explain(error)}") from None


def _read_curves(step: Step, values: Mapping[str, Any], base: Path, where: Path) -> dict[str, Any]:
    """Return a step's options with the paths of curves replaced by what they are for."""
    read = dict(values)
    for key, (option, measure) in step.curves.items():
        name = read.pop(key, None)
        if name is not None:
            curve = _read_curve(f"{where}: [options.{step.name}] {key}", name, base)
            read[option] = measure(curve[:, 0], curve[:, 1])
    return read


def _read_curve(key: str, name: Any, base: Path) -> NDArray[np.float64]:
    """Read wavelengths and throughputs, shape (n, 2), wavelengths rising."""
    try:
        with warnings.catch_warnings():
            # Of an empty file, which is refused below.
            warnings.simplefilter("ignore", UserWarning)
            curve = np.loadtxt(base / name, usecols=(0, 1), ndmin=2)
    except (OSError, ValueError, TypeError) as error:
        message = (
            f"{key} should be a text file with wavelength [Angstrom] and throughput in its first "
            f"two columns, found {name}: {error}"
        )
        raise InputError(message) from None
    # Not compared with one another before they are known to be numbers of this world.
    whole = len(curve) > 1 and bool((np.abs(curve) < _LARGEST).all())
    # Two rows of one wavelength are a step.
    rising = whole and (np.diff(curve[:, 0]) >= 0).all() and curve[-1, 0] > curve[0, 0]
    if not rising or not curve[:, 1].max() > 0:
        message = (
            f"{key} should be a curve of two or more rising wavelengths [Angstrom] with a positive "
            f"throughput, found {name} of {len(curve)} rows: correct it"
        )
        raise InputError(message)
    return curve


def _read_resolutions(step: Step, values: Mapping[str, Any], inputs: Inputs) -> dict[str, Any]:
    """Return a step's options with the resolutions that files' names give."""
    read = dict(values)
    for option, name in step.resolutions.items():
        if read.get(option) is None and name in inputs.given:
            found = find_resolution(inputs.given[name].path)
            if found is not None:
                read[option] = found
    return read


def _explain(error: ValidationError) -> str:
    """Return pydantic's first complaint in one line, with a remedy for unknown keys."""
    # An unknown key explains a missing one.
    errors = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _list_keys(first["loc"][:-1])
        return f"unknown key {place!r}: {suggest_name(str(first['loc'][-1]), known)}"
    if first["type"] == "missing":
        return f"{place} is missing: it must be given"
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InputError):
        return str(cause)
    return f"{place}: {first['msg']}, found {first['input']!r}"


def _list_keys(place: tuple[int | str, ...]) -> list[str]:
    """Return the keys that are known at a place of the document."""
    models: dict[tuple[int | str, ...], type[BaseModel]] = {
        (): _Document,
        ("inputs",): _NamedInputs,
        ("output",): Output,
    }
    return list(models.get(place, Input).model_fields)
