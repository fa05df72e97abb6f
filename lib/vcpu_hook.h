/* SPDX-License-Identifier: MIT */
/* Hooks: functions of the caller that the machine calls at instructions, accesses and events. A hook may read the
 * machine, change it, and choose how the run continues.
 *
 *     enum vcpu_hook_answer count(void *user, struct vcpu_hook_event *event);
 *     uint64_t n = 0;
 *     struct vcpu_hook hook = { .kinds = VCPU_HOOK_INSN, .observer = true, .call = count, .user = &n };
 *     int id = vcpu_hook_add(v, &hook);
 *
 *     vcpu_run(v, 1000000);
 *     vcpu_hook_remove(v, id);
 *
 * A hook is a callback; the rules of vcpu.h for callbacks hold. VCPU_RIP is the address of the instruction,
 * vcpu_instructions counts the instructions before it, and all registers are exact. Before an instruction
 * (VCPU_HOOK_INSN, VCPU_HOOK_BLOCK, VCPU_HOOK_EDGE) the hook may set every register and all memory before the
 * instruction reads them. If it sets VCPU_RIP, the guest continues at that address instead. vcpu_stop ends the
 * run before the instruction.
 *
 * count may be as short as `++*(uint64_t *)user; return VCPU_HOOK_GO;'. examples/hooks.c has more.
 *
 * Hooks of the same event are called in the order in which they were added. Code without a hook runs at
 * full speed. */
#ifndef VCPU_HOOK_H
#define VCPU_HOOK_H

#include <vcpu.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Kinds of hooks, and the members of struct vcpu_hook_event that each sets besides `kind' and `id'. The other
 * members are undefined. An instruction that faults and is executed again has its hooks called again. */
enum {
	/* Before an exception (INT n, INT3, INTO and INT1 too) is delivered. address: the vector; value: the error
	 * code; cause: enum vcpu_cause of vcpu_debug.h; name: the check that failed, or NULL. VCPU_HOOK_SKIP and
	 * VCPU_HOOK_RETRY: the exception is not delivered. The guest continues at VCPU_RIP: the address that the hook
	 * has set, else the faulting instruction, or the instruction after INT n. VCPU_HOOK_STOP: the run stops instead
	 * of the delivery */
	VCPU_HOOK_EXCEPTION = 1,
	VCPU_HOOK_INTERRUPT = 2,  /* the same for an external interrupt; VCPU_HOOK_SKIP drops it */
	VCPU_HOOK_MSR = 0x10,     /* RDMSR, WRMSR. address: the number of the MSR; value; write */
	VCPU_HOOK_CR3 = 0x20,     /* address: the new value of CR3; value: the old one */
	VCPU_HOOK_MODE = 0x40,    /* address: VCPU_MODE_* of vcpu_debug.h of the new mode; value: of the old one */
	/* A VM exit. address and value: those of VCPU_EVENT_VMEXIT of vcpu_debug.h; name: the cause */
	VCPU_HOOK_EXIT = 0x1000,
	VCPU_HOOK_CLOCK = 0x80,   /* a timer event of a device. value: its time in virtual ns; name: the device */
	/* Before an instruction. address: linear; size: its bytes. The hook of a repeated string instruction is called
	 * once for each part of at most 4096 elements */
	VCPU_HOOK_INSN = 0x10000,
	/* Before the first instruction of a basic block. address: linear. A block begins after an instruction that may
	 * transfer control or change the mode, whether it does or not; after a repeated string instruction; and at
	 * the entry and the return of a handler */
	VCPU_HOOK_BLOCK = 0x20000,
	/* After a branch, before the next instruction. address: of the next instruction; from: of the branch; taken:
	 * the next instruction is not the one after the branch in memory */
	VCPU_HOOK_EDGE = 0x40000,
	/* An access of a processor to memory or to a memory-mapped device. Accesses of vector and string instructions,
	 * to descriptor tables and to stacks count; accesses of page walks do not. address: linear; physical; size:
	 * bytes, 1 to 4096; data: the bytes; value: the same as a number, if there are at most 8; after; device: the
	 * access is to a device. Before a read, data is zero, and VCPU_HOOK_SKIP gives data to the instruction as the
	 * value read. After a read, data is the value read. Before a write, data is the value to write;
	 * VCPU_HOOK_SKIP: nothing is written */
	VCPU_HOOK_READ = 0x80000,
	VCPU_HOOK_WRITE = 0x100000,
	/* The same for ports. address: the port */
	VCPU_HOOK_IN = 0x200000,
	VCPU_HOOK_OUT = 0x400000,
	/* An access to a physical address without memory or device, or a fetch from one; or to memory of a bare machine
	 * that vcpu_protect denies (denied). address: linear; physical; of a read or write also size, data, value and
	 * write. The hook may map memory there (vcpu_map, vcpu_protect) and answer VCPU_HOOK_RETRY. VCPU_HOOK_SKIP:
	 * data, or value, is the value read; a write is lost. VCPU_HOOK_STOP: the instruction has not begun.
	 * VCPU_HOOK_GO, and where there is no hook: a bare machine stops with VCPU_STOP_MISSING; in a PC a read gives
	 * all ones, and a write is lost. An access while an exception or interrupt is delivered cannot be retried, and
	 * stops no machine */
	VCPU_HOOK_MISSING_READ = 0x800000,
	VCPU_HOOK_MISSING_WRITE = 0x1000000,
	VCPU_HOOK_MISSING_FETCH = 0x2000000,
};

