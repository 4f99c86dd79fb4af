"""The flags of `pm25 convert-weights`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class ConvertWeightsConfig:
    """Encoder weights of the 2022 code, and what is known of them that the file does not say.

    Args:
        weights: The state dict, such as encoder_params_resnet50_Delhi_SimCLR.pkl; it is read, never run.
        output: Where to write; ends with .safetensors.
        method: SimCLR or SimSiam; by default what the file's name says, if it does.
        pairs: regular or spatiotemporal; by default what the file's name says, if it does.
        bands: Band names in the order of the encoder's inputs, typed as red,green,blue.
        mean: Mean of each band (0..1) that its inputs were normalised with, typed as 0.4,0.4,0.3; without it
            supervise takes the statistics of the training stations' tiles.
        std: Standard deviation of each band (0..1).
        gsd: Metres per pixel of the tiles it was trained on; 0 where not known.
        overwrite: Replace the output.
    """

    weights: Path
    output: Path
    method: Literal["SimCLR", "SimSiam"] | None = None
    pairs: Literal["regular", "spatiotemporal"] | None = None
    bands: tuple[str, ...] = ("red", "green", "blue")
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    gsd: float = 0.0
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.output.suffix != ".safetensors":
            raise ValueError(f"--output: found {self.output.name!r}, expected a name that ends with .safetensors")
        if not self.bands or not all(self.bands) or len(set(self.bands)) != len(self.bands):
            raise ValueError(f"--bands: found {list(self.bands)}, expected different names")
        if len(self.mean) != len(self.std) or len(self.mean) not in (0, len(self.bands)):
            found = f"{len(self.mean)} and {len(self.std)}"
            raise ValueError(f"--mean, --std: found {found} numbers, expected both for {len(self.bands)} bands")
        if not all(0 <= value <= 1 for value in self.mean) or not all(0 < value <= 1 for value in self.std):
            raise ValueError("--mean, --std: expected numbers from 0 to 1, std above 0")
        if not 0 <= self.gsd <= 10_000:
            raise ValueError(f"--gsd: found {self.gsd}, expected metres per pixel")
