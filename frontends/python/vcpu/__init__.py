# SPDX-License-Identifier: MIT
"""vcpu: an x86 PC as a library.

    import vcpu

    with vcpu.Machine(kernel="vmlinuz", initrd="initrd.img", append="console=ttyS0", memory="256M") as machine:
        machine.expect("/root #")
        machine.send("uname -a\\n")
        print(machine.expect("/root #").decode())

The words are those of the C headers (vcpu.h, vcpu_debug.h, vcpu_hook.h, vcpu_replay.h, vcpu_snapshot.h), which define every call."""
from . import isa
from ._library import Answer, Bus, Cause, Channel, Engine, Error, Event, HookKind, Monitor, StopReason, What, lib, text
from .console import Console
from .debugger import Debugger, DebugStop, Instruction, Operand, TraceEvent, Translation
from .hooks import Hook, HookEvent
from .machine import Device, Fault, Machine, Memory, Place, Screen, Snapshot, Stop, Template
from .registers import Msrs, Registers, Segment
from .replay import Replay


def models() -> list[str]:
    """The processor models."""
    names, out = lib.vcpu_models(), []
    while names[len(out)]:
        out.append(text(names[len(out)]))
    return out


__version__ = text(lib.vcpu_version())
__all__ = [
    "Answer", "Bus", "Cause", "Channel", "Console", "DebugStop", "Debugger", "Device", "Engine", "Error", "Event", "Fault", "Hook",
    "HookEvent", "HookKind", "Instruction", "Machine", "Memory", "Monitor", "Msrs", "Operand", "Place", "Registers", "Replay", "Screen",
    "Segment", "Snapshot", "Stop", "StopReason", "Template", "TraceEvent", "Translation", "What", "isa", "models"]
