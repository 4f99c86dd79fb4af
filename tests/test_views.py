"""Views against torchvision's antialiased resize, and their promises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as tvf

from contrastive_models.views import Crops, ViewSettings, apply_crops, draw_crops, random_views


def smooth_tiles(count, size, channels, seed=0):
    """Tiles with structure at all scales, as imagery has."""
    generator = torch.Generator().manual_seed(seed)
    tiles = torch.zeros(count, channels, size, size)
    for scale in (2, 4, 8, 16, size):
        noise = torch.rand(count, channels, scale, scale, generator=generator)
        tiles += torch.nn.functional.interpolate(noise, size=(size, size), mode="bicubic", align_corners=False)
    tiles = 255 * (tiles - tiles.min()) / (tiles.max() - tiles.min())
    return tiles.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def reference_view(tile, crops, index, size):
    """torchvision, one sample at a time, in float."""
    image = tile.permute(2, 0, 1).float()
    top, left, height, width = (int(getattr(crops, name)[index]) for name in ("top", "left", "height", "width"))
    view = tvf.resized_crop(image, top, left, height, width, [size, size], antialias=True)
    if crops.flip_rows[index]:
        view = tvf.vertical_flip(view)
    if crops.flip_columns[index]:
        view = tvf.horizontal_flip(view)
    return view.transpose(1, 2) if crops.transpose[index] else view


@settings(max_examples=25, deadline=None)
@given(source=st.integers(8, 70), size=st.integers(4, 80), channels=st.integers(1, 8), seed=st.integers(0, 10_000))
def test_views_equal_torchvision_per_sample(source, size, channels, seed):
    tiles = smooth_tiles(6, source, channels, seed)
    crops = draw_crops(6, source, source, ViewSettings(size, scale=(0.08, 1.0)), torch.Generator().manual_seed(seed))
    views = apply_crops(tiles, crops, size)
    assert views.shape == (6, channels, size, size)
    for index in range(6):
        # the contract allows 2 grey levels; these are the same filter to float rounding
        torch.testing.assert_close(views[index], reference_view(tiles[index], crops, index, size), atol=0.01, rtol=0)


def test_rectangular_tiles_and_noise_images():
    tiles = torch.randint(0, 256, (5, 40, 56, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    crops = draw_crops(5, 40, 56, ViewSettings(24), torch.Generator().manual_seed(2))
    views = apply_crops(tiles, crops, 24)
    for index in range(5):
        torch.testing.assert_close(views[index], reference_view(tiles[index], crops, index, 24), atol=0.01, rtol=0)


def test_boxes_lie_inside_and_cover_the_asked_share():
    settings_ = ViewSettings(16, scale=(0.25, 0.5))
    crops = draw_crops(4000, 64, 64, settings_, torch.Generator().manual_seed(0))
    assert (crops.top >= 0).all()
    assert (crops.left >= 0).all()
    assert (crops.top + crops.height <= 64).all()
    assert (crops.left + crops.width <= 64).all()
    share = (crops.height * crops.width).double() / 64**2
    assert share.min() > 0.23
    assert share.max() < 0.53
    ratio = crops.width / crops.height
    assert ratio.min() > 0.7
    assert ratio.max() < 1.4
    # per-sample, not one box for a batch; all eight symmetries occur equally often
    assert len(set(zip(crops.top.tolist(), crops.left.tolist(), strict=True))) > 500
    symmetry = crops.flip_rows.int() * 4 + crops.flip_columns.int() * 2 + crops.transpose.int()
    assert torch.bincount(symmetry, minlength=8).min() > 4000 / 8 * 0.8


def test_a_full_crop_at_its_own_size_is_the_tile():
    tiles = smooth_tiles(3, 20, 3)
    no = torch.zeros(3, dtype=torch.bool)
    zero, whole = torch.zeros(3, dtype=torch.long), torch.full((3,), 20)
    views = apply_crops(tiles, Crops(zero, zero, whole, whole, no, no, no), 20)
    torch.testing.assert_close(views, tiles.permute(0, 3, 1, 2).float(), atol=1e-4, rtol=0)


def test_the_mean_colour_of_a_flat_tile_is_kept_exactly():
    colours = torch.tensor([[10, 200, 90], [255, 0, 7]], dtype=torch.uint8)
    tiles = colours[:, None, None, :].expand(2, 30, 30, 3).contiguous()
    views = random_views(tiles, ViewSettings(13), torch.Generator().manual_seed(0))
    expected = colours.float()[:, :, None, None].expand_as(views)
    torch.testing.assert_close(views, expected, atol=1e-3, rtol=0)


def test_only_the_generator_decides():
    tiles = smooth_tiles(4, 32, 3)
    state = torch.get_rng_state()
    first = random_views(tiles, ViewSettings(16), torch.Generator().manual_seed(7))
    torch.manual_seed(99)
    second = random_views(tiles, ViewSettings(16), torch.Generator().manual_seed(7))
    third = random_views(tiles, ViewSettings(16), torch.Generator().manual_seed(8))
    torch.set_rng_state(state)
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_views_keep_float32_under_autocast():
    tiles = smooth_tiles(4, 32, 3)
    expected = random_views(tiles, ViewSettings(16), torch.Generator().manual_seed(7))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = random_views(tiles, ViewSettings(16), torch.Generator().manual_seed(7))
    assert torch.equal(found, expected)


@pytest.mark.parametrize("name", ["flips", "quarter_turns"])
def test_symmetries_can_be_switched_off(name):
    crops = draw_crops(64, 32, 32, ViewSettings(16, **{name: False}), torch.Generator().manual_seed(0))
    off = [crops.flip_rows, crops.flip_columns] if name == "flips" else [crops.transpose]
    on = [crops.transpose] if name == "flips" else [crops.flip_rows, crops.flip_columns]
    assert not any(bool(value.any()) for value in off)
    assert all(bool(value.any()) for value in on)


def test_crops_are_uniform_over_positions():
    crops = draw_crops(
        20_000, 64, 64, ViewSettings(16, scale=(0.25, 0.25), ratio=(1, 1)), torch.Generator().manual_seed(4)
    )
    counts = np.bincount(crops.top.numpy(), minlength=33)
    assert len(counts) == 33
    assert counts.min() > 20_000 / 33 * 0.8
    assert counts.max() < 20_000 / 33 * 1.2
