"""Which device and which arithmetic a run uses, and what of a machine changes how sums round."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

_DESCRIPTION = Path("/proc/cpuinfo")


def has_cuda(accelerator: str) -> bool:
    """True where Lightning's accelerator name leads to a CUDA device."""
    return accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()


def resolve_precision(setting: str, accelerator: str) -> str:
    """Turns `auto` into bf16 autocast where the device computes it natively, else float32.

    Args:
        setting: auto, or a Lightning precision that is passed through.
        accelerator: Lightning's accelerator name.

    Returns:
        A Lightning precision.
    """
    if setting != "auto":
        return setting
    return "bf16-mixed" if _has_bf16(accelerator) else "32-true"


def machine(precision: str, accelerator: str) -> dict[str, Any]:
    """What the digits of a result depend on besides settings and seeds; says what kind of machine, never which one.

    Args:
        precision: A Lightning precision, resolved.
        accelerator: Lightning's name of the device.

    Returns:
        precision, processor (its model), bf16_native, threads, torch (its version); ready for JSON.
    """
    return {
        "precision": precision,
        "processor": torch.cuda.get_device_name() if has_cuda(accelerator) else _processor(),
        "bf16_native": _has_bf16(accelerator),
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
    }


def machine_words(found: Mapping[str, Any]) -> str:
    """What `machine` says, in a clause; it may come from a file."""
    threads = found.get("threads")
    return (
        f"{found.get('precision')} on {found.get('processor')} "
        f"({'with' if found.get('bf16_native') else 'without'} native bf16), "
        f"{threads} thread{'' if threads == 1 else 's'}, torch {found.get('torch')}"
    )


def _has_bf16(accelerator: str) -> bool:
    """True where the device computes bf16 natively."""
    if has_cuda(accelerator):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return accelerator in ("auto", "cpu") and _processor_has_bf16()


def _processor() -> str:
    """The processor's model, or at least its kind."""
    if _DESCRIPTION.is_file():
        for line in _DESCRIPTION.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return " ".join(value.split())
    return platform.processor() or platform.machine() or "unknown"


def _processor_has_bf16() -> bool:
    """True where the processor multiplies bf16; elsewhere torch emulates it, slower than float32."""
    if platform.machine() not in ("x86_64", "AMD64") or not _DESCRIPTION.is_file():
        return False
    flags = _DESCRIPTION.read_text(encoding="utf-8", errors="replace")
    return "avx512_bf16" in flags or "amx_bf16" in flags
