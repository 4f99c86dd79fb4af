"""Encoders, heads, collapse numbers, optimisers and weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
import timm
import torch
from torch import nn

from contrastive_models.collapse import effective_rank, feature_std
from contrastive_models.embedding import embed
from contrastive_models.encoders import create_encoder, feature_width, normalise
from contrastive_models.heads import simclr_projector, simsiam_predictor, simsiam_projector
from contrastive_models.optimisation import lars, parameter_groups, sgd, warmup_cosine, with_warmup_cosine
from contrastive_models.weights import EncoderMetadata, WeightsError, read_encoder, save_encoder, weights_hash

METADATA = EncoderMetadata(
    encoder="test_resnet",
    bands=("red", "green", "blue", "nir"),
    mean=(0.1, 0.2, 0.3, 0.4),
    std=(0.05, 0.06, 0.07, 0.08),
    ground_sample_distance_m=3.0,
    image_size=32,
    method="SimCLR",
    pairs="regular",
    epochs=2,
    archive_sha256="0" * 64,
    package_version="0",
    seed=0,
    seen_sites=("a", "b"),
)


@pytest.mark.parametrize("name", ["test_resnet", "resnet18", "mobilenetv3_small_050", "test_vit", "test_convnext"])
@pytest.mark.parametrize("bands", [1, 4])
def test_any_timm_encoder_any_band_count(name, bands):
    encoder = create_encoder(name, bands, image_size=32).eval()
    assert encoder(torch.zeros(2, bands, 32, 32)).shape == (2, feature_width(encoder))


def test_unknown_encoder_is_named():
    with pytest.raises(ValueError, match="resnet51"):
        create_encoder("resnet51", 3, 32)


def test_normalise_gives_zero_mean_unit_variance_channels_last():
    tiles = torch.randint(0, 256, (8, 3, 16, 16), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    scaled = tiles.double() / 255
    mean, std = scaled.mean(dim=(0, 2, 3)), scaled.std(dim=(0, 2, 3), correction=0)
    out = normalise(tiles, mean.float(), std.float())
    assert out.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(out.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(out.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-4, rtol=0)


def test_heads_have_the_published_layers():
    simclr = simclr_projector(512, 2048, 128)
    assert [type(layer).__name__ for layer in simclr] == ["Linear", "BatchNorm1d", "ReLU", "Linear"]
    simsiam = simsiam_projector(512, 2048, 2048)
    assert sum(isinstance(layer, nn.Linear) for layer in simsiam) == 3
    assert not simsiam[-1].affine
    assert [simsiam_predictor(2048)[0].out_features, simsiam_predictor(2048)[-1].out_features] == [512, 2048]


def test_collapse_numbers_at_their_ends():
    spread = torch.randn(4000, 64, generator=torch.Generator().manual_seed(0))
    assert float(feature_std(spread)) == pytest.approx(1 / math.sqrt(64), rel=0.02)
    assert float(feature_std(torch.ones(50, 64))) == 0
    assert float(effective_rank(spread)) == pytest.approx(64, rel=0.02)
    assert float(effective_rank(torch.ones(50, 64))) == 0
    plane = spread[:, :2] @ torch.randn(2, 64, generator=torch.Generator().manual_seed(1))
    assert 1 < float(effective_rank(plane)) < 2.001
    wide = torch.randn(10, 64, generator=torch.Generator().manual_seed(2))
    values = np.linalg.svd((wide - wide.mean(0)).double().numpy(), compute_uv=False)
    share = values[values > 1e-9] / values.sum()
    assert float(effective_rank(wide)) == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=1e-4)


def test_groups_split_by_type_and_dimension_not_by_name():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = nn.Linear(3, 4)  # a layer that is called bias
            self.weight_norm = nn.LayerNorm(4)
            self.batch = nn.BatchNorm2d(2)

    module = Odd()
    decayed, plain = parameter_groups([module], 0.1)
    assert {id(p) for p in decayed["params"]} == {id(module.bias.weight)}
    assert len(plain["params"]) == 5
    assert plain["weight_decay"] == 0


def test_lars_adapts_only_decayed_weights():
    weight, scale = nn.Linear(4, 4, bias=False), nn.LayerNorm(4, bias=False)
    before = weight.weight.detach().clone(), scale.weight.detach().clone()
    optimiser = lars(parameter_groups([weight, scale], 1e-6), learning_rate=1.0)
    for module in (weight, scale):
        module.weight.grad = torch.full_like(module.weight, 100.0)
    optimiser.step()
    # adapted: a step of trust coefficient x |w|, whatever the gradient's size; plain: rate x gradient
    assert float((weight.weight.detach() - before[0]).norm() / before[0].norm()) == pytest.approx(1e-3, rel=1e-2)
    torch.testing.assert_close(before[1] - scale.weight.detach(), torch.full((4,), 100.0))


def test_schedule_warms_up_then_follows_half_a_cosine():
    factors = [warmup_cosine(step, 100, 10) for step in range(101)]
    assert factors[0] == pytest.approx(1 / 11)
    assert np.all(np.diff(factors[:11]) > 0)
    assert max(factors) == factors[10] == 1
    assert factors[55] == pytest.approx(0.5)
    assert factors[100] == pytest.approx(0, abs=1e-12)


def test_simsiam_predictor_keeps_its_rate_and_its_decay():
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    groups = parameter_groups([first], 0.01) + parameter_groups([second], 0.01, constant_rate=True)
    described = with_warmup_cosine(sgd(groups, 0.5), total_steps=10, warmup_steps=0)
    optimiser, scheduler = described["optimizer"], described["lr_scheduler"]["scheduler"]
    for _ in range(9):
        optimiser.step()
        scheduler.step()
    rates = [group["lr"] for group in optimiser.param_groups]
    assert rates[0] < 0.05
    assert rates[2:] == [0.5, 0.5]
    assert [group["weight_decay"] for group in optimiser.param_groups] == [0.01, 0.0, 0.01, 0.0]


def test_weights_load_into_plain_timm(tmp_path):
    encoder = create_encoder("test_resnet", 4, 32).eval()
    save_encoder(tmp_path / "w.safetensors", encoder, METADATA)
    tensors, metadata = read_encoder(tmp_path / "w.safetensors")
    assert metadata == METADATA
    plain = timm.create_model(metadata.encoder, in_chans=len(metadata.bands), num_classes=0)
    plain.load_state_dict(tensors, strict=True)
    x = torch.randn(2, 4, 32, 32)
    torch.testing.assert_close(plain.eval()(x), encoder(x))
    assert weights_hash(plain) == weights_hash(encoder)


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", b"\xff" * 64])
def test_broken_weights_are_refused(tmp_path, content):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="broken"):
        read_encoder(path)
    with pytest.raises(WeightsError, match="not found"):
        read_encoder(tmp_path / "none.safetensors")


def test_weights_of_others_are_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="metadata"):
        read_encoder(tmp_path / "other.safetensors")


def test_embedding_in_batches_equals_one_forward_pass_and_restores_the_mode():
    encoder = create_encoder("test_resnet", 3, 32)
    encoder.train()
    tiles = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
    found = embed(encoder, lambda rows: tiles[rows], 10, (0.5,) * 3, (0.2,) * 3, batch_size=3)
    assert encoder.training
    encoder.eval()
    with torch.inference_mode():
        x = (torch.from_numpy(tiles).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.2
        torch.testing.assert_close(torch.from_numpy(found), encoder(x), atol=1e-4, rtol=1e-4)
