# SPDX-License-Identifier: MIT
"""Tests of the Python package. The guests are a few instructions, and libvcpu's own demo guest (VCPU_DEMO)."""
import ast
import enum
import json
import os
import pathlib
import re
import struct
import threading
import zlib

import pytest
import vcpu

DEMO = os.environ.get("VCPU_DEMO", "")
needs_demo = pytest.mark.skipif(not os.path.exists(DEMO), reason="the demo guest is not built")

# mov al, 'H'; out 0E9h, al; mov al, 'i'; out 0E9h, al; cli; hlt: a boot sector
HELLO = bytes.fromhex("b048 e6e9 b069 e6e9 fa f4").ljust(510, b"\0") + b"\x55\xaa"
# mov ecx, 1000; l: add [rdi], ecx; loop l; hlt
SUM = bytes.fromhex("b9e8030000 010f e2fc f4")


def bare(code=SUM, **more):
    m = vcpu.Machine(bare=True, **more)
    m.set_mode(64)
    m.map(0x1000, 0x2000)
    m.memory.write(0x1000, code)
    m.registers.rip, m.registers.rdi = 0x1000, 0x2000
    return m


def test_boot_sector():
    with vcpu.Machine(HELLO, memory="1M") as m:
        stop = m.run()
        assert stop.reason == vcpu.StopReason.HALT and stop.ended and str(stop) == "halt"
        assert m.output[vcpu.Channel.DEBUGCON] == b"Hi"
        assert m.instructions == 6 and m.place == (6, 0, m.virtual_ns)


def test_bare_sum():
    m = bare()
    assert m.run(10**6).reason == vcpu.StopReason.IDLE
    assert m.memory.integer(0x2000, 4) == sum(range(1001))
    assert m.instructions == 2 + 2 * 1000


def test_registers():
    m = bare()
    m.registers.update({"rax": 0x1122334455667788, "rbx": 5})
    assert m.registers.ax == 0x7788 and m.registers["ah"] == 0x77 and m.registers.rbx == 5
    m.registers.ah = 0
    assert m.registers.rax == 0x1122334455660088
    m.registers.set_xmm(3, bytes(range(16)))
    assert m.registers.xmm(3) == bytes(range(16)) and m.registers.xmm3 == 0x0706050403020100
    assert "rip" in m.registers and "1122334455660088" in repr(m.registers) and "<table>" in m.registers._repr_html_()
    assert set(m.registers.as_dict()) == set(vcpu.Registers.NAMES)
    with pytest.raises(AttributeError):
        m.registers.nosuch
    with pytest.raises(AttributeError):
        m.registers.nosuch = 1
    with pytest.raises(KeyError):
        m.registers["nosuch"]
    with pytest.raises(IndexError):
        m.registers.xmm(99)


def test_memory():
    m = bare()
    m.memory[0x2000:0x2004] = b"abcd"
    m.memory[0x2004] = 0
    assert m.memory[0x2000] == ord("a") and m.memory[0x2000:0x2005] == b"abcd\0"
    assert m.linear[0x2000:0x2002] == b"ab" and m.linear.string(0x2000) == b"abcd"
    assert m.memory.integer(0x2000, 2) == 0x6261
    with pytest.raises(IndexError, match="0x3000"):
        m.memory[0x2fff:0x3001]
    with pytest.raises(ValueError):
        m.memory[0x2000:0x2004] = b"abc"
    numpy = pytest.importorskip("numpy")
    assert list(m.memory.array(0x2000, 2, "<u2")) == [0x6261, 0x6463]
    into = numpy.zeros(4, "u1")
    m.memory.read_into(0x2000, into)
    assert bytes(into) == b"abcd"


