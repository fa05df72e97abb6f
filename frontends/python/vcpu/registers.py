# SPDX-License-Identifier: MIT
"""The registers of a machine: by name, segments with their hidden parts, MSRs."""
from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Iterator, Mapping

from ._library import ffi, lib, text

if TYPE_CHECKING:
    from .machine import Machine

_ALL_ONES = (1 << 64) - 1


def _all_names() -> tuple[str, ...]:
    names, number = [], -1
    while (number := lib.vcpu_register_next(number)) >= 0:
        names.append(text(lib.vcpu_register_name(number)))
    return tuple(names)


@dataclasses.dataclass(frozen=True)
class Segment:
    """A segment register with its hidden part: the members of struct vcpu_segment."""
    selector: int
    base: int
    limit: int
    attributes: int


class Registers:
    """The registers of the selected processor: machine.registers.rax, machine.registers["rax"]."""

    NAMES = tuple(text(lib.vcpu_register_name(i)) for i in range(lib.VCPU_REGISTERS))
    ALL = _all_names()  # also "eax", "ymm0", "cs_limit"

    def __init__(self, machine: "Machine") -> None:
        object.__setattr__(self, "_machine", machine)

    @staticmethod
    def number(name: str) -> int:
        """The library's number of a register. KeyError: there is none of that name."""
        number = lib.vcpu_register_by_name(name.encode())
        if number < 0:
            raise KeyError(name)
        return number

    def __getitem__(self, name: str) -> int:
        return lib.vcpu_get(self._machine._v, self.number(name))

    def __setitem__(self, name: str, value: int) -> None:
        self._machine._check(lib.vcpu_set(self._machine._v, self.number(name), value & _ALL_ONES))

    def __getattr__(self, name: str) -> int:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no register {name!r}") from None

    def __setattr__(self, name: str, value: int) -> None:
        try:
            self[name] = value
        except KeyError:
            raise AttributeError(f"no register {name!r}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.NAMES)

    def __dir__(self) -> list[str]:
        return list(self.NAMES)

    def get(self, *names: str) -> tuple[int, ...]:
        """Several registers at once."""
        numbers = [self.number(name) for name in names]
        values = ffi.new("uint64_t[]", len(numbers))
        self._machine._check(lib.vcpu_get_registers(self._machine._v, numbers, values, len(numbers)))
        return tuple(values)

    def as_dict(self) -> dict[str, int]:
        return dict(zip(self.NAMES, self.get(*self.NAMES)))

    def update(self, values: Mapping[str, int]) -> None:
        """Set several registers at once."""
        numbers = [self.number(name) for name in values]
        self._machine._check(lib.vcpu_set_registers(self._machine._v, numbers, [v & _ALL_ONES for v in values.values()], len(numbers)))

    def xmm(self, n: int) -> bytes:
        """The 16 bytes of XMM n."""
        out = ffi.new("uint8_t[16]")
        self._machine._check(lib.vcpu_get_vector(self._machine._v, n, out), IndexError(f"no register xmm{n}"))
        return bytes(out)

    def set_xmm(self, n: int, value: bytes) -> None:
        if len(value) != 16:
            raise ValueError("16 bytes are needed")
        self._machine._check(lib.vcpu_set_vector(self._machine._v, n, value), IndexError(f"no register xmm{n}"))

    def bytes(self, name: str) -> bytes:
        """The whole value of a register, the lowest byte first: 32 bytes of "ymm0"."""
        number = self.number(name)
        out = ffi.new("uint8_t[64]")
        self._machine._check(lib.vcpu_get_register(self._machine._v, number, out))
        return bytes(out)[:lib.vcpu_register_size(number)]

    def set_bytes(self, name: str, value: bytes) -> None:
        number = self.number(name)
        if len(value) != lib.vcpu_register_size(number):
            raise ValueError(f"{lib.vcpu_register_size(number)} bytes are needed")
        self._machine._check(lib.vcpu_set_register(self._machine._v, number, bytes(value)))

    def __repr__(self) -> str:
        rows = [f"{n:9}{self[n]:016x}" for n in self.NAMES]
        return "\n".join("  ".join(rows[i:i + 3]) for i in range(0, len(rows), 3))

    def _repr_html_(self) -> str:
        cells = [f"<td>{n}</td><td><code>{self[n]:016x}</code></td>" for n in self.NAMES]
        return "<table>" + "".join("<tr>" + "".join(cells[i:i + 4]) + "</tr>" for i in range(0, len(cells), 4)) + "</table>"


class Msrs:
    """The MSRs of the selected processor by number, as RDMSR and WRMSR access them: machine.msrs[0xC0000080]. A KeyError has the
    number of one that the processor does not have. An iteration gives the numbers of those that it has."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine

    def __getitem__(self, number: int) -> int:
        value = ffi.new("uint64_t *")
        self._machine._check(lib.vcpu_get_msr(self._machine._v, number, value), KeyError(number))
        return value[0]

    def __setitem__(self, number: int, value: int) -> None:
        self._machine._check(lib.vcpu_set_msr(self._machine._v, number, value & _ALL_ONES))

    def __iter__(self) -> Iterator[int]:
        number, n = ffi.new("uint32_t *"), 0
        while lib.vcpu_msr_number(self._machine._v, n, number):
            yield number[0]
            n += 1
