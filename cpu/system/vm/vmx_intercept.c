/* SPDX-License-Identifier: MIT */
/* What makes the guest exit: instructions (SDM vol. 3, 25.1) and events (25.2 to 25.5). */
#include "cpu/system/system.h"

bool vmx_exits(struct cpu *c, u32 reason, u64 qualification)
{
	struct vmx *v = c->vmx;

	v->reason = reason;
	v->qualification = qualification;
	v->interruption = v->error = v->info = 0;
	v->extended_info = 0;
	v->length = c->op ? c->op->len : 0;
	v->cause = (struct vmx_cause){ 0 };
	c->fault = (struct fault){ .vector = FAULT_VMEXIT };
	return false;
}

/* ---- why ---- */

/* Is a bit of this control set? If the guest exits now, it is because of that. */
static bool proc(struct cpu *c, u32 bits)
{
	vmx_because(c, VMCS_PROC_CONTROLS, bits);
	return c->vmx->controls.proc & bits;
}

static bool secondary(struct cpu *c, u32 bits)
{
	vmx_because(c, VMCS_SECONDARY_CONTROLS, bits);
	return c->vmx->controls.secondary & bits;
}

/* If the guest exits now, it is because of WHY. Always true. */
static bool because(struct cpu *c, const char *why)
{
	c->vmx->cause = (struct vmx_cause){ .why = why };
	return true;
}

/* ---- instruction information (27.2.5) ----
 *
 * Described in the form that processors with APX have, too, in a field of 64 bits:
 *    1-0 scale | 3-2 address size 16, 32, 64 | 4 a register, no memory | 6-5 operand size | 9-7 segment | 10 no index
 *    11 no base | 20-16 first register | 28-24 index | 36-32 base | 44-40 second register */

/* A register by its offset; those beyond R15 are in slots. */
static u64 number(const struct cpu *c, u8 off)
{
	unsigned n = off / 8u;

	return n >= EGPR_SLOT && n < EGPR_SLOT + EGPR_SLOTS ? c->vmx->egpr[n - EGPR_SLOT] : n;
}

unsigned vmx_register(const struct cpu *c, u8 off) { return (unsigned)number(c, off); }

/* The field of 32 bits. */
static u32 narrow(u64 info)
{
	return (u32)((info & 3) | (info >> 16 & 15) << 3 | (info >> 2 & 3) << 7 | (info >> 4 & 1) << 10 |
		     (info >> 5 & 3) << 11 | (info >> 7 & 7) << 15 | (info >> 24 & 15) << 18 | (info >> 10 & 1) << 22 |
		     (info >> 32 & 15) << 23 | (info >> 11 & 1) << 27 | (info >> 40 & 15) << 28);
}

static u64 address_size(const struct op *o) { return (u64)o->asize << 2; }
static u64 first(const struct cpu *c, u8 reg) { return number(c, reg) << 16; }
static u64 second(const struct cpu *c, u8 reg) { return number(c, reg) << 40; }

/* The memory operand: scale, address size, segment, index, base. Its displacement is the exit qualification. */
static u64 describe_memory(const struct cpu *c, const struct op *o)
{
	bool index = o->index != 8 * RZERO, base = o->base != 8 * RZERO && o->base != 8 * RIP;

	return (index ? o->scale & 3u : 0) | address_size(o) | (o->seg == FLAT ? DS : o->seg) << 7 |
	       (index ? number(c, o->index) << 24 : 1u << 10) | (base ? number(c, o->base) << 32 : 1u << 11);
}

/* Of an instruction with a register or memory operand RM, and perhaps another register operand, at byte offset REG. */
static u64 describe(const struct cpu *c, const struct op *o, u8 rm, u8 reg)
{
	return (o->mem ? describe_memory(c, o) : 1u << 4 | first(c, rm)) | second(c, reg);
}

static u64 displacement(const struct cpu *c, const struct op *o)
{
	u64 v = o->mem ? (u64)(s64)o->disp : 0;

	return o->mem && o->base == 8 * RIP ? v + c->r[RIP] : v;
}

/* ---- instructions ---- */

void vmx_describe(struct cpu *c, u64 info)
{
	c->vmx->info = narrow(info);
	c->vmx->extended_info = info;
}

