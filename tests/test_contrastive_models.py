"""Encoders, heads, collapse numbers, optimisers and weights."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from contrastive_models.collapse import effective_rank, feature_std
from contrastive_models.embedding import embed
from contrastive_models.encoders import create_encoder, feature_width, load_weights_file, normalise
from contrastive_models.heads import simclr_projector, simsiam_predictor, simsiam_projector
from contrastive_models.losses import nt_xent_loss
from contrastive_models.module import PairBatch, TrainingSettings
from contrastive_models.optimisation import lars, parameter_groups, sgd, warmup_cosine, with_warmup_cosine
from contrastive_models.simclr import SimCLR
from contrastive_models.simsiam import SimSiam
from contrastive_models.views import ViewSettings
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
    seen_ground="{}",
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


def module_settings() -> TrainingSettings:
    return TrainingSettings(
        views=ViewSettings(16),
        mean=(0.5,) * 3,
        std=(0.2,) * 3,
        learning_rate=0.1,
        weight_decay=0.0,
        warmup_share=0.0,
        seed=0,
    )


def pair_batch() -> PairBatch:
    generator = torch.Generator().manual_seed(0)
    tiles, positives = torch.randint(0, 256, (2, 8, 20, 20, 3), generator=generator).to(torch.uint8)
    return PairBatch(tiles, positives, torch.arange(8), torch.tensor([1, 0, 3, 2, 5, 4, 7, 6]))


def test_simclr_gives_the_loss_the_tiles_ids(monkeypatch):
    module = SimCLR(create_encoder("test_resnet", 3, 16), module_settings(), 0.1, 16, 8)
    monkeypatch.setattr(type(module), "trainer", SimpleNamespace(world_size=1))
    first, second = torch.randn(2, 8, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    batch = pair_batch()
    masked = module.contrast(first, second, batch)
    unmasked = module.contrast(first, second, batch._replace(positive_ids=batch.tile_ids))
    z1, z2 = module.projector(module.encoder(torch.cat([first, second]))).chunk(2)
    torch.testing.assert_close(masked, nt_xent_loss(z1, z2, 0.1, batch.tile_ids, batch.positive_ids))
    assert masked.item() < unmasked.item()


def test_simsiam_stops_the_gradient_of_the_target():
    module = SimSiam(create_encoder("test_resnet", 3, 16), module_settings(), 16, 16)
    first, second = torch.randn(2, 8, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    module.contrast(first, second, pair_batch()).backward()
    found = module.projector[0].weight.grad.clone()
    module.zero_grad()
    z1, z2 = (module.projector(module.encoder(view)) for view in (first, second))
    p1, p2 = module.predictor(z1), module.predictor(z2)
    with torch.no_grad():
        t1, t2 = z1.clone(), z2.clone()
    similarity = nn.functional.cosine_similarity
    (-0.5 * (similarity(p1, t2) + similarity(p2, t1)).mean()).backward()
    torch.testing.assert_close(found, module.projector[0].weight.grad, atol=1e-5, rtol=1e-4)


def test_the_second_view_shows_the_positive(monkeypatch):
    """A flat tile and a flat positive stay flat in every view, so each view tells whose it is."""
    seen = {}

    class Spy(SimCLR):
        trainer = SimpleNamespace(optimizers=[SimpleNamespace(param_groups=[{"lr": 1.0}])])
        global_step, global_rank = 0, 0

        def contrast(self, first, second, batch):
            seen["views"] = first, second
            return torch.zeros((), requires_grad=True)

        def log(self, *arguments, **keywords):
            pass

    tiles, positives = torch.full((2, 4, 20, 20, 3), 50, dtype=torch.uint8)
    positives = positives + 100
    module = Spy(create_encoder("test_resnet", 3, 16), module_settings(), 0.1, 16, 8)
    module.training_step(PairBatch(tiles, positives, torch.arange(4), torch.arange(4)), 0)
    for view, grey in zip(seen["views"], (50, 150), strict=True):
        torch.testing.assert_close(view, torch.full_like(view, (grey / 255 - 0.5) / 0.2), atol=1e-3, rtol=0)


@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_local_imagenet_weights_are_read_whole_or_refused(tmp_path, bands, suffix):
    donor = timm.create_model("test_resnet", num_classes=10)
    path = tmp_path / f"donor{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(donor.state_dict(), path)
    encoder = create_encoder("test_resnet", bands, 32)
    load_weights_file(encoder, path)
    expected = {name: tensor for name, tensor in donor.state_dict().items() if not name.startswith("fc.")}
    assert set(encoder.state_dict()) == set(expected)
    for name, tensor in encoder.state_dict().items():
        if bands == 3 or name != "conv1.0.weight":
            torch.testing.assert_close(tensor, expected[name])
    with pytest.raises(ValueError, match=r"are not in it|other shapes"):
        load_weights_file(create_encoder("test_convnext", bands, 32), path)


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    class Gadget:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"x": Gadget()}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match="not a weights file"):
        load_weights_file(create_encoder("test_resnet", 3, 32), tmp_path / "evil.pth")
    assert not (tmp_path / "ran").exists()


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
