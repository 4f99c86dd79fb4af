"""The verbs, as data: nothing heavy is imported before a verb runs."""

from __future__ import annotations

from dataclasses import replace

from model_utils.cli.command import Command

CITY = Command(
    verb="city",
    summary="Writes the file that defines a new city: where it is, its time zone.",
    config="model_utils.fetching.config:CityConfig",
    function="model_utils.fetching.city:make_city",
    first_word="name",
)
FETCH_READINGS = Command(
    verb="fetch readings",
    summary="Fetches the readings of a city's stations from OpenAQ's open archive.",
    config="model_utils.fetching.config:FetchReadingsConfig",
    function="model_utils.fetching.readings.openaq:fetch_readings",
)
FETCH_WEATHER = Command(
    verb="fetch weather",
    summary="Fetches the weather over a city from Open-Meteo, or ERA5 from the Climate Data Store.",
    config="model_utils.fetching.config:FetchWeatherConfig",
    function="model_utils.fetching.weather.weather:fetch_weather",
)
FETCH_SCENES = Command(
    verb="fetch scenes",
    summary="Fetches scenes of a city from an open catalogue: one a day, sorted out by cloud, cut to the city.",
    config="model_utils.fetching.config:FetchScenesConfig",
    function="model_utils.fetching.scenes.fetch:fetch_scenes",
)
SIMULATE = Command(
    verb="simulate",
    summary="Writes the archive of a synthetic city, or of simulated haze over a real surface.",
    config="model_utils.simulation.config:SimulateConfig",
    function="model_utils.simulation.city:simulate",
    check="model_utils.cli.checks:check_simulate",
)
PREPARE = Command(
    verb="prepare",
    summary="Turns scenes and readings, tiles and their table, or files of the 2022 code into an archive.",
    config="model_utils.ingest.config:PrepareConfig",
    function="model_utils.ingest.prepare:prepare",
)
INSPECT = Command(
    verb="inspect",
    summary="Shows what an archive holds, or what scenes and readings hold before there is one.",
    config="model_utils.inspection.config:InspectConfig",
    function="model_utils.inspection.inspect:inspect",
    check="model_utils.cli.checks:check_inspect",
)
PRETRAIN = Command(
    verb="pretrain",
    summary="Pre-trains an image encoder on a city's tiles with contrastive learning.",
    config="model_utils.pretraining.config:PretrainConfig",
    function="model_utils.pretraining.run:pretrain",
    check="model_utils.cli.checks:check_pretrain",
)
SUPERVISE = Command(
    verb="supervise",
    summary="Fits a PM2.5 regression on station tiles and reports honest statistics.",
    config="model_utils.supervision.config:SuperviseConfig",
    function="model_utils.supervision.supervise:supervise",
    check="model_utils.cli.checks:check_supervise",
)
PAPER_EXPERIMENT = replace(SUPERVISE, defaults={"estimator": "paper"})
"""What the paper's scripts run."""
COMPARE = Command(
    verb="compare",
    summary="Puts every method and every reference to the same test, and says which differences are real.",
    config="model_utils.comparison.config:CompareConfig",
    function="model_utils.comparison.run:compare",
    check="model_utils.cli.checks:check_compare",
)
MAP = Command(
    verb="map",
    summary="Maps PM2.5 between the stations, with its uncertainty, from a fitted model.",
    config="model_utils.mapping.config:MapConfig",
    function="model_utils.mapping.run:make_map",
    check="model_utils.cli.checks:check_map",
)
PREDICT = Command(
    verb="predict",
    summary="Predicts PM2.5 at given coordinates, as the map has it there.",
    config="model_utils.mapping.config:PredictConfig",
    function="model_utils.mapping.points:predict",
    check="model_utils.cli.checks:check_predict",
)
CONVERT_WEIGHTS = Command(
    verb="convert-weights",
    summary="Writes encoder weights of the 2022 code as safetensors.",
    config="model_utils.features.convert_config:ConvertWeightsConfig",
    function="model_utils.features.convert_weights:convert_weights",
)
DEMO = Command(
    verb="demo",
    summary="The whole job on a small simulated Delhi: simulate, pre-train, supervise, map.",
    config="model_utils.demo:DemoConfig",
    function="model_utils.demo:demo",
)
VERBS = {
    command.verb: command
    for command in (
        *(CITY, FETCH_READINGS, FETCH_SCENES, FETCH_WEATHER, SIMULATE, PREPARE, INSPECT),
        *(PRETRAIN, SUPERVISE, COMPARE, MAP, PREDICT, CONVERT_WEIGHTS, DEMO),
    )
}
