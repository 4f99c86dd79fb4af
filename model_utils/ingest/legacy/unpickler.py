"""Reads a pickled list without running anything, one item at a time.

A pickle is a program for a small stack machine, whose dangerous instructions import a name and call it. This machine
imports nothing and calls nothing: a name that the 2022 code had no use for is refused as soon as it is read, and a
call to one of the others is only written down (`Call`) for `values.py` to understand.

Instructions: https://github.com/python/cpython/blob/main/Lib/pickletools.py
"""

from __future__ import annotations

import pickletools
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from model_utils.errors import InputError
from model_utils.ingest.legacy.names import CALLED, CREATED, ROLES, SHARED, STATEFUL, Name

MAX_INSTRUCTIONS = 100_000
"""Instructions an item may take; a sample with thirty weather values takes about 500."""
MAX_ITEM_BYTES = 2**28
"""Bytes an item may hold: an image of 9000 x 9000 pixels and three bands."""
MAX_MEMO = 2**18
"""Small things that are remembered for later items; the ones not used for longest are forgotten first."""
_MAX_LINE = 256
_MAX_DEPTH = 64
_NO_STATE = object()
_HANDED_OUT = object()


@dataclass(slots=True, eq=False)
class Call:
    """A call or a new object that the pickle asks for: its role, its arguments, and the state it is given."""

    role: str
    arguments: tuple[Any, ...]
    state: Any = _NO_STATE

    @property
    def has_state(self) -> bool:
        """Whether a state was given."""
        return self.state is not _NO_STATE


@dataclass(slots=True, eq=False)
class _Stream:
    """The list of items, or one of its groups: what is appended is handed out, not kept."""

    holds: str = "nothing"


