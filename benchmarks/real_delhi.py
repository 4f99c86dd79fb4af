"""What images of a real surface tell of real stations' persistent effects, against chance, and what that gives days.

    python benchmarks/real_delhi.py --root ROOT --city Delhi --weights FILE --readings FOLDER

ROOT holds `data/<City>`, an archive of one surface: a grid of windows side by side, and a tile at each station. FILE is
an encoder that was pre-trained on it without the stations' ground. FOLDER holds daily readings. Nothing is tuned here:
16 components, the default priors, one seed.

*Effects* are the stations' two-way effects of ln PM2.5. In each fold (one station left out, or the city's hold-out)
they are fitted to the training stations alone, and the truth of a test station is its mean difference from their days.
Intervals: 95 %, bootstrap over stations. The RMSE is that of ln effects, as 100 (exp(RMSE) - 1) %.

*Own tile*: a station is described by the tile about it; *grid*: by the grid's window that it lies in; *ring*: by the
mean over the grid's windows within a kilometre, its own included (3 x 3 about a window).

*Placebo*: the stations' constellation is put at random places, flips and quarter turns of the same imagery, wherever
each station falls into a window, while readings and coordinates stay. Images vary smoothly, so any ground explains
something of a smooth field; skill is what few placements reach. Truth and placebo are both described by the grid.

*Random hold-outs*: as many stations as the city's hold-out has, drawn at random: whether that one is a lucky draw.

*Days*: each station is predicted by the others' readings of the same day: ordinary kriging of PM2.5, and kriging of
ln PM2.5 less place. Months and seasons are means over a station's days. What is added to the former is paired, with
intervals by bootstrap over stations and days (months, seasons) crosswise. A station that is left out has no buffer.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import KDTree

from model_utils.archive.reader import TileArchive, open_archive
from model_utils.cities import City, load_city
from model_utils.errors import InputError
from model_utils.estimators.estimator import Estimator, hidden
from model_utils.estimators.place_and_day.day_from_readings import effect_errors, residual_variogram
from model_utils.estimators.place_and_day.ground import Ground, describe_ground
from model_utils.estimators.place_and_day.place_and_day import LOWEST, PlaceAndDay
from model_utils.estimators.place_and_day.place_process import east_north_km, fit_place_process
from model_utils.estimators.place_and_day.two_way_effects import two_way_effects
from model_utils.estimators.references.fields import SameDayField
from model_utils.evaluation.bootstrap import multiplicities, percentile_interval
from model_utils.evaluation.correlation import pearson
from model_utils.evaluation.paired import difference, replicates, summary
from model_utils.features.embeddings import cached_embeddings
from model_utils.features.starting_encoder import described_by_weights, starting_encoder
from model_utils.features.starts import EncoderSource
from model_utils.geography import great_circle_km
from model_utils.ingest.labelling import station_readings
from model_utils.ingest.readings.config import ReadingsConfig
from model_utils.ingest.readings.labels import daily_labels
from model_utils.project import archive_folder
from model_utils.sampling.splits import held_out_sites

RINGS = {"": 0.0, " + ring": 1.0}  # km
PERIODS = {"days": ("D", 1), "months": ("M", 10), "seasons": ("Q-NOV", 30)}
"""Name -> pandas's name (seasons from December on), and the fewest days of a station's mean."""
DRAWS = 1000
HOLD_OUTS = 100

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Fold:
    """Some stations predict others.

    Attributes:
        test: Which ones are predicted, n.
        effects: Of the others, log units.
        errors: Covariance of their errors.
        truth: Mean difference of each test station from the others' days.
    """

    test: Mask
    effects: Floats
    errors: Floats
    truth: Floats


def fold(stations: pd.DataFrame, readings: pd.DataFrame, test: Mask) -> Fold:
    """Effects of stations without the others' readings, and what those are beside them, as place and day has it.

    Args:
        stations: site_id, latitude, longitude (WGS84 degrees), n.
        readings: ln PM2.5, stations x days, NaN = none.
        test: n.
    """
    known, dates, values = stations[~test], readings.columns.to_numpy("datetime64[ns]"), readings.to_numpy()
    effects = two_way_effects(values[~test])
    variance = effects.residual_sd**2
    variogram = residual_variogram(known, dates, values[~test], effects, variance)
    errors = effect_errors(known, values[~test], variogram, variance)
    return Fold(test, effects.place, errors, np.nanmean(values[test] - effects.day, axis=1))


def predicted(folds: Sequence[Fold], stations: pd.DataFrame, scores: Floats | None, coordinates: bool) -> Floats:
    """Predictions of all test stations, fold by fold; hyperparameters are found anew in each."""
    latitude, longitude = stations[["latitude", "longitude"]].to_numpy(np.float64).T
    blocks = () if scores is None else (scores,)
    mean = []
    for each in folds:
        test, train = each.test, ~each.test
        known, unseen = (tuple(block[rows] for block in blocks) for rows in (train, test))
        sites = stations["site_id"].to_numpy(object)[train]
        process = fit_place_process(
            latitude[train], longitude[train], each.effects, each.errors, known, sites, coordinates
        )
        mean.append(process.predict(latitude[test], longitude[test], unseen, None)[0])
    return np.concatenate(mean)


def scored(truth: Floats, mean: Floats, reference: Floats) -> dict[str, Any]:
    """r, its gain over a reference with stations resampled alike, and the RMSE in %; of ln effects, n each."""
    weights = multiplicities(len(truth), DRAWS, np.random.default_rng(0))
    x, y, z = (100 * (values - values.mean()) for values in (truth, mean, reference))
    r, gain = pearson(x, y, weights), pearson(x, y, weights) - pearson(x, z, weights)
    return {
        "r": float(r[0]),
        "r_ci95": percentile_interval(r[1:], len(truth)),
        "gain": float(gain[0]),
        "gain_ci95": percentile_interval(gain[1:], len(truth)),
        "rmse": float(100 * np.expm1(np.sqrt(np.mean((truth - mean) ** 2)))),
    }


def placements(stations: Floats, windows: Floats, count: int, seed: int = 0) -> Iterator[NDArray[np.int64]]:
    """Puts a constellation at random places of a grid, in one of its eight symmetries; any place is as likely.

    Args:
        stations: East and north, km, n x 2.
        windows: Middles of the windows, km, w x 2.
        count: How many placements.
        seed: Draws them.

    Yields:
        The window that each station falls into, n.
    """
    random, tree = np.random.default_rng(seed), KDTree(windows)
    reach = np.median(tree.query(windows, k=2)[0][:, 1]) / np.sqrt(2)  # half the diagonal of a window
    for _ in range(1000 * count):
        turn = np.linalg.matrix_power([[0, 1], [-1, 0]], random.integers(4))
        moved = (stations * [random.choice([-1, 1]), 1]) @ turn
        low, high = windows.min(axis=0) - moved.min(axis=0), windows.max(axis=0) - moved.max(axis=0)
        distance, window = tree.query(moved + low + random.random(2) * (high - low))
        if (low < high).all() and distance.max() <= reach:
            yield window
            count -= 1
        if not count:
            return
    if count:
        raise InputError("placebo: expected a surface that is wider than the stations' constellation")


def encoders(root: Path, city: str, weights: Path, archive: TileArchive) -> dict[str, NDArray[np.float32]]:
    """Embeddings of all tiles by the trained encoder and by a random one of its kind, tiles x d."""
    start, name = described_by_weights(weights)
    sources = {
        "trained": EncoderSource(city, start, name, root, weights),
        "random": EncoderSource(city, "randomly_initialized", name, root),
    }
    return {key: cached_embeddings(archive, starting_encoder(of, archive), "cpu") for key, of in sources.items()}


def described(
    samples: pd.DataFrame, features: NDArray[np.float32], stations: pd.DataFrame, nearest: NDArray[np.int64]
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Scores that describe the stations, and the grid; components and rings are of the grid's windows alone.

    Args:
        samples: Rows of the archive.
        features: Of these.
        stations: n.
        nearest: The grid's window of each station, n.

    Returns:
        Name -> n x k; name -> windows x k.
    """
    grid = samples["site_kind"].to_numpy() == "grid"
    own = samples["site_id"].isin(stations["site_id"]).to_numpy()
    at_stations, at_windows = {}, {}
    for ring, km in RINGS.items():
        ground = describe_ground(samples[grid], features[grid], ring_km=km)
        tiles = pd.DataFrame(ground.scores(samples[own], features[own]), index=samples["site_id"][own])
        at_stations[f"own tile{ring}"] = tiles.groupby(level=0).first().loc[stations["site_id"]].to_numpy()
        at_windows[f"grid{ring}"] = ground.scores(samples[grid], None)
        at_stations[f"grid{ring}"] = at_windows[f"grid{ring}"][nearest]
    return at_stations, at_windows


