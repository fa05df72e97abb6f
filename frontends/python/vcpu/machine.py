# SPDX-License-Identifier: MIT
"""A machine: its run, its input and output, its registers and memory."""
from __future__ import annotations

import dataclasses
import os
import re
import struct
import zlib
from typing import Any, Callable, Iterator, Protocol, Sequence, Union

from ._library import (Answer, Bus, Callbacks, Channel, DeviceCallbacks, Engine, Error, ErrorText, HookKind, Rows, StopReason, ffi, lib,
                       text)
from .hooks import Hook, HookEvent
from .registers import Msrs, Registers, Segment

Path = Union[str, "os.PathLike[str]"]
_FOREVER = (1 << 64) - 1
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


@dataclasses.dataclass(frozen=True)
class Stop:
    """The reason why a run returned."""
    reason: StopReason
    code: int = 0
    address: int = 0
    error: int = 0
    size: int = 0

    @property
    def ended(self) -> bool:
        """The machine does not go on: it is not a limit, a request, a time, or a guest that sleeps."""
        return self.reason not in (StopReason.LIMIT, StopReason.REQUEST, StopReason.TIME, StopReason.IDLE)

    def __str__(self) -> str:
        return text(lib.vcpu_stop_name(self.reason))


@dataclasses.dataclass(frozen=True)
class Fault:
    """An exception on the way to a triple fault."""
    vector: int
    error: int | None
    cs: int
    rip: int
    cr2: int
    text: str


class Place(tuple):
    """A place in a run: retired instructions, entries of handlers since then, virtual time in ns."""

    def __new__(cls, instructions: int, steps: int = 0, ns: int = 0) -> "Place":
        return super().__new__(cls, (instructions, steps, ns))

    instructions = property(lambda self: self[0])
    steps = property(lambda self: self[1])
    ns = property(lambda self: self[2])

    def __repr__(self) -> str:
        return f"Place({self[0]}, {self[1]}, ns={self[2]})"


class Device(Protocol):
    """A device of the caller's (vcpu.h, struct vcpu_device). `stateless', `state_size', save and restore are optional."""

    def read(self, offset: int, size: int) -> int: ...
    def write(self, offset: int, size: int, value: int) -> None: ...


def _rights(rights: str) -> int:
    if set(rights) - set("rwx"):
        raise ValueError(f"no rights: {rights!r}")
    return ("r" in rights) * lib.VCPU_READ | ("w" in rights) * lib.VCPU_WRITE | ("x" in rights) * lib.VCPU_EXECUTE


def _members(c: Any, kind: str) -> dict[str, Any]:
    return {name: getattr(c, name) for name, _ in ffi.typeof(kind).fields}


def _size(value: int | str) -> int:
    m = re.fullmatch(r"(\d+)([kmgt]?)(?:i?b)?", str(value).strip().lower())
    if not m or int(m[1]) * _UNITS[m[2]] > _FOREVER:
        raise ValueError(f"no number of bytes: {value!r}")
    return int(m[1]) * _UNITS[m[2]]


