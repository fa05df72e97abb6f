/* SPDX-License-Identifier: MIT */
/* Copying stencils on x86-64 (on aarch64: stitch_aarch64.c).
 *
 * One stretch of addresses, near the library so that calls and constants are within 2 GiB of the code:
 *
 *     operations | code: hot --> ............ <-- aside
 *
 * Hot code of a block lies in one piece; what its operations do seldom lies aside, at the other end. The code is one
 * memory that is mapped twice: here it can be executed, at `writable' it can be written, and nowhere both.
 *
 * Code keeps some of the guest's registers in host registers (stencil.h, struct kept), and memory may have older
 * values of all but RIP. So there are two ways into it: from other code, where they are in place (the first
 * operation's cost says how far from it), and from handlers, by op.run, which loads them. Code that goes to a handler
 * stores them.
 *
 *     code:   [reload] [handler] [store] | hot --> ............ <-- aside
 *     reload: load the kept registers, then go to rcx           handler: rcx is an operation; call its handler
 *     store:  store them, then return
 *
 * Of vector registers a block keeps 16 bytes each in up to eight host registers (struct vectors), each from the
 * operation that loads or writes it first to one that calls a function. They are never stored: memory has them.
 *
 * A direct jump within its page that is not linked yet goes to jump_unlinked, which leaves the block so that run.c
 * links it (jump.h). Links to a block that is not stitched go to a stub, which changes when the block is. */
#define _GNU_SOURCE
#include <stdlib.h>
#include "cpu/engine/stitch.h"

#ifndef VCPU_STITCH
#define VCPU_STITCH 0
#endif

const bool stitch_built = VCPU_STITCH;

#if VCPU_STITCH
HANDLER(stitch_count)
{
	if (unlikely(((struct op *)o)->imm-- <= 0)) {
		n += o->left;
		LEAVE(EXIT_HOT);
	}
	RUN(o + 1);
}
#endif

#if VCPU_STITCH && defined __x86_64__
#include <sys/mman.h>
#include <unistd.h>
#include "cpu/engine/stencil_copy.h"
#include "cpu/jump.h"
#include "mem/pages.h"

enum { CODE_BYTES = 64 << 20, BLOCK_OPS = 256, JMP_BYTES = 5, GLUE_BYTES = 17, STUB_BYTES = 16, COMMON_BYTES = 192,
       STORE_BYTES = 36, VERIFY_BYTES = 64, VERIFY_VECTOR_BYTES = 24 };

/* Of an operation: its code, and, of a jump, which stencil it is, the swaps of its block, and the code that undoes
 * them on the way out (0: none). Of a block's first operation: the end of its code, its stub, which lies aside, its
 * swaps, and where it jumps back to, if there are any. */
struct site { u32 hot, aside, out; u16 stencil, swaps; };

struct stitch {
	u8 *region;                    /* operations, then code */
	size_t ops_size;
	struct op *ops;
	u8 *code, *writable;
	u32 hot, aside;                /* offsets of the first free and the last used byte */
	u32 kept;                      /* bytes that stitch_forget will need for the blocks that there are */
	struct site *sites;            /* by operation */
	struct stencil_table plain, linked, seldom;
};

/* ---- memory ---- */

/* Can code reach from A to B? The library itself is much smaller than what is spared here. */
static bool near(const void *a, const void *b)
{
	const intptr_t reach = (intptr_t)INT32_MAX - (64 << 20), distance = (intptr_t)a - (intptr_t)b;

	return distance > -reach && distance < reach;
}