def near(ground: Ground, stations: pd.DataFrame) -> Ground:
    """A ground without what lies beyond the stations' rings."""
    places = stations[["latitude", "longitude"]].to_numpy(np.float64).T
    apart = great_circle_km(ground.latitude[:, None], ground.longitude[:, None], *places).min(axis=1)
    kept = apart <= 2 * max(RINGS.values())
    return replace(
        ground, **{name: getattr(ground, name)[kept] for name in ("sites", "latitude", "longitude", "means")}
    )


def daily_readings(folder: Path, city: City, samples: pd.DataFrame) -> pd.DataFrame:
    """Daily means of stations with a tile on days with three of them, by station and day, as an archive has them."""
    found = station_readings(ReadingsConfig(readings=folder), city)
    rows = daily_labels(found.flagged)[["station", "local_date", "pm25"]].merge(found.stations, on="station")
    rows = rows.rename(columns={"station": "site_id", "station_name": "site_name"}).astype({"site_id": object})
    rows = rows[rows["pm25"].notna() & rows["site_id"].isin(samples["site_id"])]
    count = rows.groupby("local_date")["site_id"].transform("size")
    return rows[count >= 3].sort_values(["site_id", "local_date"], ignore_index=True)


def predicted_days(estimator: Estimator, rows: pd.DataFrame, test: Mask) -> pd.DataFrame:
    """Test rows as the others predict them: site_id, local_date, observed, predicted (ug/m3)."""
    known = hidden(rows, ~test)
    mean = estimator.fit(known, None, ~test).predict(known[test], None).mean
    return rows.loc[test, ["site_id", "local_date"]].assign(observed=rows["pm25"][test], predicted=mean)