/* The instruction O exits, with INFO, because of what was asked last. Always true. */
static bool exits(struct cpu *c, const struct op *o, u32 reason, u64 qualification, u64 info)
{
	struct vmx_cause cause = c->vmx->cause;

	vmx_exits(c, reason, qualification);
	c->vmx->cause = cause;
	vmx_describe(c, info);
	c->vmx->length = o->len;
	return true;
}

static bool undefined(struct cpu *c)
{
	fault_ud(c);
	return true;
}

/* Read bitmaps for low and high MSRs, then write bitmaps, of 1 KiB each (24.6.9). */
static bool msr_exits(struct cpu *c, u32 index, bool write)
{
	u64 map = c->vmx->controls.msr_bitmap + (write ? 2048 : 0);
	bool high = index - 0xc0000000 < 0x2000;

	if (!proc(c, PROC_MSR_BITMAPS))
		return because(c, "\"use MSR bitmaps\" is 0 (25.1.3)");
	if (index >= 0x2000 && !high)
		return because(c, "the MSR bitmap has no bit for this MSR (25.1.3)");
	return vm_bit(c, map + (high ? 1024 : 0), high ? index - 0xc0000000 : index) &&
	       because(c, write ? "the bit of the MSR in the write bitmap is 1 (24.6.9)"
				: "the bit of the MSR in the read bitmap is 1 (24.6.9)");
}

bool vmx_msr_exits(struct cpu *c, u32 exit, u32 index, bool write)
{
	struct vmx_cause cause;

	if (!msr_exits(c, index, write))
		return false;
	cause = c->vmx->cause;
	vmx_exits(c, exit, index);
	c->vmx->cause = cause;
	return true;
}

/* The directory's entry is selected by bits 18-10: 0 present | N-12 address of a table. Bits 9-0 select the table's:
 * 31 valid | 19-0 the host's PASID. All other bits are reserved. */
bool vmx_pasid_exits(struct cpu *c, u32 exit, u32 pasid, u64 qualification)
{
	u64 directory, e;

	if (!secondary(c, SEC_PASID))
		return false;
	directory = vmcs_get(c, pasid >> 19 & 1 ? VMCS_HIGH_PASID_DIRECTORY : VMCS_LOW_PASID_DIRECTORY);
	e = vm_read(c, directory + 8 * (pasid >> 10 & 0x1ff), 8);
	if ((e & 0xfff) == 1 && !(e >> c->model->physical_bits) &&
	    vm_read(c, (e & ~(u64)0xfff) + 4 * (pasid & 0x3ff), 4) >> 20 == 0x800)
		return false;
	vmx_exits(c, exit, qualification);
	vmx_because(c, VMCS_SECONDARY_CONTROLS, SEC_PASID);
	return true;
}

static bool port_exits(struct cpu *c, u16 port, unsigned size)
{
	const struct vmx_controls *k = &c->vmx->controls;

	if (!proc(c, PROC_IO_BITMAPS))
		return proc(c, PROC_IO);
	if (port + size > 0x10000)
		return because(c, "the access wraps around port FFFFh (25.1.3)");
	for (unsigned i = 0; i < size; i++)
		if (vm_bit(c, (port + i) & 0x8000 ? k->io_b : k->io_a, (port + i) & 0x7fff))
			return because(c, "the bit of the port in the I/O bitmaps is 1 (24.6.4)");
	return false;
}

/* 2-0 size - 1 | 3 in | 4 string | 5 REP | 6 the port is an immediate | 31-16 port */
static bool io(struct cpu *c, unsigned opcode, const struct op *o)
{
	const struct port_access a = port_access(c, o, opcode);

	if (a.rep && !(c->r[RCX] & op_amask(o)))
		return false;
	if (!io_allowed(c, a.port, a.size))
		return true;
	if (!port_exits(c, a.port, a.size))
		return false;
	exits(c, o, VMEXIT_IO,
	      (a.size - 1) | a.in << 3 | a.string << 4 | a.rep << 5 | a.imm << 6 | (u64)a.port << 16,
	      a.string ? address_size(o) | a.seg << 7 : 0);
	if (a.string)
		c->vmx->linear = linear_address(c, a.in ? ES : o->seg, a.offset);
	return true;
}

static const char by_cr0_mask[] = "CR0_MASK gives the host a bit that would differ from CR0_SHADOW (25.1.3)";
static const char by_cr4_mask[] = "CR4_MASK gives the host a bit that would differ from CR4_SHADOW (25.1.3)";

