"""Silences what libraries say about choices that are ours, and what is said once more in one line."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import Request, urlopen

HUB_SECONDS = 5.0


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
def hub_asked_once() -> Iterator[None]:
    """Asks the hub once, for a few seconds; where it does not answer, only what was downloaded before is found.

    The hub's own client would ask for a minute, with a dozen lines about it, which are hidden.
    """
    from huggingface_hub import constants

    logger = logging.getLogger("huggingface_hub")
    level, offline = logger.level, constants.HF_HUB_OFFLINE
    logger.setLevel(logging.ERROR)
    silent = not offline and not _answers(constants.ENDPOINT)
    constants.HF_HUB_OFFLINE = offline or silent
    try:
        yield
    except OSError:
        if silent:  # the client would name a setting that is ours
            raise ConnectionError(f"{constants.ENDPOINT} does not answer") from None
        raise
    finally:
        logger.setLevel(level)
        constants.HF_HUB_OFFLINE = offline


def _answers(address: str) -> bool:
    try:
        with urlopen(Request(address, method="HEAD"), timeout=HUB_SECONDS):
            return True
    except HTTPError:  # an answer as well
        return True
    except OSError:
        return False
