/* SPDX-License-Identifier: MIT */
/* The virtual-machine control structure (SDM vol. 3, chapter 24) and the instructions that work on it. It lies in the
 * machine's memory, at the address that VMPTRLD was given, in a form of our own:
 *
 *    0 revision identifier   4 VMX-abort indicator   8 1: launched   16 fields: of each type and width a table
 *    behind them: the same of fields with higher indexes */
#include "cpu/observe.h"
#include "cpu/system/system.h"

enum { AT_ABORT = 4, AT_LAUNCHED = 8, AT_FIELDS = 16 };
enum { INDEXES = 28, LATER_INDEXES = 16 }; /* of each type and width: 0 to 27, 28 to 43 */
enum { AT_LATER = AT_FIELDS + 4 * INDEXES * (2 + 8 + 4 + 8) };

static unsigned width_of(unsigned field) { return field >> 13 & 3; }
static unsigned type_of(unsigned field) { return field >> 10 & 3; }
static unsigned size_of(unsigned field) { return width_of(field) == 0 ? 2 : width_of(field) == 2 ? 4 : 8; }

static u64 place_of(unsigned field)
{
	static const u16 before[4] = { 0, 4 * 2, 4 * (2 + 8), 4 * (2 + 8 + 4) }; /* bytes of the other widths, an index */
	unsigned index = field >> 1 & 0x1ff, width = width_of(field), type = type_of(field);

	if (index < INDEXES)
		return AT_FIELDS + before[width] * INDEXES + (type * INDEXES + index) * size_of(field);
	return AT_LATER + before[width] * LATER_INDEXES + (type * LATER_INDEXES + index - INDEXES) * size_of(field);
}

static bool has_cet(const struct model *m) { return has(m, F_CET_SS) || has(m, F_CET_IBT); }

static bool exists(const struct cpu *c, u64 field)
{
	const struct model *m = c->model;
	const u64 allowed = vmx_secondary_allowed(m) | (has_cet(m) ? NEEDS_CET : 0) | (has(m, F_PKS) ? NEEDS_PKS : 0) |
			    (has(m, F_PMU) ? NEEDS_PMU : 0) | (vmx_tertiary_allowed(m) ? NEEDS_TERTIARY : 0) |
			    (has(m, F_MSRLIST) ? NEEDS_MSR_LIST : 0) | (has(m, F_VMX_IPI) ? NEEDS_IPI : 0) |
			    (has(m, F_FRED) ? NEEDS_FRED : 0) | (has(m, F_APX) ? NEEDS_APX : 0);

	if (field >> 32)
		return false;
	if (field & 1 && width_of((unsigned)field) != 1)
		return false;
	switch (field & ~(u64)1) {
#define VMCS(encoding, name, needs) case encoding: return (needs) == 0 || (allowed & (needs)) != 0;
#include "cpu/system/vm/vmcs.def"
#undef VMCS
	default: return false;
	}
}

static u64 field_get(const struct cpu *c, u64 vmcs, unsigned field)
{
	return vm_read(c, vmcs + place_of(field), size_of(field));
}
static void field_set(struct cpu *c, u64 vmcs, unsigned field, u64 v)
{
	vm_write(c, vmcs + place_of(field), size_of(field), v);
}

u64 vmcs_get(const struct cpu *c, enum vmcs_field field) { return field_get(c, c->vmx->current, field); }
void vmcs_set(struct cpu *c, enum vmcs_field field, u64 v) { field_set(c, c->vmx->current, field, v); }

/* The VMCS that VMREAD and VMWRITE work on: a guest's is its shadow VMCS. */
static u64 operand(const struct cpu *c) { return vmx_guest(c) ? vmcs_get(c, VMCS_VMCS_LINK) : c->vmx->current; }

bool vmcs_is_shadow(const struct cpu *c) { return vm_read(c, c->vmx->current, 4) & VMCS_SHADOW; }

