"""Whether a file is whole, as the library that reads its kind says; and an archive, as its hash says."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import netCDF4
import numpy as np
import pyarrow.parquet as pq
import rasterio
import yaml
from PIL import Image
from safetensors.numpy import load_file

from model_utils.archive.format import METADATA
from model_utils.archive.reader import validated_metadata
from model_utils.archive.verification import content_sha256


def _image(path: Path) -> None:
    with Image.open(path) as image:
        image.load()


def _raster(path: Path) -> None:
    with rasterio.open(path) as file:
        file.read()


def _netcdf(path: Path) -> None:
    with netCDF4.Dataset(path) as dataset:
        for variable in dataset.variables.values():
            variable[...]


def _zip(path: Path) -> None:
    with zipfile.ZipFile(path) as members:
        assert members.testzip() is None


def _csv(path: Path) -> None:
    _line_ended(path)
    with path.open(encoding="utf-8", newline="") as file:
        assert len({len(row) for row in csv.reader(file)}) == 1


def _line_ended(path: Path) -> None:
    assert path.read_text(encoding="utf-8").endswith("\n")


def _ends_with(end: bytes) -> Callable[[Path], None]:
    def read(path: Path) -> None:
        assert path.read_bytes().rstrip().endswith(end)

    return read


_READERS: dict[str, Callable[[Path], object]] = {
    ".ckpt": _zip,
    ".csv": _csv,
    ".html": _ends_with(b"</html>"),
    ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
    ".md": _line_ended,
    ".nc": _netcdf,
    ".npy": lambda path: np.load(path, allow_pickle=False),
    ".npz": _zip,
    ".parquet": pq.read_table,
    ".pdf": _ends_with(b"%%EOF"),
    ".pkl": _zip,
    ".png": _image,
    ".safetensors": load_file,
    ".skops": _zip,
    ".tex": _line_ended,
    ".tif": _raster,
    ".txt": _line_ended,
    ".yaml": lambda path: yaml.safe_load(path.read_text(encoding="utf-8")),
}


def visible_files(root: Path) -> list[Path]:
    """Files of a root, without what is hidden or lies in a hidden folder: what is not ready yet."""
    found = sorted(path for path in root.rglob("*") if path.is_file())
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(root).parts)]


def damaged_files(root: Path) -> list[str]:
    """Of all visible files those that their reader refuses, and archives whose content is not what they say it is."""
    found = []
    for path in visible_files(root):
        try:
            _READERS[path.suffix](path)
            if path.name == METADATA:
                assert content_sha256(path.parent) == validated_metadata(path.parent).content_sha256
        except KeyError:
            raise
        except Exception as error:
            found.append(f"{path.relative_to(root)}: {type(error).__name__}: {error}")
    return found