static bool lmsw_exits(struct cpu *c, u64 source)
{
	const struct vmx_controls *k = &c->vmx->controls;
	u64 differ = (source ^ k->cr0_shadow) & k->cr0_mask;

	return (differ & 14 || differ & source & CR0_PE) && because(c, by_cr0_mask);
}

/* 3-0 register | 5-4 0 to, 1 from, 2 CLTS, 3 LMSW | 6 LMSW from memory | 11-8 general register | 31-16 LMSW's source */
static bool control_register(struct cpu *c, const struct op *o)
{
	const struct vmx_controls *k = &c->vmx->controls;
	u64 reg, v;

	if (o->code == CODE_clts)
		return k->cr0_mask & k->cr0_shadow & CR0_TS && because(c, by_cr0_mask) &&
		       exits(c, o, VMEXIT_CR_ACCESS, 2 << 4, 0);
	if (o->code == CODE_lmsw) {
		if (!rm_load(c, o, o->dst, 2, &v))
			return true;
		if (!lmsw_exits(c, v))
			return false;
		exits(c, o, VMEXIT_CR_ACCESS,
		      3 << 4 | (o->mem ? 1 << 6 : 0) | (o->mem ? 0 : number(c, o->dst) << 8) | v << 16, 0);
		if (o->mem)
			c->vmx->linear = linear_address(c, o->seg, op_offset(c, o));
		return true;
	}
	if (o->code == CODE_mov_from_cr) {
		reg = number(c, o->dst);
		return ((o->src == 3 && proc(c, PROC_CR3_STORE)) || (o->src == 8 && proc(c, PROC_CR8_STORE))) &&
		       exits(c, o, VMEXIT_CR_ACCESS, o->src | 1 << 4 | reg << 8, 0);
	}
	reg = number(c, o->src);
	v = reg_get(c, o->src, in_64(c) ? 8 : 4);
	switch (o->dst) {
	case 0:
		if (!((v ^ k->cr0_shadow) & k->cr0_mask))
			return false;
		because(c, by_cr0_mask);
		break;
	case 3:
		if (!proc(c, PROC_CR3_LOAD))
			return false;
		for (unsigned i = 0; i < k->cr3_targets && i < ARRAY_LEN(k->cr3_target); i++)
			if (v == k->cr3_target[i])
				return false;
		break;
	case 4:
		if (!((v ^ k->cr4_shadow) & k->cr4_mask))
			return false;
		because(c, by_cr4_mask);
		break;
	case 8:
		if (!proc(c, PROC_CR8_LOAD))
			return false;
		break;
	default: return false;
	}
	return exits(c, o, VMEXIT_CR_ACCESS, o->dst | reg << 8, 0);
}

/* 2-0 register | 4 from | 11-8 general register */
static bool debug_register(struct cpu *c, const struct op *o)
{
	bool from = o->code == CODE_mov_from_dr;
	unsigned n = from ? o->src : o->dst;
	u64 reg = number(c, from ? o->dst : o->src);

	if ((n == 4 || n == 5) && c->cr4 & CR4_DE)
		return undefined(c);
	return exits(c, o, VMEXIT_DR_ACCESS, n | from << 4 | reg << 8, 0);
}

/* PAUSE in a loop (25.1.3): within PLE_GAP of the one before, and longer than PLE_WINDOW after the first. */
static bool pause_exits(struct cpu *c)
{
	struct vmx *v = c->vmx;
	u64 tsc;

	if (proc(c, PROC_PAUSE))
		return true;
	if (c->cpl || !secondary(c, SEC_PLE))
		return false;
	c->walks++; /* for wait.c: the round changes something */
	cpu_sync(c);
	tsc = read_tsc(c);
	if (tsc - v->pause_last > v->controls.ple_gap)
		v->pause_first = tsc;
	v->pause_last = tsc;
	return tsc - v->pause_first > v->controls.ple_window;
}

/* RDRAND, RDSEED: register, operand size */
static u64 describe_random(const struct cpu *c, const struct op *o)
{
	return first(c, o->dst) | (o->osize == 2 ? 0u : o->osize == 4 ? 1u : 2u) << 5;
}

static bool user_wait(struct cpu *c, const struct op *o, u32 exit)
{
	if (!(c->vmx->controls.secondary & SEC_USER_WAIT))
		return undefined(c);
	return proc(c, PROC_RDTSC) && exits(c, o, exit, 0, first(c, o->dst));
}

