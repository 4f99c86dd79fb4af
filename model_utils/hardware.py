"""Which device and which arithmetic a run uses."""

from __future__ import annotations

import platform
from pathlib import Path

import torch


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
    if has_cuda(accelerator):
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = accelerator in ("auto", "cpu") and _processor_has_bf16()
    return "bf16-mixed" if native else "32-true"


def _processor_has_bf16() -> bool:
    """True where the processor multiplies bf16; elsewhere torch emulates it, slower than float32."""
    description = Path("/proc/cpuinfo")
    if platform.machine() not in ("x86_64", "AMD64") or not description.is_file():
        return False
    flags = description.read_text(encoding="utf-8", errors="replace")
    return "avx512_bf16" in flags or "amx_bf16" in flags
