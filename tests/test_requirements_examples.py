"""Every example of data/requirements.md is run: its files are written, its imagery made, its commands typed."""

from __future__ import annotations

import json
import pickle
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import torch
import torchvision
import xarray as xr
from rasterio.warp import transform_bounds

from contrastive_models.weights import read_encoder
from model_utils.archive.format import COLUMNS
from model_utils.archive.reader import open_archive
from model_utils.cities import load_city
from model_utils.cli.main import main
from model_utils.ingest.products.geotiff import BAND_FILES, GEOTIFF
from model_utils.ingest.products.specification import shipped_products
from model_utils.ingest.products.stac import ITEM
from model_utils.ingest.readings.flags import DEFAULT_DROP, FLAGS
from model_utils.ingest.readings.reading import FORMATS

PAGE = (Path(__file__).resolve().parents[1] / "data" / "requirements.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:`([^`\n]+)`:\n\n)?```(\w+)\n(.*?)```", re.DOTALL)
CITIES = [text for name, kind, text in BLOCK.findall(PAGE) if kind == "yaml" and not name]


@dataclass(frozen=True)
class Example:
    """A section with commands: what its blocks are called, their kind and their text, in the page's order."""

    title: str
    blocks: list[tuple[str, str, str]]


def examples() -> list[Example]:
    found = []
    for chapter in re.split(r"^## ", PAGE, flags=re.MULTILINE)[2:]:  # after the introduction and the city
        preamble, *sections = re.split(r"^### ", chapter, flags=re.MULTILINE)
        shared = BLOCK.findall(preamble)
        for section in sections or [preamble]:
            blocks = BLOCK.findall(section) if not sections else shared + BLOCK.findall(section)
            if any(kind == "sh" for _, kind, _ in blocks):
                found.append(Example(f"{chapter.split('.')[0]} {section.splitlines()[0]}", blocks))
    return found


EXAMPLES = [example for example in examples() if "--images" not in str(example)]  # tiles: test_prepare_chips.py
READINGS = [example for example in EXAMPLES if example.title.startswith("3 ")]

# the imagery that the page says is there: small, of noise, and over the stations of the example

ZONES = {"Lucknow": "EPSG:32644", "Beijing": "EPSG:32650", "Fresno": "EPSG:32611"}
COVERED = {  # west, south, east, north
    "Lucknow": (80.93, 26.84, 81.012, 26.875),
    "Beijing": (116.40, 39.88, 116.424, 39.935),
    "Fresno": (-119.78, 36.78, -119.71, 36.825),
}


def raster(path: Path, count: int, dtype: str, most: int, photometric: str = "MINISBLACK") -> None:
    city = next((name for name in ("Beijing", "Fresno") if name.lower() in path.name), "Lucknow")
    city = "Fresno" if path.name.startswith("m_") else city
    west, south, east, north = transform_bounds("EPSG:4326", ZONES[city], *COVERED[city])
    pixel = 20
    size = {"width": int((east - west) / pixel), "height": int((north - south) / pixel)}
    place = {"crs": ZONES[city], "transform": rasterio.Affine(pixel, 0, west, 0, -pixel, north)}
    tiff = path.suffix.lower() == ".tif"
    more = {"photometric": photometric} if tiff else {"QUALITY": 100, "REVERSIBLE": "YES"}
    driver = "GTiff" if tiff else "JP2OpenJPEG"
    generator = np.random.default_rng(list(path.name.encode()))
    with rasterio.open(path, "w", driver, count=count, dtype=dtype, **size, **place, **more) as file:
        file.write(generator.integers(1, most + 1, (count, size["height"], size["width"])).astype(dtype))