bool vmcs_each(const struct cpu *c, void (*each)(void *user, const char *name, u32 encoding, u64 value), void *user)
{
	static const struct { u16 encoding; const char *name; } rows[] = {
#define VMCS(encoding, name, needs) { encoding, #name },
#include "cpu/system/vm/vmcs.def"
#undef VMCS
	};

	if (!vmx_operation(c) || c->vmx->current == NO_VMCS)
		return false;
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		if (exists(c, rows[i].encoding))
			each(user, rows[i].name, rows[i].encoding, vmcs_get(c, (enum vmcs_field)rows[i].encoding));
	return true;
}

bool vmcs_launched(const struct cpu *c) { return vm_read(c, c->vmx->current + AT_LAUNCHED, 4) == 1; }
void vmcs_set_launched(struct cpu *c, bool on) { vm_write(c, c->vmx->current + AT_LAUNCHED, 4, on); }
void vmcs_set_abort(struct cpu *c, u32 why) { vm_write(c, c->vmx->current + AT_ABORT, 4, why); }

/* ---- what an instruction says of itself (30.2) ---- */

bool vmx_succeed(struct cpu *c)
{
	cpu_set_arith(c, 0);
	return true;
}

bool vmx_fail(struct cpu *c, u32 error)
{
	bool valid = operand(c) != NO_VMCS;

	if (observes(c, EVENT_VMFAIL))
		observe_event(c, &(struct seen){ .kind = EVENT_VMFAIL, .address = valid ? error : 0, .write = true,
						 .name = vmx_error_name(valid ? error : 0) });
	cpu_set_arith(c, valid ? FL_Z : FL_C);
	if (valid) /* a guest's goes into its own VMCS, not into the shadow */
		vmcs_set(c, VMCS_INSTRUCTION_ERROR, error);
	return true;
}

/* ---- capabilities (appendix A): the low half has the bits that must be 1, the high half those that may be ---- */

u32 vmx_secondary_allowed(const struct model *m)
{
	static const struct { u8 feature; u32 controls; } all[] = {
		{ F_VMX, SEC_APIC_ACCESS | SEC_X2APIC | SEC_EPT | SEC_TABLES | SEC_VPID | SEC_WBINVD |
			 SEC_UNRESTRICTED | SEC_PLE },
		{ F_RDTSCP, SEC_RDTSCP }, { F_INVPCID, SEC_INVPCID }, { F_RDRAND, SEC_RDRAND },
		{ F_RDSEED, SEC_RDSEED }, { F_XSAVES, SEC_XSAVES },
		{ F_VMX_APICV, SEC_APIC_REGISTERS | SEC_VIRTUAL_INTR }, { F_VMX_VMFUNC, SEC_VMFUNC },
		{ F_VMX_SHADOW, SEC_SHADOW }, { F_VMX_PML, SEC_PML }, { F_VMX_VE, SEC_VE }, { F_VMX_MBEC, SEC_MBEC },
		{ F_VMX_TSC_SCALING, SEC_TSC_SCALING }, { F_WAITPKG, SEC_USER_WAIT }, { F_ENQCMD, SEC_PASID },
		{ F_VMX_BUS_LOCK, SEC_BUS_LOCK },
		{ F_VMX_TIMEOUT, SEC_TIMEOUT },
	};
	u32 controls = 0;

	for (unsigned i = 0; i < ARRAY_LEN(all); i++)
		if (has(m, all[i].feature))
			controls |= all[i].controls;
	return controls;
}

u64 vmx_tertiary_allowed(const struct model *m)
{
	return (has(m, F_VMX_IPI) ? TERTIARY_IPI : 0) | (has(m, F_MSRLIST) ? TERTIARY_MSR_LIST : 0);
}

bool vmx_exit2(const struct cpu *c, u32 exit, u64 bits)
{
	return exit & EXIT_SECONDARY && has(c->model, F_FRED) && vmcs_get(c, VMCS_SECONDARY_EXIT_CONTROLS) & bits;
}

bool vmx_tertiary(const struct cpu *c, u64 bits)
{
	return vmx_proc(c, PROC_TERTIARY) && vmcs_get(c, VMCS_TERTIARY_CONTROLS) & bits;
}

