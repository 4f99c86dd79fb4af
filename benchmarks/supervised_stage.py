"""The supervised stage with a frozen encoder: embedding in every epoch against embedding once.

The 2022 way passes tiles through the frozen encoder three times an epoch: the training tiles (then a step of the
head), the training tiles again and the test tiles (both for evaluation); float32, contiguous. It is measured on
`--subset` tiles and scaled to `--tiles`, half of which train. Ours is `embed` on the same tiles once (scaled likewise)
and `fit_head` on all training rows without early stopping. Images lie in memory for both, so that no time for
decoding files, which the 2022 way also spends three times an epoch, counts.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from timing import setting, spread, take_turns
from torch import nn

from contrastive_models.embedding import embed
from contrastive_models.encoders import create_encoder, feature_width
from model_utils.estimators.head import HeadSettings, RegressionHead, fit_head

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
HEAD_EPOCHS = 5  # timed together: one epoch is a fraction of a second


def main() -> None:
    """Prints seconds of every part and the ratio over all epochs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="resnet50", help="any timm model name")
    parser.add_argument("--tiles", type=int, default=2000, help="training and test tiles, half each")
    parser.add_argument("--tile-size", type=int, default=200, help="side of a tile, pixels")
    parser.add_argument("--epochs", type=int, default=500)
    parser.add_argument("--subset", type=int, default=32, help="tiles that the encoder's passes are measured on")
    parser.add_argument("--batch", type=int, default=16, help="tiles a batch of the 2022 way")
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    torch.manual_seed(0)
    draw = np.random.default_rng(0)

    tiles = draw.integers(0, 256, (flags.subset, flags.tile_size, flags.tile_size, 3), dtype=np.uint8)
    plain = create_encoder(flags.encoder, 3, flags.tile_size).eval().requires_grad_(False)
    ours = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    width, training = feature_width(plain), flags.tiles // 2
    features = draw.normal(size=(training, width)).astype(np.float32)
    target = draw.normal(100, 50, training)
    validation = np.arange(training) % 5 == 0
    settings = HeadSettings(epochs=HEAD_EPOCHS, patience=HEAD_EPOCHS)

    seconds = take_turns(
        {
            "paper": paper_epoch(plain, tiles, flags.batch),
            "embed": lambda: embed(ours, lambda rows: tiles[rows], len(tiles), MEAN, STD),
            "head": lambda: fit_head(features, target, validation, settings),
        },
        flags.turns,
    )
    scale = flags.tiles / flags.subset
    paper, once, head = scale * seconds["paper"], scale * seconds["embed"], seconds["head"] / HEAD_EPOCHS
    print(setting(flags.turns))
    print(f"{flags.encoder}, {training} training + {training} test tiles of {flags.tile_size} px, seconds:")
    print(f"  2022 way, one epoch           {spread(paper)}   (from {flags.subset} tiles)")
    print(f"  ours, embedding once          {spread(once)}   (from {flags.subset} tiles)")
    print(f"  ours, one epoch               {spread(head)}   (all rows)")
    print(f"  ratio of one epoch            {spread(paper / head)}")
    print(f"  ratio of all {flags.epochs} epochs     {spread(flags.epochs * paper / (once + flags.epochs * head))}")


def paper_epoch(encoder: nn.Module, tiles: NDArray[np.uint8], batch_size: int) -> Callable[[], None]:
    """One epoch of the 2022 way: the first half of the tiles trains, the second half tests."""
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    head = RegressionHead(feature_width(encoder))
    optimiser = torch.optim.AdamW(head.parameters(), lr=1e-3)
    half = len(tiles) // 2
    train, test = (torch.split(torch.from_numpy(part), batch_size) for part in (tiles[:half], tiles[half:]))

    def features(batch: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            images = (batch.permute(0, 3, 1, 2).float().contiguous() / 255 - mean) / std
            return encoder(images)  # type: ignore[no-any-return]

    def epoch() -> None:
        head.train()
        for batch in train:
            output = head.layers(features(batch))
            loss = F.mse_loss(output, torch.zeros_like(output))
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        head.eval()
        with torch.no_grad():
            for batch in (*train, *test):
                head.layers(features(batch))

    return epoch


if __name__ == "__main__":
    main()