enum vcpu_hook_answer {
	VCPU_HOOK_GO,    /* continue */
	/* Skip. VCPU_HOOK_INSN: the instruction is not executed and counts as retired; the guest continues after it.
	 * For other kinds see above; for kinds that do not name it, the same as VCPU_HOOK_GO */
	VCPU_HOOK_SKIP,
	VCPU_HOOK_RETRY, /* begin the instruction again, without an effect so far; its hooks are called again */
	/* Stop: vcpu_run returns VCPU_STOP_HOOK with the hook's id. The instruction has not begun, and the next
	 * vcpu_run does not call this hook again before it. After an access (after), and for VCPU_HOOK_MSR, CR3,
	 * MODE, CLOCK and EXIT, the run stops after the instruction. */
	VCPU_HOOK_STOP
};

struct vcpu_hook_event {
	unsigned kind, size;
	uint64_t address, physical, from, value; /* value: a hook of an access may change it */
	void *data;           /* valid during the call; a hook of an access of more than 8 bytes may change it */
	const char *name;
	int id;               /* of the hook */
	bool write, after, taken, device;
	unsigned cause;
	bool denied;          /* memory is there, but without the right */
};

/* A hook of KINDS (several are or-ed) whose address is from FIRST to LAST [both 0: all addresses]. */
struct vcpu_hook {
	size_t size;             /* sizeof(struct vcpu_hook), as struct vcpu_config has its size [that of the library] */
	unsigned kinds;
	uint64_t first, last;
	bool physical;           /* the addresses are physical [linear] */
	bool after;              /* READ, WRITE, IN, OUT: call the hook after the access [before it] */
	/* The hook reads only: its answer is VCPU_HOOK_GO or VCPU_HOOK_STOP (others count as VCPU_HOOK_GO), it does
	 * not write to `data', and functions that change the machine fail in it; vcpu_stop, vcpu_hook_add and
	 * vcpu_hook_remove do not. Its calls change no state, no count and no vcpu_state_hash [the hook may change the
	 * machine] */
	bool observer;
	const char *instruction; /* INSN: only instructions of this mnemonic, as vcpu_isa_row has it: "syscall",
	                            "cpuid", "rdtsc", "int", "hlt" [all] */
	enum vcpu_hook_answer (*call)(void *user, struct vcpu_hook_event *event);
	void *user;
	/* In place of CALL, of a hook of VCPU_HOOK_BLOCK or of VCPU_HOOK_EDGE alone, which is an observer: count its events in
	 * MAP, MAP_SIZE bytes, a power of two, which must be valid until the hook is removed. This is coverage as AFL wants
	 * it, and costs less than a call. Each event adds 1 to map[(x ^ x >> 16) & (map_size - 1)], where x is `address' for
	 * a block and `address' ^ `from' >> 1 for an edge; 255 is followed by 1, so that a count is never 0 again */
	uint8_t *map;
	size_t map_size;
};

/* Add a hook: returns its id, above 0, or -1 with vcpu_error. Allowed in callbacks. The hook is called from the next
 * instruction boundary on. HOOK is copied.
 *
 * In a machine that is recorded or debugged a hook that may change it can be of the kinds INSN, BLOCK and EDGE; hooks
 * of the other kinds must be observers. What such a hook changes (vcpu_set and its like, vcpu_write_physical,
 * vcpu_write_linear, RIP, VCPU_HOOK_SKIP) becomes an input of the run at this instruction: a replay of the recording
 * makes the same changes without the hook, and so does a debugger that goes back and repeats a part of the run. The
 * debugger calls observers again, but no hook that may change the machine where its changes are known. */
VCPU_API int vcpu_hook_add(vcpu *v, const struct vcpu_hook *hook);
/* Remove a hook. Returns 0, or -1 with vcpu_error: there is no such id. Allowed in callbacks, also in those of the
 * hook itself. */
VCPU_API int vcpu_hook_remove(vcpu *v, int id);

#ifdef __cplusplus
}
#endif
#endif
