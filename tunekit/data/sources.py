"""Where a table comes from: a file, scikit-learn, OpenML, or a plugin."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tunekit.components import Dataset
from tunekit.data.columns import text_of
from tunekit.data.options import DataOptions
from tunekit.errors import DataError, PluginError, suggestion
from tunekit.plugins import Registry
from tunekit.records import Table

if TYPE_CHECKING:
    import pandas as pd

SKLEARN = ("breast_cancer", "diabetes", "digits", "iris", "wine")
FORMATS = (".csv", ".parquet")


def load_table(
    options: DataOptions, registry: Registry, folder: Path, *, file: str | None
) -> Table:
    """The table that ``data.source`` names.

    CSV files are UTF-8, separated by commas, with a header; what pandas takes for a missing value
    is one (nothing, ``NA``, ``NaN``, ``null``, ...). A first column without a name is an index
    that somebody saved with the table, and is left out.

    Args:
        options: The study's ``[data]``.
        registry: Where plugins' data sets are found.
        folder: Where relative paths start.
        file: The study file, for errors about what it says.

    Raises:
        DataError: There is no such source, or it cannot be read.
    """
    try:
        return _load(options, registry, folder)
    except DataError as error:
        raise DataError(
            error.message, file=error.file or file, key=error.key, line=error.line
        ) from error.__cause__


def _load(options: DataOptions, registry: Registry, folder: Path) -> Table:
    source = options.source
    prefix, _, name = source.partition(":")
    if prefix == "openml":
        return _from_openml(name, options)
    claimed = (Dataset.kind, source) in registry.contested
    if prefix == "sklearn" or source in registry.names(Dataset.kind) or claimed:
        for key in ("target", "weight"):
            if getattr(options, key) is not None:
                raise DataError(
                    f"{source!r} brings its own {key}; leave this key out", key=f"data.{key}"
                )
        return _from_sklearn(name) if prefix == "sklearn" else _from_plugin(source, registry)
    path = folder / source
    if Path(source).suffix or "/" in source or path.is_file():
        return _from_file(path, options)
    known = [*registry.names(Dataset.kind), *(f"sklearn:{name}" for name in SKLEARN)]
    raise DataError(
        f"no data set is called {source!r}. {suggestion(source, known)} "
        "Or give the path of a .csv or .parquet file, or openml:ID."
        f"{registry.who_may_have(Dataset.kind, source)}",
        key="data.source",
    )


def _from_sklearn(name: str) -> Table:
    if name not in SKLEARN:
        hint = suggestion(name, SKLEARN)
        raise DataError(f"scikit-learn brings no data set {name!r}. {hint}", key="data.source")
    from sklearn import datasets

    # Diabetes comes scaled over all rows; the raw columns are what a table would hold.
    settings = {"scaled": False} if name == "diabetes" else {}
    bunch = getattr(datasets, f"load_{name}")(**settings)
    labels = getattr(bunch, "target_names", None)
    target = bunch.target if labels is None else np.asarray(labels)[bunch.target]
    return Table.from_matrix(
        bunch.data,
        target,
        names=list(bunch.feature_names),
        name=name,
        task="regression" if labels is None else "classification",
    )


def _from_openml(name: str, options: DataOptions) -> Table:
    if not re.fullmatch(r"[0-9]+", name):
        raise DataError(f"expected openml: and a number, got 'openml:{name}'", key="data.source")
    from sklearn.datasets import fetch_openml

    source = f"openml:{name}"
    try:
        with warnings.catch_warnings():
            # scikit-learn warns at each retry, and of versions; the error below says enough.
            warnings.simplefilter("ignore")
            # Naming no target keeps scikit-learn from refusing targets with missing values, and
            # its other parser fails on categories that look like numbers (with pandas 3.1).
            bunch = fetch_openml(
                data_id=int(name), as_frame=True, target_column=None, parser="liac-arff"
            )
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise DataError(
            f"{source} could not be fetched from OpenML: {reason}. "
            "Check the number and the network, or save the table as a file",
            key="data.source",
        ) from error
    except Exception as error:
        # Whatever a stranger's file makes the parser raise.
        raise DataError(f"{source} cannot be read: {error}", key="data.source") from error
    default = bunch.details.get("default_target_attribute")
    if options.target is None and default in bunch.frame.columns:  # "a,b" if there are several
        options = replace(options, target=default)
    return _from_frame(bunch.frame, options, str(bunch.details["name"]))


def _from_plugin(name: str, registry: Registry) -> Table:
    try:
        dataset = registry.find(Dataset, name)
    except PluginError as error:
        raise DataError(error.message, key="data.source") from None
    try:
        table: object = dataset().load()
    except Exception as error:
        raise DataError(
            f"the data set {name!r} failed to load: {type(error).__name__}: {error}",
            key="data.source",
        ) from error
    if not isinstance(table, Table):
        raise DataError(
            f"the data set {name!r} loads a {type(table).__name__}; expected a tunekit.Table",
            key="data.source",
        )
    if not isinstance(table.columns, Mapping):
        raise DataError(
            f"the columns of the data set {name!r} are a {type(table.columns).__name__}; expected "
            "arrays by name",
            key="data.source",
        )
    return table


def read_rows(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The columns of a CSV or Parquet file, as a study reads them; none of them is a target.

    Raises:
        DataError: There is no such file, or it cannot be read, or it has no rows.
    """
    source = str(path)
    frame = _named(_read_file(path, source, None), source)
    if frame.empty:
        raise DataError("the file has a header but no rows", file=source)
    return {column: _array(frame[column]) for column in frame.columns}


def _from_file(path: Path, options: DataOptions) -> Table:
    frame = _read_file(path, options.source, "data.source")
    return _from_frame(frame, options, path.stem)


