# SPDX-License-Identifier: MIT
"""A crackme, solved by hooks. A function compares a scrambled text, letter by letter, with what it should be, and returns at the
first letter that is wrong. A hook before the comparison sees both values, and makes the function go on.

    python3 crackme.py"""
import vcpu

CODE, TEXT, WANTED, STACK, LENGTH = 0x1000, 0x3000, 0x4000, 0x8000, 12

# check(rdi: text, rsi: wanted)
#   0  xor edx, edx
#   2  1: movzx eax, byte [rdi+rdx]; imul eax, eax, 7; add eax, edx; xor al, 5Ah
#   d  cmp al, [rsi+rdx]; jne 2f; inc edx; cmp edx, 12; jne 1b
#  19  mov eax, 1; hlt
#  1f  2: xor eax, eax; hlt
PROGRAM = bytes.fromhex("31d2 0fb60417 6bc007 01d0 345a 3a0416 750d ffc2 83fa0c 75e9 b801000000 f4 31c0 f4")
COMPARE = CODE + 0xD
SCRAMBLED = bytes.fromhex("8f0b4808775d3d7fbd6f97a8")


def crackme() -> vcpu.Machine:
    machine = vcpu.Machine(bare=True)
    machine.map(0, 0x10000)
    machine.set_mode(64)
    machine.memory.write(CODE, PROGRAM)
    machine.memory.write(WANTED, SCRAMBLED)
    registers = machine.registers
    registers.rip, registers.rdi, registers.rsi, registers.rsp = CODE, TEXT, WANTED, STACK
    return machine


def check(machine: vcpu.Machine, text: bytes) -> bool:
    machine.memory.write(TEXT, text)
    machine.run(10000)
    return machine.registers.rax == 1


solution = bytearray(LENGTH)
with crackme() as start:
    for letter in range(32, 127):
        with start.clone() as machine: # each of them begins where START stands
            def compare(event: vcpu.HookEvent) -> None:
                place = machine.registers.rdx
                wanted = machine.memory[WANTED + place]
                if machine.registers.rax & 0xFF == wanted:
                    solution[place] = letter
                machine.registers.al = wanted # whatever it was

            machine.hook(vcpu.HookKind.INSN, compare, COMPARE)
            assert check(machine, bytes([letter]) * LENGTH)
    with start.clone() as machine:
        print(f"the text is {solution.decode()!r}: {'right' if check(machine, bytes(solution)) else 'wrong'}")
