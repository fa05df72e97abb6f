# SPDX-License-Identifier: MIT
"""Recordings: a run on file, which any host repeats exactly (vcpu_replay.h)."""
from __future__ import annotations

import os
from typing import Any, Callable, Mapping

from ._library import Engine, Error, ErrorText, ffi, lib, text
from .machine import Machine, Path, Place


class _Replayed(Machine):
    def __init__(self, replay: "Replay", output: Callable[[Any, bytes], None] | None) -> None:
        self._start()
        self._replay = replay
        self._callbacks.output = output or self._collect
        error = ErrorText()
        self._own(lib.vcpu_replay_machine(replay._r, lib.vcpu_python_output, self._callbacks.handle, error.pointer), error)

    def _run(self, instructions: int) -> Any:
        return lib.vcpu_replay_run(self._replay._r, self._v, instructions)

    def _error(self) -> Error:
        return Error(self._replay.divergence or text(lib.vcpu_error(self._v)))


class Replay:
    """A recording, by file name or by contents.

        replay = vcpu.Replay("boot.vrr", verify=True)
        with replay.machine() as machine:
            while not replay.done:
                machine.run(1_000_000)
    """

    def __init__(self, recording: Path | bytes, *, verify: bool = False, engine: Engine = Engine.BEST) -> None:
        if isinstance(recording, (str, os.PathLike)):
            with open(recording, "rb") as file:
                recording = file.read()
        self._data, error = ffi.from_buffer(recording), ErrorText()
        self._r = lib.vcpu_replay_open(self._data, len(self._data), error.pointer)
        if not self._r:
            raise error.exception()
        lib.vcpu_replay_verify(self._r, verify)
        lib.vcpu_replay_engine(self._r, engine)

    def machine(self, output: Callable[[Any, bytes], None] | None = None) -> Machine:
        """The recorded machine; its disks are snapshots. Runs of it have the recorded input."""
        return _Replayed(self, output)

    def allow(self, *, kernel: Path | None = None, initrd: Path | None = None, bios: Path | None = None,
              moved: Mapping[Path, Path] | None = None, nbd: bool = False) -> None:
        """Files that later machines may open, in place of the recorded ones; MOVED: the recorded names of files or folders, and where
        they are now (struct vcpu_replay_files)."""
        keep: list[Any] = []

        def c_string(name: Path | None) -> Any:
            keep.append(ffi.NULL if name is None else ffi.new("char[]", os.fsencode(name)))
            return keep[-1]

        pairs = ffi.new("struct vcpu_moved[]", [(c_string(a), c_string(b)) for a, b in (moved or {}).items()])
        files = ffi.new("struct vcpu_replay_files *", {"size": ffi.sizeof("struct vcpu_replay_files"), "kernel": c_string(kernel),
                                                       "initrd": c_string(initrd), "bios": c_string(bios), "moved": pairs,
                                                       "moved_count": len(pairs), "nbd": nbd})
        if not lib.vcpu_replay_allow(self._r, files):
            raise Error("out of memory")

    @property
    def config(self) -> dict[str, Any]:
        """The recorded configuration: numbers, truths and texts of struct vcpu_config. None: a text that is not set."""
        c, out = lib.vcpu_replay_config(self._r), {}
        for name, field in ffi.typeof("struct vcpu_config").fields:
            if field.type.kind in ("primitive", "enum"):
                out[name] = getattr(c, name)
            elif field.type.cname == "char const *" or field.type.cname == "char *":
                out[name] = text(getattr(c, name)) if getattr(c, name) else None
        return out

    @property
    def done(self) -> bool:
        return lib.vcpu_replay_done(self._r)

    @property
    def end(self) -> Place:
        end = lib.vcpu_replay_end(self._r)
        return Place(end.instructions, end.steps, end.ns)

    @property
    def checked(self) -> int:
        """The number of checkpoints that were compared and equal."""
        return lib.vcpu_replay_checked(self._r)

    @property
    def divergence(self) -> str | None:
        return text(lib.vcpu_replay_divergence(self._r)) or None

    @property
    def cut(self) -> str | None:
        """The reason why the recording ends early. None: it is complete."""
        return text(lib.vcpu_replay_cut(self._r)) or None

    def __del__(self) -> None:
        if getattr(self, "_r", ffi.NULL):
            lib.vcpu_replay_free(self._r)