class Memory:
    """The guest's memory by physical address (machine.memory) or linear address (machine.linear): memory[a] is a byte, memory[a:b]
    is bytes. Both can be set. There are no side effects on devices. IndexError: there is no RAM, or no translation."""

    def __init__(self, machine: "Machine", linear: bool) -> None:
        self._machine = machine
        self._read = lib.vcpu_read_linear if linear else lib.vcpu_read_physical
        self._write = lib.vcpu_write_linear if linear else lib.vcpu_write_physical
        self._kind = "linear" if linear else "physical"

    def read(self, address: int, size: int) -> bytes:
        out = bytearray(size)
        self.read_into(address, out)
        return bytes(out)

    def read_into(self, address: int, buffer: Any) -> None:
        """Fill a writable buffer: a bytearray, a memoryview, a numpy array."""
        out = ffi.from_buffer(buffer, require_writable=True)
        self._whole(address, len(out), self._read(self._machine._v, address, out, len(out)))

    def write(self, address: int, data: Any) -> None:
        source = ffi.from_buffer(data)
        self._whole(address, len(source), self._write(self._machine._v, address, source, len(source)))

    def _whole(self, address: int, wanted: int, done: int) -> None:
        if done < wanted:
            raise IndexError(f"no memory at {self._kind} address {address + done:#x}")

    def integer(self, address: int, size: int = 8) -> int:
        return int.from_bytes(self.read(address, size), "little")

    def string(self, address: int, limit: int = 4096) -> bytes:
        """The bytes before a 0, at most LIMIT of them."""
        out = b""
        while len(out) < limit:
            step = min(limit - len(out), 64 - (address + len(out)) % 64)
            part = self.read(address + len(out), step)
            if 0 in part:
                return out + part[:part.index(0)]
            out += part
        return out

    def array(self, address: int, count: int, dtype: Any = "u1") -> Any:
        """A numpy array, copied from memory."""
        import numpy

        out = numpy.empty(count, dtype)
        self.read_into(address, out.view("u1"))
        return out

    def __getitem__(self, where: int | slice) -> Any:
        if isinstance(where, slice):
            return self.read(*self._range(where))
        return self.read(where, 1)[0]

    def __setitem__(self, where: int | slice, value: Any) -> None:
        if isinstance(where, slice):
            address, size = self._range(where)
            if len(value) != size:
                raise ValueError(f"{len(value)} bytes for {size}")
            self.write(address, value)
        else:
            self.write(where, bytes([value]))

    @staticmethod
    def _range(where: slice) -> tuple[int, int]:
        if where.start is None or where.stop is None or where.step is not None or where.stop < where.start:
            raise IndexError("memory[first:behind the last]")
        return where.start, where.stop - where.start


