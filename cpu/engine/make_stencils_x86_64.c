/* SPDX-License-Identifier: MIT */
/* What a stencil of x86-64 is made of.
 *
 * Every basic block has a section of its own in the objects (-fbasic-block-sections), so that all jumps between blocks
 * are relocations, and this program can order the blocks. */
#include "cpu/engine/make_stencils.h"

enum { MAX_BLOCKS = 256, CALL = 0xe8, JMP = 0xe9, JMP_SIZE = 5 };

struct block { size_t section; bool placed; unsigned at, size; };

static struct block blocks[MAX_BLOCKS];
static unsigned block_count, order[MAX_BLOCKS], placed;
static int block_of(size_t section)
{
	for (unsigned i = 0; i < block_count; i++)
		if (section && blocks[i].section == section)
			return (int)i;
	return -1;
}

/* The jump with which block B ends, if it is an unconditional one. */
static bool last_jump(const struct object *o, unsigned b, struct relocation *out)
{
	Elf_Data *d = contents(o, blocks[b].section);
	size_t n = relocation_count(o, blocks[b].section);

	for (size_t i = 0; i < n; i++) {
		struct relocation r = relocation(o, blocks[b].section, i);

		if (r.at + 4 == d->d_size && r.at >= 1 && ((uint8_t *)d->d_buf)[r.at - 1] == JMP &&
		    (r.at < 2 || ((uint8_t *)d->d_buf)[r.at - 2] != 0x0f)) {
			*out = r;
			return true;
		}
	}
	return false;
}

/* Is the last instruction JMP through a register: FF /4? */
static bool ends_indirect(const Elf_Data *d)
{
	const uint8_t *end = (const uint8_t *)d->d_buf + d->d_size;

	return d->d_size >= 2 && end[-2] == 0xff && (end[-1] & 0xf8) == 0xe0;
}

/* R, or, if its target is a block of a single jump, that jump's relocation. */
static struct relocation threaded(const struct object *o, struct relocation r)
{
	for (int limit = 0; limit < 8; limit++) {
		int b = block_of(r.section);
		struct relocation next;

		if (b < 0 || r.addend != -4 || contents(o, blocks[b].section)->d_size != JMP_SIZE ||
		    !last_jump(o, (unsigned)b, &next))
			break;
		r.section = next.section;
		r.symbol = next.symbol;
		r.addend = next.addend;
	}
	return r;
}

static void place(unsigned b)
{
	blocks[b].placed = true;
	order[placed++] = b;
}

/* Place block B, and the blocks after it along unconditional jumps. */
static void place_chain(const struct object *o, unsigned b)
{
	struct relocation r;

	place(b);
	while (last_jump(o, b, &r)) {
		int next;

		r = threaded(o, r);
		next = block_of(r.section);
		if (next < 0 || blocks[next].placed)
			return;
		b = (unsigned)next;
		place(b);
	}
}

static bool is_rex(uint8_t byte) { return (byte & 0xf0) == 0x40; }
/* A displacement, at AT in the code, of an instruction that is to be rewritten. The bytes before it are REX, opcode,
 * ModRM, SIB; of a use and a put ModRM and REX.R have the register. The addend's low bits are added to the
 * displacement. */
static bool marked(const struct relocation *r, struct patch *p, unsigned at)
{
	unsigned mark = (unsigned)(r->addend >> MARK_SHIFT) & 0x3f;
	bool two_bytes = mark == USE_1 || mark == USE_2 || mark == USE_VECTOR || mark == PUT_VECTOR; /* of opcode */
	unsigned rex = at - (two_bytes ? 5 : 4);

	snprintf(p->kind, sizeof p->kind, "MARKED + %u", mark);
	p->addend = (code[at - 2] >> 3 & 7) | (code[rex] & 4) << 1 |
		    (r->addend & ((1 << MARK_SHIFT) - 1)) << PATCH_PART_SHIFT;
	return mark && mark < MARKS && is_rex(code[rex]) && member_hole(r, p);
}

