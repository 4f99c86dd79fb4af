"""Random views of nadir imagery, drawn per sample and made in a batch on any device.

Views keep colour: haze is the signal, so there is no brightness, contrast, hue or saturation jitter. They
are random resized crops, flips and quarter turns. A crop, its resize to the view's size and its flip are linear
and separable, so each view is two small matrices: `view = rows @ tile @ columns.T`. The matrices hold the
antialiased triangle filter of Pillow and torchvision; only a few entries of a row are not zero, so they are kept
sparse: an output pixel is a weighted sum of a few neighbours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class ViewSettings:
    """What a random view is.

    Attributes:
        size: Side of the square view, pixels.
        scale: Smallest and largest share of the tile's area that the crop covers.
        ratio: Smallest and largest width / height of the crop.
        flips: Flip at random along both axes.
        quarter_turns: Turn at random by a multiple of 90 degrees (nadir imagery has no up).
    """

    size: int
    scale: tuple[float, float] = (0.2, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flips: bool = True
    quarter_turns: bool = True


@dataclass(frozen=True)
class Crops:
    """One crop a sample: pixel boxes (n, int64) and orientation (n, bool)."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor
    flip_rows: Tensor
    flip_columns: Tensor
    transpose: Tensor


def draw_crops(count: int, height: int, width: int, settings: ViewSettings, generator: torch.Generator) -> Crops:
    """Draws random resized crops as torchvision does: ten tries of area and log ratio, else the whole tile.

    Args:
        count: Number of crops n.
        height: Height of the tiles, pixels.
        width: Width of the tiles, pixels.
        settings: What to draw.
        generator: A CPU generator; the same state gives the same crops for every device.

    Returns:
        Boxes inside the tile, and orientations.
    """
    tries = 10
    area = height * width * torch.empty(count, tries).uniform_(*settings.scale, generator=generator)
    low, high = (math.log(ratio) for ratio in settings.ratio)
    ratio = torch.empty(count, tries).uniform_(low, high, generator=generator).exp()
    widths = (area * ratio).sqrt().round().long()
    heights = (area / ratio).sqrt().round().long()
    fits = (widths >= 1) & (widths <= width) & (heights >= 1) & (heights <= height)
    choice = fits.int().argmax(dim=1, keepdim=True)
    found = fits.any(dim=1)
    crop_width = torch.where(found, widths.gather(1, choice)[:, 0], width)
    crop_height = torch.where(found, heights.gather(1, choice)[:, 0], height)
    place = torch.rand(2, count, generator=generator)
    coins = torch.rand(3, count, generator=generator) < 0.5
    # flips along both axes and a transpose at random are the eight symmetries of the square
    turned = coins[2] & settings.quarter_turns
    return Crops(
        top=(place[0] * (height - crop_height + 1)).long(),
        left=(place[1] * (width - crop_width + 1)).long(),
        height=crop_height,
        width=crop_width,
        flip_rows=coins[0] & settings.flips,
        flip_columns=coins[1] & settings.flips,
        transpose=turned,
    )


def resize_taps(start: Tensor, length: Tensor, flip: Tensor, source: int, size: int) -> tuple[Tensor, Tensor]:
    """Which pixels make an output pixel when `[start, start + length)` of an axis is resized, antialiased.

    The filter is the triangle of Pillow's and torchvision's bilinear resize: its half-width is the scale
    `length / size` where that shrinks, one pixel where it grows; weights end at the crop's border.

    Args:
        start: First pixel of each crop, n.
        length: Pixels of each crop, n, at most `source`.
        flip: Whether the output runs backwards, n.
        source: Length of the axis.
        size: Length of the output.

    Returns:
        Pixels (int64) and their weights (float32, sum one), n x size x taps each; unused taps have weight zero.
    """
    scale = (length / size)[:, None, None]
    half_width = scale.clamp(min=1)
    output = torch.arange(size, device=start.device)
    output = torch.where(flip[:, None], size - 1 - output, output)[:, :, None]
    start, end = start[:, None, None], (start + length)[:, None, None]
    centre = (output + 0.5) * scale + start
    # the widest crop's count for all, known without asking the device
    taps = torch.arange(math.ceil(2 * max(1.0, source / size)), device=start.device)
    pixel = (centre - half_width + 0.5).floor().long() + taps
    weight = 1 - (pixel + 0.5 - centre).abs() / half_width
    weight = weight.clamp(min=0) * ((pixel >= start) & (pixel < end))
    return pixel.clamp(0, source - 1), weight / weight.sum(dim=2, keepdim=True)


def apply_crops(tiles: Tensor, crops: Crops, size: int) -> Tensor:
    """Crops, resizes and orients every tile by its own box.

    Args:
        tiles: uint8 or float, n x H x W x C, as archives store them.
        crops: One box and orientation a tile, on any device.
        size: Side of the view.

    Returns:
        float32, n x C x size x size, channels last in memory, in the tiles' units (0..255 for uint8).
    """
    device = tiles.device
    _, rows, columns, _ = tiles.shape
    top, height, flip_rows = (value.to(device) for value in (crops.top, crops.height, crops.flip_rows))
    left, width, flip_columns = (value.to(device) for value in (crops.left, crops.width, crops.flip_columns))
    low = _weighted_rows(tiles.to(torch.float32), *resize_taps(top, height, flip_rows, rows, size))
    views = _weighted_rows(low.transpose(1, 2), *resize_taps(left, width, flip_columns, columns, size))
    # n x column x row x C by now: transposed views stay, the others turn back
    upright = (~crops.transpose).nonzero()[:, 0].to(device)
    views[upright] = views[upright].transpose(1, 2)
    return views.permute(0, 3, 1, 2)


def _weighted_rows(images: Tensor, pixel: Tensor, weight: Tensor) -> Tensor:
    """Sums rows of n x rows x columns x C images: n x size x columns x C; the batched sparse matrix product."""
    count, rows, columns, channels = images.shape
    size = pixel.shape[1]
    first_row = rows * torch.arange(count, device=images.device)[:, None, None]
    sums = F.embedding_bag(
        (pixel + first_row).flatten(0, 1),
        images.reshape(count * rows, columns * channels),
        per_sample_weights=weight.flatten(0, 1),
        mode="sum",
    )
    return sums.view(count, size, columns, channels)


def random_views(tiles: Tensor, settings: ViewSettings, generator: torch.Generator) -> Tensor:
    """Draws one random view of every tile.

    Args:
        tiles: uint8, n x H x W x C.
        settings: What a view is.
        generator: CPU generator; all randomness comes from it.

    Returns:
        float32, n x C x size x size, 0..255.
    """
    _, height, width, _ = tiles.shape
    return apply_crops(tiles, draw_crops(len(tiles), height, width, settings, generator), settings.size)