def test_errors():
    with pytest.raises(vcpu.Error, match="nosuch"):
        vcpu.Machine(cpu="nosuch")
    with pytest.raises(vcpu.Error, match="no-such-file"):
        vcpu.Machine("/no-such-file")
    with pytest.raises(TypeError, match="colour"):
        vcpu.Machine(colour=1)
    with pytest.raises(ValueError, match="much"):
        vcpu.Machine(memory="much")
    for wrong in -1, "-5M", "12Q", "", 1.5, 1 << 64:
        with pytest.raises(ValueError, match="no number of bytes"):
            vcpu.Machine(HELLO, memory=wrong)
    with pytest.raises(OverflowError, match="processors=-1"):
        vcpu.Machine(HELLO, processors=-1)
    with pytest.raises(TypeError, match="seed='red'"):
        vcpu.Machine(HELLO, seed="red")
    with pytest.raises(ValueError, match="6 bytes"):
        vcpu.Machine(HELLO, nic="virtio", mac=b"RT")
    with pytest.raises(TypeError, match="a list"):
        vcpu.Machine(HELLO, drives="disk")
    m = vcpu.Machine(HELLO, memory="1M")
    with pytest.raises(vcpu.Error, match="PC's 64-bit mode"):
        m.set_mode(64)
    with pytest.raises(vcpu.Error, match="below the first"):
        m.hook(vcpu.HookKind.INSN, print, 10, 5)
    with pytest.raises(vcpu.Error):
        m.send(b"x", vcpu.Channel.DEBUGCON)
    with pytest.raises(vcpu.Error, match="'Ho'"):
        m.expect("Ho", channel=vcpu.Channel.DEBUGCON)
    if os.path.exists("/dev/full"):
        with pytest.raises(OSError, match="No space"):
            vcpu.Machine(HELLO, memory="1M").record("/dev/full")
    m.close()
    m.close()
    for use in (lambda: m.run(1), lambda: m.registers.rax, lambda: m.memory[0], m.screen, m.dirty_pages, m.trim, m.faults, m.save,
                lambda: m.instructions, lambda: vcpu.Debugger(m), m.clone):
        with pytest.raises(vcpu.Error, match="the machine is closed"):
            use()


@pytest.mark.parametrize("load", [lambda data: vcpu.Machine(HELLO, memory="1M").load(data), vcpu.Replay,
                                  lambda data: vcpu.Machine(bare=True).load_dump(data)])
def test_what_is_no_state_recording_or_dump(load):
    for data in b"", b"x", bytes(70000), vcpu.Machine(HELLO, memory="1M").save()[:-100]:
        with pytest.raises(vcpu.Error) as error:
            load(data)
        assert str(error.value) and "\n" not in str(error.value)
    if load is vcpu.Replay:
        for path in "/", "/nonexistent/file":
            with pytest.raises(OSError):
                load(path)


def test_expect_continues_behind_the_last_match():
    m = vcpu.Machine(HELLO, memory="1M")
    assert m.expect("H", channel=vcpu.Channel.DEBUGCON) == b"H"
    assert m.expect("i", channel=vcpu.Channel.DEBUGCON) == b"i"
    with pytest.raises(vcpu.Error):
        m.expect("H", channel=vcpu.Channel.DEBUGCON)


def test_output_callback_and_its_exception():
    def output(channel, data):
        raise ZeroDivisionError(data)

    m = vcpu.Machine(HELLO, memory="1M", output=output)
    with pytest.raises(ZeroDivisionError, match="H"):
        m.run()
    assert m.instructions == 2  # behind the OUT
    with pytest.raises(ZeroDivisionError, match="i"):
        m.run()


def test_stops_and_iteration():
    m = bare(bytes.fromhex("ebfe"))
    count = 0
    for stop in m.stops(100):
        assert stop.reason == vcpu.StopReason.LIMIT and not stop.ended
        count += 1
        if count == 5:
            break
    assert m.instructions == 500


def test_stop_from_another_thread():
    m = bare(bytes.fromhex("ebfe"))
    timer = threading.Timer(0.05, m.stop)
    timer.start()
    assert m.run(10**18).reason == vcpu.StopReason.REQUEST
    timer.join()


