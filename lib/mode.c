/* SPDX-License-Identifier: MIT */
/* The processor's state when a boot protocol hands over, and the modes of a bare processor. */
#include "lib/machine.h"

static struct seg flat_segment(u16 sel, u32 attr)
{
	return (struct seg){ .sel = sel, .limit = 0xffffffff, .attr = attr | SEG_A | SEG_W | SEG_S | SEG_P | SEG_G };
}

static void set_segments(struct cpu *c, enum cpu_setup how, u16 code, u16 data)
{
	static const u8 all[] = { ES, CS, SS, DS, FS, GS };

	for (unsigned i = 0; i < ARRAY_LEN(all); i++) {
		struct seg *s = &c->seg[all[i]];

		if (how == SETUP_REAL)
			*s = (struct seg){ .limit = 0xffff, .attr = SEG_A | SEG_W | SEG_S | SEG_P };
		else if (all[i] == CS)
			*s = flat_segment(code, SEG_CODE | (how == SETUP_LONG ? SEG_L : SEG_DB));
		else
			*s = flat_segment(data, SEG_DB);
	}
	/* A task register that a 32-bit kernel may save to: busy TSS, base 0, 104 bytes (PVH asks for it, others do not
	 * mind). */
	c->seg[TR] = (struct seg){ .limit = 0x67, .attr = 0x0b | SEG_P };
	c->seg[LDTR] = (struct seg){ .limit = 0xffff, .attr = 0x02 | SEG_P };
}

void mode_setup(struct vcpu *v, enum cpu_setup how, u16 code, u16 data, u64 cr3)
{
	struct cpu *c = v->cpu;

	c->cr0 &= CR0_ET | CR0_NE | CR0_MP;
	c->cr4 &= CR4_OSFXSR | CR4_OSXMMEXCPT;
	c->efer = 0;
	c->cr3 = 0;
	if (how != SETUP_REAL)
		c->cr0 |= CR0_PE;
	if (how == SETUP_LONG) {
		c->cr0 |= CR0_PG;
		c->cr4 |= CR4_PAE;
		c->efer = EFER_LME | EFER_LMA;
		c->cr3 = cr3;
	}
	c->cpl = 0;
	c->eflags = FL_1;
	cpu_set_arith(c, 0);
	set_segments(c, how, code, data);
	c->gdtr.base = c->idtr.base = 0;
	c->gdtr.limit = 0;
	c->idtr.limit = how == SETUP_REAL ? 0x3ff : 0;
	c->activity = ACTIVITY_RUN;
	tlb_flush(c, true);
	for (unsigned i = ES; i <= GS; i++)
		seg_update(c, i);
	update_mode(c);
}

/* ---- the identity map of a bare processor ----
 *
 * In 64-bit mode there is no way without page tables (SDM vol. 3, 4.1.1), so they lie where no guest keeps anything: in
 * a little ROM at the top of the physical address space.
 *
 *   base          PML4: one entry for each 512 GiB
 *   base + 4 KiB  PDPTs, with 1 GiB pages; or, in a model without those,
 *                 PDPTs and then page directories with 2 MiB pages */

#define PAGE_FLAGS 0x63 /* present, writable, accessed, dirty: a walk never writes to them */
#define LARGE 0x80

struct identity_size { u64 gib, pdpts, directories; };

static struct identity_size identity_size(const struct model *m)
{
	struct identity_size size;
	unsigned bits = m->physical_bits < 46 ? m->physical_bits : 46;

	size.gib = bits > 30 ? (u64)1 << (bits - 30) : 1;
	if (!has(m, F_PDPE1GB) && size.gib > 1024)
		size.gib = 1024;
	size.pdpts = (size.gib + 511) / 512;
	size.directories = has(m, F_PDPE1GB) ? 0 : size.gib;
	return size;
}

bool mode_add_identity(struct vcpu *v)
{
	struct identity_size size = identity_size(&v->model);
	u64 bytes = (1 + size.pdpts + size.directories) * PAGE_SIZE;

	if (!has(&v->model, F_X64))
		return true;
	v->identity = ram_new(bytes);
	if (!v->identity)
		return false;
	v->identity->written = cpu_code_written;
	v->identity->owner = v->cpu;
	v->identity_base = ((u64)1 << v->model.physical_bits) - bytes;
	return space_add_ram(&v->mem, "identity map", v->identity_base, bytes, v->identity, 0, true) >= 0;
}

void mode_fill_identity(struct vcpu *v)
{
	struct identity_size size = identity_size(&v->model);
	u64 base = v->identity_base, pdpts = base + PAGE_SIZE, directories = pdpts + size.pdpts * PAGE_SIZE;
	u8 *pml4 = v->identity->host, *pdpt = pml4 + PAGE_SIZE, *directory = pdpt + size.pdpts * PAGE_SIZE;

	if (v->identity_filled)
		return;
	v->identity_filled = true;
	for (u64 i = 0; i < size.pdpts; i++)
		put64(pml4 + 8 * i, (pdpts + i * PAGE_SIZE) | PAGE_FLAGS);
	for (u64 i = 0; i < size.gib; i++)
		put64(pdpt + 8 * i, size.directories ? (directories + i * PAGE_SIZE) | PAGE_FLAGS : i * GiB |
			PAGE_FLAGS | LARGE);
	for (u64 i = 0; i < size.directories * 512; i++)
		put64(directory + 8 * i, i * 2 * MiB | PAGE_FLAGS | LARGE);
}

int vcpu_set_mode(vcpu *v, unsigned bits)
{
	u32 cr4 = 0;

	if (machine_refuses(v, "vcpu_set_mode"))
		return -1;
	if (bits == 64 && !v->identity)
		return machine_error(
			v, v->bare ? "a %s has no 64-bit mode" : "a PC's 64-bit mode needs its own page tables (%s)",
			v->model.name);
	if (bits == 32 && !has(&v->model, F_I386))
		return machine_error(v, "a %s has no 32-bit mode", v->model.name);
	if (bits != 16 && bits != 32 && bits != 64)
		return machine_error(v, "there is no %u-bit mode", bits);
	if (!change_room(v, 0))
		return -1;
	if (bits == 64)
		mode_fill_identity(v);
	if (has(&v->model, F_FXSR))
		cr4 |= CR4_OSFXSR;
	if (has(&v->model, F_SSE))
		cr4 |= CR4_OSXMMEXCPT;
	v->cpu->cr4 = cr4;
	mode_setup(v, bits == 16 ? SETUP_REAL : bits == 32 ? SETUP_PROTECTED : SETUP_LONG, 0x10, 0x18,
		v->identity_base);
	machine_changed(v, (struct changed){ CHANGE_MODE, 0, bits, 0 }, NULL, 0);
	return 0;
}

unsigned vcpu_widest_mode(const vcpu *v)
{
	return !v ? 0 : has(&v->model, F_X64) ? 64 : has(&v->model, F_I386) ? 32 : 16;
}
