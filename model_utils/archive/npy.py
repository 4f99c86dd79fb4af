"""The header of an NPY file, read without trusting it."""

from __future__ import annotations

import warnings
from typing import IO

import numpy as np

_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npy_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, Fortran order and type of the array that begins here; of the array itself nothing is read.

    Raises:
        ValueError: The bytes are not such a header.
    """
    version = np.lib.format.read_magic(stream)
    if version not in _READERS:
        raise ValueError(f"NPY version {version}, expected one of {list(_READERS)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy warns of headers that only Python 2 could have written
            shape, fortran, dtype = _READERS[version](stream)
    except Exception as error:  # numpy hands on what Python's tokenizer raises on broken text
        raise ValueError(f"broken header: {error}") from None
    return shape, fortran, dtype
