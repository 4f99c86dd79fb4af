"""Silences what libraries say about choices that are ours, and what is said once more in one line."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Hides Lightning's banners and three of its warnings; everything else still comes through."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        # tiles are read as whole batches from a memory map: workers are a choice, not an oversight
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # Lightning's own use of a torch call that torch 2.13 deprecates
        warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated.*")
        # a run folder that is resumed holds files, of course
        warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")
        yield


@contextmanager
def quiet_hub() -> Iterator[None]:
    """Hides the hub's dozen lines on every try to reach it; that it could not be reached is an error all the same."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
