/* SPDX-License-Identifier: MIT */
/* Observers: a debugger, a trace or a coverage learns of places in the code, accesses to memory and events. The
 * processor stops there at an instruction boundary. An observer never changes a result of the guest
 * (ARCHITECTURE.md, law 4). Without one, c->all->observer is NULL, and there is no other cost. */
#ifndef CPU_OBSERVE_H
#define CPU_OBSERVE_H

#include "cpu/cpu.h"

struct watch { u64 first, last; bool physical, read, write; };

enum observed { OBSERVED_POINT = 1, OBSERVED_READ, OBSERVED_WRITE, OBSERVED_EVENT };
/* Events that are no code and no plain memory. As in lib/vcpu_debug.h, which says what each one's address and value
 * are. */
enum event_kind {
	EVENT_EXCEPTION = 1, EVENT_INTERRUPT = 2, EVENT_PORT = 4, EVENT_MMIO = 8, EVENT_MSR = 0x10, EVENT_CR3 = 0x20,
		EVENT_MODE = 0x40,
	EVENT_CLOCK = 0x80, EVENT_OUTPUT = 0x100, EVENT_MEMORY = 0x200, EVENT_RESET = 0x400, /* for `saw' only */
	EVENT_VMENTRY = 0x800, EVENT_VMEXIT = 0x1000, EVENT_VMFAIL = 0x2000
};
struct seen {
	enum event_kind kind;
	u64 address, value;
	unsigned size;
	bool write;
	const char *name;          /* EVENT_CLOCK: whose event; EVENT_EXCEPTION: the check that failed, or NULL;
	                            * EVENT_VMEXIT, EVENT_VMFAIL: why */
	u8 cause;                  /* EVENT_EXCEPTION, EVENT_INTERRUPT: enum interrupt_kind */
};
/* Stop at events of KINDS whose address is in [first, last]; EVENT_CLOCK: whose name begins with NAME. */
struct filter { u32 kinds; u64 first, last; bool read, write; const char *name; };

#define BLOOM_BITS 15
struct bloom { u64 bits[(1u << BLOOM_BITS) / 64]; };
static inline void bloom_add(struct bloom *b, u64 page)
{
	u64 h = page * 0x9e3779b97f4a7c15 >> (64 - BLOOM_BITS);

	b->bits[h / 64] |= (u64)1 << h % 64;
}
static inline bool bloom_has(const struct bloom *b, u64 page)
{
	u64 h = page * 0x9e3779b97f4a7c15 >> (64 - BLOOM_BITS);

	return b->bits[h / 64] >> h % 64 & 1;
}

enum observing { OBSERVE_NOTHING, OBSERVE_ACCESSES, OBSERVE_ALL };
struct observer {
	enum observing active;     /* what to stop at; the pages are always noted */
	bool tracing;              /* tell `saw' */
	/* Code: the processor stops before the instruction at one of these addresses, unless it is at this place: where
	 * it stopped last. */
	struct { u64 address; bool physical; } *points;
	unsigned npoints;
	u64 offsets[PAGE_SIZE / 64]; /* bit n: a point has page offset n */
	bool magic;                /* every XCHG BX,BX is a point */
	u64 skip_icount;
	u32 skip_steps;
	bool skip;
	/* Memory */
	struct watch *watches;
	unsigned nwatches;
	bool by_cpu;               /* a processor writes through its space */
	/* Events */
	struct filter *filters;
	unsigned nfilters;
	u32 kinds;                 /* EVENT_* of all filters and of `trace': nobody asks for others */
	u32 trace;                 /* EVENT_*: those that go to `saw' */
	void (*saw)(void *owner, struct cpu *c, const struct seen *seen);
	/* code is about to run for the first time since blocks_flush; NULL: nobody asks */
	void (*built)(void *owner, u64 linear, unsigned bytes);
	void *owner;
	/* What happened first since `hit' was cleared. */
	enum observed hit;
	u64 hit_address, hit_icount, hit_rip;
	u32 hit_steps;
	unsigned hit_len;
	bool hit_physical, hit_dma, hit_magic;
	struct seen hit_event;
	unsigned hit_filter;
	/* gets the linear and physical pages that blocks are looked up in; NULL: nobody asks */
	struct bloom *executed;
};

static inline bool observed_offset(const struct observer *w, unsigned offset)
{
	return w && offset < PAGE_SIZE && w->offsets[offset / 64] >> offset % 64 & 1;
}
/* Does a point stop the processor at LINEAR, PHYS, with ICOUNT retired? Then the hit is noted. */
bool observe_point(struct cpu *c, u64 linear, u64 phys, u64 icount);
/* Code of CODE_BITS (MODE_16, MODE_32 or MODE_64) begins with XCHG BX,BX, and that is a point. */
static inline bool observed_magic(const struct observer *w, u64 code_bits, const u8 *code, unsigned room)
{
	unsigned prefix = code_bits != MODE_16;

	return w && w->magic && room >= prefix + 2 && (!prefix || code[0] == 0x66) && code[prefix] == 0x87 &&
		code[prefix + 1] == 0xdb;
}
/* The processor is before one, at LINEAR: does it stop? */
bool observe_magic(struct cpu *c, u64 linear, u64 icount);
/* The same at r[RIP], between two instructions. */
bool observe_point_here(struct cpu *c);
bool observes_page(const struct observer *w, u64 linear);
/* Where C stands: instructions retired before the one that it is in, and that one's RIP. */
u64 observe_place(const struct cpu *c, u64 *rip);
/* An access was made to memory by C. BYTES: what was read or written. */
void observe_access(struct cpu *c, u64 linear, u64 phys, const void *bytes, unsigned len, bool write);
void observe_event(struct cpu *c, const struct seen *seen);
void observe_clock(struct cpu *c); /* the clock is about to fire what is due */
static inline bool observes(const struct cpu *c, enum event_kind kind)
{
	return (unlikely(c->all->observer != NULL) && c->all->observer->kinds & kind) || unlikely(c->all->told & kind);
}
static inline void observe(struct cpu *c, enum event_kind kind, u64 address, u64 value, unsigned size, bool write)
{
	if (observes(c, kind))
		observe_event(c,
			      &(struct seen){
				      .kind = kind, .address = address, .value = value, .size = size, .write = write });
}
/* Target for ram->watched: a write that went through a space. */
void cpu_ram_watched(void *cpu, u64 phys, unsigned len);

#endif
