/* Copying stencils.
 *
 * One stretch of addresses, near the library so that calls and constants are within 2 GiB of the code:
 *
 *     operations | code: hot --> ............ <-- aside
 *
 * Hot code of a block lies in one piece; what its operations do seldom lies aside, at the other end. The code is one
 * memory that is mapped twice: here it can be executed, at `writable' it can be written, and nowhere both.
 *
 * Code keeps some of the guest's registers in host registers (stencil.h, struct kept), so that there are two ways
 * into it: from other code, where they are in place (the first operation's cost says how far from it), and from
 * handlers, by op.run, which loads them.
 *
 *     code:   [reload] [handler] | hot --> ............ <-- aside
 *     reload: load the kept registers, then go to rcx           handler: rcx is an operation; call its handler
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
#include <sys/mman.h>
#include <unistd.h>
#include "cpu/engine/stencils.h"
#include "cpu/jump.h"

enum { CODE_BYTES = 64 << 20, SLOT_BITS = 13, SLOTS = 1 << SLOT_BITS, BLOCK_OPS = 256, JMP_BYTES = 5, GLUE_BYTES = 12, STUB_BYTES = 11,
       COMMON_BYTES = 64, VERIFY_BYTES = 128, VERIFY_VECTOR_BYTES = 24, VECTOR_MOVE_BYTES = 9 };

/* Of an operation: its code, and, of a jump, which stencil it is, the swaps of its block, and the code that undoes
 * them on the way out (0: none). Of a block's first operation: the end of its code, its stub, which lies aside, and
 * where a block with swaps jumps back to. */
struct site { u32 hot, aside, out; u16 stencil, swaps; };

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

/* The same memory at two places: mremap of 0 bytes makes the second. (A memory file would have the host's limit on
 * the size of files.) */
static bool map_code(struct stitch *s)
{
	s->writable = mmap(NULL, CODE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return s->writable != MAP_FAILED && mremap(s->writable, 0, CODE_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, s->code) == s->code &&
		!mprotect(s->code, CODE_BYTES, PROT_READ | PROT_EXEC);
}

/* A block that jumps back to its start may keep some of R8 to R15, in the places of registers that it does not use,
 * and that handlers never name by themselves. Each place has four bits of a number: 0, or the guest's register
 * there. */
static const u8 swappable[] = { RBX, RSI, RDI };
static unsigned swapped(u16 swaps, unsigned place) { return swaps >> 4 * place & 15; }

/* The host register in which the guest's REG is kept, | 16. 0: not kept. The order of parameters in stencil.h, and
 * preserve_none, say which. */
static unsigned kept_in(u16 swaps, u64 reg)
{
	enum { HOST_RDX = 2, HOST_RSI = 6, HOST_RDI, HOST_R8, HOST_R9, HOST_R11 = 11, HOST_R13 = 13, HOST_R15 = 15, KEPT = 16 };
	static const u8 host[REGISTERS] = {
		[RAX] = KEPT | HOST_R11, [RCX] = KEPT | HOST_R8, [RDX] = KEPT | HOST_RDX, [RBX] = KEPT | HOST_R9, [RSP] = KEPT | HOST_R13,
		[RSI] = KEPT | HOST_RSI, [RDI] = KEPT | HOST_RDI, [RIP] = KEPT | HOST_R15,
	};

	for (unsigned i = 0; swaps && i < sizeof swappable; i++)
		if (swapped(swaps, i)) {
			if (reg == swapped(swaps, i))
				return host[swappable[i]];
			if (reg == swappable[i])
				return 0;
		}
	return reg < REGISTERS ? host[reg] : 0;
}

/* What a block keeps of vector registers: each host register's 16 bytes, by their offset in struct cpu; 0: none. */
struct vectors { u16 at[KEPT_VECTORS]; };
static int vector_place(const struct vectors *v, u64 off)
{
	for (int i = 0; v && i < KEPT_VECTORS; i++)
		if (v->at[i] == off)
			return i;
	return -1;
}

/* Instruction OPCODE of HOST and OFF(%r12). */
static u8 *register_memory(u8 *p, u8 opcode, unsigned host, u32 off)
{
	bool wide = off > INT8_MAX;

	*p++ = (u8)(0x49 | (host & 8) >> 1);
	*p++ = opcode;
	*p++ = (u8)((wide ? 0x84 : 0x44) | (host & 7) << 3);
	*p++ = 0x24;
	if (wide)
		put32(p, off);
	else
		*p = (u8)off;
	return p + (wide ? 4 : 1);
}

/* What the head of this file calls reload and handler. */
enum { RELOAD_AT, HANDLER_AT = COMMON_BYTES - 16 };
static void make_common(struct stitch *s)
{
	u8 *p = s->writable + RELOAD_AT;

	for (unsigned reg = 0; reg < REGISTERS; reg++)
		if (kept_in(0, reg))
			p = register_memory(p, 0x8b, kept_in(0, reg), 8 * reg); /* mov 8 * reg(%r12), %host */
	memcpy(p, "\xff\xe1", 2); /* jmp *%rcx */
	memcpy(s->writable + HANDLER_AT, "\x49\x89\xcd\x41\xff\x65\x00", 7); /* mov %rcx, %r13; jmp *(%r13) */
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
	s->sites = calloc(ops, sizeof *s->sites);
	if (!s->region || !s->sites || !map_code(s) || mprotect(s->ops, s->ops_size, PROT_READ | PROT_WRITE)) {
		stitch_free(s);
		return NULL;
	}
	for (unsigned i = 0; i < stencil_count; i++) {
		u16 *table = stencils[i].seldom ? s->seldom : stencils[i].links ? s->linked : s->plain;

		table[slot(table, stencils[i].plain)] = (u16)(i + 1);
	}
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
	free(s->sites);
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

HANDLER(stitch_count)
{
	if (unlikely(((struct op *)o)->imm-- <= 0)) {
		n += o->left;
		LEAVE(EXIT_HOT);
	}
	RUN(o + 1);
}

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
	case HOLE_amask: return (s64)op_amask(o);
	default: return 0;
	}
}