def of_periods(days: pd.DataFrame, period: str, least: int) -> pd.DataFrame:
    """Means over a station's days of a period."""
    start = days["local_date"].dt.to_period(period).dt.start_time
    groups = days.groupby(["site_id", start])[["observed", "predicted"]]
    return groups.mean()[groups.size() >= least].reset_index()


def text(result: Mapping[str, Any], key: str) -> str:
    """A score with its interval."""
    low, high = result[f"{key}_ci95"]
    return f"{result[key]:6.2f} [{low:.2f}, {high:.2f}]"


def effects_table(
    pool: Executor, folds: Sequence[Fold], stations: pd.DataFrame, blocks: Mapping[str, Floats]
) -> dict[str, dict[str, Any]]:
    """Prints how well effects are predicted; name -> scores."""
    tasks = {"coordinates": pool.submit(predicted, folds, stations, None, True)}
    for name, scores in blocks.items():
        tasks[f"images, {name}"] = pool.submit(predicted, folds, stations, scores, False)
        tasks[f"both, {name}"] = pool.submit(predicted, folds, stations, scores, True)
    truth = np.concatenate([each.truth for each in folds])
    reference = tasks["coordinates"].result()
    found = {"nothing": {"rmse": float(100 * np.expm1(np.sqrt(np.mean(truth**2))))}}
    print(f"  {'':40}{'r [95 %]':>21}{'above coordinates':>24}{'RMSE %':>9}")
    print(f"  {'nothing':85}{found['nothing']['rmse']:9.1f}")
    for name, task in tasks.items():
        found[name] = result = scored(truth, task.result(), reference)
        print(f"  {name:40}{text(result, 'r'):>21}{text(result, 'gain'):>24}{result['rmse']:9.1f}", flush=True)
    return found