def _read_file(path: Path, source: str, key: str | None) -> pd.DataFrame:
    """The table in a file; `key` is what names it in a study file."""
    if not path.exists():
        raise DataError(_no_such_file(path), key=key)
    if path.suffix.lower() not in FORMATS or path.is_dir():
        what = "a folder" if path.is_dir() else f"a {path.suffix or 'nameless'} file"
        raise DataError(f"{source!r} is {what}; expected a .csv or .parquet file", key=key)
    read = _read_csv if path.suffix.lower() == ".csv" else _read_parquet
    try:
        return read(path, source)
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"cannot read this file: {reason}", file=source) from error


def _no_such_file(path: Path) -> str:
    if not path.parent.is_dir():
        return f"there is no folder {str(path.parent)!r}"
    there = [p.name for p in path.parent.iterdir() if p.suffix.lower() in FORMATS]
    return f"there is no file {path.name!r} in {str(path.parent)!r}. {_hint(path.name, there)}"


def _read_csv(path: Path, source: str) -> pd.DataFrame:
    import pandas as pd

    try:
        header = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False)
        names = [str(name) for name in header.iloc[0]]
        _check_header(names, source)
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # Without it, rows longer than the header turn the first column into an index.
            frame = pd.read_csv(path, index_col=False, low_memory=False)
    except pd.errors.EmptyDataError:
        raise DataError("the file is empty; expected a header and rows", file=source) from None
    except pd.errors.ParserWarning:
        raise DataError(
            f"rows have more values than the header has names ({len(names)})", file=source
        ) from None
    except pd.errors.ParserError as error:
        reason = str(error).rpartition("error: ")[2].strip()
        line = re.search(r"line (\d+)", reason)
        raise DataError(
            f"this is not a valid CSV file: {reason}",
            file=source,
            line=int(line[1]) if line else None,
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"this is not UTF-8 text: {error}", file=source) from error
    return frame.iloc[:, 1:] if names[0] == "" else frame


def _check_header(names: list[str], source: str) -> None:
    _check_names(names, source)
    separator = next((mark for mark in ";\t|" if mark in names[0]), None)
    if len(names) == 1 and separator:
        raise DataError(
            f"the header is separated by {separator!r}; expected commas", file=source, line=1
        )


def _read_parquet(path: Path, source: str) -> pd.DataFrame:
    import pandas as pd
    import pyarrow
    import pyarrow.parquet

    try:
        _check_names(pyarrow.parquet.read_schema(path).names, source)
        return pd.read_parquet(path)
    except pyarrow.ArrowException as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"this is not a valid Parquet file: {reason}", file=source) from error


def _check_names(names: list[str], source: str) -> None:
    named = [name for name in names if name]
    for name in named:
        if named.count(name) > 1:
            raise DataError(
                "two columns have this name; rename one", file=source, key=f"column {name!r}"
            )


def _named(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """A frame whose columns have texts for names, all different."""
    frame = frame.set_axis([str(column) for column in frame.columns], axis="columns")
    _check_names(list(frame.columns), source)
    return frame


def _from_frame(frame: pd.DataFrame, options: DataOptions, name: str) -> Table:
    frame = _named(frame, options.source)
    columns = list(frame.columns)
    if options.target is None:
        raise DataError(
            f"expected the name of the column to predict. {_hint('', columns)}", key="data.target"
        )
    for i, target in enumerate(options.targets):
        one = isinstance(options.target, str)
        _check_column(target, columns, "data.target" if one else f"data.target[{i}]", options)
    if options.weight is not None:
        _check_column(options.weight, columns, "data.weight", options)
        if options.weight in options.targets:
            raise DataError(f"the column {options.weight!r} is the target", key="data.weight")
    if frame.empty:
        raise DataError("the file has a header but no rows", file=options.source)
    arrays = {column: _array(frame[column]) for column in columns}
    values = _side_by_side([arrays.pop(target) for target in options.targets])
    weight = None if options.weight is None else arrays.pop(options.weight)
    return Table(arrays, values, name, weight=weight)


def _check_column(name: str, columns: Sequence[str], key: str, options: DataOptions) -> None:
    if name not in columns:
        raise DataError(f"{options.source} has no column {name!r}. {_hint(name, columns)}", key=key)


def _side_by_side(columns: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """One column as it is, or several, of whatever types, as a matrix."""
    if len(columns) == 1:
        return columns[0]
    if all(values.dtype.kind in "biuf" for values in columns):
        return np.column_stack(columns)
    matrix = np.empty((len(columns[0]), len(columns)), dtype=object)
    for j, values in enumerate(columns):
        # Objects of finer resolution would be bare integers.
        dates = values.dtype.kind in "mM"
        matrix[:, j] = values.astype(f"{values.dtype.kind}8[us]") if dates else values
    return matrix


def _array(series: pd.Series[Any]) -> npt.NDArray[Any]:
    """A column without pandas' own types."""
    import pandas as pd

    if isinstance(series.dtype, pd.CategoricalDtype):
        # Categories that are numbers are categories still.
        texts = [None if pd.isna(value) else text_of(value) for value in series]
        return np.array([*texts, None], dtype=object)[:-1]
    if isinstance(series.dtype, np.dtype):
        return series.to_numpy()
    # The stubs do not know that None is a fine mark for a missing value.
    values: npt.NDArray[Any] = series.to_numpy(dtype=object, na_value=None)  # type: ignore[call-overload]
    return values


def _hint(name: str, known: Iterable[str]) -> str:
    """A suggestion that does not list hundreds of names."""
    names = sorted(known)
    hint = suggestion(name, names)
    if hint.startswith("Known") and len(names) > 20:
        return f"Known: {', '.join(names[:20])} and {len(names) - 20} more."
    return hint
