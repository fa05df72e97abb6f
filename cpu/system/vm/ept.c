/* SPDX-License-Identifier: MIT */
/* Extended page tables (SDM vol. 3, 28.3): guest-physical to physical addresses.
 *
 *   EPTP   N-12 table | 6 A and D flags are on | 5-3 levels - 1 | 2-0 memory type
 *   entry  63 suppress #VE | N-12 address | 10 execute at user-mode linear addresses (mode-based execute control)
 *          9 D | 8 A | 7 a page (levels 2, 3) | 6 ignore PAT | 5-3 memory type of a page | 2 execute | 1 write
 *          0 read */
#include "cpu/system/vm/vmx.h"

enum { EPT_R = 1, EPT_W = 2, EPT_X = 4, EPT_PAGE = 0x80, EPT_A = 0x100, EPT_D = 0x200, EPT_XU = 0x400 };
#define EPT_NO_VE ((u64)1 << 63)

/* NULL: it is not. */
static const char *misconfigured(const struct cpu *c, u64 e, unsigned level)
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
	if (level >= 3 || (level && e & (((u64)1 << (12 + 9 * level)) - 1) & PAGE_MASK))
		return "maps a large page and has a reserved bit set (28.3.2)";
	return type == 2 || type == 3 || type == 7 ? "has a memory type that is reserved (28.3.3.1)" : NULL;
}

static unsigned levels(u64 eptp) { return (eptp >> 3 & 7) + 1; }

bool ept_pointer_ok(const struct cpu *c, u64 v)
{
	return ((v & 7) == 0 || (v & 7) == 6) && (levels(v) == 4 || (levels(v) == 5 && has(c->model, F_VMX_EPT5))) &&
	       !(v & 0xf80) && !(v >> c->model->physical_bits);
}

/* A and D flags of the entries of T, the last of which maps GUEST. False: GUEST is to be logged, and the log is full
 * (28.3.6). */
static bool set_flags(struct cpu *c, u64 guest, const struct second_level_trace *t, bool write)
{
	bool dirties = write && !(t->entry[t->count - 1] & EPT_D);
	u64 index;

	if (dirties && vmx_secondary(c, SEC_PML)) {
		index = vmcs_get(c, VMCS_GUEST_PML_INDEX);
		if (index > 511)
			return false;
		vm_write(c, vmcs_get(c, VMCS_PML_ADDRESS) + 8 * index, 8, guest & PAGE_MASK);
		vmcs_set(c, VMCS_GUEST_PML_INDEX, (index - 1) & 0xffff);
	}
	for (unsigned i = 0; i < t->count; i++) {
		u64 flags = EPT_A | (dirties && i == t->count - 1 ? EPT_D : 0);

		if ((t->entry[i] & flags) != flags)
			vm_write(c, t->at[i], 8, t->entry[i] | flags);
	}
	return true;
}

static u32 needed(const struct cpu *c, enum access kind, bool user)
{
	return kind == ACCESS_WRITE ? EPT_W : kind == ACCESS_READ ? EPT_R
	       : user && vmx_secondary(c, SEC_MBEC)               ? EPT_XU
								  : EPT_X;
}

/* Of an entry that is present. */
static u32 some_right(const struct cpu *c)
{
	return EPT_R | EPT_W | EPT_X | (vmx_secondary(c, SEC_MBEC) ? EPT_XU : 0);
}

static struct second_level violation(u64 entry, u32 need, u32 rights)
{
	u32 wants = need & EPT_XU ? (u32)EPT_X : need;

	return (struct second_level){ .refused = true, .reason = VMEXIT_EPT_VIOLATION,
				     .convertible = !(entry & EPT_NO_VE),
				     .qualification = wants | (rights & 7) << 3 | (rights & EPT_XU) >> 4 };
}

/* T gets the entries. */
ALWAYS_INLINE struct second_level walk(struct cpu *c, u64 guest, enum access kind, bool user, bool effects,
				       struct second_level_trace *t)
{
	u64 eptp = c->vmx->controls.eptp, table = eptp & 0xffffffffff000;
	u32 need = needed(c, kind, user), all = some_right(c), rights = all;

	t->count = 0;
	if (levels(eptp) == 4 && guest >> 48)
		return violation(EPT_NO_VE, need, 0);
	for (unsigned level = levels(eptp) - 1;; level--) {
		unsigned shift = 12 + 9 * level;
		u64 addr = table | (guest >> shift & 0x1ff) << 3, e = vm_read(c, addr, 8), size = (u64)1 << shift;

		t->at[t->count] = addr;
		t->entry[t->count++] = e;
		if (!(e & all))
			return violation(e, need, 0);
		if (misconfigured(c, e, level))
			return (struct second_level){ .refused = true, .reason = VMEXIT_EPT_MISCONFIGURATION };
		rights &= (u32)e;
		table = e & 0xffffffffff000;
		if (level && !(e & EPT_PAGE))
			continue;
		if (!(rights & need))
			return violation(e, need, rights);
		if (effects && eptp & EPT_AD_ON && !set_flags(c, guest, t, kind == ACCESS_WRITE))
			return (struct second_level){ .refused = true, .reason = VMEXIT_PML };
		return (struct second_level){ .physical = (table & ~(size - 1)) | (guest & (size - 1)),
				     .write = rights & EPT_W && (kind == ACCESS_WRITE || !(eptp & EPT_AD_ON) ||
								 e & EPT_D) };
	}
}

struct second_level ept_walk(struct cpu *c, u64 guest, enum access kind, bool user, bool effects)
{
	struct second_level_trace t;

	return walk(c, guest, kind, user, effects, &t);
}

void ept_trace(struct cpu *c, u64 guest, enum access kind, struct second_level_trace *t)
{
	bool user = c->cpl == 3;
	struct second_level end = walk(c, guest, kind, user, false, t);
	u32 need = needed(c, kind, user);

	t->why = NULL;
	t->culprit = t->count ? t->count - 1 : 0;
	if (!end.reason)
		return;
	if (!t->count) {
		t->why = "the address is wider than the tables map (28.3.2)";
	} else if (end.reason == VMEXIT_EPT_MISCONFIGURATION) {
		t->why = misconfigured(c, t->entry[t->culprit], levels(c->vmx->controls.eptp) - t->count);
	} else if (!(t->entry[t->culprit] & some_right(c))) {
		t->why = "is not present";
	} else {
		for (t->culprit = 0; t->entry[t->culprit] & need; t->culprit++)
			;
		t->why = need == EPT_R ? "lacks read permission" : need == EPT_W ? "lacks write permission"
										 : "lacks execute permission";
	}
}
