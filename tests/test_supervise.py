"""The supervised stage: what it learns, what it must not see, and what it writes."""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import rewrite_small_archive, write_small_archive

from contrastive_models.encoders import create_encoder
from model_utils.archive.reader import open_archive
from model_utils.archive.writer import ArchiveWriter
from model_utils.cities import load_city
from model_utils.cli.command import execute, parse
from model_utils.cli.verbs import SUPERVISE, VERBS
from model_utils.configuration import from_preset
from model_utils.errors import InputError, flag
from model_utils.estimators.city_model import load_city_model
from model_utils.estimators.references.catalogue import REFERENCES
from model_utils.evaluation.statistics import KEYS, evaluate
from model_utils.pretraining.config import PretrainConfig
from model_utils.pretraining.run import pretrain
from model_utils.project import SHIPPED_ROOT, results_folder, weights_path
from model_utils.sampling.designs import folds
from model_utils.supervision.config import SuperviseConfig
from model_utils.supervision.supervise import run_experiment, supervise

FIGURES = {
    "coverage",
    "learning_curve",
    "predicted_observed",
    "station_anomalies",
    "station_map",
    "station_means",
    "time_series",
}
FLAGS = ("low", "saturated", "spike", "stuck")


def config(root, **values) -> SuperviseConfig:
    fields = {"city": "Delhi", "start": "randomly_initialized", "estimator": "paper", "epochs": 20}
    return from_preset(SuperviseConfig, "smoke", root=root, **{**fields, **values})


@pytest.fixture(autouse=True)
def only_what_is_looked_at(request, monkeypatch):
    """Figures and references take most of the time of a small experiment: only tests that look at them make them."""
    if "whole" not in request.fixturenames:
        monkeypatch.setattr("model_utils.supervision.supervise.write_figures", lambda *args: [])
        few = {name: REFERENCES[name] for name in ("same_day_mean", "inverse_distance")}
        monkeypatch.setattr("model_utils.supervision.scoring.REFERENCES", few)


@pytest.fixture
def whole():
    """Asks for all references and figures."""


def predictions_of(experiment: SuperviseConfig) -> pd.DataFrame:
    folder = results_folder(experiment.root, experiment.city, experiment.experiment)
    return pd.read_parquet(folder / "predictions.parquet")


def held_out() -> set[str]:
    return {station.name for station in load_city("Delhi", SHIPPED_ROOT).stations if station.split == "test"}


def test_writes_all_it_promises(small_root, whole):
    experiment = config(small_root)
    statistics = run_experiment(experiment)
    folder = results_folder(small_root, "Delhi", experiment.experiment)
    assert json.loads((folder / "statistics.json").read_text()) == statistics
    assert set(KEYS) <= set(statistics)
    assert statistics["n_stations"] == 27
    assert statistics["n_samples"] == 27 * 6
    assert statistics["n_stations_training"] == 24
    assert {"same_day_mean", "inverse_distance"} <= set(statistics["references"])
    assert statistics["references"]["band_statistics_ridge"]["n_samples"] == 27 * 6
    assert not statistics["transductive"]
    assert {key for key in statistics if key.startswith("quality_counts")} == {
        "quality_counts",
        "quality_counts_training",
        "quality_counts_archive",
    }
    assert {path.name for path in (folder / "figures").iterdir()} == {
        f"{name}.{kind}" for name in FIGURES for kind in ("png", "pdf")
    }
    table = pd.read_csv(folder / "statistics.csv", index_col="method")
    assert table.loc[experiment.experiment, "rmse"] == pytest.approx(statistics["rmse"])
    rows = predictions_of(experiment)
    assert list(rows.columns) == [
        "sample_id",
        "site_id",
        "site_name",
        "latitude",
        "longitude",
        "time_utc",
        "local_date",
        "split",
        "observed",
        "predicted",
        "predicted_sd",
        "lower",
        "upper",
        "predicted_other_dates",
    ]
    assert set(rows.loc[rows["split"] == "test", "site_id"]) == held_out()
    assert rows.groupby("site_id")["split"].nunique().max() == 1
    test = rows[rows["split"] == "test"]
    assert statistics["rmse"] == pytest.approx(np.sqrt(((test["observed"] - test["predicted"]) ** 2).mean()))
    inside = (test["lower"] <= test["observed"]) & (test["observed"] <= test["upper"])
    assert statistics["interval_level"] == 0.9
    assert statistics["coverage"] == pytest.approx(inside.mean())
    assert statistics["mean_width"] == pytest.approx((test["upper"] - test["lower"]).mean())
    assert statistics["coverage_ci95"][0] <= statistics["coverage"] <= statistics["coverage_ci95"][1]
    assert table.loc[experiment.experiment, "coverage"] == pytest.approx(statistics["coverage"])
    assert rows.loc[rows["split"] != "test", ["lower", "upper"]].isna().all(axis=None)
    saved = yaml.safe_load((folder / "config.yaml").read_text())
    assert saved["start"] == "randomly_initialized"
    assert run_experiment(experiment) == statistics  # kept, not run again


