# SPDX-License-Identifier: MIT
"""A debugger for a machine, in both directions of time (vcpu_debug.h)."""
from __future__ import annotations

import dataclasses
from typing import Any, Callable

from ._library import Cause, ErrorText, Event, Rows, StopReason, What, ffi, lib, text
from .machine import Machine, Place, Stop, _FOREVER
from .replay import Replay


def _place(c: Any) -> Place:
    return Place(c.instructions, c.steps, c.ns)


@dataclasses.dataclass(frozen=True)
class DebugStop:
    """The reason why a call of the debugger returned, with the members of struct vcpu_debug_stop."""
    what: What
    machine: Stop
    id: int
    place: Place
    address: int
    rip: int
    size: int
    physical: bool
    write: bool
    device: bool
    when: Place
    event: Event
    value: int
    name: str
    cause: Cause

    @classmethod
    def _of(cls, c: Any) -> "DebugStop":
        return cls(What(c.what), Stop(StopReason(c.machine.reason), c.machine.code), c.id, _place(c.place), c.address, c.rip, c.size,
                   c.physical, c.write, c.device, _place(c.when), Event(c.event), c.value, text(c.name), Cause(c.cause))


@dataclasses.dataclass(frozen=True)
class TraceEvent:
    """An event of a trace, with the members of struct vcpu_debug_event."""
    kind: Event
    size: int
    processor: int
    instructions: int
    rip: int
    address: int
    value: int
    write: bool
    name: str
    cause: Cause

    @classmethod
    def _of(cls, c: Any) -> "TraceEvent":
        return cls(Event(c.kind), c.size, c.processor, c.instructions, c.rip, c.address, c.value, c.write, text(c.name), Cause(c.cause))


class Debugger:
    """Debug MACHINE. Run it only through the debugger, as long as there is one.

        debugger = vcpu.Debugger(machine)
        debugger.break_at(0x7c00)
        debugger.run()
        debugger.step_back()
    """

    def __init__(self, machine: Machine, *, memory: int = 0, interval: int = 0) -> None:
        self.machine = machine
        replay: Replay | None = getattr(machine, "_replay", None)
        error = ErrorText()
        self._d = lib.vcpu_debug_new(machine._v, replay._r if replay else ffi.NULL, error.pointer)
        if not self._d:
            raise error.exception()
        if memory or interval:
            lib.vcpu_debug_limits(self._d, memory or 512 << 20, interval or 16_000_000)

    def close(self) -> None:
        if self.machine._v:
            lib.vcpu_debug_free(self._d)
        self._d = ffi.NULL

    def __enter__(self) -> "Debugger":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _id(self, number: int) -> int:
        self.machine._check(number)
        return number

    def _stop(self, c: Any) -> DebugStop:
        self.machine._callbacks.check()
        if c.what == What.ERROR:
            raise self.machine._error()
        return DebugStop._of(c)

    # ---- stops ----

    def break_at(self, address: int, physical: bool = False) -> int:
        return self._id(lib.vcpu_debug_break(self._d, address, physical))

    def watch(self, address: int, size: int, *, read: bool = False, write: bool = True, physical: bool = False) -> int:
        return self._id(lib.vcpu_debug_watch(self._d, address, size, physical, read, write))

    def catch(self, kinds: Event, first: int = 0, last: int = _FOREVER, *, read: bool = True, write: bool = True,
              name: str | None = None) -> int:
        c_name = ffi.NULL if name is None else ffi.new("char[]", name.encode())
        return self._id(lib.vcpu_debug_catch(self._d, ffi.new("struct vcpu_debug_catch *", [0, kinds, first, last, read, write, c_name])))

    def delete(self, number: int) -> None:
        if lib.vcpu_debug_delete(self._d, number) < 0:
            raise KeyError(number)

    def condition(self, counts: Callable[[DebugStop], bool] | None) -> None:
        """COUNTS decides at each hit whether the run stops."""
        self.machine._callbacks.condition = counts and (lambda c: counts(DebugStop._of(c)))
        lib.vcpu_debug_condition(self._d, lib.vcpu_python_condition if counts else ffi.NULL, self.machine._callbacks.handle)

    def trace(self, kinds: Event | int, each: Callable[[TraceEvent], None] | None) -> None:
        """Call EACH for every event of KINDS during run(). It may read the machine. None ends it."""
        self.machine._callbacks.event = each and (lambda c: each(TraceEvent._of(c)))
        lib.vcpu_debug_trace(self._d, kinds if each else 0, lib.vcpu_python_event if each else ffi.NULL, self.machine._callbacks.handle)

    def coverage(self, built: Callable[[int, int], None] | None) -> None:
        """Call BUILT with the linear address and the size of each basic block that runs for the first time. None ends it."""
        self.machine._callbacks.block = built
        lib.vcpu_debug_coverage(self._d, lib.vcpu_python_block if built else ffi.NULL, self.machine._callbacks.handle)

    # ---- places ----

    def run(self, instructions: int = _FOREVER) -> DebugStop:
        return self._stop(lib.vcpu_debug_run(self._d, instructions))

    def run_back(self) -> DebugStop:
        return self._stop(lib.vcpu_debug_run_back(self._d))

    def step(self) -> DebugStop:
        return self._stop(lib.vcpu_debug_step(self._d))

    def step_back(self) -> DebugStop:
        return self._stop(lib.vcpu_debug_step_back(self._d))

    def seek(self, place: Place | int) -> DebugStop:
        instructions, steps, ns = place if isinstance(place, tuple) else Place(place)
        return self._stop(lib.vcpu_debug_seek(self._d, {"instructions": instructions, "steps": steps, "ns": ns}))

    def last_write(self, address: int, size: int) -> DebugStop:
        """Go back to the last write to SIZE bytes at physical ADDRESS."""
        return self._stop(lib.vcpu_debug_last_write(self._d, address, size))

    def last_set(self, register: str) -> DebugStop:
        """Go back to the last instruction that has set REGISTER."""
        number = lib.vcpu_register_by_name(register.encode())
        if number < 0:
            raise KeyError(register)
        return self._stop(lib.vcpu_debug_last_set(self._d, number))

    def last_event(self, kinds: Event, first: int = 0, last: int = _FOREVER) -> DebugStop:
        return self._stop(lib.vcpu_debug_last_event(self._d, kinds, first, last))

    @property
    def start(self) -> Place:
        return _place(lib.vcpu_debug_start(self._d))

    @property
    def end(self) -> Place:
        return _place(lib.vcpu_debug_end(self._d))

    # ---- the state ----

    def fields(self) -> dict[str, dict[str, int | list[int]]]:
        """Every field of every part of the state."""
        rows, out = Rows(), {}
        lib.vcpu_debug_fields(self._d, lib.vcpu_python_field, rows.handle)
        for part, field, index, value in rows.rows:
            values = out.setdefault(part, {})
            if index == 0:
                values[field] = value
            else:
                before = values[field]
                values[field] = [*before, value] if isinstance(before, list) else [before, value]
        return out

    def translate(self, linear: int) -> int | None:
        physical = ffi.new("uint64_t *")
        return physical[0] if lib.vcpu_debug_translate(self._d, linear, physical) else None