class Counter:
    """A port that counts its reads."""
    state_size = 4

    def __init__(self):
        self.count, self.written = 0, []

    def read(self, offset, size):
        self.count += 1
        return self.count

    def write(self, offset, size, value):
        self.written.append((offset, size, value))

    def save(self):
        return struct.pack("<I", self.count)

    def restore(self, state):
        self.count, = struct.unpack("<I", state)


# l: in al, 80h; out 81h, al; jmp l
PORTS = bytes.fromhex("e480 e681 ebfa")


def test_device_and_snapshot():
    m, device = bare(PORTS), Counter()
    m.map_ports("counter", 0x80, 2, device)
    m.run(6)
    assert device.written == [(1, 1, 1), (1, 1, 2)]
    with m.snapshot() as s:
        before = m.state_hash
        m.run(30)
        assert device.count == 12 and m.state_hash != before
        s.restore()
        assert device.count == 2 and m.state_hash == before
    with pytest.raises(vcpu.Error):
        m.map_ports("", 0x90, 1, device)


def test_save_and_load():
    m, other = bare(), bare()
    m.run(501)
    state = m.save()
    other.load(state)
    assert other.state_hash == m.state_hash and other.state_parts() == m.state_parts()
    m.run(100)
    other.run(100)
    assert other.state_hash == m.state_hash
    with pytest.raises(vcpu.Error):
        other.load(state[:-3] + b"xyz")


def test_engines_agree():
    hashes = set()
    for engine in vcpu.Engine.INTERPRETER, vcpu.Engine.BEST:
        m = bare(engine=engine)
        m.run(1501)
        hashes.add(m.state_hash)
    assert len(hashes) == 1


def test_debugger_goes_back():
    m = bare()
    with vcpu.Debugger(m) as d:
        d.watch(0x2000, 4)
        hits = [d.run() for _ in range(3)]
        assert [m.memory.integer(0x2000, 4), hits[2].what, hits[2].when.instructions] == [1000 + 999 + 998, vcpu.What.WATCH, 5]
        assert d.run_back().what == vcpu.What.WATCH and m.memory.integer(0x2000, 4) == 1000 + 999
        assert d.seek(1001).place.instructions == 1001
        assert d.step_back().place.instructions == 1000
        stop = d.last_write(0x2000, 4)
        assert stop.rip == 0x1005 and stop.write and stop.size == 4
        assert d.translate(0x2000) == 0x2000 and d.start == (0, 0, 0)
        assert d.fields()["cpu0"]


def test_last_set():
    m = bare(bytes.fromhex("b805000000 9090 ffc0 90 f4"))  # mov eax, 5; nop; nop; inc eax; nop; hlt
    with vcpu.Debugger(m) as d:
        d.run(5)
        assert m.registers.rax == 6 and d.last_set("rax").rip == 0x1007
        assert m.registers.rax == 5 and d.last_set("rax").rip == 0x1000
        with pytest.raises(KeyError):
            d.last_set("eex")


def test_recorded_changes(tmp_path):
    """The replay of a run with changes by hand and by a hook has them, and not the hook."""
    file = str(tmp_path / "changed.vrr")
    # 7C00h: inc ax; nop; nop; nop; jmp 7C00h
    with vcpu.Machine(bytes.fromhex("40 90 90 90 ebfa").ljust(510, b"\0") + b"\x55\xaa", memory="1M") as m:
        m.record(file, embed=True)
        m.hook(vcpu.HookKind.INSN, lambda e: m.registers.update({"rdx": m.instructions}), 0x7c03, 0x7c03)
        m.run(1000)
        m.registers.rbx = 0x1234
        m.memory.write(0x500, b"by hand")
        m.run(1000)
        m.record_end()
        expected = m.state_hash, m.registers.rdx
    replay = vcpu.Replay(file, verify=True)
    with replay.machine() as m:
        while not replay.done:
            m.run(777)
        assert (m.state_hash, m.registers.rdx) == expected and expected[1] > 1900
        assert m.registers.rbx == 0x1234 and m.memory.read(0x500, 7) == b"by hand"