def test_results_stand_until_others_take_their_place(small_root, monkeypatch):
    """A process that is killed in between leaves them, or what the next run finds; what it left itself goes then."""
    experiment = config(small_root)
    folder = results_folder(small_root, "Delhi", experiment.experiment)
    first = run_experiment(experiment)
    (folder / "old").touch()

    class Killed(BaseException):
        pass

    rename, rmtree = Path.rename, shutil.rmtree

    def killed(path, target):
        if target == folder:
            raise Killed
        return rename(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", killed)
        patched.setattr(shutil, "rmtree", lambda path, **_: rmtree(path) if path == folder else None)
        with pytest.raises(Killed):
            run_experiment(replace(experiment, overwrite=True))
    assert [path.parent.name for path in folder.parent.rglob("old")] == [f".{folder.name}.old"]
    assert run_experiment(replace(experiment, overwrite=True)) == first
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_an_experiment_takes_no_place_but_that_of_one(small_root):
    experiment = config(small_root)
    folder = results_folder(small_root, "Delhi", experiment.experiment)
    folder.mkdir(parents=True)
    (folder / "map.nc").touch()
    with pytest.raises(InputError, match="found something else than an experiment there; --overwrite replaces it"):
        run_experiment(experiment)
    assert (folder / "map.nc").exists()


@pytest.mark.parametrize("folds", [None, pytest.param(3, marks=pytest.mark.slow)])
def test_statistics_count_the_quality_flags(small_root, folds):
    def flag(samples):
        held = samples["site_id"].isin(held_out()).to_numpy()
        labelled, row = samples["pm25"].notna().to_numpy(), np.arange(len(samples))
        quality = np.where(held & (row % 2 == 0), "spike|low", np.where(row % 3 == 0, "stuck", ""))
        set_aside = labelled & (row % 7 == 0)
        return samples.assign(quality=np.where(set_aside, "saturated", quality), pm25=samples["pm25"].where(~set_aside))

    rewrite_small_archive(small_root, flag)
    statistics = run_experiment(config(small_root, folds=folds))
    samples = open_archive(small_root / "data" / "Delhi").samples
    read = samples["pm25"].notna()
    test = read & (samples["site_id"].isin(held_out()) | (folds is not None))
    training = read & (~samples["site_id"].isin(held_out()) | (folds is not None))
    masks = {"": test, "_training": training, "_archive": read | True}
    for key, mask in masks.items():
        carried = {name: int(samples.loc[mask, "quality"].str.contains(name).sum()) for name in FLAGS}
        assert statistics[f"quality_counts{key}"] == {name: rows for name, rows in carried.items() if rows}
    assert "saturated" in statistics["quality_counts_archive"]
    assert "saturated" not in statistics["quality_counts"]


@pytest.mark.parametrize("values", [{}, {"estimator": "place_and_day"}, {"finetune": True, "epochs": 2}])
def test_the_saved_model_gives_the_saved_predictions(small_root, values):
    experiment = config(small_root, **values)
    run_experiment(experiment)
    folder = results_folder(small_root, "Delhi", experiment.experiment)
    archive = open_archive(small_root / "data" / "Delhi")
    labelled = archive.subset(archive.samples["pm25"].notna().to_numpy())
    predicted = load_city_model(folder / "model").predict(labelled).mean
    expected = predictions_of(experiment).set_index("sample_id").loc[labelled.samples["sample_id"], "predicted"]
    np.testing.assert_allclose(predicted, expected, rtol=1e-5)  # other batches round otherwise


def test_a_model_refuses_tiles_of_another_kind_and_touched_weights(small_root):
    experiment = config(small_root, epochs=1)
    run_experiment(experiment)
    folder = results_folder(small_root, "Delhi", experiment.experiment) / "model"
    model = load_city_model(folder)
    write_small_archive(small_root, "Beijing", days=1, tile_size=16)
    with pytest.raises(InputError, match="tile size: found 16, the model was fitted to 32"):
        model.predict(open_archive(small_root / "data" / "Beijing"))
    weights = folder / "encoder.safetensors"
    data = bytearray(weights.read_bytes())
    data[-3] ^= 1
    weights.write_bytes(data)
    with pytest.raises(InputError, match="other weights than those that the model was fitted with"):
        load_city_model(folder)
    weights.write_bytes(b"torn")
    with pytest.raises(InputError, match="not the encoder of this model"):
        load_city_model(folder)


def test_folds_judge_and_the_model_knows_all_stations(small_root):
    experiment = config(small_root, estimator="place_and_day", folds=3)
    run_experiment(experiment)
    folder = results_folder(small_root, "Delhi", experiment.experiment)
    assert len(load_city_model(folder / "model").model.fitted.process.stations) == 51


def test_an_image_method_learns_what_the_images_show(small_root):
    statistics = run_experiment(config(small_root, epochs=100))
    assert statistics["r2"] > 0.9
    assert statistics["spatial_r_ci95"][0] > 0.3


@pytest.mark.parametrize(
    "values",
    [
        *({}, {"target": "anomaly"}, {"estimator": "place_and_day"}),
        *(pytest.param(each, marks=pytest.mark.slow) for each in ({"folds": 3}, {"finetune": True, "epochs": 2})),
    ],
)
def test_no_prediction_depends_on_a_test_reading(tmp_path, values):
    write_small_archive(tmp_path, days=4, cells=0)
    experiment = config(tmp_path, **values, overwrite=True)
    run_experiment(experiment)
    before = predictions_of(experiment)
    first_fold = set(before["site_id"].iloc[:17]) if "folds" in values else held_out()

    def permute(samples):
        hidden = samples["site_id"].isin(first_fold).to_numpy()
        readings = samples["pm25"].to_numpy(copy=True)
        readings[hidden] = np.random.default_rng(0).permutation(readings[hidden])
        return samples.assign(pm25=readings)

    rewrite_small_archive(tmp_path, permute)
    run_experiment(experiment)
    after = predictions_of(experiment)
    hidden = before["site_id"].isin(first_fold)
    assert not before["observed"].equals(after["observed"])
    said = ["predicted", "lower", "upper", "predicted_other_dates"]
    pd.testing.assert_frame_equal(before.loc[hidden, said], after.loc[hidden, said], check_exact=True)


def test_embeddings_are_computed_once_and_never_meet_another_archive(small_root):
    cache = small_root / "data" / "Delhi" / "embeddings"
    run_experiment(config(small_root))
    (first,) = cache.iterdir()
    written = first.stat().st_mtime_ns
    run_experiment(config(small_root, stations=10))
    assert list(cache.iterdir()) == [first]
    assert first.stat().st_mtime_ns == written
    run_experiment(config(small_root, seed=1))  # other random weights
    assert len(list(cache.iterdir())) == 2
    rewrite_small_archive(small_root, lambda samples: samples.assign(pm25=samples["pm25"] + 1))
    run_experiment(config(small_root, overwrite=True))
    assert len(list(cache.iterdir())) == 3


def test_one_training_station_works(small_root, whole):
    statistics = run_experiment(config(small_root, stations=1))
    assert statistics["n_stations_training"] == 1
    assert statistics["rmse"] is not None
    assert statistics["coverage"] is None
    assert not list((small_root / "results").rglob("coverage.*"))


def test_draws_differ_and_repeat(small_root):
    def training_sites(draw):
        experiment = config(small_root, stations=5, draw=draw, overwrite=True, epochs=1)
        run_experiment(experiment)
        rows = predictions_of(experiment)
        return set(rows.loc[rows["split"] != "test", "site_id"])

    assert training_sites(0) == training_sites(0)
    assert training_sites(0) != training_sites(1)
    assert len(training_sites(2)) == 5


def test_anomalies_say_that_they_read_the_day(small_root):
    assert run_experiment(config(small_root, target="anomaly"))["uses_same_day_readings"]
    assert run_experiment(config(small_root, estimator="place_and_day"))["uses_same_day_readings"]
    assert not run_experiment(config(small_root, estimator="place_and_day", day="images"))["uses_same_day_readings"]
    assert not run_experiment(config(small_root))["uses_same_day_readings"]


def test_the_paper_has_place_and_day_as_a_second_row(small_root):
    paper, own = run_experiment(config(small_root)), run_experiment(config(small_root, estimator="place_and_day"))
    second = paper["other_estimators"]["place_and_day_randomly_initialized"]
    for key in ("spatial_r", "rmse", "temporal_r", "coverage"):
        assert second[key] == own[key]
    assert own["other_estimators"] == {}
    folder = results_folder(small_root, "Delhi", config(small_root).experiment)
    table = pd.read_csv(folder / "statistics.csv", index_col="method")
    assert table.loc["place_and_day_randomly_initialized", "spatial_r"] == pytest.approx(own["spatial_r"])


@pytest.mark.parametrize("values", [{}, {"folds": 3}, {"place": "images"}])
def test_says_how_many_test_stations_are_like_the_training_stations(small_root, capsys, values):
    experiment = config(small_root, estimator="place_and_day", **values)
    supervise(experiment)
    folder = results_folder(small_root, "Delhi", experiment.experiment)
    statistics = json.loads((folder / "statistics.json").read_text())
    share = statistics["share_inside_applicability"]
    assert f"{share:.0%} of the test stations are like the training stations" in capsys.readouterr().out
    table = pd.read_csv(folder / "statistics.csv", index_col="method")["share_inside_applicability"]
    assert table[experiment.experiment] == share
    assert table[["same_day_mean", "inverse_distance"]].isna().all()
    if "folds" not in values:  # with folds the saved model knows all stations
        samples = open_archive(small_root / "data" / "Delhi").samples
        stations = samples[samples["site_id"].isin(held_out())].drop_duplicates("site_id")
        fitted = load_city_model(folder / "model").model.fitted
        threshold = fitted.process.applicability().threshold
        assert share == (fitted.dissimilarity(stations, None) <= threshold).mean()
    assert 0 < share <= 1


@pytest.mark.parametrize("values", [{}, {"target": "anomaly"}, {"estimator": "place_and_day", "stations": 2}])
def test_no_share_is_said_where_none_is_known(small_root, capsys, values):
    supervise(config(small_root, **values, epochs=1))
    (written,) = (small_root / "results").rglob("statistics.json")
    statistics = json.loads(written.read_text())
    assert statistics["share_inside_applicability"] is None
    assert "applicability" not in capsys.readouterr().out
    for row in statistics["other_estimators"].values():
        assert 0 < row["share_inside_applicability"] <= 1


@pytest.mark.slow
def test_folds_predict_every_station_once_from_others(small_root):
    experiment = config(small_root, folds=4)
    statistics = run_experiment(experiment)
    rows = predictions_of(experiment)
    assert statistics["n_stations"] == 51
    assert set(rows["split"]) == {"test"}
    assert not rows["sample_id"].duplicated().any()
    assert rows[["predicted_level", "lower", "upper"]].notna().all(axis=None)
    assert evaluate(rows, experiment.bootstrap_draws)["spatial_r"] == pytest.approx(statistics["spatial_r"])
    samples = open_archive(small_root / "data" / "Delhi").samples.dropna(subset="pm25")
    (run,) = folds(samples, 4)
    for each in run.folds:
        assert not (each.training & each.test).any()
        assert not set(samples["site_id"][each.training]) & set(samples["site_id"][each.test])


@pytest.mark.parametrize(
    "values",
    [{"field": "inverse_distance"}, pytest.param({"field": "inverse_distance", "folds": 3}, marks=pytest.mark.slow)],
)
def test_what_the_image_adds_is_the_difference_to_the_field_alone(small_root, values):
    statistics = run_experiment(config(small_root, target="anomaly", **values))
    added, alone = statistics["added_over_field"], statistics["references"]["inverse_distance"]
    assert statistics["field"] == "inverse_distance"
    for key in ("spatial_r", "rmse"):
        assert added[key] == pytest.approx(statistics[key] - alone[key], abs=1e-6)
        assert added[f"{key}_ci95"][0] <= added[key] <= added[f"{key}_ci95"][1]


def test_a_spatial_loss_is_one_of_dates_also_in_refits(small_root):
    plain, spatial = (run_experiment(config(small_root, spatial_weight=weight)) for weight in (0.0, 3.0))
    assert spatial["experiment"] != plain["experiment"]
    for key in ("rmse", "coverage"):
        assert spatial[key] is not None
    assert spatial["rmse"] != plain["rmse"]


def test_transfer_learning_reads_a_local_file(small_root):
    torch.manual_seed(3)
    encoder = create_encoder("test_resnet", 3, 32)
    path = small_root / "imagenet.pth"
    torch.save(encoder.state_dict(), path)
    experiment = config(small_root, start="transfer_learning", imagenet_weights=path, epochs=2)
    statistics = run_experiment(experiment)
    random = run_experiment(config(small_root, epochs=2))
    assert statistics["weights_sha256"] != random["weights_sha256"]


def test_weights_alone_say_their_start(small_root):
    pretrain(
        from_preset(PretrainConfig, "smoke", city="Delhi", method="SimSiam", pairs="regular", epochs=1, root=small_root)
    )
    weights = next((small_root / "data" / "weights").iterdir())
    assert execute(SUPERVISE, ["--city", "Delhi", "--weights", str(weights), "--root", str(small_root)]) == 0
    statistics = json.loads(
        next((small_root / "results" / "Delhi").glob("place_and_day_*/statistics.json")).read_text()
    )
    assert statistics["experiment"] == "place_and_day_SimSiam_regular_test_resnet"
    assert not statistics["transductive"]


@pytest.mark.parametrize(
    "values",
    [{"finetune": True}, {"target": "anomaly"}, {"spatial_weight": 1.0}],
    ids=lambda values: next(iter(values)),
)
def test_flags_of_the_paper_are_refused_beside_place_and_day(small_root, values):
    with pytest.raises(ValueError, match=f"{flag(next(iter(values)))}: found with --estimator place_and_day"):
        config(small_root, estimator="place_and_day", **values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"city": "Atlantis"}, "Atlantis"),
        ({"start": "SimCLR_regular"}, "not found.*pm25 pretrain"),
        ({"stations": 25}, "--stations"),
        ({"folds": 1}, "--folds"),
        ({"target": "anomaly", "stations": 2}, "at least 3"),
        ({"encoder": "resnet51"}, "resnet51"),
    ],
)
def test_wrong_settings_are_named(small_root, values, message):
    with pytest.raises(InputError, match=message):
        run_experiment(config(small_root, **values))
    assert not (small_root / "results").exists()


