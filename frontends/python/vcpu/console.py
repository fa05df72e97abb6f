# SPDX-License-Identifier: MIT
"""The commands of vcpu-dbg, which knows symbols, types and Linux."""
import json
import os
import subprocess
from typing import Any, Sequence

from ._library import Error


class Console:
    """A vcpu-dbg in a process of its own: on a recording, or on a machine of the options of vcpu-dbg(1).

        with vcpu.Console("failure.vrr", symbols=["vmlinux"]) as console:
            console("goto 50%")
            tasks = console("ps")["tasks"]
            chain = console("origin counter")["chain"]

    The answer is the object that --json prints (vcpu-dbg(1), MEMBERS)."""

    def __init__(self, *arguments: str | os.PathLike[str], symbols: Sequence[str | os.PathLike[str]] = (), program: str = "vcpu-dbg") -> None:
        options = [option for file in symbols for option in ("-s", os.fspath(file))]
        self._process = subprocess.Popen([program, "--json", *options, *map(os.fspath, arguments)], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            for _ in symbols:
                self._answer()
        except Error:
            self.close()
            raise

    def __call__(self, command: str) -> dict[str, Any]:
        """Do COMMAND. An Error if it fails, or if vcpu-dbg has ended."""
        if "\n" in command:
            raise ValueError("a command is one line")
        assert self._process.stdin
        try:
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            pass
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout and self._process.stderr
        line = "" if self._process.stdout.closed else self._process.stdout.readline()
        if not line:
            text = "" if self._process.stderr.closed else self._process.stderr.read().strip()
            raise Error(text or "vcpu-dbg has ended")
        answer: dict[str, Any] = json.loads(line)
        if not answer["ok"]:
            raise Error(answer["error"]["message"])
        return answer

    def close(self) -> None:
        """End vcpu-dbg."""
        process = self._process
        assert process.stdin and process.stdout and process.stderr
        try:
            process.stdin.close()
        except BrokenPipeError:
            pass
        process.stdout.close()
        process.stderr.close()
        process.wait()

    def __enter__(self) -> "Console":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
