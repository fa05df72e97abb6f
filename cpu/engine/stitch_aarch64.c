/* SPDX-License-Identifier: MIT */
/* Copying stencils on aarch64 (stitch.h). Stencils have the handlers' convention there and keep no registers
 * (cpu/stencil_plain.h), so that all code can be entered from handlers, and op.run says where.
 *
 *     code:   veneers | block: hot code of its operations, what lies aside, numbers | block: ... -->  <-- ways out
 *
 * The code is one memory that is mapped twice: here it can be executed, at `writable' it can be written, and nowhere
 * both. A call of a function goes by a veneer, for the library may be farther away than a call reaches. Numbers that
 * an instruction has no room for are loaded from behind the block.
 *
 * A direct jump within its page that is not linked yet goes to jump_unlinked, which leaves the block so that run.c
 * links it (jump.h). Links to a block that is not stitched go to a stub, which changes when the block is. */
#define _GNU_SOURCE
#include <stdlib.h>
#include "cpu/engine/stitch.h"

#if VCPU_STITCH && defined __aarch64__
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include "cpu/engine/stencil_copy.h"
#include "cpu/jump.h"
#include "mem/pages.h"

/* Jumps reach 2^25 instructions, those on one bit 2^13, loads of numbers 2^18. */
enum { CODE_BYTES = 64 << 20, BLOCK_OPS = 256, BLOCK_BYTES = 32000, VENEER_BYTES = 16, WAY_BYTES = 32,
       NUMBER_BYTES = 16 };
/* preserve_none has the operation in x21. The scratch registers of calls are x16 and x17. */
enum { X_OP = 21, X_SCRATCH = 16 };

/* Of an operation: its code; of a jump, its stencil. Of a block's first operation: where its code begins and ends, its
 * stub. 0: none. */
struct site { u32 hot, aside, stub; u16 stencil; };

struct stitch {
	struct op *ops;
	size_t ops_size;
	u8 *code, *writable;
	u32 hot, out;                  /* offsets of the first free byte, and of the last way out */
	u32 kept;                      /* bytes that stitch_forget will need for the blocks that there are */
	u32 start;                     /* where blocks begin */
	struct site *sites;            /* by operation */
	struct stencil_table plain, linked; /* stencils without and with a link */
};

/* ---- instructions ---- */

static void put_insn(struct stitch *s, u32 at, u32 insn) { put32(s->writable + at, insn); }
static void change(struct stitch *s, u32 at, u32 mask, u32 bits)
{
	put_insn(s, at, (get32(s->writable + at) & ~mask) | (bits & mask));
}

/* The jump or load at AT goes TO. */
static void aim(struct stitch *s, u32 at, enum patch_kind kind, u32 to)
{
	u32 insns = (to - at) >> 2;

	switch (kind) {
	case PATCH_JUMP26: change(s, at, 0x03ffffff, insns); break;
	case PATCH_JUMP14: change(s, at, 0x3fff << 5, insns << 5); break;
	default: change(s, at, 0x7ffff << 5, insns << 5); break;
	}
}

static void put_jump(struct stitch *s, u32 at, u32 to)
{
	put_insn(s, at, 0x14000000);
	aim(s, at, PATCH_JUMP26, to);
}

static void put_load(struct stitch *s, u32 at, unsigned reg, u32 from)
{
	put_insn(s, at, 0x58000000 | reg); /* ldr xREG, from */
	aim(s, at, PATCH_JUMP19, from);
}

/* xREG = V in one instruction. False: there is none. */
static bool put_number(struct stitch *s, u32 at, unsigned reg, u64 v)
{
	if (v >> 16 && ~v >> 16)
		return false;
	put_insn(s, at, v >> 16 ? 0x92800000 | (u32)(~v & 0xffff) << 5 | reg : 0xd2800000 | (u32)v << 5 | reg);
	return true;
}

static void changed(const struct stitch *s, u32 from, u32 to)
{
	__builtin___clear_cache((char *)s->code + from, (char *)s->code + to);
}

/* ---- memory ---- */

