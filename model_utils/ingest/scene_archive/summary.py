"""What an archive of scenes came to hold, counted while it is written, and said in lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_utils.archive.site_doubts import site_doubts
from model_utils.ingest.readings.flags import FLAGS
from model_utils.ingest.scene_archive.duplicates import pixel_digest, repeated_tiles
from model_utils.ingest.scene_archive.parts import Part
from model_utils.ingest.scenes.scene import Scene
from model_utils.ingest.weather.matching import WEATHER_COLUMNS

_OF_A_READING = ("site_id", "local_date", "latitude", "longitude", "pm25")
_REASONS = {
    "outside": "outside of the scene",
    "invalid": "with too few valid pixels",
    "cloudy": "with too much cloud",
}


class ArchiveSummary:
    """Takes the parts of an archive in their order, each set of tiles once, and counts.

    Attributes:
        entries: What `archive.json` keeps of each scene that was cut, by scene_id.
    """

    def __init__(self, byte_copies: Sequence[tuple[Scene, Scene]]) -> None:
        """Begins with the copies that were found before any pixel was read."""
        self.entries: dict[str, dict[str, Any]] = {}
        self._copies = [
            f"{copy.scene_id} ({copy.time_utc:%Y-%m-%d}) is byte for byte {original.scene_id} "
            f"({original.time_utc:%Y-%m-%d}): taken once, under {original.time_utc:%Y-%m-%d}"
            for copy, original in byte_copies
        ]
        self._byte_copies = {copy.scene_id for copy, _ in byte_copies}
        self._first: dict[str, str] = {}
        self._hashes: list[NDArray[np.uint64]] = []
        self._sites: dict[str, set[str]] = {"station": set(), "grid": set()}
        self._numbers: Counter[str] = Counter()
        self._flags: Counter[str] = Counter()
        self._weather = ""
        self._labelled: list[pd.DataFrame] = []

    def takes(self, part: Part) -> bool:
        """Notes a part; False where its tiles stay out: the scene is broken, or a copy of an earlier one."""
        self.entries[part.scene_id] = part.entry
        if "broken" in part.entry:
            return False
        digest = pixel_digest(part.hashes)
        original = self._first.setdefault(digest, part.scene_id) if digest else part.scene_id
        if original != part.scene_id:
            self.entries[part.scene_id] = {**part.entry, "tiles": 0, "copy_of": original}
            return False
        self._hashes.append(part.hashes)
        return True

    def count(self, rows: pd.DataFrame) -> None:
        """Counts rows as they are written."""
        stations = rows["site_kind"] == "station"
        self._sites["station"].update(rows.loc[stations, "site_id"])
        self._sites["grid"].update(rows.loc[~stations, "site_id"])
        self._numbers["tiles"] += len(rows)
        self._numbers["station tiles"] += int(stations.sum())
        if "pm25" in rows:
            self._numbers["labelled"] += int(rows["pm25"].notna().sum())
            self._labelled.append(rows.loc[rows["pm25"].notna(), list(_OF_A_READING)])
            self._flags.update({name: int(rows[f"flag_{name}"].sum()) for name in FLAGS if f"flag_{name}" in rows})

        name = next((name for name in WEATHER_COLUMNS if name in rows), None)  # the temperature comes first
        if name is not None:
            self._weather = name
            self._numbers.update(f"{kind} weather" for kind in rows.loc[rows[name].notna(), "site_kind"])

    @property
    def simulated(self) -> int:
        """How many scenes that gave tiles are simulated."""
        return sum(bool(entry.get("simulated")) for entry in self.entries.values() if entry["tiles"])

    @property
    def tiles(self) -> int:
        """How many tiles were taken."""
        return self._numbers["tiles"]

    def _broken(self) -> list[tuple[str, str]]:
        """Scenes that could not be read, and why."""
        return [(name, str(entry["broken"])) for name, entry in self.entries.items() if "broken" in entry]

    def left_out(self) -> Counter[str]:
        """How many places of how many scenes gave no tile, by reason."""
        total: Counter[str] = Counter()
        for entry in self.entries.values():
            total.update(entry["left_out"])
        return total

    def why_empty(self) -> str:
        """Why there is no tile at all, in one line."""
        reasons = [f"{count} {_REASONS[reason]}" for reason, count in sorted(self.left_out().items()) if count]
        reasons += [f"scene {name} cannot be read ({why})" for name, why in self._broken()[:1]]
        return f"none of {len(self.entries)} scenes gave a tile: {', '.join(reasons) or 'no sites'}"

    def lines(self) -> list[str]:
        """What a person should know."""
        given = [entry for entry in self.entries.values() if entry["tiles"]]
        times = sorted({entry["time_utc"] for entry in given})
        copies = [
            f"{name} ({entry['time_utc'][:10]}) shows the same pixels as {entry['copy_of']} "
            f"({self.entries[entry['copy_of']]['time_utc'][:10]}): taken once, under the earlier date"
            for name, entry in self.entries.items()
            if "copy_of" in entry and name not in self._byte_copies
        ]
        nothing = sum(not entry["tiles"] and not {"copy_of", "broken"} & set(entry) for entry in self.entries.values())
        lines = [
            f"scenes: {len(given)} gave tiles, {_shown(times[0])} to {_shown(times[-1])} ({len(times)} timestamps); "
            f"{nothing} gave none",
            *(f"warning: {line}" for line in (*self._copies, *copies)),
            *(f"warning: scene {name} was left out: {why}" for name, why in self._broken()),
            f"sites: {len(self._sites['station'])} stations, {len(self._sites['grid'])} grid cells",
        ]
        if self.simulated:
            lines.append(f"warning: the haze of {self.simulated} scenes is simulated, as their tags say")
        if repeated := repeated_tiles(self._hashes):
            lines.append(f"warning: {repeated} tiles show the same pixels as another scene's tile of the same site")
        reasons = ", ".join(f"{count} {_REASONS[reason]}" for reason, count in sorted(self.left_out().items()) if count)
        lines.append(f"tiles left out: {reasons or 'none'}")
        if self._flags or self._numbers["labelled"]:
            flags = ", ".join(f"{name} {count}" for name, count in self._flags.items() if count)
            lines.append(
                f"labels: {self._numbers['labelled']} of {self._numbers['station tiles']} station tiles have a PM2.5 "
                f"reading; flagged: {flags or 'none'}"
            )
        lines += site_doubts(pd.concat(self._labelled)) if self._labelled else []
        if self._weather:
            stations = self._numbers["station tiles"]
            of_kind = {"station": stations, "grid": self.tiles - stations}
            known = {kind: self._numbers[f"{kind} weather"] for kind in of_kind}
            shares = ", ".join(f"{known[kind]} of {count} {kind} tiles" for kind, count in of_kind.items() if count)
            lines.append(f"{'' if any(known.values()) else 'warning: '}weather: {self._weather} at {shares}")
        return lines


def _shown(time_utc: str) -> str:
    return f"{datetime.fromisoformat(time_utc):%Y-%m-%d %H:%M} UTC"
