# SPDX-License-Identifier: MIT
"""Hooks: Python functions that a machine calls at instructions, accesses and events (vcpu_hook.h)."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from ._library import Answer, HookKind, ffi, lib, text

if TYPE_CHECKING:
    from .machine import Machine


class HookEvent:
    """What a hook is called for: the members of struct vcpu_hook_event. `value' can be set, and so can the bytes of `data'."""

    def __init__(self, machine: "Machine", c: Any) -> None:
        self.machine, self._c = machine, c

    @property
    def kind(self) -> HookKind:
        return HookKind(self._c.kind)

    @property
    def name(self) -> str:
        return text(self._c.name)

    @property
    def value(self) -> int:
        return self._c.value

    @value.setter
    def value(self, value: int) -> None:
        self._c.value = value & (1 << 64) - 1

    @property
    def data(self) -> memoryview:
        """The bytes of an access, valid during the call."""
        return memoryview(ffi.buffer(self._c.data, self._c.size)).cast("B")

    def __getattr__(self, name: str) -> Any:
        if name not in ("size", "address", "physical", "from_", "write", "after", "taken", "device", "denied", "cause"):
            raise AttributeError(name)
        return getattr(self._c, "from" if name == "from_" else name)

    def __repr__(self) -> str:
        return f"HookEvent({self.kind!r}, address={self.address:#x}, value={self.value:#x})"


class Hook:
    """A hook of a machine. It is removed by remove(), or at the end of a `with'.

    `map' is the buffer of a hook that counts: bytes, which can be written (map[:] = bytes(len(map)) begins anew), and which numpy takes
    without a copy: numpy.frombuffer(hook.map, "u1"). None: the hook has a function."""

    def __init__(self, machine: "Machine", kinds: HookKind, call: Callable[[HookEvent], Answer | None] | None = None, first: int = 0,
                 last: int = 0, *, physical: bool = False, after: bool = False, observer: bool = False, instruction: str | None = None,
                 map: Any = None) -> None:
        if (call is None) == (map is None):
            raise TypeError("a hook has a function or a map")
        self.machine, self._call = machine, call
        self._handle = ffi.new_handle(self)
        self.map: memoryview | None = None
        mnemonic = ffi.NULL if instruction is None else ffi.new("char[]", instruction.encode())
        c = ffi.new("struct vcpu_hook *", {"kinds": kinds, "first": first, "last": last or first, "physical": physical, "after": after,
                                           "observer": observer, "instruction": mnemonic})
        if call is not None:
            c.call, c.user = lib.vcpu_python_hook, self._handle
        else:
            self.map = memoryview(bytearray(map) if isinstance(map, int) else map).cast("B")
            self._bytes = ffi.from_buffer("uint8_t[]", self.map, require_writable=True)
            c.observer, c.map, c.map_size = True, self._bytes, len(self._bytes)
        self.id = lib.vcpu_hook_add(machine._v, c)
        machine._check(self.id)
        machine._kept.append(self)

    def called(self, event: Any) -> int:
        assert self._call is not None
        return self._call(HookEvent(self.machine, event)) or Answer.GO

    def failed(self, exception: BaseException) -> None:
        self.machine._callbacks.failed(exception)

    def remove(self) -> None:
        """Call it no more. A second time does nothing."""
        if self.id:
            self.machine._check(lib.vcpu_hook_remove(self.machine._v, self.id))
            self.id = 0

    def __enter__(self) -> "Hook":
        return self

    def __exit__(self, *_: Any) -> None:
        self.remove()