/* The value for R. False: none that stitch.c can compute. */
static bool describe(const struct object *o, const struct relocation *r, struct patch *p, unsigned at)
{
	int b = block_of(r->section);

	switch (r->type) {
	case R_X86_64_8: strcpy(p->kind, "8"); break;
	case R_X86_64_16: strcpy(p->kind, "16"); break;
	case R_X86_64_32: strcpy(p->kind, "32"); break;
	case R_X86_64_64: strcpy(p->kind, "64"); break;
	case R_X86_64_32S: strcpy(p->kind, "SIGNED"); break;
	case R_X86_64_PC32:
	case R_X86_64_PLT32: strcpy(p->kind, "RELATIVE"); break;
	default: return false;
	}
	p->addend = r->addend;
	if (r->addend >= MARK)
		return marked(r, p, at);
	if (member_hole(r, p))
		return !is(p->kind, "RELATIVE");
	if (!is(p->kind, "RELATIVE"))
		return false;
	if (is(r->symbol, "hole_store")) {
		strcpy(p->hole, "HOLE_STORE");
		return r->addend == -4;
	}
	if (is(r->symbol, "hole_op")) {
		strcpy(p->hole, "HOLE_OP");
		return true;
	}
	if (b >= 0) {
		strcpy(p->hole, "HOLE_SELF");
		p->addend = blocks[b].at;
		return r->addend == -4;
	}
	if (r->section != SHN_UNDEF) {
		int32_t constant = constant_at(o, r);

		strcpy(p->hole, "HOLE_DATA");
		p->addend += constant;
		return constant >= 0;
	}
	if (r->addend != -4 || !strncmp(r->symbol, "mem", 3)) /* functions of libc may be out of reach */
		return false;
	strcpy(p->hole, is(r->symbol, "next_1")   ? "HOLE_NEXT_1"
			: is(r->symbol, "next_2") ? "HOLE_NEXT_2"
			: is(r->symbol, "linked") ? "HOLE_LINKED"
						  : "HOLE_FUNCTION");
	p->addend = is(p->hole, "HOLE_FUNCTION") ? function_index(r->symbol) : 0;
	return true;
}

/* the last form L_ */
static struct { const char *plain; unsigned size; uint8_t code[MAX_CODE]; } last_linked;

/* A reference to the next operation must be a jump, as a call would return. */
static bool jumps(const struct patch *p)
{
	return !strncmp(p->hole, "HOLE_NEXT", 9) || is(p->hole, "HOLE_LINKED");
}

static bool find_blocks(const struct object *o, const char *name)
{
	size_t len = strlen(name);

	block_count = placed = 0;
	for (size_t i = 0; i < o->count; i++) {
		GElf_Sym s = symbol(o, i);
		const char *n = symbol_name(o, &s);

		if (s.st_shndx == SHN_UNDEF || s.st_shndx >= o->sections || strncmp(n, name, len) ||
		    (n[len] && strncmp(n + len, ".__part.", 8) && !is(n + len, ".cold")))
			continue;
		if (block_count == MAX_BLOCKS)
			return false;
		blocks[block_count] = (struct block){ .section = s.st_shndx };
		if (!n[len]) { /* the entry first */
			struct block b = blocks[0];

			blocks[0] = blocks[block_count];
			if (block_count)
				blocks[block_count] = b;
		}
		block_count++;
	}
	return block_count;
}

/* Lay the blocks out, the first HOT_BLOCKS of them as hot code. A jump to the next block is omitted. */
static bool lay_out(const struct object *o, unsigned hot_blocks, struct facts *f)
{
	code_size = 0;
	for (unsigned i = 0; i < placed; i++) {
		struct block *b = &blocks[order[i]];
		Elf_Data *d = contents(o, b->section);
		struct relocation end;

		b->at = code_size;
		b->size = (unsigned)d->d_size;
		if (last_jump(o, order[i], &end)) {
			int to;

			end = threaded(o, end);
			to = block_of(end.section);
			if (i + 1 < placed && i + 1 != hot_blocks && to >= 0 && (unsigned)to == order[i + 1])
				b->size -= JMP_SIZE;
			else if (i + 1 == hot_blocks && (is(end.symbol, "next_1") || is(end.symbol, "next_2"))) {
				b->size -= JMP_SIZE;
				f->next = end.symbol[5] - '0';
			}
		}
		if (code_size + b->size > MAX_CODE)
			return false;
		memcpy(code + code_size, d->d_buf, b->size);
		f->indirect |= ends_indirect(d);
		code_size += b->size;
		if (i + 1 == hot_blocks)
			f->hot = code_size;
	}
	return true;
}