def placebo(
    pool: Executor,
    folds: Sequence[Fold],
    stations: pd.DataFrame,
    at_windows: Mapping[str, Floats],
    put: Sequence[NDArray[np.int64]],
) -> dict[str, list[float]]:
    """Prints r of the first placement, which is the true one, among the others; name -> r of all."""
    truth = np.concatenate([each.truth for each in folds])

    def r(scores: Sequence[Floats | None], coordinates: bool) -> Floats:
        tasks = [pool.submit(predicted, folds, stations, of, coordinates) for of in scores]
        return np.array([np.corrcoef(truth, task.result())[0, 1] for task in tasks])

    found = {"coordinates": r([None], True)}
    print(f"\nplacebo, r{'truth':>50}{'median':>9}{'95 %':>7}{'reach the truth':>18}")
    for name, scores in at_windows.items():
        for what, coordinates in {"images": False, "both": True}.items():
            values = found[f"{what}, {name}"] = r([scores[window] for window in put], coordinates)
            shown = {f"{what}, {name}": values}
            if coordinates:
                shown[f"  above coordinates, {name}"] = values - found["coordinates"]
            for label, of in shown.items():
                median, high = np.quantile(of[1:], [0.5, 0.95])
                reach = f"{(of[1:] >= of[0]).sum()} of {len(of) - 1}"
                print(f"  {label:52}{of[0]:6.2f}{median:9.2f}{high:7.2f}{reach:>18}", flush=True)
    return {name: values.tolist() for name, values in found.items()}


def random_hold_outs(
    pool: Executor, stations: pd.DataFrame, logs: pd.DataFrame, held_out: Mask, blocks: Mapping[str, Floats]
) -> dict[str, list[float]]:
    """Prints r of the city's hold-out, which comes first, among random ones of its size; name -> r of all."""
    random = np.random.default_rng(0)
    folds = [
        fold(stations, logs, test) for test in [held_out, *(random.permutation(held_out) for _ in range(HOLD_OUTS))]
    ]
    described: dict[str, tuple[Floats | None, bool]] = {"coordinates": (None, True)}
    described |= {f"both, {name}": (scores, True) for name, scores in blocks.items()}
    tasks = {
        name: [pool.submit(predicted, [each], stations, scores, coordinates) for each in folds]
        for name, (scores, coordinates) in described.items()
    }
    print(
        f"\n{HOLD_OUTS} random hold-outs of the same size, r{'city':>21}{'median':>9}{'10 %':>7}{'90 %':>7}"
        f"{'above coordinates':>20}"
    )
    found: dict[str, Floats] = {}
    for name, of in tasks.items():
        pairs = zip(folds, of, strict=True)
        found[name] = r = np.array([np.corrcoef(each.truth, task.result())[0, 1] for each, task in pairs])
        low, middle, high = np.quantile(r[1:], [0.1, 0.5, 0.9])
        above = f"{(r[1:] > found['coordinates'][1:]).sum()} of {HOLD_OUTS}"
        print(f"  {name:44}{r[0]:6.2f}{middle:9.2f}{low:7.2f}{high:7.2f}{above:>20}", flush=True)
    return {name: r.tolist() for name, r in found.items()}


def days_table(
    pool: Executor, methods: Mapping[str, Estimator], rows: pd.DataFrame, stations: pd.DataFrame, tests: Sequence[Mask]
) -> dict[str, dict[str, Any]]:
    """Prints errors of days, months and seasons; period -> method -> scores."""
    of_row = pd.Index(stations["site_id"]).get_indexer(pd.Index(rows["site_id"]))
    tasks = {
        name: [pool.submit(predicted_days, of, rows, test[of_row]) for test in tests] for name, of in methods.items()
    }
    days = {name: pd.concat([task.result() for task in of], ignore_index=True) for name, of in tasks.items()}
    found: dict[str, dict[str, Any]] = {}
    for period, (alias, least) in PERIODS.items():
        keys = ("rmse", "spatial_r", "spatial_rmse")
        runs = {name: replicates([of_periods(of, alias, least)], keys, DRAWS) for name, of in days.items()}
        reference = next(iter(runs.values()))
        found[period] = {}
        print(f"  {period:24}{'RMSE':>24}{'above kriging':>24}{'spatial RMSE':>24}{'spatial r':>20}")
        for name, run in runs.items():
            result, gain = summary(run), difference(run, reference)
            found[period][name] = result | {f"{key}_above_kriging": value for key, value in gain.items()}
            above = "" if run is reference else text(gain, "rmse")
            shown = (text(result, "rmse"), above, text(result, "spatial_rmse"), text(result, "spatial_r"))
            print(f"    {name:22}{shown[0]:>24}{shown[1]:>24}{shown[2]:>24}{shown[3]:>20}", flush=True)
    return found


