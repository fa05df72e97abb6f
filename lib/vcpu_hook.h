/* SPDX-License-Identifier: MIT */
/* Hooks: functions of the caller's that the machine calls at instructions, accesses and events. They may look, change
 * and decide.
 *
 *     enum vcpu_hook_answer count(void *user, struct vcpu_hook_event *event);
 *     uint64_t n = 0;
 *     struct vcpu_hook hook = { .kinds = VCPU_HOOK_INSN, .observer = true, .call = count, .user = &n };
 *     int id = vcpu_hook_add(v, &hook);
 *
 *     vcpu_run(v, 1000000);
 *     vcpu_hook_remove(v, id);
 *
 * A hook is a callback (vcpu.h), and what vcpu.h says of callbacks holds. VCPU_RIP is the address of the instruction,
 * vcpu_instructions counts the instructions before it, and all registers are exact. Before an instruction
 * (VCPU_HOOK_INSN, VCPU_HOOK_BLOCK, VCPU_HOOK_EDGE) every register and all memory may be set, and the instruction sees
 * it. If a hook sets VCPU_RIP there, the guest goes on at that address in place of the instruction. vcpu_stop ends the
 * run before the instruction.
 *
 * count may be as short as `++*(uint64_t *)user; return VCPU_HOOK_GO;'. examples/hooks.c has more.
 *
 * Hooks of the same event are called in the order in which they were added. Code that no hook is for runs as without
 * hooks. */
#ifndef VCPU_HOOK_H
#define VCPU_HOOK_H

#include <vcpu.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Kinds of hooks, and the members of struct vcpu_hook_event that each sets besides `kind' and `id'. All other
 * members mean nothing. An exception or interrupt, and whatever follows, is called for each instruction anew: an
 * instruction that faults and runs again has its hooks called again. */
enum {
	/* Before an exception (INT n, INT3, INTO and INT1 too) is delivered. address: the vector; value: the error
	 * code; cause: enum vcpu_cause of vcpu_debug.h; name: the check that failed, or NULL. VCPU_HOOK_SKIP and
	 * VCPU_HOOK_RETRY: it is not delivered. The guest goes on at VCPU_RIP, which is the faulting instruction if the
	 * hook does not set it; behind INT n. VCPU_HOOK_STOP: the run stops in its place */
	VCPU_HOOK_EXCEPTION = 1,
	VCPU_HOOK_INTERRUPT = 2,  /* the same of an external interrupt, which VCPU_HOOK_SKIP drops */
	VCPU_HOOK_MSR = 0x10,     /* RDMSR, WRMSR. address: the number of the MSR; value; write */
	VCPU_HOOK_CR3 = 0x20,     /* address: the new value of CR3; value: the old one */
	VCPU_HOOK_MODE = 0x40,    /* address: VCPU_MODE_* of vcpu_debug.h of the new mode; value: of the old one */
	/* A VM exit. address: the basic reason; value: the exit qualification; name: the cause. Of SVM, address: the
	 * exit code; value: EXITINFO1; no name */
	VCPU_HOOK_EXIT = 0x1000,
	VCPU_HOOK_CLOCK = 0x80,   /* a device's event on the clock. value: its time in virtual ns; name: whose it is */
	/* Before an instruction. address: linear; size: its bytes. A repeated string instruction is one for each part
	 * of at most 4096 elements */
	VCPU_HOOK_INSN = 0x10000,
	/* Before the first instruction of a basic block. address: linear. A block begins behind an instruction that may
	 * transfer control or change the mode, whether it did or not, and behind a repeated string instruction; and at
	 * the entry and the return of a handler */
	VCPU_HOOK_BLOCK = 0x20000,
	/* Behind a branch, before the instruction that it leads to. address: that one's; from: of the branch; taken:
	 * address is not behind the branch */
	VCPU_HOOK_EDGE = 0x40000,
	/* An access of a processor to memory or to a device there; of vector and string instructions, of descriptor
	 * tables and stacks as well; not of page walks. address: linear; physical; size: bytes, 1 to 4096; data: the
	 * bytes; value: the same as a number, if there are at most 8; after; device: a device is there.
	 * Before a read data is zero, and VCPU_HOOK_SKIP makes it what is read; behind one, it is what was read.
	 * Before a write it is what will be written; VCPU_HOOK_SKIP: nothing is written */
	VCPU_HOOK_READ = 0x80000,
	VCPU_HOOK_WRITE = 0x100000,
	/* The same of ports. address: the port */
	VCPU_HOOK_IN = 0x200000,
	VCPU_HOOK_OUT = 0x400000,
	/* An access to a physical address without memory or device, or a fetch from one; or to memory of a bare machine
	 * that vcpu_protect denies (denied). address: linear; physical; of a read or write also size, data, value and
	 * write. The hook may map memory there (vcpu_map, vcpu_protect) and answer VCPU_HOOK_RETRY. VCPU_HOOK_SKIP:
	 * data, or value, is what is read; what is written is lost. VCPU_HOOK_STOP: the instruction has not begun.
	 * VCPU_HOOK_GO, and where there is no hook: a bare machine stops with VCPU_STOP_MISSING; in a PC a read gives
	 * all ones, and a write is lost. An access while an exception or interrupt is delivered cannot be retried, and
	 * stops no machine */
	VCPU_HOOK_MISSING_READ = 0x800000,
	VCPU_HOOK_MISSING_WRITE = 0x1000000,
	VCPU_HOOK_MISSING_FETCH = 0x2000000,
};