/* Without bitmaps they exit at once; with them msr_list.c asks for each MSR. */
static bool msr_list(struct cpu *c, const struct op *o, u32 exit)
{
	if (!vmx_tertiary(c, TERTIARY_MSR_LIST))
		return undefined(c);
	return !proc(c, PROC_MSR_BITMAPS) && because(c, "\"use MSR bitmaps\" is 0 (25.1.3)") && exits(c, o, exit, 0, 0);
}

/* LGDT, SIDT and their like: operand size; SGDT, SIDT, LGDT, LIDT in place of the second register */
static u64 describe_table(const struct cpu *c, const struct op *o)
{
	u64 which = o->code == CODE_sgdt ? 0 : o->code == CODE_sidt ? 1 : o->code == CODE_lgdt ? 2 : 3;

	return describe_memory(c, o) | (in_64(c) || o->osize != 2 ? 1u << 5 : 0) | which << 40;
}

/* SLDT, STR, LLDT, LTR in place of the second register */
static u64 describe_selector(const struct cpu *c, const struct op *o)
{
	u64 which = o->code == CODE_sldt ? 0 : o->code == CODE_str ? 1 : o->code == CODE_lldt ? 2 : 3;

	return describe(c, o, o->dst, 0) | which << 40;
}

static bool when(bool condition, struct cpu *c, const struct op *o, u32 reason)
{
	return condition && exits(c, o, reason, 0, 0);
}

/* VMREAD and VMWRITE of a field that the bitmaps let the guest have (24.6.15). */
static bool shadowed(const struct cpu *c, const struct op *o)
{
	bool write = o->code == CODE_vmwrite;
	u64 field = reg_get(c, write ? o->dst : o->src, in_64(c) ? 8 : 4);

	return vmx_secondary(c, SEC_SHADOW) && (write || o->code == CODE_vmread) && field < 0x8000 &&
	       !vm_bit(c, vmcs_get(c, write ? VMCS_VMWRITE_BITMAP : VMCS_VMREAD_BITMAP), (u32)field);
}

/* May the instruction O of VMX not run? True: #UD, #GP or the exit (the order of chapter 30). */
static bool forbidden(struct cpu *c, const struct op *o, u32 exit)
{
	u8 rm = o->code == CODE_vmwrite ? o->src : o->dst;
	u8 reg = o->code == CODE_vmread ? o->src : o->mem || o->code == CODE_vmwrite ? o->dst : 0;
	bool described = o->mem || o->code == CODE_vmread || o->code == CODE_vmwrite;

	/* A guest's VMCALL exits in any mode. */
	bool mode = (in_protected(c) && (!in_long(c) || in_64(c))) || (o->code == CODE_vmcall && vmx_guest(c));

	if ((o->code == CODE_vmxon ? !(c->cr4 & CR4_VMXE) : !vmx_operation(c)) || !mode)
		return undefined(c);
	if (vmx_guest(c) && !shadowed(c, o))
		return exits(c, o, exit, displacement(c, o), described ? describe(c, o, rm, reg) : 0);
	return c->cpl && !gp_because(c, 0, "instructions of VMX are for CPL 0 (vol. 3, chapter 30)");
}

