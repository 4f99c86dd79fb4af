from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from processor_time import least_seconds

from model_utils.cli import command as command_module
from model_utils.cli.command import execute, load, parse
from model_utils.cli.main import main
from model_utils.cli.verbs import PREPARE, PRETRAIN, VERBS
from model_utils.errors import InputError
from model_utils.errors import flag as as_typed

ROOT = Path(__file__).resolve().parents[1]
REQUIRED: dict[str, list[str]] = {
    "city": ["--name", "Lucknow", "--box", "26.7,80.8,27.0,81.1"],
    "fetch readings": ["--city", "Delhi", "--from", "2019-01-01", "--to", "2019-01-31"],
    "fetch scenes": ["--city", "Delhi", "--from", "2019-01-01", "--to", "2019-01-31"],
    "fetch weather": ["--city", "Delhi", "--from", "2019-01-01", "--to", "2019-01-31"],
    "simulate": ["--city", "Delhi"],
    "prepare": ["--city", "Delhi", "--scenes", "scenes", "--gsd", "3"],
    "inspect": ["--city", "Delhi"],
    "pretrain": ["--city", "Delhi", "--method", "SimCLR", "--pairs", "regular"],
    "supervise": ["--city", "Delhi", "--start", "randomly_initialized"],
    "compare": ["--city", "Delhi"],
    "map": ["--city", "Delhi", "--model", "model"],
    "predict": ["--city", "Delhi", "--model", "model", "--points", "points.csv", "--out", "said.csv"],
    "convert-weights": ["--weights", "a.pkl", "--output", "b.safetensors"],
    "demo": [],
}
WITH_WHICH_ALL_FLAGS_GO = {
    "prepare": ["--readings", "readings"],
    "supervise": ["--estimator", "paper"],
    "map": ["--scenes", "scenes"],
    "predict": ["--scenes", "scenes"],
}
EACH_VERB = pytest.mark.parametrize("verb", VERBS)
HEAVY = {"torch", "torchvision", "pytorch_lightning", "timm", "pandas", "pyarrow", "matplotlib", "sklearn", "rasterio"}
HEAVY |= {"requests", "urllib3", "timezonefinder", "cdsapi"}  # the extra, which need not be there