/* What P's hole is filled with, if it is a member of the operation O or of the one behind it. */
static s64 named(const struct op *o, const struct patch *p) { return member(&o[p->hole / HOLE_MEMBERS], p->hole % HOLE_MEMBERS); }

/* The nop of SIZE bytes, as few instructions as it takes. */
static void nops(u8 *p, unsigned size)
{
	static const u8 nop[][8] = {
		{ 0 }, { 0x90 }, { 0x66, 0x90 }, { 0x0f, 0x1f, 0x00 }, { 0x0f, 0x1f, 0x40 }, { 0x0f, 0x1f, 0x44 }, { 0x66, 0x0f, 0x1f, 0x44 },
		{ 0x0f, 0x1f, 0x80 }, { 0x0f, 0x1f, 0x84 },
	};

	while (size) {
		unsigned part = size < 8 ? size : 8;

		memset(p, 0, part);
		memcpy(p, nop[part], part < 4 ? part : 4);
		p += part;
		size -= part;
	}
}

/* Instruction OPCODE of registers, REG and RM, of SIZE bytes. Returns its length. */
static unsigned put_insn(u8 *p, unsigned size, unsigned opcode, unsigned reg, unsigned rm)
{
	u8 *start = p;

	if (size == 2 && opcode < 0x100)
		*p++ = 0x66;
	*p++ = (u8)(0x40 | (size == 8) << 3 | (reg & 8) >> 1 | (rm & 8) >> 3);
	if (opcode >= 0x100)
		*p++ = 0x0f;
	*p++ = (u8)opcode;
	*p++ = (u8)(0xc0 | (reg & 7) << 3 | (rm & 7));
	return (unsigned)(p - start);
}

/* Where a stencil's copy lies, and what it is for. */
struct copy {
	const struct stencil *stencil;
	struct op *op;
	u32 hot, aside;               /* offsets in the code */
	u32 next[3];                  /* [1], [2]: code of the operations behind it */
	u32 linked;
	u32 dead;                     /* registers that need not be stored */
	u16 swaps;
	const struct vectors *vectors;
	u8 valid;                     /* host registers that have what they keep */
};

/* Of the instructions that stencil.h marks: bytes of the register, bytes before the displacement, bytes in the
 * stencil. */