@needs_demo
def test_console(tmp_path):
    program, file = os.environ.get("VCPU_DBG", "vcpu-dbg"), tmp_path / "demo.vrr"
    with vcpu.Machine(DEMO) as m:
        m.record(str(file), embed=True)
        m.run(3000)
        m.record_end()
    with vcpu.Console(file, symbols=[DEMO], program=program) as console:
        console("goto 50%")
        assert console("print 6 * 7")["value"] == 42
        place = console("who set $rsp")["place"]
        assert int(place["instructions"]) < 3000
        assert console("timeline " + str(tmp_path / "t.svg"))["processors"]
        assert (tmp_path / "t.svg").stat().st_size > 100
        with pytest.raises(vcpu.Error):
            console("nonsense")
        assert console("info registers")["registers"]
    with pytest.raises(vcpu.Error):
        vcpu.Console(tmp_path / "none", program=program)("print 1")


def test_debugger_breakpoint_and_condition():
    m = bare()
    with vcpu.Debugger(m) as d:
        number = d.break_at(0x1005)
        d.condition(lambda stop: m.registers.ecx == 500)
        stop = d.run()
        assert stop.what == vcpu.What.BREAK and stop.id == number and m.registers.ecx == 500
        d.condition(None)
        d.delete(number)
        with pytest.raises(KeyError):
            d.delete(number)
        blocks, events = [], []
        d.trace(vcpu.Event.MEMORY, events.append)
        d.coverage(lambda address, size: blocks.append(address))
        d.run(4)
        writes = [e for e in events if e.write]
        assert [e.address for e in writes] == [0x2000, 0x2000] and writes[0].rip == 0x1005


@needs_demo
def test_record_and_replay(tmp_path):
    path = tmp_path / "demo.vrr"
    with vcpu.Machine(DEMO, memory="128M", append="frames=1") as m:
        m.record(path, embed=True, interval=1_000_000)
        m.run(20_000_000)
        m.record_end()
        state_hash, output, where = m.state_hash, m.serial, m.place
    for engine in vcpu.Engine:
        replay = vcpu.Replay(path, verify=True, engine=engine)
        assert replay.end == where and replay.cut is None
        with replay.machine() as m:
            while not replay.done:
                m.run(1_000_000)
            assert m.state_hash == state_hash and m.serial == output and replay.checked > 0 and replay.divergence is None
    with replay.machine() as m, vcpu.Debugger(m) as d:
        d.seek(where)
        assert m.state_hash == state_hash
        assert d.seek(5_000_000).place.instructions == 5_000_000
    with pytest.raises(vcpu.Error):
        vcpu.Replay(b"no recording")


def test_screen():
    m = vcpu.Machine(display="vga", memory="16M")
    screen = None
    for _ in m.stops(50_000_000):
        screen = m.screen()
        if screen and "SeaBIOS" in screen.text or m.instructions > 2 * 10**9:
            break
    assert screen and "SeaBIOS" in screen.text and screen.width == 720 and screen.height == 400
    png = screen.png()
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and zlib.crc32(b"IEND") == struct.unpack(">I", png[-4:])[0]
    pytest.importorskip("numpy")
    assert screen.array.shape == (400, 720, 3) and screen.array.max() > 0


def test_isa_and_models():
    names = [row.mnemonic for row in vcpu.isa.rows()]
    assert len(names) > 1000 and "add" in names
    assert {names[n] for n in vcpu.isa.theorem("pentium")} >= {"sgdt", "popf", "smsw", "lar"}
    assert vcpu.isa.theorem("max", vcpu.Monitor.VTX) == []
    assert "max" in vcpu.models() and vcpu.__version__
    with pytest.raises(ValueError):
        vcpu.isa.theorem("nosuch")