/* SIZE bytes of addresses close to the library. */
static u8 *reserve(size_t size)
{
	enum { STEP = 32 << 20, STEPS = INT32_MAX / STEP };
	uintptr_t here = (uintptr_t)stencil_code & ~(uintptr_t)(STEP - 1);

	for (unsigned i = 1; i < STEPS; i++)
		for (int side = 0; side < 2; side++) {
			uintptr_t hint = side ? here + (uintptr_t)i * STEP : here - (uintptr_t)i * STEP - size;
			u8 *p = mmap((void *)hint, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

			if (p == MAP_FAILED)
				return NULL;
			if (near(p, stencil_code) && near(p + size, stencil_code))
				return p;
			munmap(p, size);
		}
	return NULL;
}

/* The same memory at two places: mremap of 0 bytes makes the second. (A memory file would have the host's limit on
 * the size of files.) */
static bool map_code(struct stitch *s)
{
	s->writable = mmap(NULL, CODE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return s->writable != MAP_FAILED &&
	       mremap(s->writable, 0, CODE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, s->code) == s->code &&
	       !mprotect(s->code, CODE_BYTES, PROT_READ | PROT_EXEC);
}

/* Store the general registers that are kept, with SWAPS. */
static u8 *put_stores(u8 *p, u16 swaps)
{
	for (unsigned reg = 0; reg < RIP; reg++)
		if (copy_host(swaps, reg))
			p = copy_register_memory(p, 0x89, copy_host(swaps, reg), 8 * reg); /* mov %host, 8 * reg(%r12) */
	return p;
}

/* What the head of this file calls reload, handler and store. */
enum { RELOAD_AT, HANDLER_AT = 64, STORE_AT = 128 };
static void make_common(struct stitch *s)
{
	u8 *p = s->writable + RELOAD_AT;

	for (unsigned reg = 0; reg < REGISTERS; reg++)
		if (copy_host(0, reg))
			p = copy_register_memory(p, 0x8b, copy_host(0, reg), 8 * reg); /* mov 8 * reg(%r12), %host */
	memcpy(p, "\xff\xe1", 2); /* jmp *%rcx */
	p = put_stores(s->writable + HANDLER_AT, 0);
	memcpy(p, "\x49\x89\xcd\x41\xff\x65\x00", 7); /* mov %rcx, %r13; jmp *(%r13) */
	*put_stores(s->writable + STORE_AT, 0) = 0xc3;
}

struct stitch *stitch_new(size_t ops, struct op **arena)
{
	struct stitch *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->writable = MAP_FAILED;
	s->hot = COMMON_BYTES;
	s->aside = CODE_BYTES;
	s->ops_size = ops * sizeof(struct op);
	s->region = reserve(s->ops_size + CODE_BYTES);
	s->ops = (struct op *)s->region;
	s->code = s->region + s->ops_size;
	s->sites = pages_new(ops * sizeof *s->sites);
	if (!s->region || !s->sites || !map_code(s) || mprotect(s->ops, s->ops_size, PROT_READ | PROT_WRITE)) {
		stitch_free(s);
		return NULL;
	}
	for (const struct stencil *st = stencils; st < stencils + stencil_count; st++)
		if (!st->specialised)
			stencil_add(st->seldom ? &s->seldom : st->links ? &s->linked : &s->plain, st);
	make_common(s);
	*arena = s->ops;
	return s;
}

void stitch_free(struct stitch *s)
{
	if (!s)
		return;
	if (s->writable != MAP_FAILED)
		munmap(s->writable, CODE_BYTES);
	if (s->region)
		munmap(s->region, s->ops_size + CODE_BYTES);
	pages_free(s->sites, s->ops_size / sizeof *s->ops * sizeof *s->sites);
	free(s);
}

u64 stitch_size(const struct stitch *s) { return s->hot + (CODE_BYTES - s->aside); }

void stitch_reset(struct stitch *s, size_t used)
{
	memset(s->sites, 0, used * sizeof *s->sites);
	s->hot = COMMON_BYTES;
	s->kept = 0;
	s->aside = CODE_BYTES;
}

/* ---- the counter ---- */

static s32 distance(const struct op *from, const u8 *to) { return (s32)(to - (const u8 *)from); }
/* Is the block at FIRST stitched? */
static bool is_stitched(const struct stitch *s, const struct op *first)
{
	return (u8 *)first->run >= s->code && (u8 *)first->run < s->code + CODE_BYTES;
}

void stitch_counter(const struct stitch *s, struct op *o, unsigned times)
{
	*o = (struct op){ .run = stitch_count, .cost = distance(o, s->code + HANDLER_AT), .imm = times };
}

/* ---- filling in ---- */

static struct site *site(const struct stitch *s, const struct op *o) { return &s->sites[o - s->ops]; }

static void branch_at(struct stitch *s, u32 at, u8 opcode, const void *to)
{
	s->writable[at] = opcode;
	put32(s->writable + at + 1, (u32)((uintptr_t)to - (uintptr_t)(s->code + at + JMP_BYTES)));
}
static void jump_at(struct stitch *s, u32 at, const void *to) { branch_at(s, at, 0xe9, to); }

/* Store what is kept, then r13, where handlers have their operation (preserve_none). Returns where this ends. */
static u32 point_at(struct stitch *s, u32 at, const struct op *o)
{
	branch_at(s, at, 0xe8, s->code + STORE_AT); /* call store; lea o(%rip), %r13 */
	memcpy(s->writable + at + 5, "\x4c\x8d\x2d", 3);
	put32(s->writable + at + 8, (u32)((uintptr_t)o - (uintptr_t)(s->code + at + 12)));
	return at + 12;
}

static u32 aside(struct stitch *s, u32 size) { return s->aside -= size; }
static bool has_room(const struct stitch *s, u32 size) { return s->hot + s->kept + size <= s->aside; }

/* O by its handler. */
static u32 glue_at(struct stitch *s, u32 at, const struct op *o, handler *h)
{
	jump_at(s, point_at(s, at, o), (const void *)h);
	return at;
}
static u32 glue(struct stitch *s, const struct op *o, handler *h) { return glue_at(s, aside(s, GLUE_BYTES), o, h); }

/* Where handlers enter the code AT. */
static handler *way_in(struct stitch *s, u32 at)
{
	u32 here = aside(s, 12);

	memcpy(s->writable + here, "\x48\x8d\x0d", 3); /* lea code(%rip), %rcx */
	put32(s->writable + here + 3, at - (here + 7));
	jump_at(s, here + 7, s->code + RELOAD_AT);
	return (handler *)(s->code + here);
}

/* Where links to the block at FIRST go. */
static u32 entry(struct stitch *s, const struct op *first)
{
	struct site *stub = site(s, first);

	if (is_stitched(s, first))
		return (u32)((const u8 *)first + first->cost - s->code);
	if (!stub->aside) {
		stub->aside = aside(s, STUB_BYTES);
		memcpy(s->writable + point_at(s, stub->aside, first), "\x41\xff\x65\x00", 4); /* jmp *(%r13) */
	}
	return stub->aside;
}

/* ---- blocks ---- */

/* What becomes of an operation. */
struct plan {
	handler *plain;
	const struct stencil *stencil; /* NULL: the handler is called */
	u32 hot, start, aside, size;   /* where its code is, and where its stencil's begins there; hot bytes */
	bool done_before;              /* by the operation before it */
	u8 valid;                      /* host registers that have the vectors that they keep, before it */
};

/* The operation goes on by its code, or not at all. */
static bool in_code(const struct plan *p) { return p->stencil && !p->stencil->leaves; }

/* Store what is usually kept there, and load what SWAPS keeps; or, BACK, the other way round. */
static u8 *put_swaps(u8 *p, u16 swaps, bool back)
{
	for (unsigned i = 0; i < sizeof swappable; i++) {
		unsigned host = copy_host(0, swappable[i]), usual = 8 * swappable[i], other = 8 * swapped(swaps, i);

		if (!other)
			continue;
		p = copy_register_memory(p, 0x89, host, back ? other : usual);
		p = copy_register_memory(p, 0x8b, host, back ? usual : other);
	}
	return p;
}

/* Load those of V that are VALID. */
static u8 *put_vectors(u8 *p, const struct vectors *v, u8 valid)
{
	for (unsigned i = 0; i < KEPT_VECTORS; i++)
		if (valid >> i & 1)
			p += copy_vector_load(p, i, v->at[i]);
	return p;
}

/* Code AT which undoes SWAPS and goes on at TO. Returns AT. */
enum { SWAP_BYTES = 10 * sizeof swappable + JMP_BYTES, VECTORS_BYTES = KEPT_VECTORS * VECTOR_MOVE_BYTES };
static u32 put_swap_back(struct stitch *s, u32 at, u16 swaps, u32 to)
{
	jump_at(s, (u32)(put_swaps(s->writable + at, swaps, true) - s->writable), s->code + to);
	return at;
}

/* Code that loads what is kept where the code TO begins. */
static u32 load_for(struct stitch *s, u16 swaps, const struct vectors *v, u8 valid, u32 to)
{
	u32 at;
	u8 *p;

	if (!swaps && !valid)
		return to;
	at = aside(s, SWAP_BYTES + (u32)__builtin_popcount(valid) * VECTOR_MOVE_BYTES);
	p = put_vectors(put_swaps(s->writable + at, swaps, false), v, valid);
	jump_at(s, (u32)(p - s->writable), s->code + to);
	return at;
}

/* A jump that has not been taken so far is one that seldom is. */
static const struct stencil *choose(const struct stitch *s, const struct op *o)
{
	const struct stencil *st = stencil_find(&s->linked, o->run), *seldom = stencil_find(&s->seldom, o->run);

	if (!st || !o[st->links - 1].in_page)
		st = stencil_find(&s->plain, o->run);
	else if (seldom && !o[st->links - 1].target)
		st = seldom;
	return st && copy_fits(st, o) ? st : NULL;
}

/* How often the block names each general register. False: a stencil wants all registers in their places, or there is
 * no jump to the start, where swaps would pay. */
static bool count_uses(const struct plan *plan, const struct op *first, unsigned count, u8 *uses)
{
	bool again = false;

	for (unsigned i = 1; i < count; i++) {
		const struct stencil *st = plan[i].stencil;

		if (plan[i].done_before)
			continue;
		if (!st || st->rigid)
			return false;
		if (st->links)
			again |= first[i + st->links - 1u].target == first;
		for (unsigned k = 0; k < st->count; k++) {
			const struct patch *p = &stencil_patches[st->patches + k];

			if (p->kind > PATCH_MARKED && p->kind < PATCH_MARKED + LEA) {
				u64 reg = (u64)copy_named(&first[i], p) / 8;

				if (reg < 16)
					uses[reg]++;
			}
		}
	}
	return again;
}

static u16 choose_swaps(const struct plan *plan, const struct op *first, unsigned count)
{
	u8 uses[16] = { 0 };
	u16 swaps = 0;

	if (!count_uses(plan, first, count, uses))
		return 0;
	for (unsigned i = 0; i < sizeof swappable; i++) {
		unsigned best = 0, most = 1; /* a single use does not pay */

		for (unsigned reg = R8; reg <= R15; reg++) /* not RBP, which LEAVE's handler names by itself */
			if (!copy_host(swaps, reg) && uses[reg] > most) {
				best = reg;
				most = uses[reg];
			}
		if (!uses[swappable[i]])
			swaps |= (u16)(best << 4 * i);
	}
	return swaps;
}

/* In stencil_specials, of the general register at OFF. */
static unsigned place_of(u16 swaps, u8 off)
{
	unsigned place = off & 7 ? ANY_PLACE : copy_place(swaps, off / 8);

	return place < ANY_PLACE ? place : ANY_PLACE;
}

/* ST, or the stencil that is specialised for the places in which O's operands are kept, which is shorter. */
static const struct stencil *specialise(const struct stencil *st, const struct op *o, u16 swaps)
{
	const u16 (*numbers)[ANY_PLACE + 1] = stencil_specials[st->special];
	unsigned dst = !o->mem && o->base != o->dst ? ANY_PLACE : place_of(swaps, o->dst);
	unsigned src = place_of(swaps, o->src);
	unsigned number = numbers[dst][src];
	const struct stencil *found;

	if (!number)
		number = numbers[dst][ANY_PLACE];
	if (!number)
		number = numbers[ANY_PLACE][src];
	if (!number)
		return st;
	found = &stencils[number - 1];
	return found->size <= st->size && found->next == st->next && copy_fits(found, o) ? found : st;
}

/* How often the block names each 16 bytes of vector registers; those that it names twice and most often are kept. */
static bool choose_vectors(const struct plan *plan, const struct op *first, unsigned count, struct vectors *v)
{
	u8 uses[sizeof ((struct cpu *)0)->v / 16] = { 0 };
	const u32 base = offsetof(struct cpu, v);
	bool any = false;

	for (unsigned i = 1; i < count; i++) {
		const struct stencil *st = plan[i].stencil;

		for (unsigned k = 0; st && st->vectors && k < st->count; k++) {
			const struct patch *p = &stencil_patches[st->patches + k];

			if (copy_vector_at(&first[i], p))
				uses[(copy_vector_at(&first[i], p) - base) / 16]++;
		}
	}
	for (unsigned place = 0; place < KEPT_VECTORS; place++) {
		unsigned best = 0;

		for (unsigned i = 1; i < ARRAY_LEN(uses); i++)
			if (uses[i] > uses[best])
				best = i;
		v->at[place] = uses[best] > 1 ? (u16)(base + 16 * best) : 0;
		any |= uses[best] > 1;
		uses[best] = 0;
	}
	return any;
}

/* Which of V are valid behind the operation O, if VALID are before it. */
static u8 valid_behind(const struct stencil *st, const struct op *o, const struct vectors *v, u8 valid)
{
	if (!st || st->clobbers)
		return 0;
	for (unsigned k = 0; st->vectors && k < st->count; k++) {
		const struct patch *p = &stencil_patches[st->patches + k];

		int place = copy_vector_place(v, copy_vector_at(o, p));

		if (copy_vector_at(o, p) && place >= 0 && copy_always_runs(st, p))
			valid |= (u8)(1 << place);
	}
	return valid;
}

/* Where each of V is valid. In a block that jumps to its start that may be there already: those that are when it
 * jumps back. */
static void find_valid(struct plan *plan, const struct op *first, unsigned count, const struct vectors *v)
{
	u8 start = 0xff, valid;
	bool again, back = false;

	do {
		again = false;
		valid = start;
		for (unsigned i = 1; i < count; i++) {
			const struct stencil *st = plan[i].stencil;

			if (plan[i].done_before)
				continue;
			plan[i].valid = valid;
			if (st && st->links && first[i + st->links - 1u].target == first) {
				back = true;
				again |= start & ~valid;
				start &= valid;
			}
			valid = valid_behind(st, &first[i], v, valid);
		}
		if (!back && start) {
			start = 0;
			again = true;
		}
	} while (again);
}

static void emit(struct stitch *s, struct plan *plan, struct op *o, unsigned i, u16 swaps, u32 store,
		 const struct vectors *v)
{
	const struct stencil *st = plan[i].stencil;
	struct copy c = { .stencil = st, .op = &o[i], .code = s->code, .writable = s->writable,
		.hot = plan[i].start, .aside = plan[i].aside, .store = store, .swaps = swaps, .vectors = v,
		.valid = plan[i].valid };
	struct op *jump;
	u32 out = 0;

	site(s, &o[i])->hot = plan[i].start;
	if (!st) {
		glue_at(s, plan[i].hot, &o[i], plan[i].plain);
		return;
	}
	if (st->skips) /* what it does as well (stitch_code()) */
		site(s, &o[i + 1])->hot = plan[i].start;
	c.next[1] = plan[i + 1].hot;
	c.next[2] = plan[i + 2].hot;
	jump = st->links ? &o[i + st->links - 1] : NULL;
	if (jump)
		c.linked = jump->target ? entry(s, jump->target) : glue(s, jump, jump_unlinked);
	if (jump && jump->target == &o[0] && (swaps || plan[1].valid))
		c.linked = plan[1].hot;
	else if (jump && swaps)
		c.linked = out = put_swap_back(s, aside(s, SWAP_BYTES), swaps, c.linked);
	copy_put(&c);
	copy_fill(&c, true);
	if (st->next && st->next != 1 + st->skips) /* what comes next in the code is not what comes next in the block */
		jump_at(s, c.hot + plan[i].size - JMP_BYTES, s->code + c.next[st->next]);
	if (jump)
		*site(s, jump) = (struct site){ c.hot, c.aside, out, (u16)(st - stencils + 1), swaps };
}

/* For tests: code AT which puts numbers in memory where general registers are kept, so that nobody takes them from
 * there, and stops the host by an invalid instruction unless vectors that are kept are what memory has. Returns its
 * length. */
static u32 verify(struct stitch *s, u32 at, u16 swaps, const struct vectors *v, u8 valid)
{
	u8 *p = s->writable + at;

	for (unsigned reg = 0; reg < RIP; reg++)
		if (copy_host(swaps, reg)) {
			p = copy_register_memory(p, 0xc7, 0, 8 * reg); /* movq $-0x5a5a5a5b, 8 * reg(%r12) */
			put32(p, 0xa5a5a5a5);
			p += 4;
		}
	for (unsigned i = 0; i < KEPT_VECTORS; i++)
		if (valid >> i & 1) {
			memcpy(p, "\x45\x0f\x10\xbc\x24", 5);                 /* movups off(%r12), %xmm15 */
			put32(p + 5, v->at[i]);
			memcpy(p + 9, "\x66\x44\x0f\x76", 4);                   /* pcmpeqd %xmm, %xmm15 */
			p[13] = (u8)(0xf8 | i);
			memcpy(p + 14, "\x41\x0f\x50\xc7\x3c\x0f\x74\x02\x0f\x0b", 10);
				/* movmskps %xmm15, %eax; cmp $15, %al; je; ud2 */
			p += 24;
		}
	return (u32)(p - s->writable) - at;
}

bool stitch_block(struct stitch *s, struct op *first, bool verified)
{
	unsigned count = (unsigned)first->disp;
	struct plan plan[BLOCK_OPS + 2] = { 0 };
	struct vectors vectors;
	u32 hot, start, store = STORE_AT, total = 0;
	u16 swaps;

	if (count > BLOCK_OPS) {
		first->imm = INT64_MAX;
		return true;
	}
	for (unsigned i = 0; i < count; i++) {
		const struct stencil *st = i ? choose(s, &first[i]) : NULL;

		/* its next operation is none of the block's: it never gets there */
		if (st && i + (st->skips ? 2 : 1) >= count && st->next)
			st = NULL;
		plan[i] = (struct plan){ .plain = first[i].run, .stencil = st,
			.done_before = i > 1 && plan[i - 1].stencil && plan[i - 1].stencil->skips &&
			!plan[i - 1].done_before };
		total += (st ? st->size : 0) + 2 * (GLUE_BYTES + SWAP_BYTES) + STUB_BYTES + JMP_BYTES +
			 (verified ? VERIFY_BYTES : 0);
	}
	if (choose_vectors(plan, first, count, &vectors)) {
		find_valid(plan, first, count, &vectors);
		total += count * (VECTORS_BYTES + (verified ? KEPT_VECTORS * VERIFY_VECTOR_BYTES : 0));
	}
	if (!has_room(s, total + 2 * GLUE_BYTES + 2 * SWAP_BYTES + STORE_BYTES + VECTORS_BYTES + 16))
		return false;
	swaps = choose_swaps(plan, first, count);
	if (swaps) {
		store = aside(s, STORE_BYTES);
		*put_stores(s->writable + store, swaps) = 0xc3; /* ret */
	}
	for (unsigned i = 1; i < count; i++)
		if (plan[i].stencil && !plan[i].done_before)
			plan[i].stencil = specialise(plan[i].stencil, &first[i], swaps);
	s->kept += 2 * GLUE_BYTES + SWAP_BYTES;
	start = (s->hot + 15) & ~15u;
	hot = (u32)(put_vectors(put_swaps(s->writable + start, swaps, false), &vectors, plan[1].valid) - s->writable);
	for (unsigned i = 1; i < count; i++) {
		const struct stencil *st = plan[i].stencil;

		if (plan[i].done_before)
			continue;
		plan[i].hot = hot;
		if (verified && st)
			hot += verify(s, hot, swaps, &vectors, plan[i].valid);
		plan[i].start = hot;
		plan[i].size = GLUE_BYTES;
		if (st) {
			struct copy c = { .stencil = st, .op = &first[i], .swaps = swaps, .vectors = &vectors, .valid = plan[i].valid };

			plan[i].size = st->hot - copy_saved(&c, st->hot);
			plan[i].aside = aside(s, st->size - st->hot);
			if (st->next && st->next != 1 + st->skips)
				plan[i].size += JMP_BYTES;
		}
		hot += plan[i].size;
	}
	site(s, first)->hot = s->hot = hot;
	if (site(s, first)->aside)
		jump_at(s, site(s, first)->aside, s->code + start);
	site(s, first)->out = swaps || plan[1].valid ? plan[1].hot : 0;
	site(s, first)->swaps = swaps;
	first->run = way_in(s, start);
	first->cost = distance(first, s->code + start);
	for (unsigned i = 1; i < count; i++)
		if (!plan[i].done_before)
			emit(s, plan, first, i, swaps, store, &vectors);
	for (unsigned i = 1; i < count; i++) /* a handler, or a stencil's slow one, goes on there */
		if (!plan[i].done_before &&
		    !(i > 1 && in_code(&plan[i - 1]) && in_code(&plan[i - 1 - plan[i - 1].done_before])))
			first[i].run = way_in(s, load_for(s, swaps, &vectors, plan[i].valid, plan[i].hot));
	return true;
}

bool stitch_done(const struct stitch *s, const struct op *first) { return is_stitched(s, first); }

const u8 *stitch_code(const struct stitch *s, const struct op *first, const struct op *o, unsigned *size)
{
	u32 at = site(s, o)->hot, end = site(s, first)->hot;

	/* the counter; what the operation before does as well */
	if (o <= first || (o > first + 1 && site(s, o - 1)->hot == at))
		return NULL;
	for (const struct op *next = o + 1; next < first + first->disp; next++)
		if (site(s, next)->hot > at) {
			end = site(s, next)->hot;
			break;
		}
	*size = end - at;
	return s->code + at;
}

void stitch_link(struct stitch *s, struct op *jump)
{
	const struct site *at = site(s, jump);
	const struct stencil *st;
	struct copy c;

	if (!at->stencil || (at->swaps && !at->out) || !has_room(s, STUB_BYTES))
		return;
	st = &stencils[at->stencil - 1];
	c = (struct copy){ .stencil = st, .op = jump - (st->links - 1), .code = s->code, .writable = s->writable,
		.hot = at->hot, .aside = at->aside, .swaps = at->swaps };
	if (!copy_fits(st, c.op))
		return;
	c.linked = entry(s, jump->target);
	if (at->swaps) { /* by the same way out */
		put_swap_back(s, at->out, at->swaps, c.linked);
		c.linked = at->out;
	}
	copy_fill(&c, false);
}

void stitch_forget(struct stitch *s, struct op *first, handler *stale)
{
	const struct site *at = site(s, first);

	if (!is_stitched(s, first))
		return;
	s->kept -= 2 * GLUE_BYTES + SWAP_BYTES;
	jump_at(s, entry(s, first), s->code + glue(s, first, stale));
	if (at->out) /* and those who jump back to its start */
		jump_at(s, at->out, s->code + put_swap_back(s, aside(s, SWAP_BYTES), at->swaps, glue(s, first, stale)));
	first->cost = distance(first, s->code + HANDLER_AT);
}

#elif !VCPU_STITCH

bool stitch_done(const struct stitch *s, const struct op *first)
{
	(void)s;
	(void)first;
	return false;
}

struct stitch *stitch_new(size_t ops, struct op **arena)
{
	(void)ops;
	(void)arena;
	return NULL;
}
void stitch_free(struct stitch *s) { (void)s; }
u64 stitch_size(const struct stitch *s)
{
	(void)s;
	return 0;
}
void stitch_reset(struct stitch *s, size_t used)
{
	(void)s;
	(void)used;
}
void stitch_counter(const struct stitch *s, struct op *o, unsigned times)
{
	(void)s;
	(void)o;
	(void)times;
}
bool stitch_block(struct stitch *s, struct op *first, bool verified)
{
	(void)s;
	(void)verified;
	(void)first;
	return false;
}
#endif

#if !VCPU_STITCH || defined __wasm__
/* In WebAssembly the host has the code, and says of none where it is. */
const u8 *stitch_code(const struct stitch *s, const struct op *first, const struct op *o, unsigned *size)
{
	(void)s;
	(void)first;
	(void)o;
	(void)size;
	return NULL;
}
/* There handlers find both in the operations. */
void stitch_link(struct stitch *s, struct op *jump)
{
	(void)s;
	(void)jump;
}
void stitch_forget(struct stitch *s, struct op *first, handler *stale)
{
	(void)s;
	(void)first;
	(void)stale;
}
#endif
