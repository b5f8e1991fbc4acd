"""Tables: nebula catalogues read for one galaxy, measurements written as ECSV or CSV."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from astropy import units as u
from astropy.io import fits
from astropy.io.registry import IORegistryError
from astropy.table import Column, Table
from numpy.typing import NDArray

from phangs_xr.errors import InputError, refuse_damaged
from phangs_xr.io.check_fits import check_fits
from phangs_xr.io.silence_astropy import silence_astropy
from phangs_xr.photometry.units import is_endless, normalise_units

_log = logging.getLogger(__name__)

POINTINGS = frozenset({"c", "e", "n", "s", "w", "ne", "nw", "se", "sw", "mosaic"})
"""What HST's names put after a galaxy's number: a part of it, or all parts joined."""

_FORMATS = {".ecsv": "ascii.ecsv", ".csv": "ascii.csv", ".parquet": "parquet"}


def normalise_galaxy(name: str | bytes) -> str:
    """Return the one key that all spellings of a galaxy's name share.

    Parameters
    ----------
    name
        As HST, MUSE or a catalogue write it: `ngc628c`, `NGC0628`, `NGC 628`, `b"NGC0628  "`.

    Returns
    -------
    str
        Lower case, numbers without leading zeros, HST's pointing left out: `ngc628`.
    """
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
    parts = [
        part.lstrip("0") or "0" if part.isdigit() else part
        for part in re.findall(r"[a-z]+|[0-9]+", text.lower())
    ]
    if len(parts) > 1 and parts[-1] in POINTINGS and parts[-2].isdigit():
        parts.pop()
    # Two numbers in a row (ESO 97-13) must not run into one.
    return re.sub(r"([0-9]) (?=[0-9])", r"\1-", " ".join(parts)).replace(" ", "")


def read_catalogue(
    path: str | os.PathLike[str], galaxy: str, *, hdu: int | str | None = None
) -> xr.Dataset:
    """Read one galaxy's rows of a nebula catalogue.

    Parameters
    ----------
    path
        A table of the columns `region_ID` and any others, `gal_name` if there are rows of other
        galaxies too: FITS, or whatever `astropy.table.Table.read` knows (ECSV, CSV, VOTable, with
        pyarrow Parquet, …). Rows without a region_ID are left out.
    galaxy
        The galaxy's name in any spelling, see `normalise_galaxy`.
    hdu
        Where the table is in a FITS file, by number or name; the first extension if None.

    Returns
    -------
    xr.Dataset
        The scalar columns under their own names along `nebula`, with `units` where astropy can
        read them, NaN or empty where the file has no value; coordinate `region_ID`, int64 if all
        are whole numbers.

    Raises
    ------
    InputError
        If there is no such file or table, an HDU is named of a file that has none, a column is
        missing, no row is of the galaxy, or two rows have one region_ID.
    """
    path = Path(path)
    table = _read_table(path, hdu)
    names = _find_column(table, "gal_name")
    identity = _find_column(table, "region_ID")
    if not identity:
        raise InputError(
            f"expected a column region_ID in {path}, found {', '.join(table.colnames[:12])}: "
            f"give a nebula catalogue"
        )
    if names:
        table = table[_find_rows(table[names], galaxy, path)]
    else:
        _log.info("%s has no column gal_name: all its rows are taken as those of %s", path, galaxy)
    table = _drop_nameless(table, identity, path)
    columns: dict[str, xr.Variable] = {}
    for column in table.itercols():
        if not isinstance(column, Column) or column.ndim > 1 or column.dtype.kind == "O":
            _log.info(
                "left out column %s of %s: it has more than one value a row", column.info.name, path
            )
        elif column.name != identity:
            columns[str(column.name)] = _make_variable(column)
    ids = as_region_id(_fill_missing(table[identity]))
    _require_unique(ids, galaxy, path)
    return xr.Dataset(columns, {"region_ID": xr.Variable("nebula", ids)})


def _drop_nameless(table: Table, identity: str, path: Path) -> Table:
    """Leave out rows whose region_ID is masked or no number."""
    ids = _fill_missing(table[identity])
    if ids.dtype.kind not in "iuf":
        raise InputError(
            f"expected numbers in column {identity} of {path}, found {ids[:1].tolist()}: "
            f"give the nebulae's numbers, as in the mask"
        )
    known = np.isfinite(ids)
    if not known.all():
        _log.info("left out %d rows of %s without a region_ID", (~known).sum(), path)
    return table[known]


def _read_table(path: Path, hdu: int | str | None) -> Table:
    if not os.path.isfile(path):  # which, unlike `Path.is_file`, takes any name
        raise InputError(f"expected a nebula catalogue, found no file {path}: check the path")
    # Units that astropy cannot read are left out below; nothing else it warns of matters.
    if _is_fits(path):
        check_fits(path)
        number = 1 if hdu is None else hdu
        with refuse_damaged(f"a table in HDU {number!r} of {path}"), silence_astropy():
            return _read_fits_table(path, number)
    if hdu is not None:
        raise InputError(
            f"expected a FITS table with HDU {hdu!r}, found no FITS file in {path}: leave hdu out"
        )
    with refuse_damaged(f"a nebula catalogue in {path}"), silence_astropy():
        return _read_other_table(path)


def _is_fits(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(6) == b"SIMPLE" or re.search(r"\.fi?ts?(\.\w+)?$", path.name) is not None


def _read_fits_table(path: Path, hdu: int | str) -> Table:
    with fits.open(path) as hdus:
        names = [one.name for one in hdus]
        number = hdu if isinstance(hdu, int) else _find_name(hdu, names)
        if number is None or not 0 <= number < len(hdus):
            raise InputError(
                f"expected a FITS table in HDU {hdu!r} of {path}, found no such HDU: "
                f"give a nebula catalogue"
            )
        if isinstance(hdus[number], fits.BinTableHDU | fits.TableHDU):
            _require_units(path, hdus[number].columns)
            return Table.read(hdus, hdu=number, mask_invalid=False)
    raise InputError(
        f"expected a FITS table in HDU {hdu!r} of {path}, found no table there: "
        f"give a nebula catalogue"
    )


def _require_units(path: Path, columns: fits.ColDefs) -> None:
    """Refuse units that astropy would never be done with."""
    for number, unit in enumerate(columns.units, 1):
        if is_endless(str(unit)):
            raise InputError(
                f"expected TUNIT{number} to be a unit in {path}, found {unit!r}: mend its header, "
                f"or copy or download the file again"
            )


def _find_name(name: str, names: list[str]) -> int | None:
    wanted = name.strip().upper()
    return names.index(wanted) if wanted in names else None


def _read_other_table(path: Path) -> Table:
    """Read a table in any format that astropy knows by the file's name or content."""
    try:
        return Table.read(path)
    except IORegistryError as error:
        raise InputError(
            f"expected a nebula catalogue in a format of tables that astropy knows, found {path}: "
            f"give it as FITS, ECSV, CSV or VOTable, with that ending"
        ) from error
    except ModuleNotFoundError as error:
        # Parquet and HDF5 are read by packages that not everyone has.
        raise InputError(
            f"expected a package that reads {path}, found none ({error.name}): "
            f"pip install {error.name}, or give the catalogue as FITS, ECSV or CSV"
        ) from error


