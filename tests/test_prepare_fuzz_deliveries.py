"""Deliveries of all known products with files lost, moved, cut, packed and damaged: one line, or a right archive."""

from __future__ import annotations

import json
import random
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from fuzzing import GSD, STATIONS, TILE, Arena, Seeds, check_all, damaged, damaged_json, make_quick
from scene_city import GSD as DELIVERED_GSD
from scene_city import LEFT, TOP
from scene_deliveries import DELIVERIES, REFLECTANCE, Delivered

NAMES = ("a b", "Übung", "x%20y", "{scene}", "quote's", "deep/er/still", "z.zip.d", "#1", "$HOME")


@dataclass(frozen=True)
class Whole:
    """A delivery as it was made, and what is in it."""

    folder: Path
    delivered: Delivered


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Whole]:
    made = {}
    for name, write in DELIVERIES.items():
        folder = tmp_path_factory.mktemp("delivery")
        made[name] = Whole(folder, write(folder))
    return made


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        make_quick(monkeypatch)
        made = Arena(tmp_path_factory.mktemp("fuzz"))
        assert (GSD, 716_000.0, 3_170_000.0) == (DELIVERED_GSD, LEFT, TOP)
        yield made


Change = Callable[[Path, random.Random], bool]
"""Changes a folder; True where an archive that comes of it must still be right."""


def some_file(folder: Path, chance: random.Random) -> Path | None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return chance.choice(files) if files else None


def lose(folder: Path, chance: random.Random) -> bool:
    if path := some_file(folder, chance):
        path.unlink()
    return True


def cut(folder: Path, chance: random.Random) -> bool:
    if path := some_file(folder, chance):
        content = path.read_bytes()
        path.write_bytes(content[: chance.randrange(max(1, len(content)))])
    return False  # of a GeoTIFF that is not compressed, the rest may be a right beginning


def damage(folder: Path, chance: random.Random) -> bool:
    if path := some_file(folder, chance):
        path.write_bytes(damaged(path.read_bytes(), chance, chance.choice((None, 400))))
    return False


def damage_item(folder: Path, chance: random.Random) -> bool:
    files = sorted(path for path in folder.rglob("*.json") if path.stat().st_size > 10)
    if files:
        path = chance.choice(files)
        try:
            content = json.loads(path.read_bytes())
        except ValueError:  # another change was here before
            return False
        path.write_text(json.dumps(damaged_json(content, chance)))
    return False


def rename(folder: Path, chance: random.Random) -> bool:
    """Case is no part of a name's meaning."""
    if path := some_file(folder, chance):
        path.rename(path.with_name(chance.choice((path.name.lower(), path.name.upper()))))
    return True


def move(folder: Path, chance: random.Random) -> bool:
    if path := some_file(folder, chance):
        target = folder / chance.choice(NAMES) / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    return True


def put_below(folder: Path, chance: random.Random) -> bool:
    inside = list(folder.iterdir())
    target = folder / chance.choice(NAMES)
    if not target.exists():
        target.mkdir(parents=True)
        for path in inside:
            path.rename(target / path.name)
    return True


def double(folder: Path, chance: random.Random) -> bool:
    if path := some_file(folder, chance):
        target = folder / chance.choice(NAMES) / path.name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    return True


def litter(folder: Path, chance: random.Random) -> bool:
    where = chance.choice([folder, *(path for path in folder.rglob("*") if path.is_dir())])
    for name in chance.sample(
        ["Thumbs.db", "README.txt", "preview.jpg", "x.xml", "x.json", "notes.csv", ".DS_Store"], 3
    ):
        (where / name).write_bytes(chance.choice((b"", b"x", b"<a/>", b"{}", b"[1]", chance.randbytes(99))))
    return True


def pack(folder: Path, chance: random.Random) -> bool:
    inside = [path for path in folder.rglob("*") if path.is_file()]
    target = folder.parent / f"packed{chance.choice(('.zip', '.tar', '.ZIP'))}"
    target.unlink(missing_ok=True)
    if target.suffix == ".tar":
        with tarfile.open(target, "w") as file:
            for path in inside:
                file.add(path, path.relative_to(folder).as_posix())
    else:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
            for path in inside:
                file.write(path, path.relative_to(folder).as_posix())
    shutil.rmtree(folder)
    folder.mkdir()
    target.rename(folder / target.name)
    return True


CHANGES: tuple[Change, ...] = (
    lose, cut, damage, damage, damage_item, rename, move, put_below, double, litter, litter, pack, pack,
)  # fmt: skip


def check_tiles(arena: Arena) -> None:
    """Every tile has the reflectance of its place, or was left out."""
    archive = arena.opened()
    tiles = archive.tiles().astype(float)
    for tile, station in zip(tiles, archive.samples["site_id"], strict=True):
        column, row = (at - TILE // 2 for at in STATIONS[station])
        window = slice(row, row + TILE), slice(column, column + TILE)
        right = 255 * np.stack([REFLECTANCE[colour][window] for colour in ("red", "green", "blue")], axis=-1) / 0.4
        wrong = np.abs(tile - right)[tile.any(axis=-1)]
        assert wrong.max(initial=0) <= 1, f"{station}: {wrong.max():.0f} levels off"


@pytest.mark.parametrize("part", range(4))
def test_changed_deliveries(arena: Arena, wholes: dict[str, Whole], part: int, seeds: Seeds) -> None:
    names = list(DELIVERIES)

    def case(chance: random.Random) -> None:
        chance.seed(f"{chance.random()} {part}")
        whole = wholes[names[chance.randrange(part, len(names), 4)]]
        shutil.rmtree(arena.scenes)
        shutil.copytree(whole.folder, arena.scenes)
        meant = True
        for change in chance.choices(CHANGES, k=chance.choice((1, 1, 2, 3))):
            meant &= change(arena.scenes, chance)
        arena.begin(chance)
        flags = whole.delivered.flags or {}
        words = [word for key, value in flags.items() for word in (f"--{key.replace('_', '-')}", said(value))]
        outcome = arena.run_scenes("--overwrite", *words)
        if outcome.code == 0 and meant:
            check_tiles(arena)

    check_all(case, seeds(125))


def said(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def test_whole_deliveries_are_right(arena: Arena, wholes: dict[str, Whole]) -> None:
    """What the cases above start from."""
    for name, whole in wholes.items():
        shutil.rmtree(arena.scenes)
        shutil.copytree(whole.folder, arena.scenes)
        arena.restore({})
        words = [
            word
            for key, value in (whole.delivered.flags or {}).items()
            for word in (f"--{key.replace('_', '-')}", said(value))
        ]
        assert arena.run_scenes(*words).code == 0, name
        check_tiles(arena)
        assert sorted(arena.opened().samples["site_id"]) == sorted(STATIONS)