static const struct { u8 size, before, length; } marks[MARKS] = {
	[USE_1] = { 1, 5, 9 }, [USE_2] = { 2, 5, 9 }, [USE_4] = { 4, 4, 8 }, [USE_8] = { 8, 4, 8 },
	[PUT_1] = { 1, 4, 8 + PUT_1_NOP }, [PUT_2] = { 2, 5, 9 + PUT_2_NOP }, [PUT_8] = { 8, 4, 8 + PUT_8_NOP }, [LEA] = { 8, 4, 8 },
	[USE_VECTOR] = { 16, 5, 9 + VECTOR_NOP }, [PUT_VECTOR] = { 16, 5, 9 + VECTOR_NOP },
};

/* BEFORE bytes of an instruction from FROM, which end in ModRM and SIB, and the displacement. Returns their length. */
static unsigned with_displacement(u8 *out, const u8 *from, unsigned before, s32 disp)
{
	memcpy(out, from, before);
	if (disp == (s8)disp) {
		out[before - 2] = (out[before - 2] & 0x3f) | 0x40;
		out[before] = (u8)disp;
		return before + 1;
	}
	put32(out + before, (u32)disp);
	return before + 4;
}

/* lea disp(%base, %index, scale), %base. FROM has scale 1. */
static unsigned put_sum(u8 *out, const u8 *from, const struct op *o)
{
	unsigned len = with_displacement(out, from, 4, o->disp);

	if (o->index == 8 * RZERO) { /* none, which is 4 without REX.X */
		out[0] &= (u8)~2;
		out[3] = (u8)(4 << 3 | (out[3] & 7));
	} else {
		out[3] |= (u8)(o->scale << 6);
	}
	return len;
}

/* movups OFF(%r12), %xmmPLACE */
static unsigned put_vector_load(u8 *p, unsigned place, u32 off)
{
	memcpy(p, (u8[]){ 0x41, 0x0f, 0x10, (u8)(0x84 | place << 3), 0x24 }, 5);
	put32(p + 5, off);
	return VECTOR_MOVE_BYTES;
}

/* Does the instruction that P marks always run before the next operation does? */
static bool always_runs(const struct stencil *st, const struct patch *p) { return st->straight && p->at < st->hot; }

/* A use or put of vector registers. What is to be kept but is not yet is loaded to its place first. */
static unsigned put_vector(const struct copy *c, const struct patch *p, const u8 *from, bool use, u8 *out)
{
	enum { MOVAPS = 0x128 };
	const unsigned reg = (unsigned)p->addend & 15;
	u32 off = (u32)named(c->op, p) + ((u32)p->addend >> PATCH_PART_SHIFT);
	int place = vector_place(c->vectors, off);
	unsigned len = 0;

	if (use && place >= 0 && !(c->valid >> place & 1) && always_runs(c->stencil, p))
		len = put_vector_load(out, (unsigned)place, off);
	if (use && (len || (place >= 0 && c->valid >> place & 1)))
		return len + put_insn(out + len, 4, MOVAPS, reg, (unsigned)place);
	len = with_displacement(out, from, 5, (s32)off);
	return use || place < 0 ? len : len + put_insn(out + len, 4, MOVAPS, (unsigned)place, reg);
}

/* The instruction that P marks, for C's operation, is written to OUT. Returns its length. */
enum { MARKED_MAX = 32 };
static unsigned put_marked(const struct copy *c, const struct patch *p, u8 *out)
{
	const unsigned mark = p->kind - PATCH_MARKED, size = marks[mark].size, before = marks[mark].before, reg = (unsigned)p->addend;
	const u8 *from = &stencil_code[c->stencil->code + p->at - before];
	u64 off = (u64)named(c->op, p);
	unsigned kept = kept_in(c->swaps, off / 8), host = kept & 15, len = 0;

	if (mark == LEA)
		return put_sum(out, from, &c->op[p->hole / HOLE_MEMBERS]);
	if (mark == USE_VECTOR || mark == PUT_VECTOR)
		return put_vector(c, p, from, mark == USE_VECTOR, out);
	if (mark < PUT_1) {
		if (off == 8 * RZERO && p->hole % HOLE_MEMBERS == HOLE_index)
			return 0; /* put_sum does without */
		if (off == 8 * RZERO)
			return put_insn(out, 4, 0x31, reg, reg); /* xor */
		if (kept && !(off & 7))
			return put_insn(out, size == 2 ? 4 : size, size == 1 ? 0x1b6 : size == 2 ? 0x1b7 : 0x8b, reg, host);
		return with_displacement(out, from, before, (s32)off);
	}
	if (mark != PUT_8 || !(c->dead >> off / 8 & 1))
		len = with_displacement(out, from, before, (s32)off);
	if (kept && off & 7) { /* AH and the like: turn the register by 8, and back */
		memcpy(out + len, (u8[]){ (u8)(0x48 | host >> 3), 0xc1, (u8)(0xc8 | (host & 7)), 8 }, 4);
		len += 4 + put_insn(out + len + 4, 1, 0x88, reg, host);
		memcpy(out + len, (u8[]){ (u8)(0x48 | host >> 3), 0xc1, (u8)(0xc0 | (host & 7)), 8 }, 4);
		return len + 4;
	}
	return kept ? len + put_insn(out + len, size, size == 1 ? 0x88 : 0x89, reg, host) : len;
}