#define PIN_ONES 0x16u
#define PROC_ONES 0x0401e172u
#define PROC_TRUE_ONES 0x04006172u
#define EXIT_ONES 0x36dffu
#define EXIT_TRUE_ONES 0x36dfbu
#define ENTRY_ONES 0x11ffu
#define ENTRY_TRUE_ONES 0x11fbu
#define PIN_MAY (PIN_ONES | PIN_INTR | PIN_NMI | PIN_VIRTUAL_NMI | PIN_TIMER)
#define PROC_MAY \
	(PROC_ONES | PROC_INTR_WINDOW | PROC_TSC_OFFSET | PROC_HLT | PROC_INVLPG | PROC_MWAIT | PROC_RDPMC | \
	 PROC_RDTSC | PROC_CR3_LOAD | PROC_CR3_STORE | PROC_CR8_LOAD | PROC_CR8_STORE | PROC_TPR_SHADOW | \
	 PROC_NMI_WINDOW | PROC_MOV_DR | PROC_IO | PROC_IO_BITMAPS | PROC_TRAP_FLAG | PROC_MSR_BITMAPS | \
	 PROC_MONITOR | PROC_PAUSE | PROC_SECONDARY)
#define EXIT_MAY \
	(EXIT_ONES | EXIT_HOST_64 | EXIT_ACK_INTR | EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER | EXIT_LOAD_EFER | \
	 EXIT_SAVE_TIMER)
#define ENTRY_MAY (ENTRY_ONES | ENTRY_LONG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER)
#define PAIR(ones, may) ((u64)(may) << 32 | (ones))

/* Of all fields that there are. */
static u64 highest_index(const struct cpu *c)
{
	u64 highest = 0, index;

#define VMCS(encoding, name, needs) \
	index = encoding & 0x3fe; \
	if (exists(c, encoding) && index > highest) \
		highest = index;
#include "cpu/system/vm/vmcs.def"
#undef VMCS
	return highest;
}

u64 vmx_capability(const struct cpu *c, u32 index)
{
	bool cet = has_cet(c->model), pks = has(c->model, F_PKS), pmu = has(c->model, F_PMU);
	u32 proc = PROC_MAY | (vmx_tertiary_allowed(c->model) ? PROC_TERTIARY : 0);
	bool fred = has(c->model, F_FRED);
	u32 exits = (fred ? EXIT_SECONDARY : 0) | (cet ? EXIT_LOAD_CET : 0) | (pks ? EXIT_LOAD_PKRS : 0) |
		    (pmu ? EXIT_LOAD_PERF : 0);
	u32 entries = (fred ? ENTRY_LOAD_FRED : 0) | (cet ? ENTRY_LOAD_CET : 0) | (pks ? ENTRY_LOAD_PKRS : 0) |
		      (pmu ? ENTRY_LOAD_PERF : 0);

	switch (index) {
	/* revision | size of the region << 32 | write-back << 50 | 54: INS and OUTS are described | 55: the true ones
	 * | 56: an exception is injected with an error code or without, as the host likes | 58: nested ones, too */
	case 0x480:
		return VMCS_REVISION | (u64)PAGE_SIZE << 32 | (u64)6 << 50 | (u64)3 << 54 |
		       (u64)(cet || fred) << 56 | (u64)fred << 58;
	case 0x481: case 0x48d: return PAIR(PIN_ONES, PIN_MAY | (has(c->model, F_VMX_APICV) ? PIN_POSTED : 0));
	case 0x482: return PAIR(PROC_ONES, proc);
	case 0x48e: return PAIR(PROC_TRUE_ONES, proc);
	case 0x483: return PAIR(EXIT_ONES, EXIT_MAY | exits);
	case 0x48f: return PAIR(EXIT_TRUE_ONES, EXIT_MAY | exits);
	case 0x484: return PAIR(ENTRY_ONES, ENTRY_MAY | entries);
	case 0x490: return PAIR(ENTRY_TRUE_ONES, ENTRY_MAY | entries);
	/* 4-0 bit of the TSC that the timer counts: 0 | 5 EFER.LMA is stored | 8-6 activity states | 24-16 CR3 targets
	 * | 29 VMWRITE writes exit information | 30 injection with length 0 */
	case 0x485: return 1 << 5 | 7 << 6 | 4 << 16 | 1 << 29 | 1 << 30;
	case 0x486: return CR0_PE | CR0_NE | CR0_PG;
	case 0x487: return 0xffffffff;
	case 0x488: return CR4_VMXE;
	case 0x489: return cr4_bits(c->model) | CR4_VMXE;
	case 0x48a: return highest_index(c);
	case 0x48b: return PAIR(0, vmx_secondary_allowed(c->model));
	case 0x491: return VM_FUNCTIONS;
	case 0x493: return fred ? EXIT2_SAVE_FRED | EXIT2_LOAD_FRED : 0;
	case 0x492: return vmx_tertiary_allowed(c->model);
	/* 0 execute-only | 6 four levels | 7 five | 8 uncacheable | 14 write-back | 16 2 MiB | 17 1 GiB | 20 INVEPT |
	 * 21 A, D | 25, 26 its types | 32 INVVPID | 40-43 its types */
	default: return 1 | 1 << 6 | (has(c->model, F_VMX_EPT5) ? 1 << 7 : 0) | 1 << 8 | 1 << 14 | 3 << 16 | 3 << 20 |
			3 << 25 | (u64)1 << 32 | (u64)15 << 40;
	}
}

