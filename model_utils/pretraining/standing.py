"""What lies where a pre-training run will be: this very run, another one, or half of one; torch is not imported."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from model_utils.archive.format import ArchiveMetadata
from model_utils.configuration import record
from model_utils.errors import InputError
from model_utils.pretraining.config import PretrainConfig
from model_utils.project import results_folder, weights_path

IDENTITY, UNFINISHED = "experiment.json", ".unfinished"


@dataclass(frozen=True)
class RunPlace:
    """Where a run lies.

    Attributes:
        folder: Of its records and checkpoints.
        weights: Of the encoder.
    """

    folder: Path
    weights: Path

    @classmethod
    def of(cls, config: PretrainConfig) -> RunPlace:
        """The place that settings name."""
        name = f"pretrain_{config.method}_{config.pairs}_{config.encoder}"
        folder = results_folder(config.root, config.city, name)
        return cls(folder, weights_path(config.root, config.city, config.method, config.pairs, config.encoder))

    @property
    def work(self) -> Path:
        """The run's own folder, or one beside it where a finished run stays until another one takes its place."""
        beside = self.folder.with_name(f"{self.folder.name}{UNFINISHED}")
        return beside if self.weights.exists() or beside.exists() else self.folder

    def is_finished(self, config: PretrainConfig, archive: ArchiveMetadata, first_process: bool = True) -> bool:
        """True if this very experiment is finished and to be kept.

        Args:
            config: Of the experiment.
            archive: That it trains on.
            first_process: Of a run of several; the others start while the first one runs.

        Raises:
            InputError: Another experiment of this name is in the way.
        """
        if config.overwrite and not config.resume:
            return False
        place = self.work if (self.work / IDENTITY).exists() else self.folder
        described = place / IDENTITY
        if described.exists() and described.read_text(encoding="utf-8") != identity(config, archive):
            raise InputError(f"{place}: holds a run with other settings or another archive; --overwrite replaces it")
        if self.weights.exists() and not described.exists():
            raise InputError(f"{self.weights}: weights of an unknown run are there; --overwrite replaces them")
        finished = self.weights.exists() and place == self.folder
        if described.exists() and not finished and not config.resume and first_process:
            raise InputError(f"{place}: holds an unfinished run; --resume goes on with it, --overwrite starts again")
        return finished


def identity(config: PretrainConfig, archive: ArchiveMetadata) -> str:
    """What tells a run from others, as its folder keeps it."""
    return json.dumps({"config": record(config), "archive_sha256": archive.content_sha256}, indent=2)
