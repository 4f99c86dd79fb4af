"""`pm25 pretrain`: one experiment from an archive to encoder weights."""

from __future__ import annotations

import shutil
import sys
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from pytorch_lightning.callbacks import Callback, RichProgressBar
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities import rank_zero_only

from contrastive_models.encoders import create_encoder, feature_width, has_fixed_size
from contrastive_models.module import ContrastiveModule, TrainingSettings
from contrastive_models.simclr import SimCLR
from contrastive_models.simsiam import SimSiam
from contrastive_models.views import ViewSettings
from contrastive_models.weights import EncoderMetadata, save_encoder
from model_utils import atomic
from model_utils.archive.reader import TileArchive, open_archive
from model_utils.cities import City, load_city
from model_utils.configuration import package_version, save_config
from model_utils.errors import InputError
from model_utils.figures.experiment.pretraining_curves import draw_pretraining_curves
from model_utils.figures.saving import save_figure
from model_utils.hardware import has_cuda, machine, resolve_precision
from model_utils.locking import locked
from model_utils.pace import Pace
from model_utils.pretraining.checkpoints import AtomicCheckpointIO, LastTwoEpochs, ReadableCheckpoint, newest_readable
from model_utils.pretraining.collapse_check import CollapseCheck
from model_utils.pretraining.config import PretrainConfig
from model_utils.pretraining.data import PairedTiles, band_statistics, regular_pairs, spatiotemporal_pairs
from model_utils.pretraining.history import EpochHistory
from model_utils.pretraining.probe import EmbeddingProbe
from model_utils.pretraining.standing import IDENTITY, RunPlace, identity
from model_utils.project import archive_folder
from model_utils.quiet import quiet_lightning
from model_utils.sampling.clouds import clear_tiles
from model_utils.sampling.splits import held_out_sites, station_table
from model_utils.sampling.tile_ground import tile_ground, tile_side_m

VALIDATION_SHARE = 0.2
CHECKPOINTS = "checkpoints"
_IF_LONG = "--preset demo is shorter, a GPU faster; Ctrl-C ends it, and --resume goes on from the last epoch"


def pretrain(config: PretrainConfig) -> None:
    """Runs one experiment; a finished one of the same settings and archive is kept as it is.

    Raises:
        InputError: The city, its archive or the settings are wrong, or another experiment is in the way.
        InUseError: Another process writes this experiment or these weights.
    """
    city = load_city(config.city, config.root)
    place = RunPlace.of(config)
    with locked(place.folder, place.weights) if _first_process() else nullcontext():  # the others are of the same run
        _pretrain(config, city, place)