/* A file in memory, for map_code. */
static int code_file(void)
{
	struct rlimit limit;
	int fd;

	/* the host's limit on the size of files is for this one, too, and comes with a signal */
	if (getrlimit(RLIMIT_FSIZE, &limit) || limit.rlim_cur < CODE_BYTES)
		return -1;
	fd = memfd_create("vcpu code", MFD_CLOEXEC);
	if (fd >= 0 && ftruncate(fd, CODE_BYTES)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The same memory at two places: mremap of 0 bytes makes the second. QEMU's user mode refuses that. */
static bool map_code(struct stitch *s)
{
	int fd;

	s->writable = mmap(NULL, CODE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->writable == MAP_FAILED)
		return false;
	s->code = mremap(s->writable, 0, CODE_BYTES, MREMAP_MAYMOVE);
	if (s->code == MAP_FAILED) {
		fd = code_file();
		if (fd < 0)
			return false;
		munmap(s->writable, CODE_BYTES);
		s->writable = mmap(NULL, CODE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
		s->code = mmap(NULL, CODE_BYTES, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, 0);
		close(fd);
	}
	return s->writable != MAP_FAILED && s->code != MAP_FAILED &&
	       !mprotect(s->code, CODE_BYTES, PROT_READ | PROT_EXEC);
}

static unsigned veneer_count(void)
{
	unsigned n = 0;

	while (stencil_functions[n])
		n++;
	return n;
}

static void put_veneers(struct stitch *s)
{
	unsigned n = veneer_count();

	for (unsigned i = 0; i < n; i++) {
		put_load(s, i * VENEER_BYTES, X_SCRATCH, i * VENEER_BYTES + 8);
		put_insn(s, i * VENEER_BYTES + 4, 0xd61f0000 | X_SCRATCH << 5); /* br */
		put64(s->writable + i * VENEER_BYTES + 8, (u64)(uintptr_t)stencil_functions[i]);
	}
	s->start = s->hot = n * VENEER_BYTES;
	changed(s, 0, s->start);
}

struct stitch *stitch_new(size_t ops, struct op **arena)
{
	struct stitch *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->code = s->writable = MAP_FAILED;
	s->out = CODE_BYTES;
	s->ops_size = ops * sizeof(struct op);
	s->ops = mmap(NULL, s->ops_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	s->sites = pages_new(ops * sizeof *s->sites);
	if (s->ops == MAP_FAILED || !s->sites || !map_code(s)) {
		stitch_free(s);
		return NULL;
	}
	for (const struct stencil *st = stencils; st < stencils + stencil_count; st++)
		stencil_add(st->links ? &s->linked : &s->plain, st);
	put_veneers(s);
	*arena = s->ops;
	return s;
}

void stitch_free(struct stitch *s)
{
	if (!s)
		return;
	if (s->writable != MAP_FAILED)
		munmap(s->writable, CODE_BYTES);
	if (s->code != MAP_FAILED)
		munmap(s->code, CODE_BYTES);
	if (s->ops != MAP_FAILED)
		munmap(s->ops, s->ops_size);
	pages_free(s->sites, s->ops_size / sizeof *s->ops * sizeof *s->sites);
	free(s);
}

u64 stitch_size(const struct stitch *s) { return s->hot + (CODE_BYTES - s->out); }

void stitch_reset(struct stitch *s, size_t used)
{
	memset(s->sites, 0, used * sizeof *s->sites);
	s->hot = s->start;
	s->kept = 0;
	s->out = CODE_BYTES;
}

static bool has_room(const struct stitch *s, u32 size) { return s->hot + s->kept + size <= s->out; }

/* ---- the counter ---- */

void stitch_counter(const struct stitch *s, struct op *o, unsigned times)
{
	(void)s;
	*o = (struct op){ .run = stitch_count, .imm = times };
}

/* ---- ways out ---- */

static struct site *site(const struct stitch *s, const struct op *o) { return &s->sites[o - s->ops]; }

static bool is_stitched(const struct stitch *s, const struct op *first)
{
	return (u8 *)first->run >= s->code && (u8 *)first->run < s->code + CODE_BYTES;
}

/* Code that does O by the handler H, or, NULL, by whatever op.run will be. Returns where it is. */
static u32 way_out(struct stitch *s, const struct op *o, handler *h)
{
	u32 at = s->out -= WAY_BYTES;

	put_load(s, at, X_OP, at + 16);
	if (h)
		put_load(s, at + 4, X_SCRATCH, at + 24);
	else
		put_insn(s, at + 4, 0xf9400000 | X_OP << 5 | X_SCRATCH); /* ldr x16, [x21] */
	put_insn(s, at + 8, 0xd61f0000 | X_SCRATCH << 5);
	put64(s->writable + at + 16, (u64)(uintptr_t)o);
	put64(s->writable + at + 24, (u64)(uintptr_t)h);
	changed(s, at, at + WAY_BYTES);
	return at;
}

/* Where links to the block at FIRST go. */
static u32 entry(struct stitch *s, const struct op *first)
{
	struct site *at = site(s, first);

	if (is_stitched(s, first))
		return (u32)((u8 *)first->run - s->code);
	if (!at->stub)
		at->stub = way_out(s, first, NULL);
	return at->stub;
}

/* ---- blocks ---- */

/* What becomes of an operation: its stencil (NULL: the handler is called), where its code is and what lies aside. */
struct plan { const struct stencil *stencil; u32 hot, aside; bool done_before; /* by the operation before it */ };

/* The operation goes on by its code, or not at all. */
static bool in_code(const struct plan *p) { return p->stencil && !p->stencil->leaves; }

static const struct stencil *choose(const struct stitch *s, const struct op *o)
{
	const struct stencil *st = stencil_find(&s->linked, o->run);

	return st && o[st->links - 1].in_page ? st : stencil_find(&s->plain, o->run);
}

/* Plan the block, from START. Returns where its code ends. */
static u32 lay_out(const struct stitch *s, const struct op *first, unsigned count, u32 start, struct plan *plan)
{
	u32 at = start;

	for (unsigned i = 1; i < count; i++) {
		const struct stencil *st = choose(s, &first[i]);

		/* its next operation is none of the block's: it never gets there */
		if (st && i + (st->skips ? 2 : 1) >= count && st->next)
			st = NULL;
		plan[i].stencil = st;
		plan[i].done_before = i > 1 && plan[i - 1].stencil && plan[i - 1].stencil->skips &&
				      !plan[i - 1].done_before;
		plan[i].hot = at;
		if (plan[i].done_before)
			continue;
		at += st ? st->hot : 4;
		if (st && st->next && st->next != 1 + st->skips)
			at += 4;
	}
	plan[count].hot = plan[count + 1].hot = at;
	for (unsigned i = 1; i < count; i++) {
		plan[i].aside = at;
		at += plan[i].done_before || !plan[i].stencil ? 0 : plan[i].stencil->size - plan[i].stencil->hot;
	}
	return (at + NUMBER_BYTES - 1) & ~(NUMBER_BYTES - 1u);
}

static u32 place(const struct stencil *st, const struct plan *p, u32 offset)
{
	return offset < st->hot ? p->hot + offset : p->aside + offset - st->hot;
}

/* The number that P asks for. */
static u64 number(const struct op *o, const struct patch *p)
{
	switch (p->hole) {
	case HOLE_OP: return (u64)(uintptr_t)o + (u64)p->addend;
	case HOLE_FUNCTION: return (u64)(uintptr_t)stencil_functions[p->addend];
	case HOLE_DATA: return (u64)(uintptr_t)stencil_data + (u64)p->addend;
	default: return (u64)copy_named(o, p) + (u64)p->addend;
	}
}

/* Bytes that LDR from a constant address loads. */
static unsigned loaded(u32 insn)
{
	const bool vector = insn >> 26 & 1;
	const unsigned size = insn >> 30;

	return vector ? 4u << size : size == 1 ? 8 : 4;
}

/* Fill in P of the operation O, a number, at AT; numbers that need it are put at *NUMBERS. */
static void fill_number(struct stitch *s, const struct op *o, const struct patch *p, u32 at, u32 *numbers)
{
	unsigned reg = get32(s->writable + at) & 31;
	u64 v;

	if (p->kind == PATCH_CONSTANT) {
		memcpy(s->writable + *numbers, stencil_data + p->addend, loaded(get32(s->writable + at)));
		aim(s, at, PATCH_JUMP19, *numbers);
		*numbers += NUMBER_BYTES;
		return;
	}
	v = number(o, p);
	if (put_number(s, at, reg, v))
		return;
	put64(s->writable + *numbers, v);
	put_load(s, at, reg, *numbers);
	*numbers += NUMBER_BYTES;
}

/* Where JUMP, which is in the block at FIRST, goes. */
static u32 linked(struct stitch *s, const struct plan *plan, const struct op *first, const struct op *jump)
{
	return !jump->target	       ? way_out(s, jump, jump_unlinked)
	       : jump->target == first ? plan[1].hot
				       : entry(s, jump->target);
}

/* The code of the operation I. Returns where its numbers end. */
static u32 emit(struct stitch *s, const struct plan *plan, struct op *o, unsigned i, u32 numbers)
{
	const struct stencil *st = plan[i].stencil;
	const struct op *jump = st && st->links ? &o[i + st->links - 1u] : NULL;

	site(s, &o[i])->hot = plan[i].hot;
	if (!st) {
		put_jump(s, plan[i].hot, way_out(s, &o[i], o[i].run));
		return numbers;
	}
	if (st->skips) /* what it does as well (stitch_code()) */
		site(s, &o[i + 1])->hot = plan[i].hot;
	memcpy(s->writable + plan[i].hot, stencil_code + st->code, st->hot);
	memcpy(s->writable + plan[i].aside, stencil_code + st->code + st->hot, st->size - st->hot);
	for (unsigned k = 0; k < st->count; k++) {
		const struct patch *p = &stencil_patches[st->patches + k];
		u32 at = place(st, &plan[i], p->at), to;

		if (p->kind == PATCH_VALUE || p->kind == PATCH_CONSTANT) {
			fill_number(s, &o[i], p, at, &numbers);
			continue;
		}
		to = p->hole == HOLE_NEXT_1   ? plan[i + 1].hot
		     : p->hole == HOLE_NEXT_2 ? plan[i + 2].hot
		     : p->hole == HOLE_SELF   ? place(st, &plan[i], (u32)p->addend)
		     : p->hole == HOLE_LINKED ? linked(s, plan, o, jump)
					      : (u32)p->addend * VENEER_BYTES;
		aim(s, at, p->kind, to);
	}
	if (st->next && st->next != 1 + st->skips) /* what comes next in the code is not what comes next in the block */
		put_jump(s, plan[i].hot + st->hot, plan[i + st->next].hot);
	if (jump)
		*site(s, jump) = (struct site){ plan[i].hot, plan[i].aside, 0, (u16)(st - stencils + 1) };
	return numbers;
}

bool stitch_block(struct stitch *s, struct op *first, bool verified)
{
	unsigned count = (unsigned)first->disp;
	struct plan plan[BLOCK_OPS + 2] = { 0 };
	u32 start = (s->hot + 15) & ~15u, end, numbers = 0, ways = 0;

	(void)verified; /* there is nothing that code keeps */
	if (count > BLOCK_OPS) {
		first->imm = INT64_MAX;
		return true;
	}
	end = lay_out(s, first, count, start, plan);
	for (unsigned i = 1; i < count; i++) {
		numbers += plan[i].stencil ? plan[i].stencil->count * NUMBER_BYTES : 0;
		ways += 2 * WAY_BYTES;
	}
	if (end - start > BLOCK_BYTES) {
		first->imm = INT64_MAX;
		return true;
	}
	if (!has_room(s, end - s->hot + numbers + ways + WAY_BYTES))
		return false;
	s->kept += WAY_BYTES;
	for (unsigned i = 1; i < count; i++)
		if (!plan[i].done_before)
			end = emit(s, plan, first, i, end);
	for (unsigned i = 1; i < count; i++) /* a handler, or a stencil's slow one, goes on there */
		if (!plan[i].done_before &&
		    !(i > 1 && in_code(&plan[i - 1]) && in_code(&plan[i - 1 - plan[i - 1].done_before])))
			first[i].run = (handler *)(s->code + plan[i].hot);
	if (site(s, first)->stub) {
		put_jump(s, site(s, first)->stub, start);
		changed(s, site(s, first)->stub, site(s, first)->stub + 4);
	}
	site(s, first)->hot = plan[count].hot;
	first->run = (handler *)(s->code + start);
	s->hot = end;
	changed(s, start, end);
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
	struct plan plan;
	u32 to;

	if (!at->stencil || !has_room(s, WAY_BYTES))
		return;
	st = &stencils[at->stencil - 1];
	plan = (struct plan){ .hot = at->hot, .aside = at->aside };
	to = entry(s, jump->target);
	for (unsigned k = 0; k < st->count; k++) {
		const struct patch *p = &stencil_patches[st->patches + k];
		u32 here = place(st, &plan, p->at);

		if (p->hole == HOLE_LINKED)
			aim(s, here, p->kind, to);
		else if (p->kind == PATCH_VALUE && p->hole % HOLE_MEMBERS == HOLE_cost && p->hole < HOLE_OP)
			put_number(s, here, get32(s->writable + here) & 31, number(jump - (st->links - 1), p));
		else
			continue;
		changed(s, here, here + 4);
	}
}

void stitch_forget(struct stitch *s, struct op *first, handler *stale)
{
	u32 at;

	if (!is_stitched(s, first))
		return;
	s->kept -= WAY_BYTES;
	at = entry(s, first);
	put_jump(s, at, way_out(s, first, stale));
	changed(s, at, at + 4);
}

#endif
