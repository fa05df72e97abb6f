/* SPDX-License-Identifier: MIT */
/* The decode cache, as debuggers see it. */
#include "cpu/op.h"
#include "cpu/table/isa.h"
#include "lib/debug.h"

struct listing {
	const struct cpu *cpu;
	u64 linear, phys;
	void (*each)(void *user, const struct vcpu_debug_operation *o);
	void *user;
};

static const char *name_of(unsigned code)
{
	for (unsigned i = 0; code != CODE_NONE && i < insn_count; i++)
		if ((unsigned)insn_table[i].code == code)
			return insn_table[i].mnemonic;
	return "";
}

static void list_block(void *owner, const struct block_view *b)
{
	static const char *const forms[] = {
		[FORM_OTHER] = "", [FORM_R] = "R", [FORM_M] = "M", [FORM_RR] = "RR", [FORM_RI] = "RI", [FORM_RM] = "RM",
			[FORM_MR] = "MR", [FORM_MI] = "MI",
	};
	static const unsigned bits[] = { [MODE_16] = 16, [MODE_32] = 32, [MODE_64] = 64 };
	const struct listing *l = owner;
	u64 to_end = PAGE_SIZE - (b->phys & (PAGE_SIZE - 1)), offset = l->phys & (PAGE_SIZE - 1);
	/* How far into the block PHYS is: in its first page, or in its second. */
	u64 into = (l->phys & PAGE_MASK) == (b->phys & PAGE_MASK) ? l->phys - b->phys : to_end + offset;

	for (unsigned i = 0; i < b->count; i++) {
		const struct op *o = &b->ops[i];
		struct vcpu_debug_operation out = {
			.block = l->linear - into, .bytes = b->bytes, .bits = bits[b->mode & MODE_BITS], .index = i,
				.count = b->count,
			.single = b->mode & MODE_SINGLE, .stitched = b->stitched, .address = l->linear - into + o->ip,
			.size = o->len,
			.name = name_of(o->code), .form = forms[o->form],
		};

		out.code = block_code(l->cpu, b, o, &out.code_size);
		l->each(l->user, &out);
	}
}

void vcpu_debug_blocks(const vcpu_debug *d, uint64_t address,
		       void (*each)(void *user, const struct vcpu_debug_operation *o), void *user)
{
	struct listing l = { .linear = address, .each = each, .user = user };

	if (!d || !each || !page_peek(l.cpu = machine_selected(d->v), address, &l.phys))
		return;
	d->v->busy++;
	blocks_at(l.cpu, l.phys, list_block, &l);
	d->v->busy--;
}