/* ---- the instructions (chapter 30) ---- */

/* The physical address in the memory operand. */
static bool pointer(struct cpu *c, const struct op *o, u64 *addr) { return op_load(c, o, 8, addr); }

BODY(vmclear)
{
	u64 addr;

	if (!pointer(c, o, &addr))
		return false;
	if (!vm_page_ok(c, addr))
		return vmx_fail(c, 2);
	if (addr == c->vmx->vmxon)
		return vmx_fail(c, 3);
	vm_write(c, addr + AT_LAUNCHED, 4, 0);
	if (addr == c->vmx->current)
		c->vmx->current = NO_VMCS;
	return vmx_succeed(c);
}
GEN_BODY(vmclear)

BODY(vmptrld)
{
	u64 addr;
	u32 revision;

	if (!pointer(c, o, &addr))
		return false;
	if (!vm_page_ok(c, addr))
		return vmx_fail(c, 9);
	if (addr == c->vmx->vmxon)
		return vmx_fail(c, 10);
	revision = (u32)vm_read(c, addr, 4);
	if (vmx_secondary_allowed(c->model) & SEC_SHADOW)
		revision &= ~VMCS_SHADOW;
	if (revision != VMCS_REVISION)
		return vmx_fail(c, 11);
	c->vmx->current = addr;
	return vmx_succeed(c);
}
GEN_BODY(vmptrld)

BODY(vmptrst) { return op_store(c, o, 8, c->vmx->current) && vmx_succeed(c); }
GEN_BODY(vmptrst)

BODY(vmread)
{
	unsigned size = in_64(c) ? 8 : 4;
	u64 field = reg_get(c, o->src, size), vmcs = operand(c), v;

	if (vmcs == NO_VMCS)
		return vmx_fail(c, 0);
	if (!exists(c, field))
		return vmx_fail(c, 12);
	v = field_get(c, vmcs, (unsigned)field & ~1u);
	if (field & 1)
		v >>= 32;
	if (!o->mem)
		reg_set(c, o->dst, size, v);
	else if (!op_store(c, o, size, v))
		return false;
	return vmx_succeed(c);
}
GEN_BODY(vmread)

BODY(vmwrite)
{
	unsigned size = in_64(c) ? 8 : 4;
	u64 field = reg_get(c, o->dst, size), vmcs = operand(c), v;

	if (vmcs == NO_VMCS)
		return vmx_fail(c, 0);
	if (!rm_load(c, o, o->src, size, &v))
		return false;
	if (!exists(c, field))
		return vmx_fail(c, 12);
	if (width_of((unsigned)field) == 1 && (field & 1 || size == 4)) {
		u64 old = field_get(c, vmcs, (unsigned)field & ~1u);

		v = field & 1 ? (u32)old | v << 32 : in_64(c) ? v : (old & ~(u64)0xffffffff) | v;
	}
	field_set(c, vmcs, (unsigned)field & ~1u, v);
	return vmx_succeed(c);
}
GEN_BODY(vmwrite)