@dataclasses.dataclass(frozen=True)
class Screen:
    """The picture on the display: 00RRGGBBh, row by row, and the characters of a text mode."""
    width: int
    height: int
    pixels: bytes
    text: str
    cursor: tuple[int, int] | None

    @property
    def array(self) -> Any:
        """A numpy array of height x width x 3 bytes: red, green, blue."""
        import numpy

        return numpy.frombuffer(self.pixels, "u1").reshape(self.height, self.width, 4)[:, :, 2::-1]

    def png(self) -> bytes:
        def chunk(kind: bytes, data: bytes) -> bytes:
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

        stride, rgb = 4 * self.width, bytearray(3 * self.width * self.height)
        for color in range(3):
            rgb[color::3] = self.pixels[2 - color::4]
        rows = b"".join(b"\0" + rgb[y * 3 * self.width:(y + 1) * 3 * self.width] for y in range(len(self.pixels) // stride))
        header = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")

    def _repr_png_(self) -> bytes:
        return self.png()


class Snapshot:
    """A state in memory, to which its machine can return."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        self._s = lib.vcpu_snapshot_take(machine._v)
        if not self._s:
            raise machine._error()

    def restore(self) -> None:
        self._machine._check(lib.vcpu_snapshot_restore(self._machine._v, self._s))

    def free(self) -> None:
        lib.vcpu_snapshot_free(self._machine._v, self._s)
        self._s = ffi.NULL

    def __enter__(self) -> "Snapshot":
        return self

    def __exit__(self, *_: Any) -> None:
        self.free()


class Template:
    """A state that several machines start from (vcpu_snapshot.h). Machine(..., template=t) makes a PC in this state, with the arguments
    of the machine of which it was taken; load() is for bare machines."""

    def __init__(self, machine: "Machine") -> None:
        self._t = lib.vcpu_template_take(machine._v)
        if not self._t:
            raise machine._error()

    def load(self, machine: "Machine") -> None:
        error = ErrorText()
        if not lib.vcpu_template_load(machine._v, self._t, error.pointer):
            raise error.exception()

    def close(self) -> None:
        """Free it. Its machines go on."""
        lib.vcpu_template_free(self._t)
        self._t = ffi.NULL

    def __enter__(self) -> "Template":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_t", ffi.NULL):
            self.close()


Drive = Union[Path, tuple, None]  # "FILE[,option]...", or (image, Bus[, cdrom]); None: an empty drive


class Machine:
    """An x86 PC; with bare=True a processor without one. Members are those of struct vcpu_config in vcpu.h.

        with vcpu.Machine(kernel="vmlinuz", append="console=ttyS0", memory="256M") as machine:
            machine.run()
            print(machine.serial)

    KERNEL and INITRD are a file name, or bytes. OUTPUT is called with a channel and bytes. Without it `machine.output[channel]`
    collects the bytes."""

    def __init__(self, kernel: Path | bytes | None = None, *, memory: int | str = 0, cpu: str | None = None, bare: bool = False,
                 initrd: Path | bytes | None = None, append: str | None = None, drives: Sequence[Drive] = (),
                 output: Callable[[Any, bytes], None] | None = None, engine: Engine = Engine.BEST, template: Template | None = None,
                 **more: Any) -> None:
        self._start()
        config, keep = ffi.new("struct vcpu_config *"), []

        def c_string(value: Any) -> Any:
            keep.append(ffi.new("char[]", os.fsencode(value)))
            return keep[-1]

        for name, value in ("kernel", kernel), ("initrd", initrd):
            if isinstance(value, (bytes, bytearray)):
                keep.append(ffi.from_buffer(value))
                setattr(config, name + "_data", keep[-1])
                setattr(config, name + "_size", len(value))
            elif value is not None:
                setattr(config, name, c_string(value))
        config.size = ffi.sizeof("struct vcpu_config")
        config.memory, config.bare, config.engine = _size(memory), bare, engine
        for name, value in {"cpu": cpu, "append": append, **more}.items():
            if name not in self._MEMBERS:
                raise TypeError(f"Machine() has no argument {name!r}")
            if name == "mac":
                if len(value) != 6:
                    raise ValueError(f"mac={value!r}: 6 bytes are needed")
                config.mac = bytes(value)
            elif value is not None:
                try:
                    setattr(config, name, c_string(value) if isinstance(value, (str, os.PathLike)) else value)
                except (OverflowError, TypeError) as exception:
                    raise type(exception)(f"{name}={value!r}: {exception}") from None
        if isinstance(drives, (str, bytes, os.PathLike)):
            raise TypeError(f"drives={drives!r}: a list of drives is needed")
        config.drives_count = len(drives)
        config.drives = c_drives = ffi.new("struct vcpu_drive[]", len(drives)) if drives else ffi.NULL
        for i, drive in enumerate(drives):
            image, bus, cdrom = (*drive, *(Bus.IDE, False)[len(drive) - 1:]) if isinstance(drive, tuple) else (drive, Bus.IDE, False)
            c_drives[i].image = ffi.NULL if image is None else c_string(image)
            c_drives[i].bus, c_drives[i].cdrom = bus, cdrom
        config.output, config.user = lib.vcpu_python_output, self._callbacks.handle
        self._callbacks.output = output or self._collect
        error = ErrorText()
        self._own(lib.vcpu_template_machine(template._t, config, error.pointer) if template else
                  lib.vcpu_new(config, error.pointer), error)

    _MEMBERS = {n for n, _ in ffi.typeof("struct vcpu_config").fields} - {
        "size", "kernel", "initrd", "kernel_data", "kernel_size", "initrd_data", "initrd_size", "drives", "drives_count", "loads",
        "loads_count", "vars_data", "vars_size", "output", "user"}

    def _start(self) -> None:
        self._pointer: Any = ffi.NULL
        self._callbacks = Callbacks()
        self._kept: list[Any] = []
        self._expected: dict[Any, int] = {}  # the end of what expect() has returned
        self.output: dict[Any, bytearray] = {channel: bytearray() for channel in Channel}
        self.registers = Registers(self)
        self.msrs = Msrs(self)
        self.memory = Memory(self, linear=False)
        self.linear = Memory(self, linear=True)

    def _own(self, v: Any, error: ErrorText) -> None:
        if not v:
            raise error.exception()
        self._pointer = self._callbacks.machine = v

    def clone(self, output: Callable[[Any, bytes], None] | None = None) -> "Machine":
        """A machine in the state of this one, with which it shares memory (vcpu_clone in vcpu_snapshot.h). OUTPUT as of Machine()."""
        clone, error = Machine.__new__(Machine), ErrorText()
        clone._start()
        clone._callbacks.output = output or clone._collect
        clone._own(lib.vcpu_clone(self._v, clone._callbacks.handle, error.pointer), error)
        return clone

    def _collect(self, channel: Any, data: bytes) -> None:
        self.output[channel] += data

    def _error(self) -> Error:
        return Error(text(lib.vcpu_error(self._v)))

    def _check(self, result: int, other: Exception | None = None) -> None:
        if result < 0:
            raise other or self._error()

    def close(self) -> None:
        """Free the machine. Its drives are flushed."""
        lib.vcpu_free(self._pointer)
        self._pointer = self._callbacks.machine = ffi.NULL

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_pointer", ffi.NULL):
            self.close()

    @property
    def _v(self) -> Any:
        if not self._pointer:
            raise Error("the machine is closed")
        return self._pointer

    # ---- the run ----

    def _run(self, instructions: int) -> Any:
        return lib.vcpu_run(self._v, instructions)

    def run(self, instructions: int | None = None) -> Stop:
        """Run for at most INSTRUCTIONS instructions. None: until the machine ends, or the guest has slept for a virtual second."""
        while True:
            stop = self._run(1_000_000_000 if instructions is None else instructions)
            self._callbacks.check()
            stop = Stop(StopReason(stop.reason), stop.code, stop.address, stop.error, stop.size)
            if stop.reason == StopReason.HOST:
                raise self._error()
            if instructions is not None or stop.reason != StopReason.LIMIT:
                return stop

    def stops(self, instructions: int = 1_000_000) -> Iterator[Stop]:
        """Run in parts of INSTRUCTIONS instructions, and yield after each. The last stop is one that has ended."""
        while True:
            stop = self.run(instructions)
            yield stop
            if stop.ended:
                return

    __iter__ = stops

    def stop(self) -> None:
        """Make the current or next run return. It is safe from any thread."""
        lib.vcpu_stop(self._v)

    def expect(self, pattern: str | bytes, instructions: int = 100_000_000_000, channel: Any = Channel.COM1) -> bytes:
        """Run until CHANNEL has put out PATTERN, and return the output up to its end. It looks at what no earlier call has
        returned. Error: the machine has ended, or INSTRUCTIONS have passed."""
        wanted = pattern.encode() if isinstance(pattern, str) else pattern
        start, end = self._expected.get(channel, 0), self.instructions + instructions
        while (found := self.output[channel].find(wanted, start)) < 0:
            left = end - self.instructions
            stop = self.run(min(1_000_000, left)) if left > 0 else None
            if stop is None or stop.ended:
                if self.output[channel].find(wanted, start) >= 0:
                    continue
                raise Error(f"{pattern!r} is not in the output: " + (str(stop) if stop else f"{instructions} instructions have passed"))
            if stop.reason == StopReason.IDLE:
                end -= 1_000_000
        self._expected[channel] = found + len(wanted)
        return bytes(self.output[channel][start:found + len(wanted)])

    def send(self, data: bytes | str, channel: Any = Channel.COM1) -> None:
        """Input at the present instruction."""
        data = data.encode() if isinstance(data, str) else bytes(data)
        self._check(lib.vcpu_input(self._v, channel, data, len(data)))

    def type(self, keys: str) -> int:
        """Type ASCII text on the keyboard. Returns the number of characters that were typed."""
        return lib.vcpu_type_text(self._v, keys.encode())

    def flush(self) -> None:
        self._check(lib.vcpu_flush(self._v))

    def next_medium(self) -> int:
        """Insert the next medium into the first drive that has several. Returns its number."""
        number = lib.vcpu_next_medium(self._v)
        self._check(number)
        return number

    def limit_time(self, end: int = _FOREVER, sleep_end: int = _FOREVER) -> None:
        """The virtual times, in ns, at which every later run stops with StopReason.TIME (vcpu_limit_time in vcpu.h)."""
        lib.vcpu_limit_time(self._v, end, sleep_end)

    @property
    def serial(self) -> str:
        """The output of COM1 as text."""
        return self.output[Channel.COM1].decode("utf-8", "replace")

    @property
    def instructions(self) -> int:
        return lib.vcpu_instructions(self._v)

    @property
    def virtual_ns(self) -> int:
        return lib.vcpu_virtual_ns(self._v)

    @property
    def place(self) -> Place:
        where = lib.vcpu_where(self._v)
        return Place(where.instructions, where.steps, where.ns)

    @property
    def processors(self) -> int:
        return lib.vcpu_processors(self._v)

    @property
    def processor(self) -> int:
        """The processor whose registers and linear addresses are accessed."""
        return lib.vcpu_selected(self._v)

    @processor.setter
    def processor(self, n: int) -> None:
        self._check(lib.vcpu_select(self._v, n))

    @property
    def running(self) -> int:
        """The processor that executes, or that executed last."""
        return lib.vcpu_running(self._v)

    @property
    def widest_mode(self) -> int:
        """Bits of the widest mode of the processor: 16, 32 or 64."""
        return lib.vcpu_widest_mode(self._v)

    @property
    def kernel_bits(self) -> int | None:
        """Bits of the kernel. None: there is none, or its file does not tell."""
        return lib.vcpu_kernel_bits(self._v) or None

    def segment(self, name: str) -> Segment:
        """A segment register ("cs", "tr") with its hidden part."""
        c = ffi.new("struct vcpu_segment *")
        self._check(lib.vcpu_get_segment(self._v, self.registers.number(name), c))
        return Segment(c.selector, c.base, c.limit, c.attributes)

    def set_segment(self, name: str, segment: Segment) -> None:
        """Set it without a load from a descriptor table."""
        c = ffi.new("struct vcpu_segment *", dataclasses.asdict(segment))
        self._check(lib.vcpu_set_segment(self._v, self.registers.number(name), c))

    # ---- the state ----

    @property
    def state_hash(self) -> int:
        return lib.vcpu_state_hash(self._v)

    def state_parts(self) -> dict[str, int]:
        rows = Rows()
        lib.vcpu_state_parts(self._v, lib.vcpu_python_part, rows.handle)
        return dict(rows.rows)

    def load_dump(self, data: Any) -> None:
        """Memory and registers from a vmcore or a Windows crash dump: bytes, or an mmap of the file (vcpu_dump.h). The machine is
        bare and has no memory."""
        error = ErrorText()
        if not lib.vcpu_dump_load(self._v, ffi.from_buffer(data), len(data), error.pointer):
            raise error.exception()

    def save_dump(self, path: Path) -> None:
        """Write memory and processors as an ELF core, for crash and gdb."""
        with open(path, "wb") as file:
            callbacks = Callbacks()
            callbacks.append = file.write
            result = lib.vcpu_dump_save(self._v, lib.vcpu_python_append, callbacks.handle)
            callbacks.check()
            self._check(result)

    def registers_json(self) -> str:
        """The registers of the selected processor as wtf's regs.json."""
        c = lib.vcpu_registers_json(self._v)
        try:
            return text(c)
        finally:
            lib.free(c)

    def load_registers(self, json: str | bytes) -> None:
        """Set registers from wtf's regs.json or bochscpu's state."""
        data, error = json.encode() if isinstance(json, str) else json, ErrorText()
        if not lib.vcpu_registers_load(self._v, data, len(data), error.pointer):
            raise error.exception()

    def save(self) -> bytes:
        data, size, error = ffi.new("void **"), ffi.new("size_t *"), ErrorText()
        if not lib.vcpu_save(self._v, data, size, error.pointer):
            raise error.exception()
        try:
            return bytes(ffi.buffer(data[0], size[0]))
        finally:
            lib.free(data[0])

    def load(self, state: bytes) -> None:
        error = ErrorText()
        if not lib.vcpu_load(self._v, state, len(state), error.pointer):
            raise error.exception()

    def snapshot(self) -> Snapshot:
        return Snapshot(self)

    @property
    def snapshot_bytes(self) -> int:
        """The host's memory for all snapshots of the machine."""
        return lib.vcpu_snapshot_memory(self._v)

    @property
    def resident(self) -> int:
        """Bytes of the guest's RAM that are not pages of zeroes, or were written."""
        return lib.vcpu_resident(self._v)

    def trim(self) -> int:
        """Give pages of zeroes back to the host. Returns the number of bytes."""
        return lib.vcpu_trim(self._v)

    def memory_counts(self) -> dict[str, int]:
        """Bytes of the guest's memory: "own", "shared" (with templates and clones) and "zero" (struct vcpu_memory)."""
        return _members(lib.vcpu_memory_counts(self._v), "struct vcpu_memory")

    def cache_counts(self) -> dict[str, int]:
        """Statistics of the cache of decoded code (struct vcpu_cache)."""
        return _members(lib.vcpu_cache_counts(self._v), "struct vcpu_cache")

    def faults(self) -> list[Fault]:
        """The exceptions that led to a triple fault, the first one first."""
        out = ffi.new("struct vcpu_fault[]", 8)
        count = lib.vcpu_fault_chain(self._v, out, len(out))
        return [Fault(f.vector, f.error if f.has_error else None, f.cs, f.rip, f.cr2, text(f.text)) for f in out[0:count]]

    def screen(self) -> Screen | None:
        """The picture on the display. None: there is no display, or its picture is off."""
        shape = ffi.new("struct vcpu_screen *")
        if not lib.vcpu_screen(self._v, shape, ffi.NULL, 0):
            return None
        pixels = ffi.new("uint32_t[]", shape.width * shape.height)
        lib.vcpu_screen(self._v, shape, pixels, len(pixels))
        size = lib.vcpu_screen_text(self._v, ffi.NULL, 0)
        characters = ffi.new("char[]", size + 1)
        lib.vcpu_screen_text(self._v, characters, size + 1)
        cursor = (shape.cursor_column, shape.cursor_row) if shape.cursor else None
        return Screen(shape.width, shape.height, bytes(ffi.buffer(pixels)), text(characters), cursor)

    # ---- a bare machine, devices ----

    def set_mode(self, bits: int) -> None:
        """The mode of a bare processor: 16, 32 or 64."""
        self._check(lib.vcpu_set_mode(self._v, bits))

    def map(self, address: int, size: int, rights: str = "rwx", buffer: Any = None) -> None:
        """Memory for a bare machine: zeroed, or a writable buffer (a bytearray, an mmap, a numpy array) that is not to be resized. After
        Python has written to the buffer, call written()."""
        pointer = ffi.NULL
        if buffer is not None:
            pointer = ffi.from_buffer(buffer, require_writable=True)
            if len(pointer) < size:
                raise ValueError(f"{len(pointer)} bytes for {size}")
        self._check(lib.vcpu_map_buffer(self._v, address, size, _rights(rights), pointer))
        if buffer is not None:
            self._kept.append(pointer)

    def unmap(self, address: int, size: int) -> None:
        self._check(lib.vcpu_unmap(self._v, address, size))

    def protect(self, address: int, size: int, rights: str) -> None:
        """The rights of a bare machine's memory, e.g. "rx"."""
        self._check(lib.vcpu_protect(self._v, address, size, _rights(rights)))

    def written(self, address: int, size: int) -> None:
        """Tell the machine that a buffer has changed."""
        self._check(lib.vcpu_host_written(self._v, address, size))

    def dirty_mark(self) -> None:
        self._check(lib.vcpu_dirty_mark(self._v))

    def dirty_pages(self) -> list[int]:
        """The physical addresses of the pages that were written since dirty_mark()."""
        count = lib.vcpu_dirty_pages(self._v, ffi.NULL, 0)
        pages = ffi.new("uint64_t[]", count)
        lib.vcpu_dirty_pages(self._v, pages, count)
        return list(pages)

    def translate(self, linear: int) -> int:
        """The physical address of a linear one. Error: it has no translation."""
        physical = ffi.new("uint64_t *")
        self._check(lib.vcpu_translate(self._v, linear, physical))
        return physical[0]

    def page_in(self, linear: int, size: int, write: bool = False) -> bool:
        """Give the guest a #PF for the first page that has no translation. True: there is one."""
        result = lib.vcpu_page_in(self._v, linear, size, write)
        self._check(result)
        return bool(result)

    def hook(self, kinds: HookKind, call: Callable[[HookEvent], Answer | None] | None = None, first: int = 0, last: int = 0, *,
             physical: bool = False, after: bool = False, observer: bool = False, instruction: str | None = None,
             map: Any = None) -> Hook:
        """Call CALL with a HookEvent for events of KINDS from FIRST to LAST (all addresses without; LAST is FIRST without). It returns
        an Answer; None is Answer.GO. `observer', `after', `physical' and `instruction' are those of struct vcpu_hook.

        MAP in place of CALL, for HookKind.BLOCK or HookKind.EDGE: the events are counted in `hook.map' without a call. It is a number of
        bytes, a power of two, or a writable buffer of that size (a bytearray, a numpy array, shared memory)."""
        return Hook(self, kinds, call, first, last, physical=physical, after=after, observer=observer, instruction=instruction, map=map)

    def map_device(self, name: str, base: int, size: int, device: Device) -> None:
        self._map(lib.vcpu_map_device, name, base, size, device)

    def map_ports(self, name: str, base: int, count: int, device: Device) -> None:
        self._map(lib.vcpu_map_ports, name, base, count, device)

    def _map(self, function: Any, name: str, base: int, size: int, device: Any) -> None:
        callbacks = DeviceCallbacks(device, self._callbacks)
        c = ffi.new("struct vcpu_device *", {"read": lib.vcpu_python_read, "write": lib.vcpu_python_write, "user": callbacks.handle})
        c.stateless, c.state_size = getattr(device, "stateless", False), getattr(device, "state_size", 0)
        if c.state_size:
            c.save, c.restore = lib.vcpu_python_save, lib.vcpu_python_restore
        self._check(function(self._v, name.encode(), base, size, c))
        self._kept.append(callbacks)

    # ---- recordings ----

    def record(self, file: Any, embed: bool = False, interval: int = 0) -> None:
        """Record the run from now on into FILE, a file name or an object with write(). The machine must not have run yet."""
        if isinstance(file, (str, os.PathLike)):
            file = open(file, "wb", buffering=0)  # what was recorded when this process dies can be replayed
            self._recording_file = file
        self._callbacks.append = file.write
        recording = ffi.new("struct vcpu_recording *", {"write": lib.vcpu_python_append, "user": self._callbacks.handle})
        recording.embed, recording.interval = embed, interval
        result = lib.vcpu_record(self._v, recording)
        self._callbacks.check()
        self._check(result)

    @property
    def recording_ok(self) -> bool:
        """The machine is being recorded, and every write has succeeded."""
        return lib.vcpu_recording_ok(self._v)

    def record_end(self) -> None:
        error = ErrorText()
        ok = lib.vcpu_record_end(self._v, error.pointer)
        self._callbacks.append = None
        if file := self.__dict__.pop("_recording_file", None):
            file.close()
        if not ok:
            raise error.exception()
