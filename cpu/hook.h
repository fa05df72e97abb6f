/* SPDX-License-Identifier: MIT */
/* Hooks: functions of the caller's that are called in the middle of the run, and may look and change. A hook of code is
 * an operation in the blocks that it concerns (cpu/engine/guard.c), one of memory keeps the tags of its pages out of
 * the TLB. Without hooks c->all->hooks is NULL, blocks are as ever, and there is no other cost. */
#ifndef CPU_HOOK_H
#define CPU_HOOK_H

#include "cpu/observe.h"
#include "cpu/op.h"

/* As in lib/vcpu_hook.h, which says what each one's address and value are; the first ones as enum event_kind. */
enum hook_kind {
	HOOK_EXCEPTION = EVENT_EXCEPTION, HOOK_INTERRUPT = EVENT_INTERRUPT, HOOK_MSR = EVENT_MSR, HOOK_CR3 = EVENT_CR3,
	HOOK_MODE = EVENT_MODE, HOOK_CLOCK = EVENT_CLOCK, HOOK_EXIT = EVENT_VMEXIT,
	HOOK_INSN = 0x10000, HOOK_BLOCK = 0x20000, HOOK_EDGE = 0x40000, HOOK_READ = 0x80000, HOOK_WRITE = 0x100000,
	HOOK_IN = 0x200000, HOOK_OUT = 0x400000,
	HOOK_MISSING_READ = 0x800000, HOOK_MISSING_WRITE = 0x1000000, HOOK_MISSING_FETCH = 0x2000000,
	HOOK_MISSING = HOOK_MISSING_READ | HOOK_MISSING_WRITE | HOOK_MISSING_FETCH,
	HOOK_CODE = HOOK_INSN | HOOK_BLOCK | HOOK_EDGE, HOOK_MEMORY = HOOK_READ | HOOK_WRITE,
	HOOK_TOLD = HOOK_MSR | HOOK_CR3 | HOOK_MODE | HOOK_CLOCK | HOOK_EXIT, /* by observe_event */
};
enum hook_answer { HOOK_GO, HOOK_SKIP, HOOK_RETRY, HOOK_STOP };

struct hook_event {
	u32 kind, size;
	u64 address, physical, from, value;
	void *data;
	const char *name;
	s32 id;
	bool write, after, taken, device;
	u32 cause;              /* enum interrupt_kind */
	bool denied;
};

struct vcpu_hook_event; /* the API's name for struct hook_event */

struct hook {
	struct hook *next;      /* in the order of ids */
	unsigned (*call)(void *user, struct vcpu_hook_event *event); /* enum hook_answer; EVENT is a hook_event */
	void *user;
	u32 kinds;              /* 0: it was removed, and is freed when no block has it */
	u64 first, span;        /* addresses from FIRST to FIRST + SPAN */
	bool physical, after, observer;
	u16 code;               /* enum code. HOOK_INSN: this instruction alone; CODE_NONE: any */
	s32 id;
	u8 *map;                /* where events are counted, in place of a call; NULL: nowhere */
	u64 mask;
	u8 nowhere;             /* where they are once it was removed */
};

enum { RESUME_CALLS = 16 };

struct hooks {
	struct hook *first;
	struct hook *added;     /* since the last instruction boundary at which hooks_settle was called */
	u32 kinds;              /* of all from FIRST on; of those without and with `after' */
	u32 before, behind;
	const struct hook *accesses; /* the only one of memory; NULL: there are several, or none */
	bool each_insn;         /* one is for every instruction, of some page at least */
	unsigned removed;       /* hooks that are still to be freed */
	s32 last_id;
	struct hook_event event;
	u64 bytes, was;         /* of an access of at most 8 bytes: what event.data points to; before the call */
	u64 beyond;             /* of an access that goes on in another page: its physical address there */
	const struct hook *current; /* whose function is running; NULL: none */
	s32 stopped;            /* id of the hook that has asked for a stop; 0: none */
	u64 stopped_at;         /* the address of its event */
	bool checks;            /* a block may begin where the run was cut: hook_enter() finds out */
	/* The run goes on where hooks have left it: at this place, these calls have been made. */
	struct {
		bool on;
		u32 steps, count;
		u64 icount;
		struct { u32 kind; s32 id; u64 address; } call[RESUME_CALLS]; /* the last ones */
	} resume;
	/* The instruction at this place is no beginning of a block: it follows one that is no branch. */
	struct { u64 icount, rip; } straight;
	/* The branch that was executed last, if it has not been told where it led. */
	struct { bool pending; u64 from, next, icount; } edge;
	/* The arithmetic flags before an instruction that writes where it has read, and the count after it. */
	struct { u64 after, res, cv; u8 fix; } flags;
};

