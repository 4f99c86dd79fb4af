"""`pm25 prepare`: what a user has becomes the archive of a city."""

from __future__ import annotations

from model_utils.cities import load_city
from model_utils.ingest.config import PrepareConfig


def prepare(config: PrepareConfig) -> None:
    """Writes the archive of a city from scenes, from tiles and a table, or from a file of the 2022 code.

    Raises:
        InputError: Naming the file, row or key that is wrong; the archive is as it was then.
    """
    city = load_city(config.city, config.root)
    assert config.gsd is not None  # the config refuses that
    if config.scenes is not None:
        from model_utils.ingest.scene_archive.archive import prepare_scenes

        prepare_scenes(config, city, config.scenes, config.gsd)
    elif config.legacy is not None:
        from model_utils.ingest.legacy.archive import prepare_legacy

        prepare_legacy(config, city, config.legacy, config.gsd)
    elif config.images is not None and config.table is not None:
        from model_utils.ingest.chip_archive import prepare_chips

        prepare_chips(config, city, config.images, config.table, config.gsd)