bool vmx_instruction_exits(struct cpu *c, const struct op *o, u32 exit, unsigned opcode)
{
	const struct vmx_controls *k;

	if (o->code == CODE_vmcall && c->paravirt && !in_guest(c))
		return false; /* a hypercall, at any CPL */
	if (!c->vmx || svm_guest(c))
		return undefined(c);
	k = &c->vmx->controls;
	c->vmx->cause = (struct vmx_cause){ 0 };
	switch (exit) {
	case VMEXIT_CPUID: case VMEXIT_INVD: case VMEXIT_XSETBV: return exits(c, o, exit, 0, 0);
	case VMEXIT_HLT: return when(proc(c, PROC_HLT), c, o, exit);
	case VMEXIT_INVLPG:
		return proc(c, PROC_INVLPG) && exits(c, o, exit, linear_address(c, o->seg, op_offset(c, o)), 0);
	case VMEXIT_RDPMC: return when(proc(c, PROC_RDPMC), c, o, exit);
	case VMEXIT_RDTSC: return when(proc(c, PROC_RDTSC), c, o, exit);
	case VMEXIT_RDTSCP: return k->secondary & SEC_RDTSCP ? when(proc(c, PROC_RDTSC), c, o, exit) : undefined(c);
	case VMEXIT_CR_ACCESS: return control_register(c, o);
	case VMEXIT_DR_ACCESS: return proc(c, PROC_MOV_DR) && debug_register(c, o);
	case VMEXIT_IO: return io(c, opcode, o);
	case VMEXIT_RDMSR: return when(msr_exits(c, (u32)c->r[RCX], false), c, o, exit);
	case VMEXIT_WRMSR:
		return msr_exits(c, (u32)c->r[RCX], true) && exits(c, o, exit, o->code == CODE_wrmsrns, 0);
	case VMEXIT_RDMSRLIST: case VMEXIT_WRMSRLIST: return msr_list(c, o, exit);
	case VMEXIT_UMWAIT: case VMEXIT_TPAUSE: return user_wait(c, o, exit);
	case VMEXIT_MWAIT: return proc(c, PROC_MWAIT) && exits(c, o, exit, c->monitor_armed, 0);
	case VMEXIT_MONITOR: return when(proc(c, PROC_MONITOR), c, o, exit);
	case VMEXIT_PAUSE: return when(pause_exits(c), c, o, exit);
	case VMEXIT_GDTR_IDTR:
		return secondary(c, SEC_TABLES) && exits(c, o, exit, displacement(c, o), describe_table(c, o));
	case VMEXIT_LDTR_TR:
		return secondary(c, SEC_TABLES) && exits(c, o, exit, displacement(c, o), describe_selector(c, o));
	case VMEXIT_WBINVD: return when(secondary(c, SEC_WBINVD), c, o, exit);
	case VMEXIT_RDRAND: return secondary(c, SEC_RDRAND) && exits(c, o, exit, 0, describe_random(c, o));
	case VMEXIT_RDSEED: return secondary(c, SEC_RDSEED) && exits(c, o, exit, 0, describe_random(c, o));
	case VMEXIT_INVPCID:
		if (!(k->secondary & SEC_INVPCID))
			return undefined(c);
		return proc(c, PROC_INVLPG) && exits(c, o, exit, displacement(c, o), describe(c, o, 0, o->dst));
	case VMEXIT_XSAVES: case VMEXIT_XRSTORS:
		if (!(k->secondary & SEC_XSAVES))
			return undefined(c);
		return when(c->xss & k->xss_bitmap & ((u32)c->r[RAX] | c->r[RDX] << 32) &&
			    because(c, "XSS_EXITING_BITMAP has a bit of IA32_XSS that EDX:EAX asks for (25.1.3)"),
			    c, o, exit);
	case VMEXIT_TASK_SWITCH: case VMEXIT_RSM: case VMEXIT_VMFUNC: case VMEXIT_URDMSR: case VMEXIT_UWRMSR:
	case VMEXIT_ENQCMD: case VMEXIT_ENQCMDS:
		return false; /* task_switch() asks; CHK_SMM comes first; the others ask themselves */
	default: return forbidden(c, o, exit);
	}
}

/* ---- EPT violations (25.5.7) ---- */

/* Virtualization-exception information: 3-0 exit reason | 7-4 FFFFFFFFh: not to be overwritten | 15-8 qualification |
 * 23-16 linear address | 31-24 guest-physical address | 33-32 EPTP index */
bool vmx_violation(struct cpu *c, const struct second_level *why, u64 about)
{
	struct vmx *v = c->vmx;
	u64 at;

	if (!why->convertible || !vmx_secondary(c, SEC_VE) || !(c->cr0 & CR0_PE) || v->vectoring ||
	    vm_read(c, vmcs_get(c, VMCS_VE_INFORMATION) + 4, 4)) {
		vmx_exits(c, why->reason, why->qualification | about);
		vmx_because(c, VMCS_SECONDARY_CONTROLS, SEC_EPT);
		return false;
	}
	at = vmcs_get(c, VMCS_VE_INFORMATION);
	vm_write(c, at, 8, (u64)0xffffffff << 32 | why->reason);
	vm_write(c, at + 8, 8, why->qualification | about);
	vm_write(c, at + 16, 8, v->linear);
	vm_write(c, at + 24, 8, v->physical);
	vm_write(c, at + 32, 2, vmcs_get(c, VMCS_EPTP_INDEX));
	return fault(c, VEC_VE);
}

/* ---- events ---- */