def error_line(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Runs the command line; it must end with code 2, say nothing on stdout and one line on stderr."""
    try:
        code: object = main(argv)
    except SystemExit as exit_:
        code = exit_.code
    said = capsys.readouterr()
    assert code == 2
    assert said.out == ""
    assert said.err.endswith("\n")
    assert said.err.count("\n") == 1
    return said.err


def pretrain(*argv: str, fixed: dict[str, Any] | None = None) -> Any:
    return parse(PRETRAIN, [*REQUIRED["pretrain"], *argv], fixed or {}, "pm25 pretrain")


def write(path: Path, **content: Any) -> str:
    path.write_text(yaml.safe_dump(content))
    return str(path)


def companions(verb: str, name: str) -> list[str]:
    """The flags that another one needs beside it."""
    if verb == "inspect" and name in ("skip_broken", "full_scale"):
        return ["--scenes", "scenes"]
    return WITH_WHICH_ALL_FLAGS_GO.get(verb, [])


def test_every_verb_has_its_line_here() -> None:
    assert set(REQUIRED) == set(VERBS)


# finding the verb


def test_overview_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in ([], ["--help"], ["-h"]):
        assert main(argv) == 0
        said = capsys.readouterr().out
        assert all(f"  {verb} " in said and command.summary in said for verb, command in VERBS.items())


def test_unknown_verb_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert error_line(["pretrian"], capsys) == (f"pm25: found verb 'pretrian', expected one of {', '.join(VERBS)}\n")


# flags that are wrong


@EACH_VERB
def test_unknown_flag_is_one_line(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = error_line([verb, *REQUIRED[verb], "--ctiy", "Delhi"], capsys)
    assert line.startswith(f"pm25 {verb}: ")
    assert "--ctiy" in line


@EACH_VERB
def test_stray_word_is_one_line(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "stray" in error_line([verb, *REQUIRED[verb], "stray"], capsys)


@EACH_VERB
def test_unknown_key_in_config_is_one_line(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = error_line([verb, *REQUIRED[verb], "--config", write(tmp_path / "c.yaml", ctiy="Delhi")], capsys)
    assert "ctiy" in line


@pytest.mark.parametrize(("verb", "missing"), [(verb, flag) for verb, argv in REQUIRED.items() for flag in argv[::2]])
def test_missing_flag_is_named(verb: str, missing: str, capsys: pytest.CaptureFixture[str]) -> None:
    argv = list(REQUIRED[verb])
    position = argv.index(missing)
    del argv[position : position + 2]
    assert missing.lstrip("-") in error_line([verb, *argv], capsys)


@EACH_VERB
def test_wrong_type_is_named(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    kinds = {"int", "float", "bool", "int | None", "float | None"}
    flags = [item.name for item in fields(load(VERBS[verb].config)) if item.type in kinds]
    assert flags
    for name in flags:
        line = error_line([verb, *REQUIRED[verb], f"--{name}=many"], capsys)
        assert f"--{name.replace('_', '-')}: found many, expected " in line


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--method", "MoCo"], ["method", "MoCo", "SimCLR"]),
        (["--preset", "huge"], ["--preset", "huge", "paper, demo, smoke"]),
        (["--epochs", "0"], ["--epochs", "0", "at least 1"]),
        (["--epochs", "2.5"], ["epochs", "2.5"]),
        (["--epochs"], ["--epochs"]),
        (["--config", "nowhere.yaml"], ["config", "nowhere.yaml"]),
    ],
)
def test_wrong_value_is_named(argv: list[str], words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    line = error_line(["pretrain", *REQUIRED["pretrain"], *argv], capsys)
    assert all(word in line for word in words)


@given(content=st.binary(max_size=40) | st.text("[]{}:-&*!'\" ab\n", max_size=30).map(str.encode))
@example(content=b"day: 2020-13-45")
@example(content=b"[" * 5000)
@example(content=b"city: \xff")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_as_config_are_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    # without the required flags: nothing random can make these arguments whole
    error_line(["pretrain", "--config", str(path)], capsys)


# what wins over what


def test_preset_then_config_then_flag(tmp_path: Path) -> None:
    config = write(tmp_path / "c.yaml", epochs=7, crop_size=48)
    assert pretrain().epochs == 250
    assert pretrain("--preset", "smoke").epochs == 2
    both = pretrain("--preset", "smoke", "--config", config)
    assert (both.epochs, both.crop_size, both.encoder, both.preset) == (7, 48, "test_resnet", "smoke")
    assert pretrain("--config", config, "--preset=smoke") == both  # a preset is the ground wherever it is written
    all_three = pretrain("--preset", "smoke", "--config", config, "--epochs", "3")
    assert (all_three.epochs, all_three.crop_size, all_three.encoder) == (3, 48, "test_resnet")


def test_config_file_can_choose_the_preset_and_a_flag_another(tmp_path: Path) -> None:
    config = write(tmp_path / "c.yaml", preset="demo", epochs=7)
    assert (pretrain("--config", config).encoder, pretrain("--config", config).epochs) == ("resnet18", 7)
    changed = pretrain("--config", config, "--preset", "smoke")
    assert (changed.preset, changed.encoder, changed.epochs) == ("smoke", "test_resnet", 7)


def test_required_keys_can_come_from_the_config(tmp_path: Path) -> None:
    config = write(tmp_path / "c.yaml", city="Delhi", method="SimCLR", pairs="regular")
    assert parse(PRETRAIN, ["--config", config], {}, "pm25 pretrain") == pretrain()


def test_an_experiment_script_fixes_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    fixed = {"city": "Delhi", "method": "SimSiam", "pairs": "regular"}
    config = parse(PRETRAIN, ["--epochs", "3"], fixed, "script.py")
    assert (config.city, config.method, config.epochs) == ("Delhi", "SimSiam", 3)
    assert parse(PRETRAIN, ["--method", "SimSiam"], fixed, "script.py").method == "SimSiam"
    assert execute(PRETRAIN, ["--method", "SimCLR"], fixed, "script.py") == 2
    error = capsys.readouterr().err
    assert error == "script.py: --method: found 'SimCLR', but this script is the experiment with method 'SimSiam'\n"


# how flags may be written


@EACH_VERB
def test_switches_stand_alone_or_take_a_word(verb: str) -> None:
    names = [item.name for item in fields(load(VERBS[verb].config)) if item.type == "bool"]
    for name in names:
        for words, value in {
            (f"--{name}",): True,
            (f"--{name}", "true"): True,
            (f"--{name}", "false"): False,
            (f"--{name}=false",): False,
        }.items():
            required = [*REQUIRED[verb], *companions(verb, name)]
            for argv in ([*required, *words], [*words, *required]):
                assert getattr(parse(VERBS[verb], argv, {}, "pm25"), name) is value


@EACH_VERB
def test_hyphen_and_underscore_are_the_same(verb: str) -> None:
    config_class = load(VERBS[verb].config)
    plain = {"int": "8", "float": "0.5", "float | None": "0.5", "int | None": "8", "bool": "true"}
    names = [item.name for item in fields(config_class) if "_" in item.name and item.type in plain]
    for name in names:
        required = [*REQUIRED[verb], *companions(verb, name)]
        value = plain[next(str(item.type) for item in fields(config_class) if item.name == name)]
        spelled = [f"--{name}", f"--{name.replace('_', '-')}"]
        both = [parse(VERBS[verb], [*required, flag, value], {}, "pm25") for flag in spelled]
        both += [parse(VERBS[verb], [*required, f"{flag}={value}"], {}, "pm25") for flag in spelled]
        assert all(config == both[0] for config in both)
        assert str(getattr(both[0], name)).lower() in (value, f"{value}.0")


def test_a_value_with_hyphens_is_left_alone() -> None:
    assert str(pretrain("--root=a--b-c/d").root) == "a--b-c/d"
    config = parse(PREPARE, [*REQUIRED["prepare"], "--licence", "CC-BY-SA-4.0"], {}, "pm25")
    assert config.licence == "CC-BY-SA-4.0"


def test_list_is_written_in_brackets() -> None:
    config = parse(PREPARE, [*REQUIRED["prepare"], "--bands", "[red, green, blue, nir]"], {}, "pm25")
    assert config.bands == ("red", "green", "blue", "nir")


@EACH_VERB
def test_printed_config_parses_back(verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    presets = getattr(load(VERBS[verb].config), "PRESETS", {})
    for extra in [[], *[["--preset", name] for name in presets]]:
        argv = [*REQUIRED[verb], *extra]
        for spelling in ("--print_config", "--print-config"):
            with pytest.raises(SystemExit) as exit_:
                main([verb, *argv, spelling])
            assert exit_.value.code == 0
        printed = capsys.readouterr().out
        (tmp_path / "printed.yaml").write_text(printed[: len(printed) // 2])
        again = parse(VERBS[verb], ["--config", str(tmp_path / "printed.yaml")], {}, "pm25")
        assert again == parse(VERBS[verb], argv, {}, "pm25")


# what becomes of what happens


def run_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    def function(_: object) -> None:
        raise error

    config_class = load(PRETRAIN.config)
    monkeypatch.setattr(
        command_module, "load", lambda reference: config_class if reference == PRETRAIN.config else function
    )
    return execute(PRETRAIN, REQUIRED["pretrain"])


def test_input_error_is_one_line_and_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_with(monkeypatch, InputError("file:\nrow 3 is wrong")) == 2
    assert capsys.readouterr().err == "pm25 pretrain: file: row 3 is wrong\n"


def test_ctrl_c_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_with(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "pm25 pretrain: interrupted; nothing is half-written, and --resume goes on\n"


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        run_with(monkeypatch, ZeroDivisionError())


# help


@EACH_VERB
def test_help_explains_every_flag_and_imports_nothing_heavy(verb: str) -> None:
    environment = {**os.environ, "COLUMNS": "200"}
    arguments = [sys.executable, "-X", "importtime", "-m", "model_utils.cli.main", verb, "--help"]
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT, env=environment, check=True)
    imported = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "model_utils" in imported
    assert not imported & HEAVY
    shown = " ".join(done.stdout.split())
    config_class = load(VERBS[verb].config)
    assert shown.count("(required, ") == sum(item.default is MISSING for item in fields(config_class))
    for item in fields(config_class):
        assert f"{as_typed(item.name)} " in shown
    explanations = [line for line in config_class.__doc__.splitlines() if line.startswith("        ")]
    for explanation in explanations:
        assert explanation.strip().partition(": ")[2].split("; ")[0].rstrip(".") in shown


@EACH_VERB
def test_help_answers_in_half_a_second(verb: str) -> None:
    seconds, _ = least_seconds([Path(sys.executable).with_name("pm25"), verb, "--help"], enough=0.5)
    assert 0 < seconds < 0.5


@pytest.mark.parametrize(
    "words", [["--bands", "red,nir"], ["--bands=red,nir"], ["--bands", "[red, nir]"], ['--bands=["red", "nir"]']]
)
def test_lists_may_be_typed_plainly(words: list[str]) -> None:
    config = parse(VERBS["simulate"], ["--city", "Delhi", *words, "--days", "3"], {}, "pm25 simulate")
    assert config.bands == ("red", "nir")
    assert config.days == 3
