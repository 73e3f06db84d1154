"""Parquet for further analysis: typed columns under the API's names, times in UTC, the query as metadata."""

import io
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from center.api.exports.table import ExportTable

MEDIA_TYPE: Final = "application/vnd.apache.parquet"
_TYPES: Final = {
    "text": pa.string(),
    "time": pa.timestamp("ms", tz="UTC"),
    "integer": pa.int64(),
    "number": pa.float64(),
    "truth": pa.bool_(),
}


def write(table: ExportTable, _lang: str) -> bytes:
    """The table; `about` stands in the file's key-value metadata as `nhip.site`, `nhip.from` ..."""
    columns = {column.key: pa.array(column.values, _TYPES[column.kind]) for column in table.columns}
    about = {f"nhip.{key}": value for key, value in table.about.items()}
    out = io.BytesIO()
    pq.write_table(pa.table(columns).replace_schema_metadata(about), out, compression="zstd")
    return out.getvalue()