/* By how much the code before OFFSET of a stencil becomes shorter. */
static u32 saved(const struct copy *c, u32 offset)
{
	const struct patch *p = &stencil_patches[c->stencil->patches];
	u32 total = 0;
	u8 out[MARKED_MAX];

	for (unsigned i = 0; !c->stencil->fixed && i < c->stencil->count && p[i].at < offset; i++)
		if (p[i].kind > PATCH_MARKED)
			total += marks[p[i].kind - PATCH_MARKED].length - put_marked(c, &p[i], out);
	return total;
}

static u32 place(const struct copy *c, u32 offset)
{
	return offset < c->stencil->hot ? c->hot + offset - saved(c, offset) : c->aside + offset - c->stencil->hot;
}

/* The stencil's code, with the instructions that it marks. */
static void put_code(struct stitch *s, const struct copy *c)
{
	const struct stencil *st = c->stencil;
	const u8 *code = &stencil_code[st->code];
	u8 *out = s->writable + c->hot;
	u32 from = 0;

	memcpy(s->writable + c->aside, code + st->hot, st->size - st->hot);
	for (unsigned i = 0; i < st->count; i++) {
		const struct patch *p = &stencil_patches[st->patches + i];
		unsigned mark = p->kind - PATCH_MARKED, start = p->at - marks[p->kind > PATCH_MARKED ? mark : 0].before, len;
		bool hot = p->at < st->hot;
		u8 *to = s->writable + c->aside + start - st->hot;

		if (p->kind <= PATCH_MARKED)
			continue;
		if (hot) {
			memcpy(out, code + from, start - from);
			to = out += start - from;
			from = start + marks[mark].length;
		}
		len = put_marked(c, p, to);
		if (!hot || st->fixed) {
			nops(to + len, marks[mark].length - len);
			len = marks[mark].length;
		}
		if (hot)
			out += len;
	}
	memcpy(out, code + from, st->hot - from);
}

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
	default: return (u64)named(c->op, p) + (u64)p->addend;
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
		v = named(o, &p[i]) + p[i].addend;
		if (v != (s32)v)
			return false;
	}
	return true;
}

