"""A table as an Apache Parquet file, a row group a batch; each column's unit and meaning are in its field's metadata.

pyarrow writes it (extra `parquet`); `available` tells whether it is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

from rawlab.columns.batch import Batch, Coded
from rawlab.model.columns import Column


def available() -> bool:
    """Whether pyarrow can be imported; all of it that is used here is, so that nothing is looked for later."""
    try:
        import pyarrow.compute  # type: ignore[import-untyped]
        import pyarrow.parquet  # type: ignore[import-untyped]  # noqa: F401
    except ImportError:
        return False
    return True


class ParquetTable:
    """One file, open."""

    def __init__(self, file: BinaryIO, columns: Sequence[Column]) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self._columns = columns
        self._schema = pa.schema([_field(column) for column in columns])
        self._writer = parquet.ParquetWriter(file, self._schema)

    def write(self, batch: Batch) -> None:
        """The next rows: see `columns.batch`."""
        import pyarrow as pa

        arrays = [
            _array(batch[column.name], field.type, column.may_lack)
            for column, field in zip(self._columns, self._schema, strict=True)
        ]
        self._writer.write_batch(pa.record_batch(arrays, self._schema))

    def close(self) -> None:
        self._writer.close()


def _field(column: Column) -> Any:
    import pyarrow as pa

    kinds = {"number": pa.int64(), "port": pa.int32(), "truth": pa.bool_()}
    about = {"unit": column.unit, "meaning": column.meaning}
    return pa.field(column.name, kinds.get(column.type, pa.string()), nullable=column.may_lack, metadata=about)


def _array(values: Any, kind: Any, may_lack: bool) -> Any:
    import pyarrow as pa

    if isinstance(values, Coded):
        codes = pa.array(values.codes.astype(np.int32))
        return pa.DictionaryArray.from_arrays(codes, pa.array(values.words.texts, pa.string())).cast(kind)
    if isinstance(values, list):
        return pa.array(values, kind)
    return pa.array(values, kind, mask=values < 0 if may_lack and values.dtype.kind == "i" else None)