static u32 type_of(unsigned vector, enum interrupt_kind kind)
{
	switch (kind) {
	case INT_EXTERNAL: return vector == VEC_NMI ? EVENT_TYPE_NMI : EVENT_TYPE_EXTERNAL;
	case INT_SOFTWARE: return EVENT_TYPE_SOFTWARE;
	case INT_SOFT_EXC: return EVENT_TYPE_SOFT_EXCEPTION;
	case INT_ICEBP: return EVENT_TYPE_PRIVILEGED;
	case INT_OTHER: return EVENT_TYPE_OTHER;
	default: return EVENT_TYPE_HARDWARE;
	}
}

/* Does the exception exit (25.2)? Of a page fault the error code decides, too. */
static bool in_bitmap(const struct vmx_controls *k, unsigned vector, u32 error)
{
	bool set = k->exceptions >> vector & 1;

	return vector == VEC_PF ? set == ((error & k->pf_mask) == k->pf_match) : set;
}

static u32 information(const struct cpu *c, unsigned vector, enum interrupt_kind kind, bool has_error)
{
	bool nested = fred_on(c) && kind == INT_EXCEPTION && vector != VEC_DF && c->fault.nested;

	return INTERRUPTION_VALID | vector | type_of(vector, kind) << 8 | (has_error ? INTERRUPTION_ERROR : 0) |
	       (nested ? INTERRUPTION_NESTED : 0);
}

/* The length of the instruction under way, if it is INT n, INT3, INTO or INT1. */
static u32 software_length(const struct cpu *c, enum interrupt_kind kind)
{
	return kind >= INT_SOFTWARE && c->op ? c->op->len : 0;
}

bool vmx_exception_exits(struct cpu *c, unsigned vector, enum interrupt_kind kind, bool has_error, u32 error)
{
	struct vmx *v = c->vmx;
	bool nmi = kind == INT_EXTERNAL && vector == VEC_NMI, debug = vector == VEC_DB && kind != INT_ICEBP;
	u32 info;

	if (v->injecting || kind == INT_OTHER || !(nmi ? v->controls.pin & PIN_NMI : kind != INT_EXTERNAL && kind != INT_SOFTWARE &&
			      in_bitmap(&v->controls, vector, error)))
		return false;
	info = information(c, vector, kind, has_error);
	vmx_exits(c, VMEXIT_EXCEPTION, vector == VEC_PF ? c->cr2 : debug ? v->db_bits : 0);
	if (vector == VEC_PF)
		because(c, "EXCEPTION_BITMAP, PF_ERROR_MASK and PF_ERROR_MATCH ask for this error code (25.2)");
	else
		vmx_because(c, nmi ? VMCS_PIN_CONTROLS : VMCS_EXCEPTION_BITMAP, nmi ? PIN_NMI : 1u << vector);
	if (vector == VEC_PF)
		c->cr2 = c->guest_cr2;
	else if (debug)
		c->dr[6] = v->dr6;
	v->interruption = info;
	v->error = error;
	v->length = software_length(c, kind);
	return true;
}

bool vmx_delivers(struct cpu *c, unsigned vector, enum interrupt_kind kind, bool has_error, u32 error)
{
	struct vmx *v = c->vmx;

	if (vmx_exception_exits(c, vector, kind, has_error, error))
		return false;
	v->vectoring = v->injecting ? v->inject & ~INTERRUPTION_UNBLOCKED : information(c, vector, kind, has_error);
	v->vectoring_error = error;
	v->vectoring_length = v->injecting ? v->inject_length : software_length(c, kind);
	return true;
}

/* What exits or is injected before the next instruction, in the order of 25.2, 25.5 and 26.7. */
unsigned vmx_due(const struct cpu *c, bool shadow)
{
	const struct vmx *v = c->vmx;
	u32 proc = v->controls.proc;

	if (v->inject)
		return VMX_DUE_INJECT;
	if (v->apic_exit)
		return v->apic_exit & 0xff;
	if (v->trap_flag_due)
		return VMEXIT_TRAP_FLAG;
	if (v->timer_due && v->controls.pin & PIN_TIMER)
		return VMEXIT_TIMER;
	if (proc & PROC_NMI_WINDOW && !v->virtual_nmi_blocked && !shadow)
		return VMEXIT_NMI_WINDOW;
	if (!(c->eflags & FL_I) || shadow || (c->nmi_pending && !vmx_nmi_blocked(c)))
		return 0;
	return proc & PROC_INTR_WINDOW ? VMEXIT_INTR_WINDOW : v->virtual_due ? VMX_DUE_VIRTUAL : 0;
}