def main() -> None:
    """Prints all tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True, help="folder that holds data/<City>")
    parser.add_argument("--city", default="Delhi")
    parser.add_argument("--weights", type=Path, required=True, help="pre-trained encoder")
    parser.add_argument("--readings", type=Path, required=True, help="folder of station readings")
    parser.add_argument("--placements", type=int, default=100, help="of the placebo")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path, help="where to write all numbers as well")
    flags = parser.parse_args()

    city, archive = load_city(flags.city, flags.root), open_archive(archive_folder(flags.root, flags.city))
    samples = archive.samples
    rows = daily_readings(flags.readings, city, samples)
    stations = rows.drop_duplicates("site_id").reset_index(drop=True)
    windows = samples[samples["site_kind"] == "grid"]
    count, held_out = len(stations), stations["site_id"].isin(held_out_sites(stations, city)).to_numpy()
    designs = {
        f"leave one out ({count})": [np.arange(count) == left for left in range(count)],
        f"hold-out ({(~held_out).sum()} -> {held_out.sum()})": [held_out],
    }
    table = rows.pivot(index="site_id", columns="local_date", values="pm25").loc[stations["site_id"]]
    logs = table.clip(lower=LOWEST).apply(np.log)
    folds = {name: [fold(stations, logs, test) for test in tests] for name, tests in designs.items()}
    middle = stations[["latitude", "longitude"]].to_numpy(np.float64).mean(axis=0)
    station_km, window_km = (
        east_north_km(of["latitude"].to_numpy(), of["longitude"].to_numpy(), middle) for of in (stations, windows)
    )
    nearest = np.asarray(KDTree(window_km).query(station_km)[1])
    print(f"{count} stations, {len(rows)} readings, {len(windows)} windows", flush=True)

    features = encoders(flags.root, flags.city, flags.weights, archive)
    at_stations, at_windows = described(samples, features["trained"], stations, nearest)
    untrained, untrained_windows = described(samples, features["random"], stations, nearest)
    blocks = at_stations | {f"random encoder, {name}": scores for name, scores in untrained.items()}
    at_windows |= {f"random encoder, {name}": scores for name, scores in untrained_windows.items()}
    methods: dict[str, Estimator] = {
        "kriging": SameDayField("kriging"),
        "place: coordinates": PlaceAndDay(place="coordinates", day="readings"),
    }
    for ring, km in RINGS.items():
        ground = near(describe_ground(samples, features["trained"], ring_km=km), stations)
        methods[f"place: both{ring}"] = PlaceAndDay(ground, day="readings")

    found: dict[str, Any] = {"effects": {}, "days": {}}
    with ProcessPoolExecutor(flags.workers, get_context("spawn")) as pool:
        for name, of in folds.items():
            print(f"\neffects, {name}")
            found["effects"][name] = effects_table(pool, of, stations, blocks)
        found["hold_outs"] = random_hold_outs(pool, stations, logs, held_out, blocks)
        for name, tests in designs.items():
            print(f"\nPM2.5 (ug/m3), {name}")
            found["days"][name] = days_table(pool, methods, rows, stations, tests)
        put = [nearest, *placements(station_km, window_km, flags.placements)]
        found["placebo"] = placebo(pool, next(iter(folds.values())), stations, at_windows, put)
    if flags.json:
        flags.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
