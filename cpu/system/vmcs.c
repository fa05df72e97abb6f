/* SPDX-License-Identifier: MIT */
/* The virtual-machine control structure (SDM vol. 3, chapter 24) and the instructions that work on it. It lies in the
 * machine's memory, at the address that VMPTRLD was given, in a form of our own:
 *
 *    0 revision identifier   4 VMX-abort indicator   8 1: launched   16 fields: of each type and width a table */
#include "cpu/observe.h"
#include "cpu/system/system.h"

enum { AT_ABORT = 4, AT_LAUNCHED = 8, AT_FIELDS = 16 };
enum { INDEXES = 28 }; /* of each type and width: 0 to 27 */

static unsigned width_of(unsigned field) { return field >> 13 & 3; }
static unsigned type_of(unsigned field) { return field >> 10 & 3; }
static unsigned size_of(unsigned field) { return width_of(field) == 0 ? 2 : width_of(field) == 2 ? 4 : 8; }

static u64 place_of(unsigned field)
{
	static const u16 base[4] = { 0, 4 * INDEXES * 2, 4 * INDEXES * (2 + 8), 4 * INDEXES * (2 + 8 + 4) };

	return AT_FIELDS + base[width_of(field)] + (type_of(field) * INDEXES + (field >> 1 & 0x1ff)) * size_of(field);
}

static bool exists(const struct cpu *c, u64 field)
{
	if (field >> 32)
		return false;
	if (field & 1 && width_of((unsigned)field) != 1)
		return false;
	switch (field & ~(u64)1) {
#define VMCS(encoding, name, needs) case encoding: return needs == ALWAYS || vmx_secondary_allowed(c->model) & needs;
#include "cpu/system/vmcs.def"
#undef VMCS
	default: return false;
	}
}

u64 vmx_read(const struct cpu *c, u64 addr, unsigned size)
{
	const u8 *host = space_ram(c->mem, addr & c->mem->mask, size, NULL);

	return !host ? 0 : size == 1 ? *host : size == 2 ? get16(host) : size == 4 ? get32(host) : get64(host);
}

void vmx_write(struct cpu *c, u64 addr, unsigned size, u64 v)
{
	addr &= c->mem->mask;
	if (unlikely(!space_ram(c->mem, addr, size, NULL)))
		return;
	if (unlikely(c->watch != NULL))
		watch_store(c, NULL, addr, size);
	space_write(c->mem, addr, size, v);
}

u64 vmcs_get(const struct cpu *c, enum vmcs_field field)
{
	return vmx_read(c, c->vmx->current + place_of(field), size_of(field));
}

void vmcs_set(struct cpu *c, enum vmcs_field field, u64 v)
{
	vmx_write(c, c->vmx->current + place_of(field), size_of(field), v);
}

bool vmcs_each(const struct cpu *c, void (*each)(void *user, const char *name, u32 encoding, u64 value), void *user)
{
	static const struct { u16 encoding; const char *name; } rows[] = {
#define VMCS(encoding, name, needs) { encoding, #name },
#include "cpu/system/vmcs.def"
#undef VMCS
	};

	if (!c->vmx || !c->vmx->on || c->vmx->current == NO_VMCS)
		return false;
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
		if (exists(c, rows[i].encoding))
			each(user, rows[i].name, rows[i].encoding, vmcs_get(c, (enum vmcs_field)rows[i].encoding));
	return true;
}

bool vmcs_launched(const struct cpu *c) { return vmx_read(c, c->vmx->current + AT_LAUNCHED, 4) == 1; }
void vmcs_set_launched(struct cpu *c, bool on) { vmx_write(c, c->vmx->current + AT_LAUNCHED, 4, on); }
void vmcs_set_abort(struct cpu *c, u32 why) { vmx_write(c, c->vmx->current + AT_ABORT, 4, why); }

/* ---- what an instruction says of itself (30.2) ---- */

bool vmx_succeed(struct cpu *c)
{
	cpu_set_arith(c, 0);
	return true;
}

bool vmx_fail(struct cpu *c, u32 error)
{
	bool valid = c->vmx->current != NO_VMCS;

	if (observes(c, EVENT_VMFAIL))
		observe_event(c, &(struct seen){ .kind = EVENT_VMFAIL, .address = valid ? error : 0, .write = true,
						 .name = vmx_error_name(valid ? error : 0) });
	cpu_set_arith(c, valid ? FL_Z : FL_C);
	if (valid)
		vmcs_set(c, VMCS_INSTRUCTION_ERROR, error);
	return true;
}

/* ---- capabilities (appendix A): the low half has the bits that must be 1, the high half those that may be ---- */

u32 vmx_secondary_allowed(const struct model *m)
{
	return SEC_APIC_ACCESS | SEC_X2APIC | SEC_EPT | SEC_TABLES | SEC_VPID | SEC_WBINVD | SEC_UNRESTRICTED | SEC_PLE |
	       (has(m, F_RDTSCP) ? SEC_RDTSCP : 0) | (has(m, F_INVPCID) ? SEC_INVPCID : 0) |
	       (has(m, F_RDRAND) ? SEC_RDRAND : 0) | (has(m, F_RDSEED) ? SEC_RDSEED : 0) |
	       (has(m, F_XSAVES) ? SEC_XSAVES : 0) | (has(m, F_VMX_APICV) ? SEC_APIC_REGISTERS | SEC_VIRTUAL_INTR : 0);
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
	 PROC_NMI_WINDOW | PROC_MOV_DR | PROC_IO | PROC_IO_BITMAPS | PROC_TRAP_FLAG | PROC_MSR_BITMAPS | PROC_MONITOR | \
	 PROC_PAUSE | PROC_SECONDARY)
