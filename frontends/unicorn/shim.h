/* SPDX-License-Identifier: MIT */
/* Unicorn's C API for x86 on a bare machine of libvcpu: the inside of an engine.
 *
 *   engine.c    life, questions, controls          memory.c     regions, MMIO
 *   paging.c    the linear addresses of 64-bit programs
 *   run.c       uc_emu_start and its ends          registers.c  registers by Unicorn's numbers, contexts
 *   hooks.c     uc_hook_add; what the machine's hooks call
 *
 * Memory belongs to the regions, whose buffers the machine maps. A uc_emu_start in a callback runs in a machine of its
 * own, a level above, that maps the same buffers and hands its registers back. */
#ifndef UNICORN_SHIM_H
#define UNICORN_SHIM_H

#include <stdlib.h>
#include <string.h>
#include <unicorn/unicorn.h>
#include <vcpu.h>
#include <vcpu_hook.h>

enum { PAGE = 4096, LEVELS = 8, HOOK_PARTS = 7, OWN_HOOKS = 8 };

struct region {
	struct region *next;      /* in the order of addresses */
	uint64_t begin, size;
	uint32_t perms;
	uint8_t *host;            /* NULL: MMIO */
	bool own;                 /* it was allocated with mmap */
	bool reached;             /* the processor has these addresses */
	uc_cb_mmio_read_t read;
	uc_cb_mmio_write_t write;
	void *read_data, *write_data;
};

/* Memory that is unmapped, while a callback may still be in the middle of an access to it. */
struct garbage { struct garbage *next; void *host; size_t size; };

union callback {
	void *any;
	uc_cb_hookcode_t code;
	uc_cb_hookmem_t memory;
	uc_cb_eventmem_t missing;
	uc_cb_hookintr_t interrupt;
	uc_cb_hookinsn_invalid_t invalid;
	uc_cb_insn_in_t in;
	uc_cb_insn_out_t out;
	uc_cb_insn_syscall_t syscall;
	uc_cb_insn_cpuid_t cpuid;
	uc_hook_edge_gen_t edge;
};

/* Where blocks have begun, for UC_HOOK_EDGE_GENERATED: a table of addresses, of which 0 has a place of its own. */
struct edges {
	uc_tb block;              /* the one that runs; icount is 0: none does */
	uint64_t *seen;
	size_t count, room;       /* room: 0 or a power of two */
	bool zero;
};

/* One uc_hook_add. */
struct hook {
	struct hook *next;
	uc_engine *uc;
	int type, instruction;
	bool removed;
	union callback call;
	void *data;
	uint64_t begin, end;
	struct edges edges;
	int ids[LEVELS][HOOK_PARTS];  /* of the machine's hooks; 0: none */
};

struct level {
	vcpu *v;
	bool stop;                /* uc_emu_stop was called */
	bool ended;               /* it has come to an exit */
	bool goes;                /* a callback has set the instruction pointer to GO_TO where the machine cannot yet */
	bool stale;               /* the run has ended before the instruction at STALE_AT, whose hooks were called */
	uint64_t until, go_to, stale_at;
	uc_err error;
	int own[OWN_HOOKS];       /* ids of the engine's own hooks */
	struct exit_hook { uint64_t address; int id; } *exits;
	size_t exit_count;
};

struct uc_struct {
	uc_mode mode;
	int cpu;                  /* enum uc_cpu_x86 */
	uc_err error;             /* of the last call that failed */
	struct region *regions;
	struct garbage *garbage;
	struct hook *hooks;
	struct level level[LEVELS];
	unsigned top;             /* the level that runs, or would */
	unsigned running;         /* levels that run */
	uint64_t *tables;         /* page tables, with UC_MODE_64; NULL: linear addresses are physical */
	uint64_t free_gib;        /* the first physical GiB that no linear one has */
	bool use_exits, timed_out;
	uint64_t *exits, timeout; /* us */
	size_t exit_count;
};

static inline struct level *current(uc_engine *uc) { return &uc->level[uc->top]; }
static inline vcpu *machine(uc_engine *uc) { return current(uc)->v; }

/* ---- engine.c ---- */

/* A machine of the engine's mode and model with its regions and hooks, for level N. NULL: it cannot be made. */
vcpu *machine_make(uc_engine *uc, unsigned n);
/* The same without regions and hooks. */
vcpu *machine_bare(uc_engine *uc);

/* ---- paging.c ---- */

bool paging_start(uc_engine *uc, vcpu *v); /* false: V has not the addresses, or no pages of 1 GiB */
void paging_free(uc_engine *uc);
/* The physical address of the guest's ADDRESS; *LEN is cut to the bytes that follow it there. False: there is none. */
bool paging_physical(uc_engine *uc, uint64_t address, uint64_t *physical, uint64_t *len);
/* A #PF at ADDRESS: has an entry been made, so that the instruction can begin again? */
bool paging_fill(uc_engine *uc, vcpu *v, uint64_t address);

/* ---- memory.c ---- */

struct region *region_at(uc_engine *uc, uint64_t address);
/* Map R in V, unless the processor has no such addresses. */
void region_show(uc_engine *uc, vcpu *v, struct region *r);
/* LEN bytes at the guest's ADDRESS, which are shown, were written. */
void region_written(uc_engine *uc, vcpu *v, uint64_t address, uint64_t len);
void regions_free(uc_engine *uc);
void garbage_free(uc_engine *uc);
/* An access of LEN bytes at ADDRESS, to MMIO or memory, to or from DATA. False: something is not mapped. */
bool memory_access(uc_engine *uc, uint64_t address, void *data, size_t len, bool write);

/* ---- registers.c ---- */

uint64_t instruction_pointer(vcpu *v, uc_mode mode); /* linear */
bool go_to(vcpu *v, uc_mode mode, uint64_t address);
/* All registers but RIP. */
void registers_copy(vcpu *to, const vcpu *from);

/* ---- hooks.c ---- */

bool is_exit(const uc_engine *uc, uint64_t address);
/* All hooks for level N; again, so that those that were called before its next instruction are called there. */
bool hooks_install(uc_engine *uc, unsigned n);
void hooks_free(uc_engine *uc);
/* Hooks for the exits of level N. */
bool exits_install(uc_engine *uc, unsigned n);
void edges_start(uc_engine *uc);                      /* no block has run */

#endif