def udm2(path: Path) -> None:
    """Cloud over the western half of the scene of 7 January, heavy haze everywhere."""
    raster(path, 8, "uint8", 1)
    with rasterio.open(path, "r+") as file:
        codes = np.zeros((8, file.height, file.width), np.uint8)
        codes[4] = 1
        codes[5, :, : file.width // 2] = "20190107" in path.name
        file.write(codes)


def acquired(path: Path) -> None:
    day, clock = path.name[:8], path.name[9:15]
    time = f"{day[:4]}-{day[4:6]}-{day[6:]}T{clock[:2]}:{clock[2:4]}:{clock[4:]}.5Z"
    path.write_text(json.dumps({"properties": {"acquired": time}}))


def safe_metadata(path: Path) -> None:
    path.write_text(
        "<Product><PRODUCT_START_TIME>2019-01-04T05:12:21.024Z</PRODUCT_START_TIME>"
        "<QUANTIFICATION_VALUE>10000</QUANTIFICATION_VALUE></Product>"
    )


def reanalysis(path: Path) -> None:
    """ERA5 of a week, everywhere and always the same weather."""
    times = pd.date_range("2019-01-02", "2019-01-09", freq="h", inclusive="left")
    latitude, longitude = np.arange(27.25, 26.4, -0.25), np.arange(80.5, 81.5, 0.25)
    shape = (len(times), len(latitude), len(longitude))
    fields = {"t2m": (284.65, "K"), "d2m": (280.15, "K"), "sp": (100_120.0, "Pa")}
    dims = ("valid_time", "latitude", "longitude")
    variables = {name: (dims, np.full(shape, value), {"units": unit}) for name, (value, unit) in fields.items()}
    coordinates = {"valid_time": times, "latitude": latitude, "longitude": longitude}
    xr.Dataset(variables, coordinates).to_netcdf(path, engine="netcdf4")


def samples_of_2022(path: Path) -> None:
    generator = np.random.default_rng(0)
    names, samples = pd.Index(["AT", "RH", "BP", "WS"], dtype=object), []
    for day, readings in (("2019-01-04 10:42", (214.0, 251.5)), ("2019-01-07 10:44", (98.2, 999.0))):
        for station, reading in zip(("Gomti Nagar", "Lalbagh"), readings, strict=True):
            weather = pd.Series([11.5, 78.0, 743.1, 1.2], index=names, name=pd.Timestamp(day))
            image = generator.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            samples.append({"Image": image, "PM25": reading, "Station_index": station, "Meteo": weather})
    path.write_bytes(pickle.dumps([samples[:2], samples[2:]]))


def encoder_of_2022(path: Path) -> None:
    torch.save(torchvision.models.resnet18().state_dict(), path)


def landsat_metadata(path: Path) -> None:
    scaling = {
        f"REFLECTANCE_{kind}_BAND_{band}": value for kind, value in (("MULT", 2e-5), ("ADD", -0.1)) for band in "234"
    }
    sun = {"DATE_ACQUIRED": "2019-01-04", "SCENE_CENTER_TIME": "05:02:11.1234560Z", "SUN_ELEVATION": "35.0"}
    groups = {"IMAGE_ATTRIBUTES": sun, "LEVEL1_RADIOMETRIC_RESCALING": scaling}
    path.write_text(json.dumps({"LANDSAT_METADATA_FILE": groups}))


def qa_pixel(path: Path) -> None:
    """Clear land everywhere."""
    raster(path, 1, "uint16", 1)
    with rasterio.open(path, "r+") as file:
        file.write(np.full((1, file.height, file.width), 21824, np.uint16))


def earth_engine(path: Path) -> None:
    raster(path, 3, "uint16", 4000)
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("B4", "B3", "B2")


MAKERS: dict[str, Callable[[Path], None]] = {
    r".*_MTL\.json": landsat_metadata,
    r".*_QA_PIXEL\.TIF": qa_pixel,
    r"LC09.*_B\d\.TIF": lambda path: raster(path, 1, "uint16", 20_000),
    r"\d{8}T\d{6}_\d{8}T\d{6}_.*\.tif": earth_engine,
    r"B0\d\.tif": lambda path: raster(path, 1, "uint16", 4000),
    r"GF1.*_SR\.tif": lambda path: raster(path, 4, "uint16", 4000),
    r"GF1.*_mask\.tif": lambda path: raster(path, 1, "uint8", 1),
    r".*udm2.*\.tif": udm2,
    r".*_metadata\.json": acquired,
    r"MTD_MSI.*\.xml": safe_metadata,
    r".*_SCL_20m\.jp2": lambda path: raster(path, 1, "uint8", 7),
    r".*_B0\d(_10m)?\.jp2": lambda path: raster(path, 1, "uint16", 4000),
    r"survey.*\.tif": lambda path: raster(path, 4, "uint16", 4000),
    r"m_\d{7}.*\.tif": lambda path: raster(path, 4, "uint8", 255),
    r".*\.tif": lambda path: raster(path, 3, "uint8", 255, "RGB"),
    r".*\.nc": reanalysis,
    r"samples.*\.pkl": samples_of_2022,
    r"encoder.*\.pkl": encoder_of_2022,
}


def set_up(root: Path, example: Example) -> None:
    """Writes the city files of the page, the files of the example, and the imagery it lists."""
    for text in CITIES:
        path = root / "data" / "cities" / f"{text.split()[1]}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for name, kind, text in example.blocks:
        if name:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        for path in listed(text) if kind == "files" else []:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            make = next(make for pattern, make in MAKERS.items() if re.fullmatch(pattern, path.name))
            make(root / path)


def listed(text: str) -> list[Path]:
    """The files of a list; an indented one lies in the folder above it."""
    paths, folder = [], Path()
    for line in text.splitlines():
        if line.endswith("/"):
            folder = Path(line)
        else:
            paths.append(folder / line.strip() if line.startswith(" ") else Path(line))
    return paths


def typed(text: str, root: Path) -> list[list[str]]:
    """The commands of a block, for this root and one process."""
    commands = [shlex.split(line) for line in text.replace("\\\n", " ").splitlines()]
    more = {"prepare": ["--root", str(root), "--workers", "1"], "inspect": ["--root", str(root)]}
    assert all(words[0] == "pm25" for words in commands)
    return [[*words[1:], *more.get(words[1], [])] for words in commands]


def run(example: Example, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Types the commands, and looks for the lines that the page shows below each; a refusal is one of them."""
    blocks = [(kind, text) for _, kind, text in example.blocks if kind in ("sh", "text")]
    assert [kind for kind, _ in blocks] == ["sh", "text"] * (len(blocks) // 2)
    for (_, command), (_, shown) in zip(blocks[::2], blocks[1::2], strict=True):
        capsys.readouterr()
        codes = [main(words) for words in typed(command, root)]
        said = "".join(capsys.readouterr()).replace(f"{root}/", "")
        assert codes == [2 if shown.startswith("pm25 ") else 0] * len(codes), said
        printed = [" ".join(line.split()) for line in said.splitlines()]
        for line in shown.splitlines():
            assert any(" ".join(line.split()) in each for each in printed), f"{line!r} is not in\n{said}"


def city_of(example: Example) -> str:
    command = next(text for _, kind, text in example.blocks if kind == "sh")
    return str(re.findall(r"--city (\w+)", command)[0])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_example_runs_as_the_page_says(
    example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    set_up(tmp_path, example)
    run(example, tmp_path, capsys)


@pytest.mark.parametrize("example", READINGS, ids=lambda example: example.title)
def test_every_format_gives_the_labels_of_the_page(
    example: Example, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = re.findall(r"^\| (first|second) station \| (\S+) \| (\S+) \|$", PAGE, re.MULTILINE)
    expected = [[np.nan if value == "none" else float(value) for value in row[1:]] for row in table]
    assert np.shape(expected) == (2, 2)
    monkeypatch.chdir(tmp_path)
    set_up(tmp_path, example)
    commands = [words for _, kind, text in example.blocks if kind == "sh" for words in typed(text, tmp_path)]
    for words in commands:
        assert main([*words, "--overwrite"]) == 0
        samples = open_archive(tmp_path / "data" / city_of(example)).samples
        labels = samples.pivot(index="site_id", columns="local_date", values="pm25")
        assert [f"{day:%Y-%m-%d}" for day in labels.columns] == ["2019-01-04", "2019-01-07"]
        np.testing.assert_allclose(labels.to_numpy(np.float64), expected, rtol=1e-6)


def prepared(title: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """The samples that the commands of an example lead to."""
    example = next(example for example in EXAMPLES if title in example.title)
    monkeypatch.chdir(root)
    set_up(root, example)
    for _, kind, text in example.blocks:
        for words in typed(text, root) if kind == "sh" else []:
            assert main(words) == 0
    return open_archive(root / "data" / city_of(example)).samples


def test_weather_arrives_in_the_numbers_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = ["temperature_c", "relative_humidity_pct", "pressure_hpa"]
    said = re.search(r"gets (\S+) degrees Celsius, (\S+) % and (\S+) hPa", " ".join(PAGE.split()))
    assert said
    era5 = prepared("ERA5", tmp_path, monkeypatch)[columns].to_numpy(np.float64)
    np.testing.assert_allclose(era5, [[float(number) for number in said.groups()]] * 4, atol=0.05)
    csv = prepared("A CSV file", tmp_path, monkeypatch)
    written = pd.read_csv(tmp_path / "weather.csv", parse_dates=["date"]).set_index("date")
    for _, row in csv.iterrows():
        np.testing.assert_allclose(row[columns].astype(float), written.loc[row["local_date"], columns], rtol=1e-6)


def test_pressure_that_is_headed_in_another_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = prepared("cpcb-daily", tmp_path, monkeypatch).set_index(["site_id", "local_date"])["pressure_hpa"]
    assert samples["Gomti_Nagar", pd.Timestamp("2019-01-04")] == pytest.approx(743.1 * 1013.25 / 760, rel=1e-6)
    assert samples["Lalbagh", pd.Timestamp("2019-01-04")] == pytest.approx(990.2, rel=1e-6)
    findings = pd.read_csv(tmp_path / "data" / "Lucknow" / "weather_findings.csv")
    said = re.search(r"weather_findings\.csv` \(([^)]*)\)", " ".join(PAGE.split()))
    assert said
    assert list(findings.columns) == said[1].split(", ")


def test_legacy_values_and_weights_are_those_of_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = prepared("Samples", tmp_path, monkeypatch)
    assert samples["pm25_unfiltered"].tolist() == [214.0, 251.5, 98.2, 999.0]
    assert samples["quality"].tolist() == ["", "", "", "saturated"]
    assert samples["site_id"].tolist() == ["Gomti_Nagar", "Lalbagh"] * 2
    path = tmp_path / "encoder_params_resnet18_Lucknow_SimCLR_spatiotemporal.pkl"
    encoder_of_2022(path)
    assert main(["convert-weights", "--weights", str(path), "--output", "encoder.safetensors"]) == 0
    tensors, metadata = read_encoder(tmp_path / "encoder.safetensors")
    assert (metadata.method, metadata.pairs) == ("SimCLR", "spatiotemporal")
    written = torch.load(path, weights_only=True)
    assert all(torch.equal(tensor, written[name]) for name, tensor in tensors.items())


def test_what_scenes_and_readings_add_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared("Look at what came in", tmp_path, monkeypatch)
    columns = PAGE.split("### Further columns")[1].split("### Further keys")[0]
    listed = {}
    for names, kind in re.findall(r"^\| (`.*?`) \| ([^|]+) \|", columns, re.MULTILINE):
        listed.update(dict.fromkeys(re.findall(r"`(\w+)`", names), kind))
    folder = tmp_path / "data" / "Lucknow"
    samples = pd.read_parquet(folder / "samples.parquet")
    added = {name: str(samples[name].dtype) for name in samples if name not in COLUMNS}
    added["site_kind"] = "string" if pd.api.types.is_string_dtype(samples["site_kind"]) else added["site_kind"]
    assert added == listed
    keys = PAGE.split("### Further keys")[1].split("\n## ")[0]
    metadata = json.loads((folder / "archive.json").read_text())
    assert set(re.findall(r"^\| `(\w+)` \|", keys, re.MULTILINE)) <= set(metadata["created_by"])
    for source in metadata["sources"]:
        of_scene = {"scene"} if source["role"] == "scene" else set()
        assert set(source) == {"path", "sha256", "size", "changed_ns", "role"} | of_scene
        assert source["role"] in ("scene", "labels")
        assert all(f"`{key}`" in keys for key in (*source, source["role"]))
    table = pd.read_parquet(folder / "readings.parquet")
    assert list(table.columns[:3]) == ["station", "local_date", "pm25"]
    assert set(table.columns[3:]) == {name for name in listed if name not in ("site_kind", "valid_fraction")} | {
        "quality"
    }


def test_tables_of_the_page_name_all_there_is() -> None:
    flags = re.findall(r"^\| `(\w+)` \| .* \| (yes|no|) ?\|$", PAGE, re.MULTILINE)
    assert {name for name, _ in flags} == set(FLAGS)
    assert {name for name, enters in flags if enters == "no"} == set(DEFAULT_DROP)
    listed, further = (
        re.findall(r"^\| `([\w-]+)` \|", PAGE.split(head)[1].split("\n\n")[0], re.MULTILINE)
        for head in ("| format | what it looks like", "| further format | what it looks like")
    )
    assert set(further) == set(FORMATS) - set(listed)
    assert set(listed) | set(further) == set(FORMATS)
    own = ["Any other table", "A format of your own"]
    assert [f"3 {name}" for name in [*listed, *own]] == [example.title for example in READINGS]
    products = PAGE.split("| product | files")[1].split("\n\n")[0]
    named = {
        name for cell in re.findall(r"^\| (`.*?`) \|", products, re.MULTILINE) for name in re.findall(r"`(.*?)`", cell)
    }
    known = {*shipped_products(), ITEM, BAND_FILES, GEOTIFF}
    assert named == known


def test_the_cities_of_the_page_are_cities(tmp_path: Path) -> None:
    set_up(tmp_path, Example("", []))
    assert [load_city(name, tmp_path).name for name in ("Lucknow", "Fresno")] == ["Lucknow", "Fresno"]
    assert len(CITIES) == 2
