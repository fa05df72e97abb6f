/* SPDX-License-Identifier: MIT */
/* Invariants of a block, of a processor between two blocks, and of its TLB: for builds with --enable-checks
 * (cpu/check.h). */
#include "cpu/engine/passes.h"

#if VCPU_CHECKS
static void check_operands(const struct dec *d, const struct op *o)
{
	/* TEST of a register with itself has one source */
	CHECK(o->form == d->row->form[d->mem] || (o->code == CODE_test && o->form == FORM_RI));
	CHECK(o->mem == d->mem && o->osize <= 8 && o->asize <= 2);
	if (!d->mem)
		return;
	CHECK(o->base % 8 == 0 && o->base < 8 * REGISTERS);
	CHECK(o->index % 8 == 0 && o->index < 8 * REGISTERS);
	CHECK(o->seg <= FLAT);
	CHECK(d->no_index == (o->index == 8 * RZERO));
}

void check_block(const struct dec *d, const struct op *o, unsigned count, unsigned bytes)
{
	CHECK(count);
	for (unsigned i = 0; i < count; i++) {
		bool first = !i, last = i + 1 == count;

		CHECK(o[i].run && o[i].code < CODES && o[i].code != CODE_STALE);
		CHECK(o[i].ip + o[i].len <= bytes);
		CHECK(last ? o[i].left <= 1 : o[i].left >= o[i + 1].left && o[i].left - o[i + 1].left <= 2);
		if (!d[i].row)
			continue;
		CHECK(d[i].raises ? o[i].code == CODE_NONE
				  : o[i].code == d[i].row->insn->code || (d[i].row->next && o[i].code));
		CHECK(first || o[i].ip >= o[i - 1].ip);
		if (!d[i].raises && !d[i].fused)
			check_operands(&d[i], &o[i]);
		if (d[i].fused)
			CHECK(!last && d[i].row->insn->fuse && d[i + 1].row && d[i + 1].row->insn->condition &&
			      !d[i + 1].raises);
		if (d[i].forwarded)
			CHECK(!first && d[i - 1].row && d[i - 1].row->insn->gives && !d[i - 1].raises &&
			      !dec_is_mem(&d[i - 1], 0) && dec_size(&d[i - 1], 0) >= 4 &&
			      (o[i].base == o[i - 1].dst || o[i].src == o[i - 1].dst));
		if (d[i].dead_flags)
			CHECK(d[i].row->insn->pure && !last);
	}
}

/* A valid entry's host address is the one of its physical page. */
static void check_tlb(struct cpu *c, const struct view *v)
{
	for (unsigned i = 0; i < v->nused; i++) {
		const struct tlb_entry *e = &v->tlb[v->used[i]];
		u64 page = e->read != TLB_NONE ? e->read : e->write, phys = v->phys[v->used[i]];
		const struct range *r;
		u64 n;

		if (page == TLB_NONE)
			continue;
		CHECK(e->valid != TLB_NONE && (e->valid & PAGE_MASK) == page &&
		      (e->write == TLB_NONE || e->write == page));
		CHECK(e->write == TLB_NONE || e->valid & VALID_WRITE);
		CHECK((page >> PAGE_SHIFT & (TLB_SIZE - 1)) == v->used[i]);
		r = space_find(c->mem, phys, NULL);
		CHECK(r && r->kind == RANGE_RAM &&
		      page + e->addend == (u64)(uintptr_t)(r->ram->host + r->ram_offset + (phys - r->base)));
		n = (r->ram_offset + (phys - r->base)) >> PAGE_SHIFT;
		CHECK(!(r->ram->pages[n] & PAGE_DIRTY & ~r->ram->groups[n / RAM_GROUP]));
		CHECK(e->write == TLB_NONE || !(r->ram->pages[n] & PAGE_CODE));
	}
}

/* A granule with a tag is in a page that may be written, and has no code. */
static void check_granules(const struct cpu *c, const struct view *v)
{
	for (unsigned i = 0; i < GRANULES; i++) {
		u64 tag = v->granule[i].tag;
		unsigned n = tag >> PAGE_SHIFT & (TLB_SIZE - 1);
		const struct range *r = tag == TLB_NONE ? NULL : space_find(c->mem, v->phys[n], NULL);
		u8 flags;

		if (tag == TLB_NONE)
			continue;
		CHECK(tag / GRANULE % GRANULES == i && v->tlb[n].addend == v->granule[i].addend);
		CHECK(v->tlb[n].read == (tag & PAGE_MASK) && v->tlb[n].valid & VALID_WRITE);
		CHECK(r && r->kind == RANGE_RAM);
		flags = r->ram->pages[(r->ram_offset + (v->phys[n] - r->base)) >> PAGE_SHIFT];
		CHECK((flags & (PAGE_DIRTY | PAGE_WATCH)) == PAGE_DIRTY);
		CHECK(!(flags & PAGE_CODE) || code_spares(c, v->phys[n], tag & (PAGE_SIZE - 1), GRANULE));
	}
}

void check_between_blocks(struct cpu *c, s64 n, u64 icount)
{
	static const unsigned every = 256;

	CHECK(n >= 0 && c->end - (u64)n >= icount);
	CHECK(!c->r[RZERO] && c->r[R2GIB] == (u64)1 << 31);
	CHECK(c->fix & FIX_DEFERRED ? !(c->fix & ~(FIX_DEFERRED | FIX_SUM | FIX_CARRIED | FIX_KEPT | 3 << FIX_SIZE)) :
	      c->fix == FIX_LOOSE || !(c->fix & ~(FL_S | FL_A | FL_P)));
	CHECK(!(c->eflags & OSZAPC) && c->eflags & FL_1);
	CHECK(c->mode_number && c->all->modes[c->mode_number] == c->mode && c->mode_key == (u64)c->mode_number << 47);
	CHECK((c->mode & MODE_CPL) >> 6 == c->cpl);
	if (c->end - (u64)n < icount + 1 || (c->end - (u64)n) % every)
		return;
	for (unsigned i = 0; i < VIEWS; i++) {
		check_tlb(c, &c->views[i]);
		check_granules(c, &c->views[i]);
	}
}
#endif
