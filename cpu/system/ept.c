/* SPDX-License-Identifier: MIT */
/* Extended page tables (SDM vol. 3, 28.3): guest-physical to physical addresses.
 *
 *   EPTP   N-12 table | 6 A and D flags are on | 5-3 levels - 1 | 2-0 memory type
 *   entry  63 suppress #VE | N-12 address | 9 D | 8 A | 7 a page (levels 2, 3) | 6 ignore PAT | 5-3 memory type of a
 *          page | 2 execute | 1 write | 0 read */
#include "cpu/system/vmx.h"

enum { EPT_R = 1, EPT_W = 2, EPT_X = 4, EPT_PAGE = 0x80, EPT_A = 0x100, EPT_D = 0x200 };

static bool misconfigured(const struct cpu *c, u64 e, int level)
{
	u64 reserved = ((u64)1 << 52) - ((u64)1 << c->model->physical_bits);
	unsigned type = e >> 3 & 7;

	if ((e & (EPT_R | EPT_W)) == EPT_W || e & reserved)
		return true;
	if (level && !(e & EPT_PAGE))
		return e & 0x78;
	if (level == 3 || (level && e & (((u64)1 << (12 + 9 * level)) - 1) & PAGE_MASK))
		return true;
	return type == 2 || type == 3 || type == 7;
}

static void set_flags(struct cpu *c, u64 addr, u64 e, u64 flags)
{
	if ((e & flags) != flags)
		vmx_write(c, addr, 8, e | flags);
}

bool ept_pointer_ok(const struct cpu *c, u64 v)
{
	return ((v & 7) == 0 || (v & 7) == 6) && (v >> 3 & 7) == 3 && !(v & 0xf80) && !(v >> c->model->physical_bits);
}

struct ept ept_walk(struct cpu *c, u64 guest, enum access kind, bool effects)
{
	const struct vmx_controls *k = &c->vmx->controls;
	u64 table = k->eptp & 0xffffffffff000, path[4], entries[4];
	u32 rights = EPT_R | EPT_W | EPT_X, need = kind == ACCESS_FETCH ? EPT_X : kind == ACCESS_WRITE ? EPT_W : EPT_R;
	unsigned n = 0;

	if (guest >> 48)
		return (struct ept){ .reason = VMEXIT_EPT_VIOLATION, .qualification = need };
	for (int level = 3;; level--) {
		unsigned shift = 12 + 9 * (unsigned)level;
		u64 addr = table | (guest >> shift & 0x1ff) << 3, e = vmx_read(c, addr, 8), size = (u64)1 << shift;

		if (!(e & (EPT_R | EPT_W | EPT_X)))
			return (struct ept){ .reason = VMEXIT_EPT_VIOLATION, .qualification = need };
		if (misconfigured(c, e, level))
			return (struct ept){ .reason = VMEXIT_EPT_MISCONFIGURATION };
		rights &= (u32)e;
		path[n] = addr;
		entries[n++] = e;
		table = e & 0xffffffffff000;
		if (level && !(e & EPT_PAGE))
			continue;
		if (!(rights & need))
			return (struct ept){ .reason = VMEXIT_EPT_VIOLATION, .qualification = need | rights << 3 };
		if (effects && k->eptp & EPT_AD_ON)
			for (unsigned i = 0; i < n; i++)
				set_flags(c, path[i], entries[i],
					  EPT_A | (i == n - 1 && kind == ACCESS_WRITE ? EPT_D : 0));
		return (struct ept){ .physical = (table & ~(size - 1)) | (guest & (size - 1)),
				     .write = rights & EPT_W && (kind == ACCESS_WRITE || !(k->eptp & EPT_AD_ON) ||
								 entries[n - 1] & EPT_D) };
	}
}