def test_a_triple_fault_has_its_faults():
    # lidt [7c10h], where the limit is 0; ud2
    m = vcpu.Machine(bytes.fromhex("0f011e107c 0f0b").ljust(510, b"\0") + b"\x55\xaa", memory="1M")
    assert m.run().reason == vcpu.StopReason.TRIPLE_FAULT
    faults = m.faults()
    assert faults[0].vector == 6 and faults[0].rip == 0x7c05 and faults[0].text


def test_hooks_look_and_change():
    m, seen = bare(), []
    with m.hook(vcpu.HookKind.INSN, lambda e: seen.append((e.address, m.registers.rip, e.size)), observer=True):
        m.run(3)
    assert seen == [(0x1000, 0x1000, 5), (0x1005, 0x1005, 2), (0x1007, 0x1007, 2)]
    m.run(2)
    assert len(seen) == 3  # it was removed

    def double(event):
        assert event.kind == vcpu.HookKind.WRITE and event.write and event.size == 4 and bytes(event.data) == event.value.to_bytes(4, "little")
        event.value *= 2

    m = bare()
    m.hook(vcpu.HookKind.WRITE, double, 0x2000, 0x2003)
    m.registers.rip = 0x1000
    m.run(3)
    assert m.memory.integer(0x2000, 4) == 2000

    m = bare(bytes.fromhex("0fa2 f4"))  # cpuid; hlt
    m.registers.rax = 7

    def instead(event):
        m.registers.rbx = 0x1234
        return vcpu.Answer.SKIP

    m.hook(vcpu.HookKind.INSN, instead, instruction="cpuid")
    assert m.run(10).reason == vcpu.StopReason.IDLE
    assert (m.registers.rax, m.registers.rbx, m.instructions) == (7, 0x1234, 2)


def test_hook_stops_and_raises():
    m = bare()
    hook = m.hook(vcpu.HookKind.BLOCK, lambda e: vcpu.Answer.STOP, 0x1005)
    stop = m.run(10**6)
    assert (stop.reason, stop.code, stop.address) == (vcpu.StopReason.HOOK, hook.id, 0x1005)
    hook.remove()
    hook.remove()

    def broken(event):
        raise KeyError("mine")

    m.hook(vcpu.HookKind.EDGE, broken, observer=True)
    with pytest.raises(KeyError, match="mine"):
        m.run(10**6)
    with pytest.raises(vcpu.Error, match="no instruction"):
        m.hook(vcpu.HookKind.INSN, broken, instruction="nonsense")


def indices(m, kind):
    """Where the map of a hook of KIND counts events, by a hook that is called (vcpu_hook.h has the formula)."""
    found = []

    def note(e):
        x = e.address ^ e.from_ >> 1 if kind == vcpu.HookKind.EDGE else e.address
        found.append((x ^ x >> 16) & 0xff)

    m.hook(kind, note, observer=True)
    m.run(2500)
    return found


@pytest.mark.parametrize("kind", [vcpu.HookKind.BLOCK, vcpu.HookKind.EDGE])
@pytest.mark.parametrize("engine", list(vcpu.Engine))
def test_hook_map(kind, engine):
    expected = [0] * 256
    for i in indices(bare(engine=engine), kind):
        expected[i] = expected[i] % 255 + 1
    assert sum(map(bool, expected)) >= 2 and max(expected) > 200
    m = bare(engine=engine)
    hook = m.hook(kind, map=256)
    m.run(2500)
    assert list(hook.map) == expected
    own = bytearray(256)
    again = bare(engine=engine)
    with again.hook(kind, None, 0x1000, 0x10ff, map=own) as hook:
        again.run(2500)
        with pytest.raises(BufferError):
            own.append(0)  # the library has its address
    assert list(own) == expected and again.state_hash == m.state_hash
    again.registers.rip = 0x1000
    again.run(100)
    assert list(own) == expected  # it was removed
    hook.map[:] = bytes(256)
    assert not any(own)
    for wrong in 0, 100, bytes(256):
        with pytest.raises((vcpu.Error, BufferError, ValueError)):
            m.hook(kind, map=wrong)
    with pytest.raises(TypeError, match="a function or a map"):
        m.hook(kind)
    with pytest.raises(TypeError, match="a function or a map"):
        m.hook(kind, print, map=256)
    with pytest.raises(vcpu.Error):
        m.hook(vcpu.HookKind.READ, map=256)
    numpy = pytest.importorskip("numpy")
    counts = numpy.zeros(256, "u1")
    m = bare(engine=engine)
    m.hook(kind, map=counts)
    m.run(2500)
    assert counts.tolist() == expected


