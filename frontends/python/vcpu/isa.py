# SPDX-License-Identifier: MIT
"""The instruction table, and Popek and Goldberg's theorem."""
from __future__ import annotations

import types
from typing import Any, Iterator

from ._library import Monitor, ffi, lib, text


def rows() -> Iterator[Any]:
    """Every row of the table: an object with the members of struct vcpu_insn, texts and booleans."""
    names = [n for n, _ in ffi.typeof("struct vcpu_insn").fields]
    c = ffi.new("struct vcpu_insn *")
    number = 0
    while lib.vcpu_isa_row(number, c):
        members = {n: getattr(c, n) for n in names}
        yield types.SimpleNamespace(**{n: v if isinstance(v, bool) else text(v) for n, v in members.items()})
        number += 1


def row_class(cpu: str, row: int, monitor: Monitor = Monitor.CPL3, user: bool = False) -> str:
    """The class of a row on processor CPU: "innocuous", "privileged", "control" or "behaviour"; USER: of its execution at CPL 3 alone.
    An empty text: the processor does not have it."""
    c = lib.vcpu_isa_class(cpu.encode(), monitor, user, row)
    if not c:
        raise ValueError(f"no processor {cpu!r}, or no row {row}")
    return text(c)


def theorem(cpu: str, monitor: Monitor = Monitor.CPL3) -> list[int]:
    """The numbers of the rows that access system resources without a trap."""
    count = lib.vcpu_isa_theorem(cpu.encode(), monitor, ffi.NULL, 0)
    if count < 0:
        raise ValueError(f"no processor {cpu!r}")
    numbers = ffi.new("unsigned[]", max(count, 1))
    lib.vcpu_isa_theorem(cpu.encode(), monitor, numbers, count)
    return list(numbers[0:count])
