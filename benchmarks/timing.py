"""Rivals take turns in one process, so that a busy neighbour on the machine slows all of them alike."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray


def take_turns(rivals: Mapping[str, Callable[[], object]], turns: int) -> dict[str, NDArray[np.float64]]:
    """Times A B C A B C ..., after one round that is not counted.

    Returns:
        Seconds of every turn, by rival; element i of all rivals was measured within one round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for turn in range(turns + 1):
        for name, run in rivals.items():
            begin = time.perf_counter()
            run()
            if turn > 0:
                seconds[name].append(time.perf_counter() - begin)
    return {name: np.array(values) for name, values in seconds.items()}


def spread(values: NDArray[np.float64]) -> str:
    """Median and, in brackets, the quartiles."""
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{median:.4g} ({low:.4g} .. {high:.4g})"


def setting(turns: int) -> str:
    """One line on the conditions: processor, threads, turns and what else the machine was doing."""
    description = Path("/proc/cpuinfo")
    lines = description.read_text(encoding="utf-8", errors="replace").splitlines() if description.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    capability = torch.backends.cpu.get_cpu_capability()
    return (
        f"{processor} ({capability}), {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
        f"torch {torch.__version__}, {torch.get_num_threads()} thread(s); "
        f"medians (quartiles) of {turns} interleaved turns"
    )
