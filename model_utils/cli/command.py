"""How a verb becomes a command: a typed dataclass in, an exit code out."""

from __future__ import annotations

import json
import os
import re
import sys
from argparse import HelpFormatter
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

from model_utils.atomic import refusal
from model_utils.cli.config_file import config_files, read_config_file
from model_utils.cli.mistakes import reworded
from model_utils.errors import IncompleteError, InputError, flag

_LONGEST = 1000  # characters of a message
_BELOW_ZERO = re.compile(r"-[\d.]")
Presets = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Command:
    """One verb.

    Attributes:
        verb: Its name.
        summary: One line for the overview.
        config: 'module:Class' of the dataclass whose fields are the flags; the module imports fast.
        function: 'module:function' that takes the config; imported only when it runs.
        check: 'module:function' that takes the config and refuses, before the slow imports of `function`, what can be
            refused; or ''.
        defaults: Fields whose default is another than the config's; presets and flags win.
        first_word: The field whose value may stand first, without its flag; or ''.
    """

    verb: str
    summary: str
    config: str
    function: str
    check: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    first_word: str = ""


class OneLineParser(ArgumentParser):
    """A parser whose errors are one line with exit code 2, and whose help shows flags with hyphens."""

    def __init__(self, config_class: type[Any], **options: Any) -> None:
        super().__init__(**options)
        self.config_class = config_class

    def format_help(self, formatter: HelpFormatter | None = None) -> str:
        """Shows `--grid-km`; `--grid_km` works as well."""
        text: str = super().format_help(formatter) if formatter else super().format_help()
        text = re.sub(
            r"(--[a-z]+)_ ([A-Z]+)_( ?)", r"\1 \2\3\3\3", text
        )  # `from_`; a space more keeps columns straight
        return re.sub(r"--([a-z_]+)", lambda found: flag(found[1]), text)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Prints the message on one line of stderr and exits with code 2."""
        print(f"{self.prog}: {_one_line(reworded(str(message), self.config_class))}", file=sys.stderr)
        raise SystemExit(2)


def execute(
    command: Command, argv: Sequence[str], fixed: Mapping[str, Any] | None = None, prog: str | None = None
) -> int:
    """Parses the flags, runs the verb, and turns what happens into an exit code.

    Args:
        command: The verb.
        argv: Flags as typed.
        fixed: Fields that an experiment script sets; giving them another value is refused.
        prog: The name used in messages.

    Returns:
        0 done, 1 something could not be had from elsewhere, 2 wrong input or a file system that refuses, 130
        interrupted, 141 nobody reads the output any more (as of a process that SIGPIPE ended). A fault of ours
        propagates as an exception (exit code 1).
    """
    prog = prog or f"pm25 {command.verb}"
    config = None
    try:
        config = parse(command, argv, fixed or {}, prog)
        if command.check:
            load(command.check)(config)
        load(command.function)(config)
    except InputError as error:
        print(f"{prog}: {_one_line(str(error))}", file=sys.stderr)
        return 2
    except IncompleteError as error:
        print(f"{prog}: {_one_line(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        goes_on = ", and --resume goes on" if hasattr(config, "resume") else ""
        print(f"{prog}: interrupted; nothing is half-written{goes_on}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at its end
        return 141
    except OSError as error:
        if (said := refusal(error)) is None:
            raise
        print(f"{prog}: {_one_line(said)}", file=sys.stderr)
        return 2
    return 0


def parse(command: Command, argv: Sequence[str], fixed: Mapping[str, Any], prog: str) -> Any:
    """Builds the verb's config from preset, config file and flags, the later ones winning."""
    config_class = load(command.config)
    if command.first_word and argv and not argv[0].startswith("-"):
        argv = [f"--{command.first_word}={argv[0]}", *argv[1:]]
    argv = _plain_lists(
        _bare_switches(_values_below_zero([_with_underscores(word) for word in argv]), config_class), config_class
    )
    contents = [read_config_file(path, config_class) for path in config_files(argv)]
    parser = OneLineParser(config_class, prog=prog, description=command.summary)
    parser.add_argument("--config", action="config", help="YAML file with these keys; flags given after it win")
    parser.add_class_arguments(config_class)
    parser.set_defaults(dict(command.defaults))
    presets: Presets = getattr(config_class, "PRESETS", {})
    if presets:
        name = _chosen_preset(argv, contents) or _default(config_class, "preset")
        if name not in presets:
            parser.error(f"--preset: found {name!r}, expected one of {', '.join(presets)}")
        parser.set_defaults({**presets[name], "preset": name})
    parser.set_defaults(dict(fixed))
    values = parser.parse_args(argv)
    for key, value in fixed.items():
        if values[key] != value:
            raise InputError(
                f"{flag(key)}: found {values[key]!r}, but this script is the experiment with {key} {value!r}"
            )
    del values["config"]
    try:
        return config_class(**vars(values))
    except ValueError as error:  # a dataclass's own check in __post_init__
        raise InputError(str(error)) from None