def test_segments_and_msrs():
    m = bare()
    cs = m.segment("cs")
    assert cs.attributes >> 13 & 1 and cs.base == 0  # L
    m.set_segment("fs", vcpu.Segment(0x33, 0x123456000, 0xffffffff, 0xc093))
    assert m.segment("fs").base == 0x123456000 and m.msrs[0xc0000100] == 0x123456000
    m.msrs[0xc0000101] = 0x7000
    assert m.segment("gs").base == 0x7000 and 0xc0000080 in list(m.msrs)
    with pytest.raises(KeyError):
        m.msrs[0x12345678]
    with pytest.raises(vcpu.Error):
        m.msrs[0xc0000101] = 1 << 62
    m.registers.update({"rax": 1, "rbx": -1})
    assert m.registers.get("rbx", "al", "rip") == ((1 << 64) - 1, 1, 0x1000)
    assert {"eax", "ymm0", "cs_limit", "rax"} <= set(vcpu.Registers.ALL)
    with pytest.raises(KeyError):
        m.registers.update({"eex": 1})


def test_what_a_machine_counts():
    m = bare()
    m.limit_time(500)
    assert m.run(10**6).reason == vcpu.StopReason.TIME and m.virtual_ns == 500
    m.limit_time()
    assert m.run(10**6).reason == vcpu.StopReason.IDLE
    assert m.widest_mode == 64 and m.kernel_bits is None and m.running == 0
    counts = m.memory_counts()
    assert counts["own"] >= 0x2000 and m.resident >= 0x2000 and m.cache_counts()["operations"] > 0
    m.memory.write(0x2000, bytes(0x1000))
    assert m.trim() >= 0x1000 and m.memory_counts()["own"] < counts["own"]
    with m.snapshot():
        assert m.snapshot_bytes > 0
    with pytest.raises(vcpu.Error):
        m.next_medium()


def test_what_a_debugger_sees():
    m = bare()
    m.memory.write(0x2100, bytes.fromhex("90 66 87db 90"))  # nop; xchg bx, bx; nop
    with vcpu.Debugger(m) as d:
        d.run(1)
        insn = d.instruction()
        assert insn.size == 2 and list(vcpu.isa.rows())[insn.row].mnemonic == "add"
        assert [(o.memory, o.written, o.value) for o in insn.operands if o.memory] == [(True, True, 0x2000)]
        assert [o.register for o in insn.operands if not o.memory] == ["rcx"]
        d.run(3)
        assert [t for t in d.tlb() if t.linear == 0x2000 and t.physical == 0x2000 and t.write]
        assert d.vmcs() is None and d.vmcb() is None and d.second_level(0x2000) == 0x2000 and d.vm_entry() is None
        m.registers.rip = 0x2100
        number = d.break_at_magic()
        stop = d.run(10)
        assert stop.id == number and stop.rip == 0x2101
    with vcpu.Machine(bytes.fromhex("ebfe").ljust(510, b"\0") + b"\x55\xaa", memory="1M") as pc, vcpu.Debugger(pc) as d:
        assert len(d.timers()) > 5
        calls = []
        d.progress(lambda: calls.append(pc.instructions) or len(calls) < 3)
        stop = d.run(10**10)
        assert stop.machine.reason == vcpu.StopReason.REQUEST and len(calls) == 3


