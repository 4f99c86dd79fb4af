"""`pm25 <verb>`: finds the verb and hands over."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from model_utils.cli.verbs import VERBS


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb and returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if words == ["--version"]:
        from model_utils.configuration import package_version

        print(f"pm25 {package_version()}")
        return 0
    if words[0] not in VERBS:
        print(f"pm25: found verb {words[0]!r}, expected one of {', '.join(VERBS)}", file=sys.stderr)
        return 2
    from model_utils.cli.command import execute

    return execute(VERBS[words[0]], words[1:])


def _overview() -> str:
    lines = ["usage: pm25 <verb> [flags]      pm25 <verb> --help lists the flags of a verb      pm25 --version", ""]
    lines += [f"  {verb:<15} {command.summary}" for verb, command in VERBS.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
