/* SPDX-License-Identifier: MIT */
/* What a stencil of aarch64 is made of (cpu/stencil_plain.h): the section of one function. Jumps within it are no
 * relocations there. Hot code ends at the first jump to the next operation, which is omitted; what is behind it lies
 * aside, so jumps from the one part to the other become patches. */
#include "cpu/engine/make_stencils.h"

static uint32_t insn_at(const uint8_t *p) { return (uint32_t)p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24; }

/* The kind of a jump within the code, and its distance; NULL: it is no jump. */
static const char *jump_kind(uint32_t insn, int32_t *distance)
{
	if ((insn & 0xfc000000) == 0x14000000) {                  /* B */
		*distance = (int32_t)(insn << 6) >> 6;
		return "JUMP26";
	}
	if ((insn & 0xff000000) == 0x54000000 || (insn & 0x7e000000) == 0x34000000) { /* B.cond; CBZ, CBNZ */
		*distance = (int32_t)(insn << 8) >> 13;
		return "JUMP19";
	}
	if ((insn & 0x7e000000) == 0x36000000) {                  /* TBZ, TBNZ */
		*distance = (int32_t)(insn << 13) >> 18;
		return "JUMP14";
	}
	return NULL;
}

static bool is_next(const struct relocation *r)
{
	return r->type == R_AARCH64_JUMP26 && (is(r->symbol, "next_1") || is(r->symbol, "next_2"));
}

static struct patch *add_patch(unsigned at, const char *kind, const char *hole, int64_t addend)
{
	struct patch *p = &patches[patch_count++];

	p->at = at;
	snprintf(p->kind, sizeof p->kind, "%s", kind);
	snprintf(p->hole, sizeof p->hole, "%s", hole);
	p->addend = addend;
	return p;
}

/* A jump or call that is a relocation. */
static bool add_branch(const struct relocation *r, unsigned at, struct facts *f)
{
	const char *hole = is(r->symbol, "next_1")   ? "HOLE_NEXT_1"
			   : is(r->symbol, "next_2") ? "HOLE_NEXT_2"
			   : is(r->symbol, "linked") ? "HOLE_LINKED"
						     : "HOLE_FUNCTION";
	bool function = is(hole, "HOLE_FUNCTION");

	/* what is local to the object has no name to be found by */
	if (r->section != SHN_UNDEF || r->addend || (!function && r->type != R_AARCH64_JUMP26))
		return false;
	f->skips |= is(hole, "HOLE_NEXT_2");
	f->uses_link |= is(hole, "HOLE_LINKED");
	f->leaves |= function;
	f->calls |= r->type == R_AARCH64_CALL26;
	add_patch(at, "JUMP26", hole, function ? function_index(r->symbol) : 0);
	return true;
}

/* An instruction whose result is the address of R's symbol. */
static bool add_value(const struct object *o, const struct relocation *r, unsigned at, struct facts *f)
{
	struct patch *p = add_patch(at, "VALUE", "HOLE_OP", r->addend);
	int32_t constant;

	if (is(r->symbol, "hole_op"))
		return true;
	if (member_hole(r, p)) {
		f->second |= is(p->hole, "HOLE_MEMBERS + HOLE_cost");
		return true;
	}
	if (r->section != SHN_UNDEF) {
		constant = constant_at(o, r);
		strcpy(p->hole, "HOLE_DATA");
		p->addend += constant;
		return constant >= 0;
	}
	strcpy(p->hole, "HOLE_FUNCTION");
	p->addend = function_index(r->symbol);
	return !r->addend;
}

static bool add_relocation(const struct object *o, const struct relocation *r, unsigned at, struct facts *f)
{
	int32_t constant;

	if (patch_count == MAX_PATCHES)
		return false;
	switch (r->type) {
	case R_AARCH64_JUMP26:
	case R_AARCH64_CALL26: return add_branch(r, at, f);
	case R_AARCH64_ADR_PREL_LO21:
	case R_AARCH64_GOT_LD_PREL19: return add_value(o, r, at, f);
	case R_AARCH64_LD_PREL_LO19:
		constant = r->section == SHN_UNDEF ? -1 : constant_at(o, r);
		add_patch(at, "CONSTANT", "HOLE_DATA", r->addend + constant);
		return constant >= 0;
	default: return false;
	}
}

/* Jumps within the function, whose SIZE bytes are at FROM; what was at END is omitted. */
static bool find_jumps(const uint8_t *from, unsigned size, unsigned end, const struct facts *f, const bool *relocated)
{
	for (unsigned at = 0; at < size; at += 4) {
		uint32_t insn = insn_at(from + at);
		bool hot = at < end;
		int32_t distance;
		const char *kind = jump_kind(insn, &distance);
		unsigned to = at + 4 * (unsigned)distance, here = hot ? at : at - 4;

		if (at == end || relocated[at / 4])
			continue;
		if ((insn & 0x1f000000) == 0x10000000 || (insn & 0x3b000000) == 0x18000000)
			return false; /* ADR, LDR of the function's own bytes */
		if (!kind)
			continue;
		if (to >= size || patch_count == MAX_PATCHES)
			return false;
		if (to == end)
			add_patch(here, kind, f->next == 2 ? "HOLE_NEXT_2" : "HOLE_NEXT_1", 0);
		else if (hot != (to < end))
			add_patch(here, kind, "HOLE_SELF", to < end ? to : to - 4);
	}
	return true;
}

static bool find_function(const struct object *o, const char *name, GElf_Sym *s)
{
	for (size_t i = 0; i < o->count; i++) {
		*s = symbol(o, i);
		if (is(symbol_name(o, s), name) && s->st_shndx != SHN_UNDEF && s->st_shndx < o->sections)
			return !s->st_value;
	}
	return false;
}

bool make(const struct object *o, const char *name)
{
	struct facts f = { 0 };
	bool links = *name == 'L', relocated[MAX_CODE / 4 + 1] = { false };
	size_t count;
	unsigned size, end;
	GElf_Sym s;
	Elf_Data *d;

	if (*name == 'N')
		return true; /* the form L_ does for both */
	if (!find_function(o, name, &s))
		return false;
	d = contents(o, s.st_shndx);
	count = relocation_count(o, s.st_shndx);
	size = end = (unsigned)d->d_size;
	if (size > MAX_CODE)
		return false;
	for (size_t i = 0; i < count; i++) {
		struct relocation r = relocation(o, s.st_shndx, i);

		relocated[r.at / 4] = true;
		if (is_next(&r) && r.at < end) {
			end = r.at;
			f.next = r.symbol[5] - '0';
		}
	}
	patch_count = 0;
	f.skips = f.next == 2;
	for (size_t i = 0; i < count; i++) {
		struct relocation r = relocation(o, s.st_shndx, i);

		if (r.at != end && !add_relocation(o, &r, r.at < end ? r.at : r.at - 4, &f))
			return false;
	}
	if (!find_jumps(d->d_buf, size, end, &f, relocated))
		return false;
	memcpy(code, d->d_buf, end);
	code_size = end;
	if (end < size) {
		memcpy(code + end, (uint8_t *)d->d_buf + end + 4, size - end - 4);
		code_size = size - 4;
	}
	f.hot = end;
	f.links = links + f.second;
	if (links != f.uses_link)
		return links;
	qsort(patches, patch_count, sizeof *patches, by_place);
	finish(o, s.st_shndx, name + 2, &f);
	return true;
}