def load(reference: str) -> Any:
    """Imports 'module:name'."""
    module, name = reference.split(":")
    return getattr(import_module(module), name)


def run_script(command: Command, **fixed: Any) -> NoReturn:
    """What an experiment script calls: runs the verb with the script's own fields set, and exits."""
    raise SystemExit(execute(command, sys.argv[1:], fixed, prog=Path(sys.argv[0]).name))


def _one_line(text: str) -> str:
    """A message on a line; what a damaged file put into its middle is left out where that is too long to read."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST * 3 // 4]} ... {line[-_LONGEST // 4 :]}"


def _with_underscores(word: str) -> str:
    """`--grid-km=3` becomes `--grid_km=3` and `--from` becomes `--from_`, as the fields are called."""
    flag, equals, value = word.partition("=")
    name = flag[2:].replace("-", "_")
    return f"--{name}{'_' * iskeyword(name)}{equals}{value}" if word.startswith("--") else word


def _values_below_zero(argv: Sequence[str]) -> list[str]:
    """`--box -33.9,18.3,-33.8,18.4` becomes one word: the parser would take the second one for a flag."""
    out: list[str] = []
    for word in argv:
        if _BELOW_ZERO.match(word) and out and out[-1].startswith("--") and "=" not in out[-1]:
            out[-1] += f"={word}"
        else:
            out.append(word)
    return out


def _bare_switches(argv: Sequence[str], config_class: type[Any]) -> list[str]:
    """Lets boolean flags stand alone: `--resume` means `--resume true`."""
    switches = {f"--{item.name}" for item in fields(config_class) if item.type in ("bool", bool)}
    out = []
    for position, word in enumerate(argv):
        following = argv[position + 1] if position + 1 < len(argv) else "--"
        alone = word in switches and following.lower() not in ("true", "false")
        out.append(f"{word}=true" if alone else word)
    return out


def _plain_lists(argv: Sequence[str], config_class: type[Any]) -> list[str]:
    """Lets lists be typed plainly: `--bands red,nir` means `--bands ["red", "nir"]`, and 3,2,1 are texts as well."""
    lists = {f"--{item.name}" for item in fields(config_class) if str(item.type).startswith("tuple[")}
    out: list[str] = []
    for word in argv:
        flag, equals, value = word.partition("=")
        if flag in lists and equals and not value.startswith("["):
            word = f"{flag}={json.dumps(value.split(','))}"
        elif out and out[-1] in lists and not word.startswith("["):
            word = json.dumps(word.split(","))
        out.append(word)
    return out


def _chosen_preset(argv: Sequence[str], contents: Sequence[Mapping[str, Any]]) -> str | None:
    """The preset named by a flag, else by a config file."""
    for position, word in enumerate(argv):
        if word.startswith("--preset="):
            return word.split("=", 1)[1]
        if word == "--preset" and position + 1 < len(argv):
            return argv[position + 1]
    return next((str(content["preset"]) for content in reversed(contents) if "preset" in content), None)


def _default(config_class: type[Any], name: str) -> Any:
    for item in fields(config_class):
        if item.name == name and item.default is not MISSING:
            return item.default
    raise TypeError(f"{config_class} has presets but no default for {name!r}")
