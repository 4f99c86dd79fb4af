"""Which files are one scene, told by their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from model_utils.errors import InputError
from model_utils.ingest.products.specification import BAND, SCENE, SHARED_BY_ALL, Images, MaskFile, Product, compiled
from model_utils.ingest.scenes.header import read_header

Groups = Mapping[str, str]


@dataclass(frozen=True)
class NamedScene:
    """The files of one scene of a known product.

    Attributes:
        product: The product.
        images: Which of its kinds of files these are.
        path: The file or folder that messages name.
        groups: Of the pattern, from the first file.
        files: The rasters, by the provider's name of the band; by '' where one file holds all.
        twice: Further files that hold a band that is there already.
        metadata: The files that say more, at most one for each of the product's patterns.
        masks: The quality masks in files of their own, the best first.
    """

    product: Product
    images: Images
    path: Path
    groups: Groups
    files: Mapping[str, Path]
    twice: tuple[Path, ...]
    metadata: tuple[Path, ...]
    masks: tuple[tuple[MaskFile, Path], ...]

    @property
    def scene_id(self) -> str:
        """The provider's name of it."""
        return self.groups[SCENE]


@dataclass(frozen=True)
class _Image:
    path: Path
    images: Images
    groups: Groups


def named_scenes(products: Sequence[Product], rasters: Iterable[Path], others: Iterable[Path]) -> list[NamedScene]:
    """Groups the files whose names are those of a product.

    Args:
        products: The first whose pattern a name fits has it.
        rasters: In an order that decides between files that are equally good.
        others: Files that may say more.
    """
    rasters, others = list(rasters), list(others)
    names = {path: path.as_posix() for path in (*rasters, *others)}
    grouped: dict[tuple[object, ...], list[_Image]] = {}
    taken: set[Path] = set()
    for product in products:
        for images in product.images:
            pattern = product.pattern(images.file)
            for path in rasters:
                if path in taken or not (found := pattern.fullmatch(names[path])):
                    continue
                if images.described and not _is_described(path, images.described):
                    continue
                taken.add(path)
                groups = {name: text or "" for name, text in found.groupdict().items()}
                # files of one band are one scene where they lie together; a file of all bands is one by itself
                where = path.parent if BAND in groups else path
                key = (product.name, images.file, groups[SCENE].lower(), where)
                grouped.setdefault(key, []).append(_Image(path, images, groups))
    by_name = {product.name: product for product in products}
    beside = {name: _Beside(by_name[name], rasters, others, names) for name in {str(key[0]) for key in grouped}}
    return [_scene(by_name[str(key[0])], found, beside[str(key[0])]) for key, found in grouped.items()]


def is_mask(products: Iterable[Product], raster: Path) -> bool:
    """True for quality masks, which are no scenes, whether the scene that they belong to is there or not."""
    name = raster.as_posix()
    return any(
        mask.file and product.pattern(mask.file).fullmatch(name) for product in products for mask in product.masks
    )


def is_aside(products: Iterable[Product], raster: Path) -> bool:
    """True for rasters that come with a scene and are not read, such as its angles."""
    name = raster.as_posix()
    return any(product.aside and product.pattern(product.aside).fullmatch(name) for product in products)


def _is_described(path: Path, pattern: str) -> bool:
    try:
        descriptions = read_header(path).descriptions
    except InputError:  # what is wrong is said where the scene is read
        return False
    return any(compiled(pattern).fullmatch(text) for text in descriptions)


class _Beside:
    """The masks and metadata of all scenes of a product, by the scene's id."""

    def __init__(
        self, product: Product, rasters: Sequence[Path], others: Sequence[Path], names: Mapping[Path, str]
    ) -> None:
        self.metadata: list[dict[str, list[tuple[Path, Mapping[str, str | None]]]]] = []
        self.masks: dict[str, list[tuple[int, Path]]] = {}
        for text in product.metadata:
            self.metadata.append({})
            for path in others:
                if found := product.pattern(text).fullmatch(names[path]):
                    self.metadata[-1].setdefault(found[SCENE].lower(), []).append((path, found.groupdict()))
        for number, mask in enumerate(product.masks):
            for path in rasters if mask.file else ():
                if (found := product.pattern(mask.file).fullmatch(names[path])) and found[SCENE]:
                    self.masks.setdefault(found[SCENE].lower(), []).append((number, path))


def _scene(product: Product, found: Sequence[_Image], beside: _Beside) -> NamedScene:
    first = found[0]
    files: dict[str, Path] = {}
    twice = []
    for image in found:
        band = image.groups.get(BAND, "").upper()
        if files.setdefault(band, image.path) is not image.path:
            twice.append(image.path)
    scene_id = first.groups[SCENE].lower()
    metadata = []
    for by_scene in beside.metadata:
        metadata += [path for path, groups in by_scene.get(scene_id, ()) if _agree(groups, first.groups)][:1]
    masks = sorted(
        beside.masks.get(scene_id, ()), key=lambda item: (item[0], -_alike(item[1].stem, first.path.stem), item[1])
    )
    return NamedScene(
        product=product,
        images=first.images,
        path=_shown(first),
        groups=first.groups,
        files=files,
        twice=tuple(twice),
        metadata=tuple(metadata),
        masks=tuple((product.masks[number], path) for number, path in masks),
    )


def _agree(groups: Mapping[str, str | None], others: Groups) -> bool:
    """Whether what a file's name tells of the scene is told by the other's too."""
    shared = set(groups) & set(others) - set(SHARED_BY_ALL)
    return all((groups[name] or "").lower() == others[name].lower() for name in shared)


def _alike(name: str, other: str) -> int:
    """How many characters two names have in common at their end: a clipped mask belongs to a clipped image."""
    pairs = zip(reversed(name.lower()), reversed(other.lower()), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _shown(image: _Image) -> Path:
    """What messages name: the file; of files of one band the folder that is called as the scene, or would be."""
    if BAND not in image.groups:
        return image.path
    scene = image.groups[SCENE]
    named = [folder for folder in image.path.parents if folder.name.lower().startswith(scene.lower())]
    return named[0] if named else image.path.parent / scene
