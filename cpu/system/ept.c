/* SPDX-License-Identifier: MIT */
/* Extended page tables (SDM vol. 3, 28.3): guest-physical to physical addresses.
 *
 *   EPTP   N-12 table | 6 A and D flags are on | 5-3 levels - 1 | 2-0 memory type
 *   entry  63 suppress #VE | N-12 address | 9 D | 8 A | 7 a page (levels 2, 3) | 6 ignore PAT | 5-3 memory type of a
 *          page | 2 execute | 1 write | 0 read */
#include "cpu/system/vmx.h"

enum { EPT_R = 1, EPT_W = 2, EPT_X = 4, EPT_PAGE = 0x80, EPT_A = 0x100, EPT_D = 0x200 };

/* NULL: it is not. */
static const char *misconfigured(const struct cpu *c, u64 e, int level)
{
	u64 reserved = ((u64)1 << 52) - ((u64)1 << c->model->physical_bits);
	unsigned type = e >> 3 & 7;

	if ((e & (EPT_R | EPT_W)) == EPT_W)
		return "allows writes and no reads (28.3.3.1)";
	if (e & reserved)
		return "has an address beyond the processor's physical addresses (28.3.3.1)";
	if (level && !(e & EPT_PAGE))
		return e & 0x78 ? "has one of bits 6-3 set, which are reserved where it refers to a table (28.3.2)"
				: NULL;
	if (level == 3 || (level && e & (((u64)1 << (12 + 9 * level)) - 1) & PAGE_MASK))
		return "maps a large page and has a reserved bit set (28.3.2)";
	return type == 2 || type == 3 || type == 7 ? "has a memory type that is reserved (28.3.3.1)" : NULL;
}

static void set_flags(struct cpu *c, u64 addr, u64 e, u64 flags)
{
	if ((e & flags) != flags)
		vm_write(c, addr, 8, e | flags);
}

bool ept_pointer_ok(const struct cpu *c, u64 v)
{
	return ((v & 7) == 0 || (v & 7) == 6) && (v >> 3 & 7) == 3 && !(v & 0xf80) && !(v >> c->model->physical_bits);
}

static struct second_level violation(u64 qualification)
{
	return (struct second_level){ .refused = true, .reason = VMEXIT_EPT_VIOLATION, .qualification = qualification };
}

static u32 needed(enum access kind) { return kind == ACCESS_FETCH ? EPT_X : kind == ACCESS_WRITE ? EPT_W : EPT_R; }

/* T gets the entries. */
ALWAYS_INLINE struct second_level walk(struct cpu *c, u64 guest, enum access kind, bool effects, struct ept_trace *t)
{
	const struct vmx_controls *k = &c->vmx->controls;
	u64 table = k->eptp & 0xffffffffff000, *path = t->at, *entries = t->entry;
	u32 rights = EPT_R | EPT_W | EPT_X, need = needed(kind);
	unsigned n = 0;

	t->count = 0;
	if (guest >> 48)
		return violation(need);
	for (int level = 3;; level--) {
		unsigned shift = 12 + 9 * (unsigned)level;
		u64 addr = table | (guest >> shift & 0x1ff) << 3, e = vm_read(c, addr, 8), size = (u64)1 << shift;

		path[n] = addr;
		entries[n++] = e;
		t->count = n;
		if (!(e & (EPT_R | EPT_W | EPT_X)))
			return violation(need);
		if (misconfigured(c, e, level))
			return (struct second_level){ .refused = true, .reason = VMEXIT_EPT_MISCONFIGURATION };
		rights &= (u32)e;
		table = e & 0xffffffffff000;
		if (level && !(e & EPT_PAGE))
			continue;
		if (!(rights & need))
			return violation(need | rights << 3);
		if (effects && k->eptp & EPT_AD_ON)
			for (unsigned i = 0; i < n; i++)
				set_flags(c, path[i], entries[i],
					  EPT_A | (i == n - 1 && kind == ACCESS_WRITE ? EPT_D : 0));
		return (struct second_level){ .physical = (table & ~(size - 1)) | (guest & (size - 1)),
				     .write = rights & EPT_W && (kind == ACCESS_WRITE || !(k->eptp & EPT_AD_ON) ||
								 entries[n - 1] & EPT_D) };
	}
}

struct second_level ept_walk(struct cpu *c, u64 guest, enum access kind, bool effects)
{
	struct ept_trace t;

	return walk(c, guest, kind, effects, &t);
}

void ept_trace(struct cpu *c, u64 guest, enum access kind, struct ept_trace *t)
{
	static const char *const lacks[] = { [EPT_R] = "lacks read permission", [EPT_W] = "lacks write permission",
					     [EPT_X] = "lacks execute permission" };
	struct second_level end = walk(c, guest, kind, false, t);
	u32 need = needed(kind);

	t->why = NULL;
	t->culprit = t->count ? t->count - 1 : 0;
	if (!end.reason)
		return;
	if (!t->count) {
		t->why = "the address is wider than the tables map (28.3.2)";
	} else if (end.reason == VMEXIT_EPT_MISCONFIGURATION) {
		t->why = misconfigured(c, t->entry[t->culprit], (int)(EPT_LEVELS - t->count));
	} else if (!(t->entry[t->culprit] & (EPT_R | EPT_W | EPT_X))) {
		t->why = "is not present";
	} else {
		for (t->culprit = 0; t->entry[t->culprit] & need; t->culprit++)
			;
		t->why = lacks[need];
	}
}
