# SPDX-License-Identifier: MIT
"""A boot, recorded and searched: where each line of the console appears, and which instruction wrote the kernel's command line into
memory last.

    python3 search_boot.py vmlinuz initrd.img [WORD]"""
import sys
import tempfile

import vcpu

kernel, initrd, word = (sys.argv[1:] + ["Memory:"])[:3]
with tempfile.NamedTemporaryFile(suffix=".vrr") as file:
    with vcpu.Machine(kernel, initrd=initrd, append="console=ttyS0", memory="256M") as machine:
        machine.record(file.name)
        machine.expect(word)
        machine.record_end()
        print(f"recorded {machine.instructions} instructions, {len(machine.output[vcpu.Channel.COM1])} bytes of output")

    replay = vcpu.Replay(file.name)
    with replay.machine() as machine, vcpu.Debugger(machine) as debugger:
        debugger.catch(vcpu.Event.OUTPUT, vcpu.Channel.COM1, vcpu.Channel.COM1, name="\n")
        lines = 0
        while (stop := debugger.run(replay.end.instructions - machine.instructions)).what == vcpu.What.EVENT:
            lines += 1
            if lines % 10 == 0:
                line = machine.serial.splitlines()[-1]
                print(f"{stop.place.ns / 1e6:9.3f} ms  rip {stop.rip:016x}  {line[:60]}")
        debugger.seek(replay.end)
        where = next(a for a in range(1 << 20, 256 << 20, 1 << 20) if b"console=ttyS0" in machine.memory[a:a + (1 << 20)])
        where += machine.memory[where:where + (1 << 20)].index(b"console=ttyS0")
        stop = debugger.last_write(where, 1)
        print(f"the command line at {where:#x}: instruction {stop.when.instructions}, written at rip {stop.rip:#x}")
