/* Copying stencils.
 *
 * One stretch of addresses, near the library so that calls and constants are within 2 GiB of the code:
 *
 *     operations | code: hot --> ............ <-- aside
 *
 * Hot code of a block lies in one piece; what its operations do seldom lies aside, at the other end. The code is one memory that is mapped twice: here
 * it can be executed, at `writable' it can be written, and nowhere both.
 *
 * A direct jump within its page that is not linked yet goes to jump_unlinked, which leaves the block so that run.c links it (jump.h). Links to a block
 * that is not stitched go to a stub, which changes when the block is. */
#define _GNU_SOURCE
#include <stdlib.h>
#include "cpu/engine/stitch.h"

#ifndef VCPU_STITCH
#define VCPU_STITCH 0
#endif

const bool stitch_built = VCPU_STITCH;

#if VCPU_STITCH
#include <sys/mman.h>
#include <unistd.h>
#include "cpu/engine/stencils.h"
#include "cpu/jump.h"

enum { CODE_BYTES = 64 << 20, SLOT_BITS = 13, SLOTS = 1 << SLOT_BITS, BLOCK_OPS = 256, JMP_BYTES = 5, GLUE_BYTES = 12, STUB_BYTES = 11 };

/* Of an operation: a jump's code, and which stencil it is; or of a block's first operation, the end of its code, and its stub, which lies aside. */
struct site { u32 hot, aside; u16 stencil; };