def test_a_reference_gets_no_credit_for_recognising_a_date(small_root, whole):
    """Weather that names the date and nothing else: the same at all stations, drawn anew each day."""
    random = np.random.default_rng(0)

    def with_weather(samples):
        day = samples["local_date"].rank(method="dense").astype(int).to_numpy()
        return samples.assign(
            temperature_c=random.normal(20, 8, day.max() + 1)[day].astype("float32"),
            pm25=samples["pm25"].where(samples["pm25"].isna(), random.normal(100, 30, day.max() + 1)[day]),
        )

    write_small_archive(small_root, city="Beijing", days=60, cells=0)
    archive = open_archive(small_root / "data" / "Beijing")
    tiles, samples, metadata = archive.tiles(), archive.samples, archive.metadata
    with ArchiveWriter(archive.folder, metadata.tile_size, metadata.bands, overwrite=True) as writer:
        writer.append(tiles, with_weather(samples.copy()))
        writer.commit(city="Beijing", ground_sample_distance_m=3.0, simulated="all")
    statistics = run_experiment(config(small_root, city="Beijing", epochs=1))
    forest = statistics["references"]["weather_forest"]
    assert forest["temporal_r_paper"] > 0.9
    assert forest["temporal_r"] < 0.5
    same_day = statistics["references"]["same_day_mean"]
    assert same_day["temporal_r"] == same_day["temporal_r_paper"] > 0.9