def test_a_moved_kernel(tmp_path):
    (tmp_path / "old").write_bytes(HELLO)
    with vcpu.Machine(tmp_path / "old", memory="1M") as m:
        m.record(tmp_path / "hello.vrr")
        assert m.recording_ok
        m.run()
        m.record_end()
        assert not m.recording_ok
    replay = vcpu.Replay(tmp_path / "hello.vrr", verify=True)
    assert replay.config["kernel"] == str(tmp_path / "old") and replay.config["memory"] == 1 << 20 and replay.config["initrd"] is None
    (tmp_path / "old").rename(tmp_path / "new")
    with pytest.raises(vcpu.Error, match="old"):
        replay.machine()
    replay.allow(moved={tmp_path / "old": tmp_path / "new"})
    with replay.machine() as m:
        m.run()
        assert m.output[vcpu.Channel.DEBUGCON] == b"Hi"
    replay.allow(kernel=tmp_path / "new")
    replay.machine().close()


def test_row_classes():
    rows = [row.mnemonic for row in vcpu.isa.rows()]
    assert vcpu.isa.row_class("pentium", rows.index("hlt")) == "privileged"
    assert vcpu.isa.row_class("pentium", rows.index("sgdt")) == "behaviour"
    with pytest.raises(ValueError):
        vcpu.isa.row_class("nosuch", 0)


# Functions of the headers without a name in Python, and why.
UNNAMED = {
    "vcpu_map": "Machine.map calls vcpu_map_buffer, which maps zeroed memory, too",
    "vcpu_get_st": "registers.bytes has st0 to st7",
    "vcpu_set_st": "registers.set_bytes has st0 to st7",
    "vcpu_host": "a pointer into the machine outlives it: map(buffer=...) shares memory",
    "vcpu_debug_blocks": "machine code of the host, for the debugger's `info cache'",
    "vcpu_debug_whole": "Operand.register has the name",
    "vcpu_debug_second_walk": "Console has the walk",
    "vcpu_vmcs_text": "Console has the texts of fields",
    "vcpu_vmexit_text": "Console has the texts of exits",
    "vcpu_vmexit_name": "HookEvent.name has it",
}


def test_every_function_of_the_headers_has_a_name():
    package = pathlib.Path(vcpu.__file__).parent
    used = set(re.findall(r"\blib\.(vcpu_\w+)", "".join(f.read_text() for f in package.glob("*.py"))))
    functions = {n for n in dir(vcpu.lib) if n.startswith("vcpu_") and not n.startswith("vcpu_python_")}
    assert len(functions) > 100
    assert functions - used == set(UNNAMED)


def test_memory_on_demand():
    m, seen = bare(), []
    m.registers.rdi = 0x5000
    stop = m.run(10)
    assert (stop.reason, stop.code, stop.address, stop.size) == (vcpu.StopReason.MISSING, 2, 0x5000, 4)  # it reads and writes

    def missing(event):
        seen.append((event.kind, event.address, event.denied))
        m.map(event.address & ~0xfff, 0x1000, "r") if not event.denied else m.protect(event.address & ~0xfff, 0x1000, "rw")
        return vcpu.Answer.RETRY

    m.hook(vcpu.HookKind.MISSING_READ | vcpu.HookKind.MISSING_WRITE, missing)
    m.dirty_mark()
    assert m.run(10**6).reason == vcpu.StopReason.IDLE
    assert m.memory.integer(0x5000, 4) == sum(range(1001))
    assert seen == [(vcpu.HookKind.MISSING_READ, 0x5000, False), (vcpu.HookKind.MISSING_WRITE, 0x5000, True)]
    assert m.dirty_pages() == [0x5000]
    assert m.translate(0x5010) == 0x5010
    m.unmap(0x5000, 0x1000)
    with pytest.raises(IndexError):
        m.memory.read(0x5000, 1)