static inline bool hooked(const struct cpu *c, u32 kinds)
{
	return unlikely(c->all->hooks != NULL) && c->all->hooks->kinds & kinds;
}

/* A fault that is none: a hook wants the instruction to be undone, and the run to stop, or to begin it again. */
enum { FAULT_HOOK = 0xfe };
/* Another one: there is no memory for the access, and the run ends before the instruction (missing_stops). */
enum { FAULT_MISSING = 0xfd };
/* Does anybody ask whether there is memory for accesses of KIND? */
static inline bool missing_matters(const struct cpu *c, u32 kind) { return c->all->missing_stops || hooked(c, kind); }
/* Is there none at PHYS, or is it denied? Here, missing() and hook_fetch() say what comes of that. */
bool missing_at(const struct cpu *c, u64 phys, enum access access);
/* ACCESS finds no memory, and no hook does anything about it. HOOK_GO: it is done as on a bus without memory.
 * HOOK_STOP: a fault is set. */
enum hook_answer missing_stop(struct cpu *c, enum access access, u64 linear, u64 phys, unsigned len);

/* Put a hook into the machine, which frees it (malloc'd): K gets its id. False: no memory. Remove one; false: there is
 * no such id. Both take effect at the next instruction boundary. */
bool hook_add(struct cpus *all, struct hook *k);
bool hook_remove(struct cpus *all, s32 id);
/* No block is left: take in what was added, free what was removed. */
void hooks_settle(struct cpus *all);
void hooks_free(struct cpus *all);
/* The machine is in another state: what was called on the way to the one before does not matter. */
void hooks_loaded(struct cpus *all);

/* Is an operation to be placed for one of KINDS before the instruction CODE at OFFSET in its page, at physical PHYS?
 * The first hook that it is for, or NULL. */
const struct hook *hook_wanted(const struct cpu *c, u32 kinds, unsigned offset, u64 phys, unsigned code);

/* The same, if no other hook is for code of this kind and the operation's place says all but the linear address. */
const struct hook *hook_alone(const struct cpu *c, u32 kind, const struct hook *wanted);

/* What an operation of code does: how its block goes on. HOOKED_ELSEWHERE: at r[RIP]; HOOKED_LEAVES: the block is left.
 * c->n is exact then. */