enum vcpu_hook_answer {
	VCPU_HOOK_GO,    /* go on */
	/* Do not do it. VCPU_HOOK_INSN: the instruction is skipped; it counts as retired, and the guest goes on
	 * behind it. As the other kinds say; with those that do not name it, the same as VCPU_HOOK_GO */
	VCPU_HOOK_SKIP,
	VCPU_HOOK_RETRY, /* begin the instruction again; its hooks are called again, and nothing of it has happened */
	/* Stop: vcpu_run returns VCPU_STOP_HOOK with the hook's id. The instruction has not begun, and the next
	 * vcpu_run does not call this hook again before it. Behind an access (after), and of VCPU_HOOK_MSR, CR3, MODE,
	 * CLOCK and EXIT, the run stops behind the instruction. */
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
	unsigned kinds;
	uint64_t first, last;
	bool physical;           /* the addresses are physical [linear] */
	bool after;              /* READ, WRITE, IN, OUT: call it behind the access [before it] */
	/* It only looks: its answer is VCPU_HOOK_GO or VCPU_HOOK_STOP (others count as VCPU_HOOK_GO), it does
	 * not write to `data', and functions that change the machine fail in it. Its calls change no state, no count
	 * and no vcpu_state_hash [it may change the machine] */
	bool observer;
	const char *instruction; /* INSN: only instructions of this mnemonic, as vcpu_isa_row has it: "syscall",
	                            "cpuid", "rdtsc", "int", "hlt" [all] */
	enum vcpu_hook_answer (*call)(void *user, struct vcpu_hook_event *event);
	void *user;
};

/* Add a hook: returns its id, above 0, or -1 with vcpu_error. Allowed in callbacks. The hook is called from the next
 * instruction boundary on. HOOK is copied.
 *
 * A machine that is recorded or debugged can have observers only: a hook that changes the machine would make a run that
 * cannot be repeated. A debugger that repeats a part of a run calls observers again. */
VCPU_API int vcpu_hook_add(vcpu *v, const struct vcpu_hook *hook);
/* Remove a hook: it is called no more. Returns 0, or -1 with vcpu_error: there is no such id. Allowed in callbacks, in
 * its own, too. */
VCPU_API int vcpu_hook_remove(vcpu *v, int id);

#ifdef __cplusplus
}
#endif
#endif
