"""Damaged chips and legacy files: one line, or a correct archive."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fuzzing import Arena, Seeds, check_all, damaged, damaged_table, make_quick, write_scene
from legacy_samples import sample
from PIL import Image


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        make_quick(monkeypatch)
        yield Arena(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("layout", ["list", "by date"])
def test_damaged_legacy_pickles(arena: Arena, layout: str, protocol: int, seeds: Seeds) -> None:
    samples = [sample(number) for number in range(3)]
    whole = pickle.dumps(samples if layout == "list" else [samples[:2], samples[2:]], protocol=protocol)
    path = arena.root / "legacy.pkl"
    path.write_bytes(whole)
    arena.restore({})
    assert arena.run("--legacy", str(path)).code == 0

    def case(chance: random.Random) -> None:
        arena.begin(chance)
        path.write_bytes(damaged(whole, chance))
        arena.run("--overwrite", "--legacy", str(path))

    check_all(case, seeds(60))


def chips(folder: Path) -> dict[str, tuple[Path, Path, Path]]:
    """By kind: the images, the table, and the file that is to be damaged."""
    tiles = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    rows = [f"28.6{at},77.2{at},2019-01-0{at + 1}T05:00:00Z,s{at},{10 * at}" for at in range(4)]
    header = "latitude,longitude,acquired_utc,site,pm25"
    table = folder / "table.csv"
    table.write_text("\n".join([header, *rows]) + "\n")
    parquet = folder / "table.parquet"
    pd.read_csv(table).to_parquet(parquet)
    np.save(folder / "a.npy", tiles)
    np.savez(folder / "a.npz", tiles)
    np.savez_compressed(folder / "b.npz", images=tiles)
    kinds = {name: (folder / name, table, folder / name) for name in ("a.npy", "a.npz", "b.npz")}
    kinds |= {path.name: (folder / "a.npy", path, path) for path in (table, parquet)}
    for suffix in ("png", "tif"):
        images = folder / suffix
        images.mkdir()
        listed = folder / f"{suffix}.csv"
        listed.write_text("\n".join([f"path,{header}", *(f"{at}.{suffix},{row}" for at, row in enumerate(rows))]))
        for at, tile in enumerate(tiles):
            if suffix == "png":
                Image.fromarray(tile).save(images / f"{at}.png")
            else:
                write_scene(images / f"{at}.tif", tile.transpose(2, 0, 1), photometric="RGB")
        kinds[suffix] = (images, listed, images / f"1.{suffix}")
    return kinds


@pytest.mark.parametrize("kind", ["a.npy", "a.npz", "b.npz", "table.csv", "table.parquet", "png", "tif"])
def test_damaged_chips(arena: Arena, tmp_path: Path, kind: str, seeds: Seeds) -> None:
    images, table, path = chips(tmp_path)[kind]
    flags = ("--images", str(images), "--table", str(table), "--overwrite")
    whole = path.read_bytes()
    arena.restore({})
    assert arena.run(*flags).code == 0

    def case(chance: random.Random) -> None:
        arena.begin(chance)
        path.write_bytes(damaged(whole, chance, chance.choice((None, 150))))
        if path.suffix == ".csv" and chance.random() < 0.6:
            path.write_bytes(damaged_table(whole.decode(), chance).encode("utf-8", "replace"))
        arena.run(*flags)

    check_all(case, seeds(50))