struct stitch {
	u8 *region;                    /* operations, then code */
	size_t ops_size;
	struct op *ops;
	u8 *code, *writable;
	u32 hot, aside;                /* offsets of the first free and the last used byte */
	u32 kept;                      /* bytes that stitch_forget will need for the blocks that there are */
	struct site *sites;            /* by operation */
	u16 plain[SLOTS], linked[SLOTS], seldom[SLOTS]; /* hash of a handler -> 1 + number of its stencil, of the forms with a link */
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

static unsigned slot(const u16 *table, handler *h)
{
	unsigned i = (unsigned)((u64)(uintptr_t)h * 0x9e3779b97f4a7c15 >> (64 - SLOT_BITS));

	while (table[i] && stencils[table[i] - 1].plain != h)
		i = (i + 1) & (SLOTS - 1);
	return i;
}

/* The same memory at two places: mremap of 0 bytes makes the second. (A memory file would have the host's limit on the size of files.) */
static bool map_code(struct stitch *s)
{
	s->writable = mmap(NULL, CODE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return s->writable != MAP_FAILED && mremap(s->writable, 0, CODE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, s->code) == s->code &&
		!mprotect(s->code, CODE_BYTES, PROT_READ | PROT_EXEC);
}

struct stitch *stitch_new(size_t ops, struct op **arena)
{
	struct stitch *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->writable = MAP_FAILED;
	s->aside = CODE_BYTES;
	s->ops_size = ops * sizeof(struct op);
	s->region = reserve(s->ops_size + CODE_BYTES);
	s->ops = (struct op *)s->region;
	s->code = s->region + s->ops_size;
	s->sites = calloc(ops, sizeof *s->sites);
	if (!s->region || !s->sites || !map_code(s) || mprotect(s->ops, s->ops_size, PROT_READ | PROT_WRITE)) {
		stitch_free(s);
		return NULL;
	}
	for (unsigned i = 0; i < stencil_count; i++) {
		u16 *table = stencils[i].seldom ? s->seldom : stencils[i].links ? s->linked : s->plain;

		table[slot(table, stencils[i].plain)] = (u16)(i + 1);
	}
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
	free(s->sites);
	free(s);
}

u64 stitch_size(const struct stitch *s) { return s->hot + (CODE_BYTES - s->aside); }

void stitch_reset(struct stitch *s, size_t used)
{
	memset(s->sites, 0, used * sizeof *s->sites);
	s->hot = s->kept = 0;
	s->aside = CODE_BYTES;
}

/* ---- the counter ---- */

HANDLER(stitch_count)
{
	if (unlikely(((struct op *)o)->imm-- <= 0)) {
		n += o->left;
		LEAVE(EXIT_HOT);
	}
	RUN(o + 1);
}

struct op stitch_counter(unsigned times) { return (struct op){ .run = stitch_count, .imm = times }; }

/* ---- filling in ---- */

static bool is_code(const struct stitch *s, handler *h)
{
	return (u8 *)h >= s->code && (u8 *)h < s->code + CODE_BYTES;
}

static struct site *site(const struct stitch *s, const struct op *o) { return &s->sites[o - s->ops]; }

static s64 vector_at(unsigned n) { return (s64)(offsetof(struct cpu, v) + n * sizeof(union vreg)); }

static s64 member(const struct op *o, unsigned hole)
{
	switch (hole) {
	case HOLE_dst: return o->dst;
	case HOLE_src: return o->src;
	case HOLE_base: return o->base;
	case HOLE_index: return o->index;
	case HOLE_scale: return o->scale;
	case HOLE_seg: return o->seg;
	case HOLE_mem: return o->mem;
	case HOLE_rep: return o->rep;
	case HOLE_asize: return o->asize;
	case HOLE_osize: return o->osize;
	case HOLE_form: return o->form;
	case HOLE_len: return o->len;
	case HOLE_left: return o->left;
	case HOLE_code: return o->code;
	case HOLE_ip: return o->ip;
	case HOLE_imm8: return o->imm8;
	case HOLE_third: return o->third;
	case HOLE_vlen: return o->vlen;
	case HOLE_disp: return o->disp;
	case HOLE_imm: return o->imm;
	case HOLE_cost: return o->target ? o->cost : -(s64)(o->left ? o->left - 1 : 0); /* without a link nothing is entered */
	case HOLE_at_seg: return (s64)(offsetof(struct cpu, seg) + o->seg * sizeof(struct seg));
	case HOLE_at_dst: return vector_at(o->dst);
	case HOLE_at_src: return vector_at(o->src);
	case HOLE_at_third: return vector_at(o->third);
	case HOLE_sib: return (o->scale & 3) << 6 | RDX << 3 | RAX;
	case HOLE_amask: return (s64)op_amask(o);
	default: return 0;
	}
}

/* Where a stencil's copy lies, and what it is for. */
struct copy {
	const struct stencil *stencil;
	struct op *op;
	u32 hot, aside;               /* offsets in the code */
	u32 next[3];                  /* [1], [2]: code of the operations behind it */
	u32 linked;
};

static u32 place(const struct copy *c, u32 offset) { return offset < c->stencil->hot ? c->hot + offset : c->aside + offset - c->stencil->hot; }

static u64 value(const struct stitch *s, const struct copy *c, const struct patch *p)
{
	u64 code = (u64)(uintptr_t)s->code;

	switch (p->hole) {
	case HOLE_OP: return (u64)(uintptr_t)c->op + (u64)p->addend;
	case HOLE_NEXT_1:
	case HOLE_NEXT_2: return code + c->next[p->hole - HOLE_NEXT_1 + 1] - 4;
	case HOLE_LINKED: return code + c->linked - 4;
	case HOLE_SELF: return code + place(c, (u32)p->addend) - 4;
	case HOLE_FUNCTION: return (u64)(uintptr_t)stencil_functions[p->addend] - 4;
	case HOLE_DATA: return (u64)(uintptr_t)stencil_data + (u64)p->addend;
	default: return (u64)member(c->op + p->hole / HOLE_MEMBERS, p->hole % HOLE_MEMBERS) + (u64)p->addend;
	}
}

/* Do all members of O fit where ST has holes for them? */
static bool fits(const struct stencil *st, const struct op *o)
{
	const struct patch *p = &stencil_patches[st->patches];

	for (unsigned i = 0; i < st->count; i++) {
		s64 v;

		if (p[i].kind != PATCH_SIGNED)
			continue;
		v = member(o + p[i].hole / HOLE_MEMBERS, p[i].hole % HOLE_MEMBERS) + p[i].addend;
		if (v != (s32)v)
			return false;
	}
	return true;
}

/* Fill in all holes of the copy, or those that linking changes. */
static void fill(struct stitch *s, const struct copy *c, bool all)
{
	const struct stencil *st = c->stencil;

	for (unsigned i = 0; i < st->count; i++) {
		const struct patch *p = &stencil_patches[st->patches + i];
		u32 at = place(c, p->at);
		u8 *field = s->writable + at;
		u64 v;

		if (!all && p->hole != HOLE_LINKED && p->hole % HOLE_MEMBERS != HOLE_cost)
			continue;
		v = value(s, c, p);
		switch (p->kind) {
		case PATCH_8: *field = (u8)v; break;
		case PATCH_16: put16(field, (u16)v); break;
		case PATCH_64: put64(field, v); break;
		case PATCH_RELATIVE: v -= (u64)(uintptr_t)s->code + at; /* fall through */
		default: put32(field, (u32)v); break;
		}
	}
}

static void jump_at(struct stitch *s, u32 at, const void *to)
{
	s->writable[at] = 0xe9;
	put32(s->writable + at + 1, (u32)((uintptr_t)to - (uintptr_t)(s->code + at + JMP_BYTES)));
}

/* r13, where handlers have their operation (preserve_none). */
static void point_at(struct stitch *s, u32 at, const struct op *o)
{
	memcpy(s->writable + at, "\x4c\x8d\x2d", 3); /* lea o(%rip), %r13 */
	put32(s->writable + at + 3, (u32)((uintptr_t)o - (uintptr_t)(s->code + at + 7)));
}

static u32 aside(struct stitch *s, u32 size) { return s->aside -= size; }
static bool has_room(const struct stitch *s, u32 size) { return s->hot + s->kept + size <= s->aside; }

/* O by its handler. */
static u32 glue_at(struct stitch *s, u32 at, const struct op *o, handler *h)
{
	point_at(s, at, o);
	jump_at(s, at + 7, (const void *)h);
	return at;
}
static u32 glue(struct stitch *s, const struct op *o, handler *h) { return glue_at(s, aside(s, GLUE_BYTES), o, h); }

/* Where links to the block at FIRST go. */
static u32 entry(struct stitch *s, const struct op *first)
{
	struct site *stub = site(s, first);

	if (is_code(s, first->run))
		return (u32)((u8 *)first->run - s->code);
	if (!stub->aside) {
		stub->aside = aside(s, STUB_BYTES);
		point_at(s, stub->aside, first);
		memcpy(s->writable + stub->aside + 7, "\x41\xff\x65\x00", 4); /* jmp *(%r13) */
	}
	return stub->aside;
}

/* ---- blocks ---- */

/* What becomes of an operation. */
struct plan {
	handler *plain;
	const struct stencil *stencil; /* NULL: the handler is called */
	u32 hot, aside, size;          /* where its code is; hot bytes */
	bool done_before;              /* by the operation before it */
};

static const struct stencil *find(const u16 *table, handler *h)
{
	unsigned number = table[slot(table, h)];

	return number ? &stencils[number - 1] : NULL;
}

/* A jump that has not been taken so far is one that seldom is. */
static const struct stencil *choose(const struct stitch *s, const struct op *o)
{
	const struct stencil *st = find(s->linked, o->run), *seldom = find(s->seldom, o->run);

	if (!st || !o[st->links - 1].in_page)
		st = find(s->plain, o->run);
	else if (seldom && !o[st->links - 1].target)
		st = seldom;
	return st && fits(st, o) ? st : NULL;
}

/* The code of operation I of PLAN, which a stencil before it leads to. */
static u32 code_of(struct stitch *s, struct plan *plan, const struct op *o, unsigned i)
{
	if (!plan[i].hot && plan[i].done_before)
		plan[i].hot = glue(s, &o[i], plan[i].plain);
	return plan[i].hot;
}

static bool leads_to(const struct stencil *st, unsigned hole)
{
	for (unsigned i = 0; i < st->count; i++)
		if (stencil_patches[st->patches + i].hole == hole)
			return true;
	return false;
}

static void emit(struct stitch *s, struct plan *plan, struct op *o, unsigned i)
{
	const struct stencil *st = plan[i].stencil;
	struct copy c = { .stencil = st, .op = &o[i], .hot = plan[i].hot, .aside = plan[i].aside };
	struct op *jump;

	if (!st) {
		glue_at(s, plan[i].hot, &o[i], plan[i].plain);
		return;
	}
	for (unsigned k = 1; k <= 2; k++)
		if (st->next == k || leads_to(st, HOLE_NEXT_1 + k - 1))
			c.next[k] = code_of(s, plan, o, i + k);
	jump = st->links ? &o[i + st->links - 1] : NULL;
	if (jump)
		c.linked = jump->target ? entry(s, jump->target) : glue(s, jump, jump_unlinked);
	memcpy(s->writable + c.hot, &stencil_code[st->code], st->hot);
	memcpy(s->writable + c.aside, &stencil_code[st->code + st->hot], st->size - st->hot);
	fill(s, &c, true);
	if (st->next && st->hot < plan[i].size) /* what comes next in the code is not what comes next in the block */
		jump_at(s, c.hot + st->hot, s->code + c.next[st->next]);
	if (jump)
		*site(s, jump) = (struct site){ c.hot, c.aside, (u16)(st - stencils + 1) };
}

bool stitch_block(struct stitch *s, struct op *first)
{
	unsigned count = (unsigned)first->disp;
	struct plan plan[BLOCK_OPS];
	u32 hot, total = 0;

	if (count > BLOCK_OPS) {
		first->imm = INT64_MAX;
		return true;
	}
	for (unsigned i = 0; i < count; i++) {
		const struct stencil *st = i ? choose(s, &first[i]) : NULL;

		if (st && i + (st->skips ? 2 : 1) >= count && st->next) /* its next operation is none of the block's: it never gets there */
			st = NULL;
		plan[i] = (struct plan){ .plain = first[i].run, .stencil = st,
			.done_before = i > 1 && plan[i - 1].stencil && plan[i - 1].stencil->skips && !plan[i - 1].done_before };
		total += (st ? st->size : 0) + 2 * GLUE_BYTES + STUB_BYTES + JMP_BYTES;
	}
	if (!has_room(s, total + GLUE_BYTES + 16))
		return false;
	s->kept += GLUE_BYTES;
	hot = (s->hot + 15) & ~15u;
	for (unsigned i = 1; i < count; i++) {
		const struct stencil *st = plan[i].stencil;

		if (plan[i].done_before)
			continue;
		plan[i].hot = hot;
		plan[i].size = st ? st->hot : GLUE_BYTES;
		if (st) {
			plan[i].aside = aside(s, st->size - st->hot);
			if (st->next && st->next != 1 + st->skips)
				plan[i].size += JMP_BYTES;
		}
		hot += plan[i].size;
	}
	site(s, first)->hot = s->hot = hot;
	if (site(s, first)->aside)
		jump_at(s, site(s, first)->aside, s->code + plan[1].hot);
	first->run = (handler *)(s->code + plan[1].hot);
	for (unsigned i = 1; i < count; i++)
		if (!plan[i].done_before)
			emit(s, plan, first, i);
	for (unsigned i = 1; i < count; i++)
		if (!plan[i].done_before)
			first[i].run = (handler *)(s->code + plan[i].hot);
	return true;
}

bool stitch_done(const struct stitch *s, const struct op *first) { return is_code(s, first->run); }

const u8 *stitch_code(const struct stitch *s, const struct op *first, const struct op *o, unsigned *size)
{
	const u8 *code = (const u8 *)o->run, *end = s->code + site(s, first)->hot;

	if (o <= first || !is_code(s, o->run))
		return NULL;
	for (const struct op *next = o + 1; next < first + first->disp; next++)
		if (is_code(s, next->run)) {
			end = (const u8 *)next->run;
			break;
		}
	*size = (unsigned)(end - code);
	return code;
}

void stitch_link(struct stitch *s, struct op *jump)
{
	const struct site *at = site(s, jump);
	const struct stencil *st;
	struct copy c;

	if (!at->stencil || !has_room(s, STUB_BYTES))
		return;
	st = &stencils[at->stencil - 1];
	c = (struct copy){ .stencil = st, .op = jump - (st->links - 1), .hot = at->hot, .aside = at->aside };
	if (!fits(st, c.op))
		return;
	c.linked = entry(s, jump->target);
	fill(s, &c, false);
}

void stitch_forget(struct stitch *s, struct op *first, handler *stale)
{
	if (!is_code(s, first->run))
		return;
	s->kept -= GLUE_BYTES;
	jump_at(s, (u32)((u8 *)first->run - s->code), s->code + glue(s, first, stale));
}

#else /* no stencils */

bool stitch_done(const struct stitch *s, const struct op *first)
{
	(void)s;
	(void)first;
	return false;
}
const u8 *stitch_code(const struct stitch *s, const struct op *first, const struct op *o, unsigned *size)
{
	(void)s;
	(void)first;
	(void)o;
	(void)size;
	return NULL;
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
struct op stitch_counter(unsigned times)
{
	(void)times;
	return (struct op){ 0 };
}
bool stitch_block(struct stitch *s, struct op *first)
{
	(void)s;
	(void)first;
	return false;
}
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