enum hooked { HOOKED_ON, HOOKED_ELSEWHERE, HOOKED_LEAVES };
enum hooked hook_insn(struct cpu *c, const struct STORED_OP *o);
enum hooked hook_enter(struct cpu *c, const struct STORED_OP *o);
/* K has given ANSWER before O, or has changed more than registers. */
enum hooked hook_answered(struct cpu *c, const struct STORED_OP *o, const struct hook *k, int answer);
/* Call K for the event that H has. CURRENT stays K. */
ALWAYS_INLINE int hook_call(struct cpu *c, struct hooks *h, const struct hook *k)
{
	h->event.id = k->id;
	h->current = k;
	c->all->hook_calls++;
	return (int)k->call(k->user, (struct vcpu_hook_event *)&h->event);
}
/* Is K for all linear addresses? */
static inline bool hook_everywhere(const struct hook *k) { return k->span == ~(u64)0; }
/* Call the hook of O, which is alone, for the event at LINEAR. RANGED: if it is for that address. */
ALWAYS_INLINE enum hooked hook_call_alone(struct cpu *c, const struct STORED_OP *o, u32 kind, u32 size, u64 linear,
					  bool ranged)
{
	const struct hook *k = o->hook;
	struct cpus *all = c->all;
	struct hooks *h = all->hooks;
	int answer;

	if (ranged && unlikely(linear - k->first > k->span))
		return HOOKED_ON;
	h->event.kind = kind;
	h->event.size = size;
	h->event.address = linear;
	answer = hook_call(c, h, k);
	h->current = NULL;
	return unlikely(answer | (int)c->attn | (int)*all->asked) ? hook_answered(c, o, k, answer) : HOOKED_ON;
}
/* Count an event in K's map: X is the address, of an edge with half of where it comes from (lib/vcpu_hook.h). */
ALWAYS_INLINE void hook_count(const struct hook *k, u64 x)
{
	u8 *at = k->map + ((x ^ x >> 16) & k->mask);
	u8 count = (u8)(*at + 1);

	*at = (u8)(count + !count);
}
/* The hook of an edge, which is alone, has been called, and the block goes on as HOW says. */
enum hooked hook_edge_called(struct cpu *c, enum hooked how);
/* A block may begin with an instruction that is executed for a second time. */
static inline void hook_checks(struct cpu *c)
{
	if (unlikely(c->all->hooks != NULL))
		c->all->hooks->checks = true;
}
/* Behind a block: a branch that nobody was told of yet leads to r[RIP]. */
void hook_edge_now(struct cpu *c);
static inline void hook_straight_at(struct cpu *c, u64 icount, u64 rip)
{
	c->all->hooks->checks = true;
	c->all->hooks->straight.icount = icount;
	c->all->hooks->straight.rip = rip;
}

/* The kinds of memory hooks that concern the page of LINEAR, at PHYS. */
u32 hook_page(const struct cpu *c, u64 linear, u64 phys);
/* An access of LEN bytes is about to be made (AFTER: was made), to or from DATA, which hooks may change. HOOK_GO or
 * HOOK_SKIP; HOOK_STOP: a fault is set, and the instruction ends with it. */
enum hook_answer hook_access(struct cpu *c, u32 kind, bool after, u64 linear, u64 phys, void *data, unsigned len,
			     bool device);
static inline bool hook_covers(const struct hook *k, u64 address, u64 len)
{
	return address - k->first <= k->span || k->first - address < len;
}
/* Do hooks alone keep an access from the fast path? *HOST: its bytes. False: translate it. (The page after the one that
 * the entry is for has another entry.) */
ALWAYS_INLINE bool hooked_host(const struct cpu *c, u64 linear, unsigned len, unsigned access, u8 **host)
{
	unsigned n = linear >> PAGE_SHIFT & (TLB_SIZE - 1);
	const struct tlb_entry *e = &c->view->tlb[n];

	*host = (u8 *)(uintptr_t)(linear + e->addend);
	return !(access & ACCESS_SYSTEM) &&
	       likely(c->view->hooked[n] & (access == ACCESS_WRITE ? HOOKED_WRITE : HOOKED_READ)) &&
	       likely(!(((linear + len - 1) ^ e->valid) & PAGE_MASK));
}
/* The physical address of LINEAR, which the TLB has. */
static inline u64 hook_phys(const struct cpu *c, u64 linear)
{
	return c->view->phys[linear >> PAGE_SHIFT & (TLB_SIZE - 1)] | (linear & (PAGE_SIZE - 1));
}
/* The hook of memory that is alone, if it is for KIND, no run goes on behind a call of it, and the host has its own
 * MXCSR. */