/* A virtual interrupt, with which the guest wakes. */
static bool deliver_virtual(struct cpu *c)
{
	if (c->activity == ACTIVITY_MWAIT)
		c->monitor_armed = false;
	c->activity = ACTIVITY_RUN;
	if (!interrupt(c, vmx_apic_acknowledge(c), INT_EXTERNAL, false, 0))
		return false;
	c->vmx->trap_flag_due = vmx_proc(c, PROC_TRAP_FLAG);
	return true;
}

static void window_cause(struct cpu *c, unsigned due)
{
	switch (due) {
	case VMEXIT_TPR: vmx_because(c, VMCS_PROC_CONTROLS, PROC_TPR_SHADOW); break;
	case VMEXIT_APIC_WRITE: vmx_because(c, VMCS_SECONDARY_CONTROLS, SEC_APIC_REGISTERS); break;
	case VMEXIT_VIRTUAL_EOI: vmx_because(c, VMCS_SECONDARY_CONTROLS, SEC_VIRTUAL_INTR); break;
	case VMEXIT_TIMEOUT: vmx_because(c, VMCS_SECONDARY_CONTROLS, SEC_TIMEOUT); break;
	case VMEXIT_BUS_LOCK: vmx_because(c, VMCS_SECONDARY_CONTROLS, SEC_BUS_LOCK); break;
	case VMEXIT_TRAP_FLAG: vmx_because(c, VMCS_PROC_CONTROLS, PROC_TRAP_FLAG); break;
	case VMEXIT_TIMER: vmx_because(c, VMCS_PIN_CONTROLS, PIN_TIMER); break;
	case VMEXIT_NMI_WINDOW: vmx_because(c, VMCS_PROC_CONTROLS, PROC_NMI_WINDOW); break;
	case VMEXIT_INTR_WINDOW: vmx_because(c, VMCS_PROC_CONTROLS, PROC_INTR_WINDOW); break;
	}
}

/* The timeout is in cycles of the crystal (24.6.24): 40 ns, as CPUID.15h says. The processor adds something. */
bool vmx_timed_out(const struct cpu *c)
{
	enum { CRYSTAL = 40, ADDED = 16 };

	return vmx_secondary(c, SEC_TIMEOUT) &&
	       clock_steps(c->clock, c->icount) > vmcs_get(c, VMCS_INSTRUCTION_TIMEOUT) * CRYSTAL + ADDED;
}

bool vmx_times_out(struct cpu *c)
{
	vmx_exits(c, VMEXIT_TIMEOUT, 0);
	window_cause(c, VMEXIT_TIMEOUT);
	return vmx_exit(c);
}

bool vmx_boundary(struct cpu *c, unsigned due)
{
	struct vmx *v = c->vmx;
	static const u8 kinds[8] = { INT_EXTERNAL, INT_EXTERNAL, INT_EXTERNAL, INT_EXCEPTION, INT_SOFTWARE, INT_ICEBP,
				     INT_SOFT_EXC, INT_OTHER };
	unsigned type = v->inject >> 8 & 7, vector = v->inject & 0xff;
	u64 rip = c->r[RIP];
	bool ok;

	if (due == VMX_DUE_VIRTUAL)
		return deliver_virtual(c);
	if (due != VMX_DUE_INJECT) {
		vmx_exits(c, due | (due == VMEXIT_BUS_LOCK ? AFTER_BUS_LOCK : 0), v->apic_exit >> 8);
		window_cause(c, due);
		return false;
	}
	if (type == EVENT_TYPE_OTHER && !vector) { /* a pending trap-flag exit */
		v->inject = 0;
		v->trap_flag_due = true;
		return true;
	}
	if (type >= EVENT_TYPE_SOFTWARE)
		c->r[RIP] = trim_rip(c, c->r[RIP] + v->inject_length);
	v->injecting = true;
	c->fault.nested = v->inject & INTERRUPTION_NESTED;
	ok = interrupt(c, vector, (enum interrupt_kind)kinds[type], v->inject & INTERRUPTION_ERROR, v->inject_error);
	v->injecting = false;
	v->inject = 0;
	if (!ok)
		c->r[RIP] = rip;
	else if (v->controls.proc & PROC_TRAP_FLAG)
		v->trap_flag_due = true;
	return ok;
}
