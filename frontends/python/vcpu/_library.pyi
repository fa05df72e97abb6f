# SPDX-License-Identifier: MIT
"""Types of _library.py for checkers and editors. The enumerations are made from the headers when the package is imported; a test compares
them with these."""
import enum
from typing import Any, Callable


class Channel(enum.IntEnum):
    COM1 = 0
    DEBUGCON = 1
    KEYBOARD = 2
    POWER = 3
    LOG = 4
    COM2 = 5
    COM3 = 6
    COM4 = 7
    LPT1 = 8
    MOUSE = 9
    CONSOLE = 10
    NET = 11
    SHARE = 12
    SOUND = 13
    FIRMWARE = 14
    RESET = 15
    MEDIUM = 16
    HOST_LOG = 17
    NMI = 18
    MACHINE_CHECK = 19


class StopReason(enum.IntEnum):
    LIMIT = 0
    REQUEST = 1
    POWEROFF = 2
    DEBUG_EXIT = 3
    TRIPLE_FAULT = 4
    HALT = 5
    IDLE = 6
    EXCEPTION = 7
    DISK_FULL = 8
    DISK_ERROR = 9
    TIME = 10
    HOST = 11
    HOOK = 12
    MISSING = 13


class What(enum.IntEnum):
    MACHINE = 0
    BREAK = 1
    WATCH = 2
    EVENT = 3
    THERE = 4
    START = 5
    END = 6
    ERROR = 7


class Cause(enum.IntEnum):
    OUTSIDE = 0
    FAULT = 1
    TRAP = 2
    INT = 3
    INT3_INTO = 4
    INT1 = 5


class Bus(enum.IntEnum):
    IDE = 0
    AHCI = 1
    VIRTIO = 2
    FLOPPY = 3
    SHELF = 4


class Engine(enum.IntEnum):
    BEST = 0
    INTERPRETER = 1
    STITCHED = 2


class Monitor(enum.IntEnum):
    CPL3 = 0
    UMIP = 1
    VTX = 2
    SVM = 3
    RING1 = 4
    RING1_IOPL = 5


class Answer(enum.IntEnum):
    GO = 0
    SKIP = 1
    RETRY = 2
    STOP = 3


class HookKind(enum.IntFlag):
    BLOCK = 0x20000
    CLOCK = 0x80
    CR3 = 0x20
    EDGE = 0x40000
    EXCEPTION = 0x1
    EXIT = 0x1000
    IN = 0x200000
    INSN = 0x10000
    INTERRUPT = 0x2
    MISSING_FETCH = 0x2000000
    MISSING_READ = 0x800000
    MISSING_WRITE = 0x1000000
    MODE = 0x40
    MSR = 0x10
    OUT = 0x400000
    READ = 0x80000
    WRITE = 0x100000


class Event(enum.IntFlag):
    CLOCK = 0x80
    CR3 = 0x20
    EXCEPTION = 0x1
    INTERRUPT = 0x2
    MEMORY = 0x200
    MMIO = 0x8
    MODE = 0x40
    MSR = 0x10
    OUTPUT = 0x100
    PORT = 0x4
    RESET = 0x400
    VMENTRY = 0x800
    VMEXIT = 0x1000
    VMFAIL = 0x2000


ffi: Any
lib: Any


class Error(Exception): ...


def text(s: Any) -> str: ...


class ErrorText:
    pointer: Any
    def exception(self) -> Error: ...


class Callbacks:
    handle: Any
    machine: Any
    raised: BaseException | None
    output: Callable[[Any, bytes], None] | None
    append: Callable[[bytes], Any] | None
    condition: Callable[[Any], bool] | None
    event: Callable[[Any], None] | None
    block: Callable[[int, int], None] | None
    progress: Callable[[], bool] | None
    def failed(self, exception: BaseException) -> None: ...
    def check(self) -> None: ...


class DeviceCallbacks:
    device: Any
    callbacks: Callbacks
    handle: Any
    def __init__(self, device: Any, callbacks: Callbacks) -> None: ...
    def failed(self, exception: BaseException) -> None: ...


class Rows:
    rows: list[Any]
    handle: Any
    def failed(self, exception: BaseException) -> None: ...