class ItemReader:
    """The dicts in a pickled list, or in a pickled list of lists, in order.

    Each is handed out as soon as the next one begins, and forgotten with all that is large in it. Values are None,
    bool, int, float, str, bytes, tuple, list, dict, `Name` and `Call`; they may share parts, so walk them with care.

    Args:
        file: Open for reading in binary.
        path: Its name, for messages.
    """

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file, self._path = file, path
        self._size = path.stat().st_size
        self._position = 0
        self._stack: list[Any] = []
        self._frames: list[list[Any]] = []
        self._memo: OrderedDict[int, Any] = OrderedDict()
        self._next_memo = 0
        self._recent: list[int] = []
        self._ready: list[dict[str, Any]] = []
        self._instructions = self._payload = 0
        self._stopped = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while not self._stopped:
            start = self._position
            code = self._read(1)[0]
            handler = _HANDLERS.get(code)
            if handler is None:
                name = next((f"the instruction {op.name}" for op in pickletools.opcodes if ord(op.code) == code), "")
                raise self._error(f"found {name or f'the byte {code}'}", start)
            self._instructions += 1
            if self._instructions > MAX_INSTRUCTIONS:
                raise self._error(f"one item takes more than {MAX_INSTRUCTIONS} instructions", start)
            try:
                handler(self)
            except (IndexError, ValueError) as error:
                if isinstance(error, InputError):
                    raise
                raise self._error(f"broken ({' '.join(str(error).split())[:80]})", start) from None
            while self._ready:
                yield self._ready.pop(0)
        if self._position != self._size:
            raise self._error("more follows behind the end of the list", self._position)

    def _error(self, what: str, position: int | None = None) -> InputError:
        position = self._position if position is None else position
        return InputError(
            f"{self._path}: byte {position}: {what}, expected a list of samples as the 2022 code wrote it"
        )

    # Bytes: never more than the file holds, so that a length that is not true costs nothing.

    def _read(self, count: int) -> bytes:
        if count > self._size - self._position:
            raise self._error(f"ends early: {count} bytes are due, {self._size - self._position} are left")
        data = self._file.read(count)
        self._position += len(data)
        return data

    def _line(self, limit: int = _MAX_LINE) -> bytes:
        line = self._file.readline(limit)
        self._position += len(line)
        if not line.endswith(b"\n"):
            raise self._error(f"found no end of a line within {limit} bytes")
        return line[:-1]

    def _block(self, width: int) -> bytes:
        count = int.from_bytes(self._read(width), "little")
        self._payload += count
        if self._payload > MAX_ITEM_BYTES:
            raise self._error(f"one item claims {self._payload} bytes, more than {MAX_ITEM_BYTES}")
        return self._read(count)

    # The stack and the memo

    def _push(self, value: Any) -> None:
        if not self._stack and not self._frames and type(value) is not _Stream:
            raise self._error(f"begins with {_kind(value)}")
        self._stack.append(value)

    def _pop(self) -> Any:
        value = self._stack.pop()
        if type(value) is _Stream:
            raise self._error("found the list of samples inside of something else")
        return value

    def _marked(self) -> list[Any]:
        """The values since the last mark."""
        values, self._stack = self._stack, self._frames.pop()
        return values

    def _mark(self) -> None:
        if len(self._frames) >= _MAX_DEPTH:
            raise self._error(f"nested more than {_MAX_DEPTH} deep")
        self._frames.append(self._stack)
        self._stack = []

    def _remember(self, key: int) -> None:
        if key < self._next_memo:
            raise self._error(f"memo entry {key} is written twice")
        self._next_memo = key + 1
        value = self._stack[-1]
        if type(value) is not _Stream:
            self._memo[key] = value
            self._recent.append(key)

    def _recall(self, key: int) -> None:
        if key not in self._memo:
            gone = "was part of an earlier sample and is no longer there" if key < self._next_memo else "does not exist"
            raise self._error(f"memo entry {key} {gone}")
        self._memo.move_to_end(key)
        self._push(self._memo[key])

    # Items

    def _hand_out(self, item: dict[str, Any]) -> None:
        for key in self._recent:
            if not _is_shared(self._memo[key]):
                del self._memo[key]
        self._recent.clear()
        while len(self._memo) > MAX_MEMO:
            self._memo.popitem(last=False)
        self._instructions = self._payload = 0
        self._ready.append(item)

    def _new_list(self) -> None:
        below = self._stack or (self._frames[-1] if self._frames else [])
        inside = not below or type(below[-1]) is _Stream
        self._push(_Stream() if inside else [])

    def _new_dict(self) -> None:
        begins_an_item = self._frames and self._frames[-1] and type(self._frames[-1][-1]) is _Stream
        if begins_an_item and self._stack and type(self._stack[-1]) is dict:
            self._hand_out(self._stack[-1])
            self._stack[-1] = _HANDED_OUT
        self._push({})

    def _filled_list(self) -> None:
        values = self._marked()
        self._new_list()
        self._extend(values)

    def _filled_dict(self) -> None:
        values = self._marked()
        self._new_dict()
        self._set_items(values)

    def _extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is list:
            if any(type(value) is _Stream for value in values):
                raise self._error("found the list of samples inside of something else")
            target.extend(values)
            return
        if type(target) is not _Stream:
            raise self._error(f"appends to {_kind(target)}")
        for value in values:
            group = type(value) is _Stream
            if not (group or type(value) is dict or value is _HANDED_OUT):
                raise self._error(f"found {_kind(value)} in the list of samples")
            if group and value.holds == "groups":
                raise self._error("found a list of lists of lists")
            holds = "groups" if group else "samples"
            if target.holds not in ("nothing", holds):
                raise self._error("found samples and lists of samples in one list")
            target.holds = holds
            if type(value) is dict:
                self._hand_out(value)

    def _set_items(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not dict or len(values) % 2:
            raise self._error(f"sets keys of {_kind(target)}")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if type(key) is not str:
                raise self._error(f"found {_kind(key)} as a key")
            if type(value) is _Stream:
                raise self._error("found the list of samples inside of something else")
            target[key] = value

    def _tuple(self, count: int | None) -> None:
        values = self._marked() if count is None else [self._pop() for _ in range(count)][::-1]
        if any(type(value) is _Stream for value in values):
            raise self._error("found the list of samples inside of something else")
        self._push(tuple(values))

    # Names and calls

    def _name(self, module: str, name: str) -> None:
        role = ROLES.get((module, name))
        if role is None:
            asked = ascii(f"{module}.{name}")[1:-1][:100]
            raise InputError(
                f"{self._path}: byte {self._position}: refers to {asked}, which no file of the 2022 code needs; "
                "refused, and nothing of it was run"
            )
        self._push(Name(module, name, role))

    def _stack_name(self) -> None:
        name, module = self._pop(), self._pop()
        if type(name) is not str or type(module) is not str:
            raise self._error("found a name that is no text")
        self._name(module, name)

    def _inst(self) -> None:
        self._name(*(self._line().decode() for _ in range(2)))
        raise self._error("found the instruction INST")

    def _call(self, roles: set[str]) -> None:
        arguments, function = self._pop(), self._pop()
        if type(function) is not Name or type(arguments) is not tuple or function.role not in roles:
            raise self._error(f"calls {_kind(function)} with {_kind(arguments)}")
        role = function.role
        if role == "reconstructor":  # protocols 0 and 1: (class, object, None)
            role, arguments = self._reconstructed(arguments), ()
        self._push(Call(role, arguments))

    def _reconstructed(self, arguments: tuple[Any, ...]) -> str:
        if len(arguments) == 3 and type(arguments[0]) is Name and type(arguments[1]) is Name and arguments[2] is None:
            created: str = arguments[0].role
            if created in CREATED and arguments[1].role == "object":
                return created
        raise self._error("copyreg._reconstructor is asked for something else than a Series")

    def _build(self) -> None:
        state, target = self._pop(), self._stack[-1]
        if type(target) is not Call or target.role not in STATEFUL or target.has_state:
            raise self._error(f"gives a state to {_kind(target)}")
        target.state = state

    def _stop(self) -> None:
        if self._frames or len(self._stack) != 1:
            raise self._error("ends in the middle")
        self._stopped = True


def _kind(value: Any) -> str:
    """What a value is, without showing it: its parts may be shared a billion times."""
    if value is _HANDED_OUT:
        return "a sample"
    if isinstance(value, Name):
        return f"{value.module}.{value.name}"
    return f"a {value.role}" if isinstance(value, Call) else f"a {type(value).__name__.strip('_').lower()}"


def _is_shared(value: Any) -> bool:
    """Whether a value of one sample may come again in another: small things only."""
    if isinstance(value, Call):
        if value.role == "array":  # the labels of an Index are one array for all rows of a table
            content = value.state[4] if isinstance(value.state, tuple) and len(value.state) == 5 else b""
            return isinstance(content, list) or _is_shared(content)
        # before protocol 3 bytes are calls too: _codecs.encode(text, "latin1")
        return value.role in SHARED and (value.role != "encode" or all(map(_is_shared, value.arguments)))
    if isinstance(value, str | bytes):
        return len(value) <= 256
    if isinstance(value, list):  # pandas' list of attribute names is one object for all Series
        return len(value) <= 4 and all(type(entry) is str and len(entry) <= 64 for entry in value)
    return isinstance(value, Name | int | float)


def _integer(reader: ItemReader) -> int | bool:
    line = reader._line(32)
    return line == b"01" if line in (b"00", b"01") else int(line)


def _long(reader: ItemReader) -> int:
    count = reader._read(1)[0]
    if count > 16:
        raise reader._error(f"found a whole number of {count} bytes")
    return int.from_bytes(reader._read(count), "little", signed=True)


def _unpacked(form: str) -> Callable[[ItemReader], Any]:
    width = struct.calcsize(form)
    return lambda reader: struct.unpack(form, reader._read(width))[0]


def _text(width: int) -> Callable[[ItemReader], str]:
    return lambda reader: reader._block(width).decode("utf-8", "surrogatepass")


def _escaped_text(reader: ItemReader) -> str:
    line = reader._line(MAX_ITEM_BYTES - reader._payload)
    reader._payload += len(line)
    return line.decode("raw-unicode-escape")


_VALUES: dict[str, Callable[[ItemReader], Any]] = {
    "NONE": lambda reader: None,
    "NEWTRUE": lambda reader: True,
    "NEWFALSE": lambda reader: False,
    "INT": _integer,
    "BININT": _unpacked("<i"),
    "BININT1": _unpacked("<B"),
    "BININT2": _unpacked("<H"),
    "LONG": lambda reader: int(reader._line(32).rstrip(b"L")),
    "LONG1": _long,
    "FLOAT": lambda reader: float(reader._line()),
    "BINFLOAT": _unpacked(">d"),
    "UNICODE": _escaped_text,
    "SHORT_BINUNICODE": _text(1),
    "BINUNICODE": _text(4),
    "BINUNICODE8": _text(8),
    "SHORT_BINBYTES": lambda reader: reader._block(1),
    "BINBYTES": lambda reader: reader._block(4),
    "BINBYTES8": lambda reader: reader._block(8),
    "BYTEARRAY8": lambda reader: reader._block(8),
    "EMPTY_TUPLE": lambda reader: (),
}
_ACTIONS: dict[str, Callable[[ItemReader], Any]] = {
    "PROTO": lambda reader: reader._read(1),
    "FRAME": lambda reader: reader._read(8),  # frames only help a reader that buffers; ours has no use for them
    "MARK": ItemReader._mark,
    "STOP": ItemReader._stop,
    "EMPTY_LIST": ItemReader._new_list,
    "EMPTY_DICT": ItemReader._new_dict,
    "LIST": ItemReader._filled_list,
    "DICT": ItemReader._filled_dict,
    "APPEND": lambda reader: reader._extend([reader._stack.pop()]),
    "APPENDS": lambda reader: reader._extend(reader._marked()),
    "SETITEM": lambda reader: reader._set_items([reader._stack.pop(), reader._stack.pop()][::-1]),
    "SETITEMS": lambda reader: reader._set_items(reader._marked()),
    "TUPLE": lambda reader: reader._tuple(None),
    "TUPLE1": lambda reader: reader._tuple(1),
    "TUPLE2": lambda reader: reader._tuple(2),
    "TUPLE3": lambda reader: reader._tuple(3),
    "PUT": lambda reader: reader._remember(int(reader._line(32))),
    "BINPUT": lambda reader: reader._remember(reader._read(1)[0]),
    "LONG_BINPUT": lambda reader: reader._remember(int.from_bytes(reader._read(4), "little")),
    "MEMOIZE": lambda reader: reader._remember(reader._next_memo),
    "GET": lambda reader: reader._recall(int(reader._line(32))),
    "BINGET": lambda reader: reader._recall(reader._read(1)[0]),
    "LONG_BINGET": lambda reader: reader._recall(int.from_bytes(reader._read(4), "little")),
    "GLOBAL": lambda reader: reader._name(*(reader._line().decode() for _ in range(2))),
    "STACK_GLOBAL": ItemReader._stack_name,
    "INST": ItemReader._inst,
    "REDUCE": lambda reader: reader._call(CALLED),
    "NEWOBJ": lambda reader: reader._call(CREATED),
    "BUILD": ItemReader._build,
}


def _pushing(read: Callable[[ItemReader], Any]) -> Callable[[ItemReader], None]:
    return lambda reader: reader._push(read(reader))


_HANDLERS: dict[int, Callable[[ItemReader], None]] = {
    ord(opcode.code): _pushing(_VALUES[opcode.name]) if opcode.name in _VALUES else _ACTIONS[opcode.name]
    for opcode in pickletools.opcodes
    if opcode.name in _VALUES or opcode.name in _ACTIONS
}
