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


@dataclasses.dataclass(frozen=True)
class Translation:
    """An entry of a TLB, with the members of struct vcpu_debug_translation."""
    linear: int
    physical: int
    size: int
    user: bool
    read: bool
    write: bool
    execute: bool
    global_: bool


@dataclasses.dataclass(frozen=True)
class Operand:
    """An operand of an instruction. `register' is None for memory, whose linear address is `value', and for an immediate, which is
    `value'; `first' and `size' are the bytes of the register, or of memory."""
    register: str | None
    first: int
    size: int
    value: int
    written: bool
    memory: bool


@dataclasses.dataclass(frozen=True)
class Instruction:
    """What an instruction reads and writes (struct vcpu_debug_instruction). `row' is its number in isa.rows()."""
    size: int
    row: int
    copies: bool
    repeated: bool
    operands: tuple[Operand, ...]


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
        if self.machine._pointer:
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

    def break_at_magic(self) -> int:
        """Stop before every XCHG BX,BX of 16 bits, the magic breakpoint of Bochs."""
        return self._id(lib.vcpu_debug_magic(self._d))

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

    def progress(self, on: Callable[[], bool] | None) -> None:
        """Call ON about every 16,000,000 instructions. False stops the run. None ends it."""
        self.machine._callbacks.progress = on
        lib.vcpu_debug_progress(self._d, lib.vcpu_python_progress if on else ffi.NULL, self.machine._callbacks.handle)

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

    def second_level(self, guest: int) -> int | None:
        """Where a guest-physical address is in the machine's memory, by EPT or nested paging. None: it is not mapped."""
        physical = ffi.new("uint64_t *")
        return physical[0] if lib.vcpu_debug_second_level(self._d, guest, physical) else None

    def timers(self) -> dict[str, int]:
        """The virtual time, in ns, of each device's next event, in order of time; all ones: it is not armed."""
        rows = Rows()
        lib.vcpu_debug_clock(self._d, lib.vcpu_python_part, rows.handle)
        return dict(rows.rows)

    def tlb(self) -> list[Translation]:
        """The translations in the TLB of the selected processor."""
        rows = Rows()
        lib.vcpu_debug_tlb(self._d, lib.vcpu_python_translation, rows.handle)
        return [Translation(*row) for row in rows.rows]

    def vmcs(self) -> dict[str, int] | None:
        """The fields of the current VMCS of the selected processor. None: there is none."""
        rows = Rows()
        return {n: v for n, _, v in rows.rows} if lib.vcpu_debug_vmcs(self._d, lib.vcpu_python_vm_field, rows.handle) else None

    def vmcb(self) -> dict[str, int] | None:
        """The same for the VMCB of the last VMRUN."""
        rows = Rows()
        return {n: v for n, _, v in rows.rows} if lib.vcpu_debug_vmcb(self._d, lib.vcpu_python_vm_field, rows.handle) else None

    def vm_entry(self) -> str | None:
        """The first check of a VM entry or VMRUN that fails: the field, its value and the rule. None: all checks come through."""
        c = ffi.new("struct vcpu_debug_check *")
        return f"{text(c.field)} = {c.value:#x} {text(c.rule)}" if lib.vcpu_debug_vmentry(self._d, c) else None

    def instruction(self) -> Instruction | None:
        """The next instruction of the selected processor. None: it cannot be read."""
        c = ffi.new("struct vcpu_debug_instruction *")
        if not lib.vcpu_debug_instruction(self._d, c):
            return None
        operands = [Operand(text(lib.vcpu_register_name(o.reg)) if o.reg >= 0 else None, o.first, o.size, o.value, o.written,
                            o.kind == lib.VCPU_OPERAND_MEMORY) for o in c.operands[0:c.count]]
        return Instruction(c.size, c.row, c.copies, c.repeated, tuple(operands))