def test_buffer_and_wide_registers():
    buffer = bytearray(0x1000)
    m = bare(bytes.fromhex("f30f7f07 f4"))  # movdqu [rdi], xmm0; hlt
    m.map(0x8000, 0x1000, buffer=buffer)
    m.registers.rdi = 0x8010
    m.registers.set_bytes("xmm0", bytes(range(16)))
    m.run(10)
    assert buffer[0x10:0x20] == bytes(range(16)) == m.registers.bytes("xmm0")
    assert len(m.registers.bytes("cs")) == 2
    buffer[0:1] = b"\xf4"
    m.written(0x8000, 1)
    m.registers.rip = 0x8000
    assert m.run(10).reason == vcpu.StopReason.IDLE and m.registers.rip == 0x8001
    with pytest.raises(ValueError):
        m.registers.set_bytes("xmm0", b"")
    with pytest.raises(ValueError):
        m.map(0x9000, 0x2000, buffer=bytearray(1))


def test_clone():
    with vcpu.Machine(HELLO, memory="1M") as first:
        first.run(4)
        with first.clone() as clone:
            assert clone.state_hash == first.state_hash
            assert clone.run().reason == vcpu.StopReason.HALT
            assert clone.instructions > 4 == first.instructions
            ended = clone.state_hash
        first.run()
        assert first.state_hash == ended
    with vcpu.Machine(bare=True) as bare:
        bare.map(0, 0x1000, buffer=bytearray(0x1000))
        with pytest.raises(vcpu.Error, match="memory of the caller's"):
            bare.clone()


def test_dump(tmp_path):
    with vcpu.Machine(bare=True) as first, vcpu.Machine(bare=True) as second:
        first.map(0, 0x4000)
        first.set_mode(64)
        first.memory.write(0x1000, b"\xf4")
        first.registers.rip, first.registers.rbx = 0x1000, 77
        first.save_dump(tmp_path / "core")
        second.load_dump((tmp_path / "core").read_bytes())
        assert second.memory.read(0x1000, 1) == b"\xf4"
        assert (second.registers.rip, second.registers.rbx) == (0x1000, 77)
        second.load_registers('{"rbx": "0x4d2"}')
        assert second.registers.rbx == 1234 == int(json.loads(second.registers_json())["rbx"], 16)
        with pytest.raises(vcpu.Error, match="without memory"):
            second.load_dump(b"")


def test_template():
    with vcpu.Machine(HELLO, memory="1M") as first:
        first.run(4)
        with vcpu.Template(first) as template:
            machines = [vcpu.Machine(HELLO, memory="1M", template=template) for _ in range(3)]
            later = first.save()
            first.run(1)
            template.load(first)
            assert first.save() == later
        for m in machines:
            assert m.instructions == 4
            assert m.run().reason == vcpu.StopReason.HALT
            assert m.output[vcpu.Channel.DEBUGCON] == b""  # both characters were out
            assert m.state_hash == machines[0].state_hash


def test_stubs_have_the_enumerations():
    stub = (pathlib.Path(vcpu.__file__).parent / "_library.pyi").read_text()
    classes = {c.name: {a.targets[0].id: ast.literal_eval(a.value) for a in c.body if isinstance(a, ast.Assign)}
               for c in ast.parse(stub).body if isinstance(c, ast.ClassDef)}
    enums = {n: e for n, e in vars(vcpu).items() if isinstance(e, type) and issubclass(e, (enum.IntEnum, enum.IntFlag))}
    assert len(enums) == 10
    for name, e in enums.items():
        assert classes[name] == {m: int(v) for m, v in e.__members__.items()}, name
    assert {n for n, v in vars(vcpu._library).items() if getattr(v, "__module__", "") == "vcpu._library" and isinstance(v, type)} <= set(classes)


DOCUMENT = pathlib.Path(__file__).parents[2] / "docs/python.md"
EXAMPLES = [text for text in re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.S) if "bare=True" in text]


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_of_the_documentation(example, capsys):
    exec("import vcpu\n" + example, {})
    assert "hook.map" not in example or capsys.readouterr().out == "2 edges\n"


def test_examples_were_found():
    assert len(EXAMPLES) == 3