def test_the_command_after_missing_weights_makes_the_file_that_is_missing(small_root, capsys) -> None:
    root = small_root.rename(small_root.with_name("with a space"))
    asked = config(root, start="SimSiam_regular", estimator="place_and_day", encoder="test_convnext")
    with pytest.raises(InputError, match="not found") as caught:
        supervise(asked)
    words = shlex.split(str(caught.value).partition(": pm25 ")[2].removesuffix(" makes them"))
    made = parse(VERBS[words[0]], words[1:], {}, "pm25")
    assert isinstance(made, PretrainConfig)
    missing = weights_path(root, "Delhi", made.method, made.pairs, made.encoder)
    assert (made.preset, made.root, made.encoder) == ("smoke", root, "test_convnext")
    assert str(caught.value).startswith(f"{missing}: not found")
    with pytest.raises(InputError) as caught:  # a file that the user named is not made by any command
        supervise(replace(asked, weights=root / "none.safetensors"))
    assert "pm25 pretrain" not in str(caught.value)


def test_a_city_without_a_list_is_tested_on_a_random_third_and_says_so(small_root, capsys) -> None:
    raw = yaml.safe_load((SHIPPED_ROOT / "data" / "cities" / "Delhi.yaml").read_text())
    (small_root / "data" / "cities").mkdir()
    (small_root / "data" / "cities" / "Delhi.yaml").write_text(yaml.safe_dump({**raw, "stations": []}))
    supervise(config(small_root))
    assert "tested on: a random third of the stations, since none is on the hold-out list" in capsys.readouterr().out
    rows = predictions_of(config(small_root))
    assert rows.loc[rows["split"] == "test", "site_id"].nunique() == 17


def test_sites_that_share_a_monitors_readings_are_said_before_anything_is_fitted(small_root, capsys) -> None:
    rewrite_small_archive(
        small_root, lambda rows: rows.assign(pm25=rows.groupby("local_date")["pm25"].transform("first"))
    )
    with pytest.raises(InputError, match="not found"):
        supervise(config(small_root, start="SimCLR_regular"))
    assert "readings are the same to the last digit as another site's" in capsys.readouterr().out


def test_statistics_that_are_gone_or_broken_are_one_line_and_overwrite_brings_them_back(small_root) -> None:
    asked = config(small_root)
    whole = run_experiment(asked)
    path = results_folder(small_root, "Delhi", asked.experiment) / "statistics.json"
    for left in ("{", "", None):
        path.write_text(left) if left is not None else path.unlink()
        with pytest.raises(InputError, match=r"statistics\.json: missing or broken.*--overwrite"):
            run_experiment(asked)
    assert run_experiment(replace(asked, overwrite=True))["rmse"] == whole["rmse"]


def test_without_weather_no_row_stands_for_it(small_root, whole, figures_unrendered) -> None:
    references = run_experiment(config(small_root))["references"]
    assert set(REFERENCES) - set(references) == {"weather_ridge", "weather_forest"}
