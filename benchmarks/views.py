"""Random views: ours, drawn and made in a batch, against torchvision's transforms, one sample at a time.

Both draw a random resized crop (antialiased, 20 to 100 % of the area) and flips for every tile, twice; ours also
turns by quarters. torchvision starts from uint8 channels-first tensors and ends at uint8, its fastest path; ours starts
from uint8 as archives store it and ends at float32. A second table says how far ours is from torchvision's resize of
the same boxes, in grey levels, on noise (the hardest image there is).
"""

from __future__ import annotations

import argparse

import torch
from timing import setting, spread, take_turns
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as tvf

from contrastive_models.views import Crops, ViewSettings, apply_crops, draw_crops, random_views


def main() -> None:
    """Prints both tables for each pair of sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["200:100", "64:64"], help="tile:view sides in pixels")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    print(setting(flags.turns))
    for sizes in flags.sizes:
        tile_size, view_size = map(int, sizes.split(":"))
        compare(tile_size, view_size, flags.batch, flags.turns)


def compare(tile_size: int, view_size: int, batch: int, turns: int) -> None:
    """Times one pair of sizes and measures the difference."""
    generator = torch.Generator().manual_seed(0)
    tiles = torch.randint(0, 256, (batch, tile_size, tile_size, 3), dtype=torch.uint8, generator=generator)
    samples = list(tiles.permute(0, 3, 1, 2).contiguous())
    settings = ViewSettings(view_size)
    transform = v2.Compose(
        [
            v2.RandomResizedCrop(view_size, scale=settings.scale, ratio=settings.ratio, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
        ]
    )
    seconds = take_turns(
        {
            "torchvision, per sample": lambda: [torch.stack([transform(x) for x in samples]) for _ in range(2)],
            "ours, batched": lambda: [random_views(tiles, settings, generator) for _ in range(2)],
        },
        turns,
    )
    print(f"\n{tile_size} px -> {view_size} px, two views of {batch} tiles")
    for name, values in seconds.items():
        print(f"  {name:24}{spread(2 * batch / values)} crops/s")
    print(f"  ratio ours : torchvision {spread(seconds['torchvision, per sample'] / seconds['ours, batched'])}")

    crops = draw_crops(batch, tile_size, tile_size, settings, generator)
    views = apply_crops(tiles, crops, view_size)
    for kind, source in (("float32", tiles.float()), ("uint8", tiles)):
        error = (views - torchvision_views(source, crops, view_size).float()).abs()
        print(f"  difference from torchvision's {kind} resize: largest {error.max():.3g}, mean {error.mean():.3g}")


def torchvision_views(tiles: Tensor, crops: Crops, size: int) -> Tensor:
    """The same boxes and orientations by torchvision, one sample at a time."""
    views = []
    for index, tile in enumerate(tiles.permute(0, 3, 1, 2)):
        box = [int(getattr(crops, side)[index]) for side in ("top", "left", "height", "width")]
        view = tvf.resized_crop(tile, *box, [size, size], antialias=True)
        view = tvf.vertical_flip(view) if crops.flip_rows[index] else view
        view = tvf.horizontal_flip(view) if crops.flip_columns[index] else view
        views.append(view.transpose(1, 2) if crops.transpose[index] else view)
    return torch.stack(views)


if __name__ == "__main__":
    main()
