"""One SimCLR step: ours against plain float32, lightly's modules and torchgeo's task.

A step is forward, loss, backward and the optimiser's step on views that are ready; one row adds the drawing of the
views to ours. All have the same timm encoder, 2048-wide projector and batch. `plain float32` is our loss, projector
and optimiser on contiguous float32 tensors, one forward pass a view as in the 2022 code. lightly runs as its
documentation shows it (one pass a view, SGD), torchgeo as its task does (one pass a view, LARS; SimCLR version 1
without augmentations); both in their default float32. Ours is the product's module: both views in one pass.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
from collections.abc import Callable

import pytorch_lightning as pl
import torch
from timing import setting, spread, take_turns
from torch import Tensor, nn

from contrastive_models.encoders import create_encoder, feature_width, normalise
from contrastive_models.heads import simclr_projector
from contrastive_models.losses import nt_xent_loss
from contrastive_models.module import PairBatch, TrainingSettings
from contrastive_models.optimisation import lars, parameter_groups
from contrastive_models.simclr import SimCLR
from contrastive_models.views import ViewSettings, random_views
from model_utils.hardware import resolve_precision

Step = Callable[[], None]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RATE = 1e-4  # small: the arithmetic of a step costs the same and stays finite on noise


def main() -> None:
    """Prints tiles a second for each rival, and ratios to ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="resnet50", help="any timm model name")
    parser.add_argument("--size", type=int, default=100, help="side of a view, pixels")
    parser.add_argument("--tile-size", type=int, default=200, help="side of a tile, pixels")
    parser.add_argument("--batch", type=int, default=32, help="tiles a step, two views each")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    torch.manual_seed(0)

    tiles = torch.randint(0, 256, (flags.batch, flags.tile_size, flags.tile_size, 3), dtype=torch.uint8)
    precision = resolve_precision("auto", "cpu")
    settings = ViewSettings(flags.size)
    generator = torch.Generator().manual_seed(0)
    first, second = (drawn(tiles, settings, generator) for _ in range(2))
    contiguous = first.contiguous(), second.contiguous()
    steps = {
        "plain float32": plain_step(flags.encoder, *contiguous),
        "lightly": lightly_step(flags.encoder, *contiguous),
    }
    if importlib.util.find_spec("torchgeo") is None:
        print("torchgeo: not installed")
    else:
        steps["torchgeo"] = torchgeo_step(flags.encoder, *contiguous)
    ours = our_step(flags.encoder, settings, precision)
    steps["ours"] = lambda: ours(first, second)
    steps["ours with views"] = lambda: ours(*(drawn(tiles, settings, generator) for _ in range(2)))

    seconds = take_turns(steps, flags.turns)
    print(setting(flags.turns))
    print(f"{flags.encoder}, views of {flags.size} px, batch {flags.batch}, ours in {precision} and channels last:")
    for name, values in seconds.items():
        ratio = f"ratio ours : this {spread(values / seconds['ours'])}"
        print(f"  {name:16}{spread(flags.batch / values):32} tiles/s   {ratio}")


def our_step(encoder: str, views: ViewSettings, precision: str) -> Callable[[Tensor, Tensor], None]:
    """Prepares the product's module; the step takes two views."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    settings = TrainingSettings(views, MEAN, STD, RATE, weight_decay=1e-4, warmup_share=0.0, seed=0)
    module = SimCLR(create_encoder(encoder, 3, views.size), settings)
    module.trainer = pl.Trainer(accelerator="cpu", devices=1, logger=False, enable_checkpointing=False)
    optimiser = module.optimiser()

    def step(first: Tensor, second: Tensor) -> None:
        ids = torch.arange(len(first))
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            loss = module.contrast(first, second, PairBatch(first, None, ids, ids))
        descend(loss, optimiser)

    return step


def plain_step(encoder: str, first: Tensor, second: Tensor) -> Step:
    """Composes our parts as plainly as one would."""
    backbone = create_encoder(encoder, 3, first.shape[-1])
    model = nn.Sequential(backbone, simclr_projector(feature_width(backbone), 2048, 128))
    optimiser = lars(parameter_groups([model], 1e-4), RATE)
    return lambda: descend(nt_xent_loss(model(first), model(second), temperature=0.1), optimiser)


def lightly_step(encoder: str, first: Tensor, second: Tensor) -> Step:
    """Composes lightly's blocks as in its SimCLR example."""
    from lightly.loss import NTXentLoss
    from lightly.models.modules import SimCLRProjectionHead

    backbone = create_encoder(encoder, 3, first.shape[-1])
    model = nn.Sequential(backbone, SimCLRProjectionHead(feature_width(backbone), 2048, 128))
    criterion = NTXentLoss(temperature=0.1)
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
    return lambda: descend(criterion(model(first), model(second)), optimiser)


def torchgeo_step(encoder: str, first: Tensor, second: Tensor) -> Step:
    """Runs torchgeo's task outside a trainer, its augmentations and logging left out."""
    from lightly.utils.lars import LARS  # what the task's configure_optimizers builds
    from torchgeo.trainers import SimCLRTask

    task = SimCLRTask(
        model=encoder,
        version=1,
        layers=2,
        hidden_dim=2048,
        output_dim=128,
        temperature=0.1,
        memory_bank_size=0,
        augmentations=nn.Identity(),
    )
    task.log = lambda *arguments, **named: None
    optimiser = LARS(task.parameters(), lr=RATE, momentum=0.9, weight_decay=1e-6)
    batch = {"image": torch.cat([first, second], dim=1)}
    return lambda: descend(task.training_step(batch, 0), optimiser)


def descend(loss: Tensor, optimiser: torch.optim.Optimizer) -> None:
    """Backward and the optimiser's step."""
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()


def drawn(tiles: Tensor, views: ViewSettings, generator: torch.Generator) -> Tensor:
    """One normalised view of every tile, channels last."""
    return normalise(random_views(tiles, views, generator), torch.tensor(MEAN), torch.tensor(STD))


if __name__ == "__main__":
    main()