def _find_column(table: Table, wanted: str) -> str:
    """Return a column's name as the table spells it, "" if there is none."""
    return next((str(name) for name in table.colnames if name.lower() == wanted.lower()), "")


def _find_rows(column: Column, galaxy: str, path: Path) -> NDArray[np.bool_]:
    names = np.asarray(column)
    listed = {name: normalise_galaxy(name) for name in np.unique(names)}
    wanted = normalise_galaxy(galaxy)
    matching = [name for name, key in listed.items() if key == wanted]
    if not matching:
        spellings = sorted({_decode(name) for name in listed})
        raise InputError(
            f"expected rows of {galaxy} in {path}, found only {', '.join(spellings) or 'no rows'}: "
            f"set galaxy to one of these, or give the catalogue that holds it"
        )
    return np.isin(names, matching)


def _decode(name: Any) -> str:
    return (name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)).strip()


def _make_variable(column: Column) -> xr.Variable:
    unit = normalise_units(str(column.unit)) if column.unit is not None else ""
    attrs = {"units": unit} if unit else {}
    return xr.Variable("nebula", _fill_missing(column), attrs)


def _fill_missing(column: Column) -> NDArray[Any]:
    """Return a column's values in native byte order, NaN or empty where masked."""
    values = np.ma.asarray(column)
    if values.dtype.kind in "SU":
        texts = [_decode(text) for text in values.filled("" if values.dtype.kind == "U" else b"")]
        return np.array(texts, dtype=np.dtypes.StringDType())
    if np.ma.is_masked(values):
        return np.where(np.ma.getmaskarray(values), np.nan, values.data.astype(np.float64))
    return np.asarray(values.data, dtype=values.dtype.newbyteorder("="))


def as_region_id(values: NDArray[Any]) -> NDArray[Any]:
    """Return nebula IDs as int64 if all are whole numbers, else as float64."""
    numbers = np.asarray(values, dtype=np.float64)
    whole = np.all(np.isfinite(numbers)) and np.all(numbers == np.rint(numbers))
    return numbers.astype(np.int64) if whole else numbers


def _require_unique(ids: NDArray[Any], galaxy: str, path: Path) -> None:
    found, number = np.unique(ids, return_counts=True)
    repeated = found[number > 1]
    if repeated.size:
        raise InputError(
            f"expected one row per region_ID of {galaxy} in {path}, found {repeated.size} IDs "
            f"with more, the first {repeated[0]}: give a catalogue with each nebula once"
        )


def write_table(table: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write variables along one dimension as a table, with units where the format has them.

    Parameters
    ----------
    table
        Variables and coordinates of one dimension; coordinates become the first columns.
    path
        Ends in `.ecsv` or `.parquet` (with units and types, as astropy reads; pandas reads the
        latter too) or `.csv`. Replaced as a whole.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If the name ends otherwise, or a variable has not exactly the one dimension.
    """
    path = Path(path)
    if path.suffix not in _FORMATS:
        raise InputError(
            f"expected a name that ends in {' or '.join(_FORMATS)}, found {path.name}: rename it"
        )
    if len(table.dims) != 1 or any(v.dims != tuple(table.dims) for v in table.variables.values()):
        raise InputError(
            f"expected variables of one dimension for {path.name}, "
            f"found dimensions {tuple(map(str, table.dims))}: select the columns first"
        )
    columns = Table()
    for name, variable in {**table.coords, **table.data_vars}.items():
        columns[str(name)] = _make_column(variable)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    columns.write(partial, format=_FORMATS[path.suffix], overwrite=True)
    partial.replace(path)
    return path


def read_table(path: Path) -> xr.Dataset:
    """Return a Parquet table that `write_table` wrote: its columns along `nebula`, with units."""
    table = Table.read(path, format="parquet")
    return xr.Dataset({str(one.name): _make_variable(one) for one in table.itercols()})


def _make_column(variable: xr.DataArray) -> Column:
    values = np.asarray(variable.values)
    if values.dtype.kind in "TO":
        values = np.array([str(value) for value in values])
    units = variable.attrs.get("units") or None
    return Column(values, unit=u.Unit(units) if units else None)