def _pretrain(config: PretrainConfig, city: City, place: RunPlace) -> None:
    """Leaves what stands in its place, or trains."""
    folder, weights = place.folder, place.weights
    archive = open_archive(archive_folder(config.root, config.city))
    if _first_process():
        atomic.clear_leftovers(folder)
    work = place.work
    if place.is_finished(config, archive.metadata, _first_process()):
        say(f"{weights}: already trained with these settings on this archive; nothing to do")
        return

    clear = archive.subset(clear_tiles(archive.samples, config.max_cloud_fraction))
    say(f"{len(archive)} tiles, {len(archive) - len(clear)} of them cloudy and left out")
    inductive = training_tiles(clear, city, config.exclude_stations)
    if config.transductive:
        say("transductive: images of test stations are used all the same; their readings are not")
    used = clear if config.transductive else inductive
    pairs = (
        regular_pairs(used)
        if config.pairs == "regular"
        else spatiotemporal_pairs(used, config.max_km, config.min_tiles)
    )
    say(pairs.summary)
    module = build_module(config, used, pairs.mean_batch(config.resolved_batch_size))
    check, probe = CollapseCheck(used, config.seed), _probe(config, inductive)
    history = EpochHistory(work / "metrics.csv", check, probe, config.probe_every)
    with quiet_lightning():
        trainer = _trainer(config, work, history)
    checkpoint = newest_readable(work / CHECKPOINTS) if config.resume else None
    _claim(config, identity(config, archive.metadata), work)
    _fit(trainer, module, pairs, config, checkpoint)
    if not trainer.is_global_zero:
        return

    metadata = EncoderMetadata(
        encoder=config.encoder,
        bands=archive.metadata.bands,
        mean=module.settings.mean,
        std=module.settings.std,
        ground_sample_distance_m=archive.metadata.ground_sample_distance_m,
        image_size=config.crop_size,
        method=config.method,
        pairs=config.pairs,
        epochs=config.epochs,
        archive_sha256=archive.metadata.content_sha256,
        package_version=package_version(),
        seed=config.seed,
        machine=machine(_precision(config), config.accelerator),
        seen_ground=tile_ground(used.samples, tile_side_m(archive.metadata)).as_text(),
    )
    figure = draw_pretraining_curves(history.frame(), feature_width(module.encoder), archive.metadata.simulated)
    save_figure(figure, work / "figures", "pretraining_curves")
    with atomic.replacing(weights) as temporary:  # last: a run whose weights are there is finished
        save_encoder(temporary, module.encoder, metadata)
    if work != folder:
        atomic.move_folder(work, folder)
    say(f"weights: {weights}")
    say(
        f"next: pm25 supervise --city {config.city} --start {config.method}_{config.pairs} "
        f"--preset {config.preset} --encoder {config.encoder} --root {config.root}"
    )


def training_tiles(archive: TileArchive, city: City, exclude_stations: bool = False) -> TileArchive:
    """Leaves out every tile that shows ground of a held-out station's tile.

    A held-out station need not have a reading yet: the list is matched against all sites. In a city without such a list
    any station may be tested (`supervise --folds`), so all are left out.

    Args:
        archive: All tiles.
        city: Gives the hold-out list.
        exclude_stations: Leave out the tiles of all other sites with a reading as well.

    Raises:
        InputError: Nothing is left.
    """
    samples = archive.samples
    sites = samples.drop_duplicates("site_id")
    held_out = held_out_sites(sites, city)
    what = f"{len(held_out)} sites on the hold-out list"
    if exclude_stations or not any(station.split == "test" for station in city.stations):
        held_out = sorted({*held_out, *station_table(samples)["site_id"]})
        what = f"{len(held_out)} stations"
    side = tile_side_m(archive.metadata)
    of_held_out = samples["site_id"].isin(held_out)
    ground = tile_ground(samples[of_held_out], side)
    places = samples[["latitude", "longitude"]].to_numpy(np.float64)
    keep = ~ground.shown_in(places[:, 0], places[:, 1], side)
    others = samples.loc[~keep & ~of_held_out.to_numpy(), "site_id"].nunique()
    say(
        f"inductive: {what} and {others} others whose tiles overlap theirs are left out "
        f"({int((~keep).sum())} of {len(archive)} tiles)"
    )
    if not keep.any():
        raise InputError(
            f"{archive.folder}: no tile is left to train on without {what} of {city.name}; a grid of tiles "
            "(pm25 prepare --grid-metres) gives some, or --transductive takes these"
        )
    return archive.subset(keep)


def build_module(config: PretrainConfig, archive: TileArchive, batch: float) -> ContrastiveModule:
    """Encoder, heads and settings of an experiment whose batches have `batch` tiles on average.

    Raises:
        InputError: timm does not know the encoder, or it is built for one size and the views have another.
    """
    if has_fixed_size(config.encoder) and config.crop_size != archive.metadata.tile_size:
        raise InputError(
            f"--crop-size: found {config.crop_size}, but {config.encoder} takes one size only, so that views must be "
            f"as large as the tiles: {archive.metadata.tile_size}"
        )
    torch.manual_seed(config.seed)
    try:
        encoder = create_encoder(config.encoder, len(archive.metadata.bands), config.crop_size)
    except ValueError as error:
        raise InputError(f"--encoder: {error}") from None
    mean, std = band_statistics(archive, config.seed)
    settings = TrainingSettings(
        views=ViewSettings(size=config.crop_size, scale=(config.crop_scale_min, 1.0)),
        mean=mean,
        std=std,
        learning_rate=config.resolved_learning_rate(batch),
        weight_decay=config.resolved_weight_decay,
        warmup_share=config.warmup_share,
        seed=config.seed,
    )
    width, size = config.projection_width, config.resolved_projection_size
    if config.method == "SimCLR":
        return SimCLR(encoder, settings, config.temperature, width, size)
    return SimSiam(encoder, settings, width, size)


