import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearfield_server.executors.local import LocalExecutor

WIDTH = 16


@pytest.fixture(scope="session")
def local():
    executor = LocalExecutor(2)
    yield executor
    executor.close()


@pytest.fixture
def write(tmp_path):
    """Write a Parquet file of some columns, in row groups of 100: `write("a", embedding=rows, text=texts)`."""
    folder = tmp_path / "input"
    folder.mkdir()

    def call(file, /, *, group=100, **columns):
        made = {}
        for column, values in columns.items():
            vectors = isinstance(values, np.ndarray) and values.ndim == 2
            made[column] = pa.FixedSizeListArray.from_arrays(values.ravel(), values.shape[1]) if vectors else values
        pq.write_table(pa.table(made), folder / f"{file}.parquet", row_group_size=group)
        return folder / f"{file}.parquet"

    return call


@pytest.fixture(scope="session")
def blobs():
    """Rows about twelve centres, and which of them: float32 [1200, 16], int [1200]."""
    random = np.random.default_rng(7)
    centres = random.standard_normal((12, WIDTH))
    labels = random.integers(12, size=1200)
    rows = centres[labels] + 0.45 * random.standard_normal((1200, WIDTH))
    return rows.astype(np.float32), labels


@pytest.fixture(scope="session")
def parts_of():
    """Read all parts of a folder as one table."""

    def call(folder):
        return pa.concat_tables([pq.read_table(file) for file in sorted(folder.glob("part-*.parquet"))])

    return call
