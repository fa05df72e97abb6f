# SPDX-License-Identifier: MIT
"""The C library: its enumerations as Python's, its errors as exceptions, and the functions that it calls."""
from __future__ import annotations

import enum
from typing import Any, Callable

from ._vcpu import ffi, lib

__all__ = ["Channel", "StopReason", "What", "Cause", "Bus", "Engine", "Monitor", "Event", "Answer", "HookKind", "Error", "ffi", "lib"]


class Error(Exception):
    """A call of the library failed. The text is the library's."""


def text(s: Any) -> str:
    return ffi.string(s).decode("utf-8", "replace") if s else ""


def _enumeration(name: str, c: str, prefix: str, omit: tuple[str, ...] = ()) -> Any:
    values = ffi.typeof("enum " + c).relements
    members = {n[len(prefix):]: v for n, v in values.items() if n.startswith(prefix) and n[len(prefix):] not in omit}
    return enum.IntEnum(name, dict(sorted(members.items(), key=lambda item: item[1])), module="vcpu")


Channel = _enumeration("Channel", "vcpu_channel", "VCPU_", omit=("CHANNELS",))
StopReason = _enumeration("StopReason", "vcpu_stop_reason", "VCPU_STOP_")
What = _enumeration("What", "vcpu_debug_what", "VCPU_DEBUG_")
Cause = _enumeration("Cause", "vcpu_cause", "VCPU_CAUSE_")
Bus = _enumeration("Bus", "vcpu_bus", "VCPU_BUS_")
Engine = _enumeration("Engine", "vcpu_engine", "VCPU_ENGINE_")
Monitor = _enumeration("Monitor", "vcpu_monitor", "VCPU_MONITOR_")
Answer = _enumeration("Answer", "vcpu_hook_answer", "VCPU_HOOK_")
HookKind = enum.IntFlag("HookKind", {n[10:]: getattr(lib, n) for n in dir(lib) if n.startswith("VCPU_HOOK_")
                                     and n[10:] not in Answer.__members__}, module="vcpu")
Event = enum.IntFlag("Event", {n[11:]: getattr(lib, n) for n in dir(lib) if n.startswith("VCPU_EVENT_")}, module="vcpu")


class ErrorText:
    """A `char **error' for a call, and the exception from it."""

    def __init__(self) -> None:
        self.pointer = ffi.new("char **")

    def exception(self) -> Error:
        message = text(self.pointer[0]) or "out of memory"
        lib.free(self.pointer[0])
        self.pointer[0] = ffi.NULL
        return Error(message)


class Callbacks:
    """The Python functions that the library calls for a machine. An exception in one of them stops the machine; the call that runs
    the machine raises it."""

    def __init__(self) -> None:
        self.handle = ffi.new_handle(self)
        self.machine: Any = ffi.NULL
        self.raised: BaseException | None = None
        self.output: Callable[[Any, bytes], None] | None = None
        self.append: Callable[[bytes], Any] | None = None
        self.condition: Callable[[Any], bool] | None = None
        self.event: Callable[[Any], None] | None = None
        self.block: Callable[[int, int], None] | None = None
        self.progress: Callable[[], bool] | None = None

    def failed(self, exception: BaseException) -> None:
        self.raised = self.raised or exception
        lib.vcpu_stop(self.machine)

    def check(self) -> None:
        if self.raised is not None:
            raised, self.raised = self.raised, None
            raise raised


class DeviceCallbacks:
    """A device of the caller's, and the machine that it is in."""

    def __init__(self, device: Any, callbacks: Callbacks) -> None:
        self.device, self.callbacks = device, callbacks
        self.handle = ffi.new_handle(self)

    def failed(self, exception: BaseException) -> None:
        self.callbacks.failed(exception)



def _callback(result: Any = None) -> Any:
    def decorate(function: Callable[..., Any]) -> None:
        def called(user: Any, *arguments: Any) -> Any:
            owner = ffi.from_handle(user)
            try:
                return function(owner, *arguments)
            except BaseException as exception:  # it must not pass through C
                owner.failed(exception)
                return result

        ffi.def_extern(name=function.__name__)(called)
    return decorate


@_callback()
def vcpu_python_output(owner: Callbacks, channel: int, data: Any, size: int) -> None:
    if owner.output:
        owner.output(Channel(channel), bytes(ffi.buffer(data, size)))


@_callback(0)
def vcpu_python_read(owner: DeviceCallbacks, offset: int, size: int) -> int:
    return owner.device.read(offset, size) & (1 << 8 * size) - 1


@_callback()
def vcpu_python_write(owner: DeviceCallbacks, offset: int, size: int, value: int) -> None:
    owner.device.write(offset, size, value)


@_callback()
def vcpu_python_save(owner: DeviceCallbacks, state: Any) -> None:
    data = owner.device.save()
    if len(data) != owner.device.state_size:
        raise ValueError(f"save() returned {len(data)} bytes, and state_size is {owner.device.state_size}")
    ffi.memmove(state, data, len(data))


@_callback(False)
def vcpu_python_restore(owner: DeviceCallbacks, state: Any) -> bool:
    return owner.device.restore(bytes(ffi.buffer(state, owner.device.state_size))) is not False


@_callback(False)
def vcpu_python_append(owner: Callbacks, data: Any, size: int) -> bool:
    rest = bytes(ffi.buffer(data, size))
    while owner.append and rest:  # a raw file may take a part
        taken = owner.append(rest)
        rest = rest[taken:] if isinstance(taken, int) else b""
    return True


class Rows:
    """Collects the calls of a function that enumerates."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.handle = ffi.new_handle(self)

    def failed(self, exception: BaseException) -> None:
        raise exception


@_callback()
def vcpu_python_part(owner: Rows, part: Any, value: int) -> None:
    owner.rows.append((text(part), value))


@_callback()
def vcpu_python_field(owner: Rows, part: Any, field: Any, index: int, value: int) -> None:
    owner.rows.append((text(part), text(field), index, value))


@_callback()
def vcpu_python_translation(owner: Rows, t: Any) -> None:
    owner.rows.append((t.linear, t.physical, t.size, t.user, t.read, t.write, t.execute, getattr(t, "global")))


@_callback()
def vcpu_python_vm_field(owner: Rows, name: Any, number: int, value: int) -> None:
    owner.rows.append((text(name), number, value))


@_callback(False)
def vcpu_python_progress(owner: Callbacks) -> bool:
    return not owner.progress or owner.progress() is not False


@_callback(True)
def vcpu_python_condition(owner: Callbacks, stop: Any) -> bool:
    return not owner.condition or bool(owner.condition(stop[0]))


@_callback()
def vcpu_python_event(owner: Callbacks, event: Any) -> None:
    if owner.event:
        owner.event(event[0])


@_callback()
def vcpu_python_block(owner: Callbacks, address: int, size: int) -> None:
    if owner.block:
        owner.block(address, size)


@_callback(0)
def vcpu_python_hook(owner: Any, event: Any) -> int:
    return owner.called(event)
