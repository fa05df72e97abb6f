# SPDX-License-Identifier: MIT
"""System calls of a Linux guest over virtual time, as a picture (SVG): a row for each of the most frequent ones, a mark for each
call.

    python3 plot_syscalls.py vmlinuz initrd.img [OUT.svg [WORD]]     up to WORD on the console [Enter 'help']"""
import collections
import sys

import vcpu

kernel, initrd, out, word = (sys.argv[1:] + ["syscalls.svg", "Enter 'help'"][len(sys.argv) - 3:])[:4]
NAMES = {0: "read", 1: "write", 2: "open", 3: "close", 4: "stat", 5: "fstat", 6: "lstat", 8: "lseek", 9: "mmap", 10: "mprotect",
         11: "munmap", 12: "brk", 13: "rt_sigaction", 14: "rt_sigprocmask", 16: "ioctl", 21: "access", 33: "dup2", 39: "getpid",
         56: "clone", 57: "fork", 59: "execve", 61: "wait4", 63: "uname", 72: "fcntl", 79: "getcwd", 89: "readlink", 102: "getuid",
         157: "prctl", 158: "arch_prctl", 165: "mount", 218: "set_tid_address", 228: "clock_gettime", 231: "exit_group",
         257: "openat", 262: "newfstatat", 302: "prlimit64", 318: "getrandom", 334: "rseq"}
ROWS, LEFT, WIDTH, ROW = 16, 140, 1000, 20

calls = collections.defaultdict(list) # number: times in ns
with vcpu.Machine(kernel, initrd=initrd, append="console=ttyS0", memory="256M") as machine:
    def system_call(event: vcpu.HookEvent) -> None:
        calls[machine.registers.rax].append(machine.virtual_ns)

    machine.hook(vcpu.HookKind.INSN, system_call, instruction="syscall", observer=True)
    machine.expect(word)

first, last = min(min(t) for t in calls.values()), max(max(t) for t in calls.values())
rows = sorted(calls.items(), key=lambda item: -len(item[1]))[:ROWS]
with open(out, "w") as svg:
    print(f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 20}" height="{ROW * (len(rows) + 2)}" '
          'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#fff"/>', file=svg)
    for row, (number, times) in enumerate(rows):
        y = ROW * (row + 1)
        print(f'<text x="4" y="{y + 14}">{NAMES.get(number, number)}: {len(times)}</text>', file=svg)
        marks = "".join(f"M{LEFT + (t - first) / max(last - first, 1) * WIDTH:.2f} {y + 2}v{ROW - 4}" for t in times)
        print(f'<path d="{marks}" stroke="#3b7dd8" stroke-width=".5"/>', file=svg)
    print(f'<text x="{LEFT}" y="14">{first / 1e6:.3f} ms</text>'
          f'<text x="{LEFT + WIDTH}" y="14" text-anchor="end">{last / 1e6:.3f} ms</text></svg>', file=svg)
total = sum(map(len, calls.values()))
print(f"{total} system calls from {first / 1e6:.3f} to {last / 1e6:.3f} ms; {out}")