@rank_zero_only
def say(line: str) -> None:
    """Prints a line, once over all processes."""
    print(line, flush=True)


def _claim(config: PretrainConfig, described: str, work: Path) -> None:
    """Prepares the folder of the run; without --resume, what an unfinished one left is removed."""
    if not _first_process():
        return
    if not config.resume and work.exists():
        shutil.rmtree(work)
    save_config(work / "config.yaml", config)
    atomic.write_text(work / IDENTITY, described)


def _precision(config: PretrainConfig) -> str:
    """The precision of a run here, as Lightning calls it."""
    return resolve_precision(config.precision, config.accelerator)


def _first_process() -> bool:
    return getattr(rank_zero_only, "rank", 0) == 0


def _probe(config: PretrainConfig, archive: TileArchive) -> EmbeddingProbe | None:
    if not config.probe_every:
        return None
    try:
        return EmbeddingProbe(archive, VALIDATION_SHARE, config.seed)
    except InputError:
        say("no probe: too few labelled tiles")
        return None


def _trainer(config: PretrainConfig, folder: Path, history: EpochHistory) -> pl.Trainer:
    callbacks: list[Callback] = [history, Pace("pre-training", _IF_LONG), LastTwoEpochs(folder / CHECKPOINTS)]
    if sys.stdout.isatty():
        callbacks.append(RichProgressBar())
    tensorboard = find_spec("tensorboard") is not None
    try:
        return pl.Trainer(
            max_epochs=config.epochs,
            accelerator=config.accelerator,
            devices=config.devices,
            strategy=config.strategy,
            precision=_precision(config),  # type: ignore[arg-type]
            callbacks=callbacks,
            plugins=[AtomicCheckpointIO()],
            logger=TensorBoardLogger(folder, name="tensorboard", version="") if tensorboard else False,
            sync_batchnorm=has_cuda(config.accelerator),
            use_distributed_sampler=False,
            deterministic="warn" if has_cuda(config.accelerator) else True,
            enable_progress_bar=sys.stdout.isatty(),
            enable_model_summary=False,
            log_every_n_steps=1,
            num_sanity_val_steps=0,
        )
    except (MisconfigurationException, ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"--accelerator {config.accelerator} --devices {config.devices} --strategy {config.strategy}: "
            f"{' '.join(str(error).split())[:300]}"
        ) from None


def _fit(
    trainer: pl.Trainer,
    module: ContrastiveModule,
    pairs: PairedTiles,
    config: PretrainConfig,
    checkpoint: ReadableCheckpoint | None,
) -> None:
    loader = pairs.loader(
        config.resolved_batch_size, config.seed, config.workers, trainer.global_rank, trainer.world_size
    )
    if checkpoint:
        for line in checkpoint.damaged:
            say(f"damaged checkpoint passed over: {line}")
        say(f"resuming from {checkpoint.path}, after epoch {checkpoint.epoch + 1}")
        # loader workers fetch ahead before Lightning tells the sampler the epoch
        loader.sampler.set_epoch(checkpoint.epoch + 1)  # type: ignore[attr-defined]
    with quiet_lightning():
        try:
            trainer.fit(module, loader, ckpt_path=checkpoint.path if checkpoint else None, weights_only=True)
        except SystemExit:  # Lightning's way out of Ctrl-C
            raise KeyboardInterrupt from None