static bool vector_mark(const struct relocation *r)
{
	unsigned mark = (unsigned)(r->addend >> MARK_SHIFT) & 0x3f;

	return r->addend >= MARK && (mark == USE_VECTOR || mark == PUT_VECTOR);
}

/* Make the hole for R of block B. False: it cannot be filled in. */
static bool add_patch(const struct object *o, const struct block *b, const struct relocation *r, struct facts *f)
{
	struct patch *p = &patches[patch_count];
	unsigned at = b->at + r->at;

	if (patch_count == MAX_PATCHES || !describe(o, r, p, at))
		return false;
	p->at = at;
	if (jumps(p) && code[at - 1] != JMP && !(at >= 2 && code[at - 2] == 0x0f && (code[at - 1] & 0xf0) == 0x80))
		return false;
	f->uses_link |= is(p->hole, "HOLE_LINKED");
	f->second |= is(p->hole, "HOLE_MEMBERS + HOLE_cost");
	f->skips |= is(p->hole, "HOLE_NEXT_2");
	f->leaves |= is(p->hole, "HOLE_FUNCTION");
	f->calls |= is(p->hole, "HOLE_FUNCTION") && code[at - 1] == CALL;
	f->vectors |= vector_mark(r);
	f->returns |= is(p->hole, "HOLE_SELF") && at >= f->hot && p->addend < f->hot;
	if (is(p->hole, "HOLE_SELF") && (at < f->hot) == (p->addend < f->hot)) {
		/* both are hot or both aside, so their distance is constant */
		int32_t distance = (int32_t)(p->addend - (at + 4));

		memcpy(code + at, &distance, 4);
		f->fixed |= at < f->hot;
		return true;
	}
	patch_count++;
	return true;
}

static bool find_patches(const struct object *o, struct facts *f)
{
	patch_count = 0;
	for (unsigned i = 0; i < placed; i++) {
		const struct block *b = &blocks[order[i]];

		for (size_t k = 0; k < relocation_count(o, b->section); k++) {
			struct relocation r = threaded(o, relocation(o, b->section, k));

			f->written |= r.type == R_X86_64_NONE && is(r.symbol, "vectors_written");
			/* if it is beyond, it was omitted with the jump */
			if (r.at < b->size && r.type != R_X86_64_NONE && !add_patch(o, b, &r, f))
				return false;
		}
	}
	qsort(patches, patch_count, sizeof *patches, by_place);
	return true;
}

bool make(const struct object *o, const char *name)
{
	const char *digits = strstr(name, "__k"); /* SPECIALISED_FORM() in cpu/stencil_kept.h */
	struct facts f = { .seldom = *name == 'N', .dst = digits ? digits[3] : 0, .src = digits ? digits[4] : 0 };
	bool links = f.seldom || *name == 'L';
	unsigned hot_blocks;
	char plain[128];

	if (!find_blocks(o, name))
		return false;
	place_chain(o, 0);
	hot_blocks = placed;
	for (unsigned i = 0; i < block_count; i++)
		if (!blocks[i].placed)
			place_chain(o, i);
	if (!lay_out(o, hot_blocks, &f) || !find_patches(o, &f))
		return false;
	f.skips |= f.next == 2;
	f.links = links + f.second;
	if (links != f.uses_link)
		/* a handler without links has equal forms: the second is not needed */
		return links;
	if (f.seldom && last_linked.plain && is(last_linked.plain, name + 2) && last_linked.size == code_size &&
	    !memcmp(last_linked.code, code, code_size))
		return true; /* the same */
	if (links && !f.seldom) {
		last_linked.plain = name + 2;
		last_linked.size = code_size;
		memcpy(last_linked.code, code, code_size);
	}
	snprintf(plain, sizeof plain, "%.*s", digits ? (int)(digits - name) - 2 : (int)sizeof plain, name + 2);
	finish(o, blocks[0].section, plain, &f);
	return true;
}