ALWAYS_INLINE const struct hook *access_alone(const struct cpu *c, u32 kind)
{
	const struct hooks *h = c->all->hooks;
	const struct hook *k = h->accesses;

	return likely(k && !(h->resume.on | c->mxcsr_live)) && k->kinds & kind ? k : NULL;
}
/* hooks.current, which is alone for memory, has given ANSWER, or has changed what is read or written. */
enum hook_answer hook_access_answered(struct cpu *c, int answer);
/* Call K, which is alone for memory, for an access of at most 8 bytes to RAM, of VALUE at DATA, before or AFTER it.
 * CURRENT stays K, so that nothing is kept over the call for it. */
ALWAYS_INLINE int hook_access_call(struct cpu *c, struct hooks *h, const struct hook *k, u32 kind, bool after,
				   u64 linear, u64 phys, unsigned len, u64 value, u64 *data)
{
	h->event.kind = kind;
	h->event.size = len;
	h->event.address = linear;
	h->event.physical = phys;
	h->event.value = value;
	h->event.data = data;
	h->event.write = kind == HOOK_WRITE;
	h->event.after = after;
	h->event.taken = h->event.device = h->event.denied = false;
	return hook_call(c, h, k);
}
/* As hook_access() for such an access, with K, which is alone for memory: quickly. Behind it, hooks.bytes is the VALUE,
 * which K may have changed. */
ALWAYS_INLINE enum hook_answer hook_access_alone(struct cpu *c, const struct hook *k, u32 kind, u64 linear, u64 phys,
						 unsigned len, u64 value)
{
	struct hooks *h = c->all->hooks;
	int answer;

	h->bytes = h->was = value;
	answer = hook_access_call(c, h, k, kind, k->after, linear, phys, len, value, &h->bytes);
	if (unlikely(answer | (int)*c->all->asked | (h->event.value != h->bytes)))
		return hook_access_answered(c, answer);
	h->current = NULL;
	return HOOK_GO;
}
/* Call K, if it is for these addresses. What is read or written is HOOKS.bytes then. */
ALWAYS_INLINE enum hook_answer tell_alone(struct cpu *c, const struct hook *k, u32 kind, u64 linear, unsigned size,
					  u64 value)
{
	u64 phys = hook_phys(c, linear);

	return likely(hook_covers(k, unlikely(k->physical) ? phys : linear, size))
		       ? hook_access_alone(c, k, kind, linear, phys, size, value)
		       : HOOK_GO;
}
/* hook_access_alone() for an observer before accesses. */
ALWAYS_INLINE enum hook_answer hook_access_seen(struct cpu *c, struct hooks *h, const struct hook *k,
						enum access access, u64 linear, unsigned len, u64 value)
{
	int answer = hook_access_call(c, h, k, access == ACCESS_WRITE ? HOOK_WRITE : HOOK_READ, false, linear,
				      hook_phys(c, linear), len, value, &h->event.value);

	if (unlikely(answer | (int)*c->all->asked))
		return hook_access_answered(c, answer);
	h->current = NULL;
	return HOOK_GO;
}
/* The handler of a MOV that does the same as RUN, whose address is linear as it is, and calls K, the hook of memory
 * that is alone, an observer before accesses; else RUN. (move.c) */
handler *hooked_move(handler *run, const struct hook *k);
/* An instruction has read what it will write: if a hook undoes it then, it may have changed the flags. */
void hook_keep_flags(struct cpu *c);
/* The same for a port. */
enum hook_answer hook_port(struct cpu *c, bool write, bool after, u16 port, unsigned size, u64 *value);
/* Code is to be fetched from LINEAR, at PHYS, which is no RAM, or is denied. False: a hook wants that to be done again,
 * or the run is to stop; a fault is set. */
bool hook_fetch(struct cpu *c, u64 linear, u64 phys);
/* Is the exception or interrupt to be delivered? */
bool hook_interrupt(struct cpu *c, unsigned vector, enum interrupt_kind kind, u32 error);
/* Something has happened, of HOOK_TOLD. */
void hook_tell(struct cpu *c, u32 kind, u64 address, u64 value, bool write, const char *name);

#endif