#define EXIT_MAY \
	(EXIT_ONES | EXIT_HOST_64 | EXIT_ACK_INTR | EXIT_SAVE_PAT | EXIT_LOAD_PAT | EXIT_SAVE_EFER | EXIT_LOAD_EFER | \
	 EXIT_SAVE_TIMER)
#define ENTRY_MAY (ENTRY_ONES | ENTRY_LONG | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER)
#define PAIR(ones, may) ((u64)(may) << 32 | (ones))

/* Of all fields that there are. */
static u64 highest_index(const struct cpu *c)
{
	u64 highest = 0;

#define VMCS(encoding, name, needs) \
	if (exists(c, encoding) && (encoding & 0x3fe) > highest) \
		highest = encoding & 0x3fe;
#include "cpu/system/vmcs.def"
#undef VMCS
	return highest;
}

u64 vmx_capability(const struct cpu *c, u32 index)
{
	switch (index) {
	/* revision | size of the region << 32 | write-back << 50 | 54: INS and OUTS are described | 55: the true ones
	 * */
	case 0x480: return VMCS_REVISION | (u64)PAGE_SIZE << 32 | (u64)6 << 50 | (u64)3 << 54;
	case 0x481: case 0x48d: return PAIR(PIN_ONES, PIN_MAY | (has(c->model, F_VMX_APICV) ? PIN_POSTED : 0));
	case 0x482: return PAIR(PROC_ONES, PROC_MAY);
	case 0x48e: return PAIR(PROC_TRUE_ONES, PROC_MAY);
	case 0x483: return PAIR(EXIT_ONES, EXIT_MAY);
	case 0x48f: return PAIR(EXIT_TRUE_ONES, EXIT_MAY);
	case 0x484: return PAIR(ENTRY_ONES, ENTRY_MAY);
	case 0x490: return PAIR(ENTRY_TRUE_ONES, ENTRY_MAY);
	/* 4-0 bit of the TSC that the timer counts: 0 | 5 EFER.LMA is stored | 8-6 activity states | 24-16 CR3 targets
	 * | 29 VMWRITE writes exit information | 30 injection with length 0 */
	case 0x485: return 1 << 5 | 7 << 6 | 4 << 16 | 1 << 29 | 1 << 30;
	case 0x486: return CR0_PE | CR0_NE | CR0_PG;
	case 0x487: return 0xffffffff;
	case 0x488: return CR4_VMXE;
	case 0x489: return cr4_bits(c->model) | CR4_VMXE;
	case 0x48a: return highest_index(c);
	case 0x48b: return PAIR(0, vmx_secondary_allowed(c->model));
	/* 0 execute-only | 6 four levels | 8 uncacheable | 14 write-back | 16 2 MiB | 17 1 GiB | 20 INVEPT | 21 A, D |
	 * 25, 26 its types | 32 INVVPID | 40-43 its types */
	default: return 1 | 1 << 6 | 1 << 8 | 1 << 14 | 3 << 16 | 3 << 20 | 3 << 25 | (u64)1 << 32 | (u64)15 << 40;
	}
}

/* ---- the instructions (chapter 30) ---- */

/* The physical address in the memory operand. */
static bool pointer(struct cpu *c, const struct op *o, u64 *addr) { return op_load(c, o, 8, addr); }

bool vmx_page_ok(const struct cpu *c, u64 addr)
{
	return !(addr & (PAGE_SIZE - 1)) && !(addr >> c->model->physical_bits);
}

BODY(vmclear)
{
	u64 addr;

	if (!pointer(c, o, &addr))
		return false;
	if (!vmx_page_ok(c, addr))
		return vmx_fail(c, 2);
	if (addr == c->vmx->vmxon)
		return vmx_fail(c, 3);
	vmx_write(c, addr + AT_LAUNCHED, 4, 0);
	if (addr == c->vmx->current)
		c->vmx->current = NO_VMCS;
	return vmx_succeed(c);
}
GEN_BODY(vmclear)

BODY(vmptrld)
{
	u64 addr;

	if (!pointer(c, o, &addr))
		return false;
	if (!vmx_page_ok(c, addr))
		return vmx_fail(c, 9);
	if (addr == c->vmx->vmxon)
		return vmx_fail(c, 10);
	if (vmx_read(c, addr, 4) != VMCS_REVISION)
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
	u64 field = reg_get(c, o->src, size), v;

	if (c->vmx->current == NO_VMCS)
		return vmx_fail(c, 0);
	if (!exists(c, field))
		return vmx_fail(c, 12);
	v = vmcs_get(c, (enum vmcs_field)(field & ~(u64)1));
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
	u64 field = reg_get(c, o->dst, size), v;

	if (c->vmx->current == NO_VMCS)
		return vmx_fail(c, 0);
	if (!rm_load(c, o, o->src, size, &v))
		return false;
	if (!exists(c, field))
		return vmx_fail(c, 12);
	if (width_of((unsigned)field) == 1 && (field & 1 || size == 4)) {
		u64 old = vmcs_get(c, (enum vmcs_field)(field & ~(u64)1));

		v = field & 1 ? (u32)old | v << 32 : in_64(c) ? v : (old & ~(u64)0xffffffff) | v;
	}
	vmcs_set(c, (enum vmcs_field)(field & ~(u64)1), v);
	return vmx_succeed(c);
}
GEN_BODY(vmwrite)