/* Fill in all other holes of the copy, or those that linking changes. */
static void fill(struct stitch *s, const struct copy *c, bool all)
{
	const struct stencil *st = c->stencil;

	for (unsigned i = 0; i < st->count; i++) {
		const struct patch *p = &stencil_patches[st->patches + i];
		u8 *field;
		u32 at;
		u64 v;

		if (p->kind > PATCH_MARKED || (!all && p->hole != HOLE_LINKED && p->hole % HOLE_MEMBERS != HOLE_cost))
			continue;
		at = place(c, p->at);
		field = s->writable + at;
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

/* Where handlers enter the code AT. */
static handler *way_in(struct stitch *s, u32 at)
{
	u32 here = aside(s, GLUE_BYTES);

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
	u32 hot, start, aside, size;   /* where its code is, and where its stencil's begins there; hot bytes */
	bool done_before;              /* by the operation before it */
	u32 dead;                      /* bit of each register whose store is not needed */
	u8 valid;                      /* host registers that have the vectors that they keep, before it */
};

/* The operation goes on by its code, or not at all. */
static bool in_code(const struct plan *p) { return p->stencil && !p->stencil->leaves; }

/* Load what SWAPS keeps, or, BACK, what is usually there. */
static u8 *put_swaps(u8 *p, u16 swaps, bool back)
{
	for (unsigned i = 0; i < sizeof swappable; i++)
		if (swapped(swaps, i))
			p = register_memory(p, 0x8b, kept_in(0, swappable[i]), 8 * (back ? swappable[i] : swapped(swaps, i)));
	return p;
}

/* Load those of V that are VALID. */
static u8 *put_vectors(u8 *p, const struct vectors *v, u8 valid)
{
	for (unsigned i = 0; i < KEPT_VECTORS; i++)
		if (valid >> i & 1)
			p += put_vector_load(p, i, v->at[i]);
	return p;
}

/* Code AT which undoes SWAPS and goes on at TO. Returns AT. */
enum { SWAP_BYTES = 5 * sizeof swappable + JMP_BYTES, VECTORS_BYTES = KEPT_VECTORS * VECTOR_MOVE_BYTES };
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

/* A store of a kept register that nobody can see need not be made: another one to the same register follows, and
 * nothing between them leaves the code or reads the register from memory. */
static void drop_stores(struct plan *plan, const struct op *first, unsigned count, u16 swaps)
{
	u32 dead = 0;

	for (unsigned i = count; i-- > 1;) {
		const struct stencil *st = plan[i].stencil;

		if (!st || !st->closed) {
			dead = 0;
			continue;
		}
		plan[i].dead = dead;
		for (unsigned k = st->count; k-- > 0;) {
			const struct patch *p = &stencil_patches[st->patches + k];
			unsigned mark = p->kind - PATCH_MARKED;
			u64 off;

			if (p->kind <= PATCH_MARKED || mark >= LEA)
				continue;
			off = (u64)named(&first[i], p);
			if (mark == PUT_8 && kept_in(swaps, off / 8))
				dead |= 1u << off / 8;
			else if (mark >= PUT_1 || off & 7) /* a part of it */
				dead &= ~(1u << off / 8);
		}
	}
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
				u64 reg = (u64)named(&first[i], p) / 8;

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
			if (!kept_in(swaps, reg) && uses[reg] > most) {
				best = reg;
				most = uses[reg];
			}
		if (!uses[swappable[i]])
			swaps |= (u16)(best << 4 * i);
	}
	return swaps;
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

			if (p->kind > PATCH_MARKED + LEA)
				uses[((u32)named(&first[i], p) - base + ((u32)p->addend >> PATCH_PART_SHIFT)) / 16]++;
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

		if (p->kind > PATCH_MARKED + LEA && always_runs(st, p)) {
			int place = vector_place(v, (u64)named(o, p) + ((u32)p->addend >> PATCH_PART_SHIFT));

			if (place >= 0)
				valid |= (u8)(1 << place);
		}
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

static void emit(struct stitch *s, struct plan *plan, struct op *o, unsigned i, u16 swaps, const struct vectors *v)
{
	const struct stencil *st = plan[i].stencil;
	struct copy c = { .stencil = st, .op = &o[i], .hot = plan[i].start, .aside = plan[i].aside,
		.dead = plan[i].dead, .swaps = swaps, .vectors = v, .valid = plan[i].valid };
	struct op *jump;
	u32 out = 0;

	site(s, &o[i])->hot = plan[i].start;
	if (!st) {
		glue_at(s, plan[i].hot, &o[i], plan[i].plain);
		return;
	}
	c.next[1] = plan[i + 1].hot;
	c.next[2] = plan[i + 2].hot;
	jump = st->links ? &o[i + st->links - 1] : NULL;
	if (jump)
		c.linked = jump->target ? entry(s, jump->target) : glue(s, jump, jump_unlinked);
	if (jump && jump->target == &o[0] && (swaps || plan[1].valid))
		c.linked = plan[1].hot;
	else if (jump && swaps)
		c.linked = out = put_swap_back(s, aside(s, SWAP_BYTES), swaps, c.linked);
	put_code(s, &c);
	fill(s, &c, true);
	if (st->next && st->next != 1 + st->skips) /* what comes next in the code is not what comes next in the block */
		jump_at(s, c.hot + plan[i].size - JMP_BYTES, s->code + c.next[st->next]);
	if (jump)
		*site(s, jump) = (struct site){ c.hot, c.aside, out, (u16)(st - stencils + 1), swaps };
}

/* Code AT which stops the host by an invalid instruction unless what is kept is what memory has: for tests. Returns
 * its length. */
static u32 verify(struct stitch *s, u32 at, u16 swaps, const struct vectors *v, u8 valid)
{
	u8 *p = s->writable + at;

	for (unsigned reg = 0; reg < REGISTERS; reg++) {
		unsigned host = kept_in(swaps, reg);

		if (host) {
			p = register_memory(p, 0x39, host, 8 * reg); /* cmp %host, 8 * reg(%r12) */
			memcpy(p, "\x74\x02\x0f\x0b", 4);          /* je 1f; ud2; 1: */
			p += 4;
		}
	}
	for (unsigned i = 0; i < KEPT_VECTORS; i++)
		if (valid >> i & 1) {
			memcpy(p, "\x45\x0f\x10\xbc\x24", 5);                 /* movups off(%r12), %xmm15 */
			put32(p + 5, v->at[i]);
			memcpy(p + 9, "\x66\x44\x0f\x76", 4);                   /* pcmpeqd %xmm, %xmm15 */
			p[13] = (u8)(0xf8 | i);
			memcpy(p + 14, "\x41\x0f\x50\xc7\x3c\x0f\x74\x02\x0f\x0b", 10); /* movmskps %xmm15, %eax; cmp $15, %al; je; ud2 */
			p += 24;
		}
	return (u32)(p - s->writable) - at;
}

bool stitch_block(struct stitch *s, struct op *first, bool verified)
{
	unsigned count = (unsigned)first->disp;
	struct plan plan[BLOCK_OPS + 2] = { 0 };
	struct vectors vectors;
	u32 hot, start, total = 0;
	u16 swaps;

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
		total += (st ? st->size : 0) + 2 * (GLUE_BYTES + SWAP_BYTES) + STUB_BYTES + JMP_BYTES + (verified ? VERIFY_BYTES : 0);
	}
	if (choose_vectors(plan, first, count, &vectors)) {
		find_valid(plan, first, count, &vectors);
		total += count * (VECTORS_BYTES + (verified ? KEPT_VECTORS * VERIFY_VECTOR_BYTES : 0));
	}
	if (!has_room(s, total + 2 * GLUE_BYTES + SWAP_BYTES + VECTORS_BYTES + 16))
		return false;
	swaps = choose_swaps(plan, first, count);
	if (!verified)
		drop_stores(plan, first, count, swaps);
	s->kept += 2 * GLUE_BYTES;
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
			struct copy c = { .stencil = st, .op = &first[i], .dead = plan[i].dead, .swaps = swaps, .vectors = &vectors, .valid = plan[i].valid };

			plan[i].size = st->hot - saved(&c, st->hot);
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
	first->run = way_in(s, start);
	first->cost = distance(first, s->code + start);
	for (unsigned i = 1; i < count; i++)
		if (!plan[i].done_before)
			emit(s, plan, first, i, swaps, &vectors);
	for (unsigned i = 1; i < count; i++) /* a handler, or a stencil's slow one, goes on there */
		if (!plan[i].done_before && !(i > 1 && in_code(&plan[i - 1]) && in_code(&plan[i - 1 - plan[i - 1].done_before])))
			first[i].run = way_in(s, load_for(s, swaps, &vectors, plan[i].valid, plan[i].hot));
	return true;
}

bool stitch_done(const struct stitch *s, const struct op *first) { return is_stitched(s, first); }

const u8 *stitch_code(const struct stitch *s, const struct op *first, const struct op *o, unsigned *size)
{
	u32 at = site(s, o)->hot, end = site(s, first)->hot;

	if (o <= first || (o > first + 1 && site(s, o - 1)->hot == at)) /* the counter; what the operation before does as well */
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
	c = (struct copy){ .stencil = st, .op = jump - (st->links - 1), .hot = at->hot, .aside = at->aside, .swaps = at->swaps };
	if (!fits(st, c.op))
		return;
	c.linked = entry(s, jump->target);
	if (at->swaps) { /* by the same way out */
		put_swap_back(s, at->out, at->swaps, c.linked);
		c.linked = at->out;
	}
	fill(s, &c, false);
}

void stitch_forget(struct stitch *s, struct op *first, handler *stale)
{
	if (!is_stitched(s, first))
		return;
	s->kept -= 2 * GLUE_BYTES;
	jump_at(s, entry(s, first), s->code + glue(s, first, stale));
	if (site(s, first)->out) /* and those who jump back to its start */
		jump_at(s, site(s, first)->out, s->code + glue(s, first, stale));
	first->cost = distance(first, s->code + HANDLER_AT);
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
