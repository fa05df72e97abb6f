/* SPDX-License-Identifier: MIT */
/* Model-specific registers (SDM vol. 4, chapter 2), the time-stamp counter, XCR0. Registers that a model lacks give
 * #GP(0), as they do in silicon. */
#include "cpu/observe.h"
#include "cpu/cet.h"
#include "cpu/amx.h"
#include "cpu/uintr.h"
#include "cpu/system/mca.h"
#include "cpu/system/paravirt.h"
#include "cpu/system/system.h"
#include "cpu/system/xsave.h"

/* IA32_ARCH_CAPABILITIES: an interpreter does not speculate, so it has none of the troubles that have a bit here.
 *    0 RDCL_NO | 1 IBRS_ALL | 3 SKIP_L1DFL | 4 SSB_NO | 5 MDS_NO | 6 IF_PSCHANGE_MC_NO | 8 TAA_NO | 13 SBDR_SSDP_NO | 14 FBSDP_NO | 15 PSDP_NO
 *    17 FB_CLEAR | 20 BHI_NO | 24 PBRSB_NO | 26 GDS_NO | 27 RFDS_NO | 62 ITS_NO */
#define ARCH_CAPABILITIES (0x7bu | 1u << 8 | 7u << 13 | 1u << 17 | 1u << 20 | 1u << 24 | 3u << 26 | (u64)1 << 62)

u64 read_tsc(const struct cpu *c)
{
	u64 tsc = c->clock->now + c->tsc_offset;

	if (svm_guest(c)) /* the ratio: 39-32 . 31-0 */
		return (u64)((unsigned __int128)tsc * c->svm->tsc_ratio >> 32) + c->svm->tsc_offset;
	if (!vmx_proc(c, PROC_TSC_OFFSET))
		return tsc;
	if (vmx_secondary(c, SEC_TSC_SCALING)) /* a fixed-point number: 63-48 . 47-0 */
		tsc = (u64)((unsigned __int128)tsc * vmcs_get(c, VMCS_TSC_MULTIPLIER) >> 48);
	return tsc + c->vmx->controls.tsc_offset;
}

/* Which is IA32_TSC_ADJUST, too: what a write to one of them adds, the other gets as well (SDM vol. 3, 17.17.3). */
static void set_tsc_offset(struct cpu *c, u64 offset)
{
	c->tsc_offset = offset;
	if (c->apic && has(c->model, F_TSC_DEADLINE))
		apic_write_deadline(c->apic, apic_read_deadline(c->apic));
	if (c->paravirt)
		paravirt_clock(c);
}

u64 efer_bits(const struct model *m)
{
	return (has(m, F_SYSCALL) ? EFER_SCE : 0) | (has(m, F_X64) ? EFER_LME | EFER_LMA : 0) |
	       (has(m, F_NX) ? EFER_NXE : 0) | (has(m, F_FFXSR) ? EFER_FFXSR : 0) | (has(m, F_TCE) ? EFER_TCE : 0) |
	       (has(m, F_SVM) ? EFER_SVME : 0) | (has(m, F_MCOMMIT) ? EFER_MCOMMIT : 0);
}

bool write_efer(struct cpu *c, u64 v)
{
	u64 changed;

	if (v & ~efer_bits(c->model))
		return gp_because(c, 0, "a bit of EFER is set that this processor does not have (2.2.1)");
	if (v & EFER_SVME && c->svm->vm_cr & VM_CR_SVMDIS)
		return gp_because(c, 0, "VM_CR.SVMDIS keeps EFER.SVME at 0 (APM vol. 2, 15.4)");
	v = (v & ~(u64)EFER_LMA) | (c->efer & EFER_LMA);
	changed = v ^ c->efer;
	if (changed & EFER_LME && c->cr0 & CR0_PG)
		return gp_because(c, 0, "EFER.LME cannot be changed while CR0.PG is set (4.1.2)");
	c->efer = v;
	if (changed & EFER_NXE)
		tlb_flush(c, true);
	if (changed)
		update_mode(c);
	return true;
}

/* ---- memory types ---- */

static bool type_valid(u64 t) { return t == 0 || t == 1 || t == 4 || t == 5 || t == 6; }

static bool types_valid(u64 v, bool pat)
{
	for (unsigned i = 0; i < 64; i += 8)
		if (!type_valid(v >> i & 0xff) && !(pat && (v >> i & 0xff) == 7))
			return false;
	return true;
}

/* ---- values that a register takes ---- */

static bool canonical_address(const struct cpu *c, u32 index, u64 v)
{
	(void)index;
	return canonical_base(c->model, v);
}

bool pat_valid(u64 v) { return types_valid(v, true); }

static bool pat_types(const struct cpu *c, u32 index, u64 v)
{
	(void)c;
	(void)index;
	return pat_valid(v);
}

static bool mtrr_types(const struct cpu *c, u32 index, u64 v)
{
	(void)c;
	(void)index;
	return types_valid(v, false);
}

static bool mtrr_default(const struct cpu *c, u32 index, u64 v)
{
	(void)c;
	(void)index;
	return type_valid(v & 0xff);
}

/* Even numbers are IA32_MTRR_PHYSBASEn, odd ones IA32_MTRR_PHYSMASKn. */
static bool mtrr_range(const struct cpu *c, u32 index, u64 v)
{
	u64 beyond = ~(((u64)1 << c->model->physical_bits) - 1);

	return index & 1 ? !(v & (beyond | 0x7ff)) : !(v & (beyond | 0xf00)) && type_valid(v & 0xff);
}

/* LBR, TR, BTF (of Intel's processors, without performance counters the first two record nothing). AMD: LBR, BTF, and
 * pins for performance monitoring */
u64 debugctl_bits(const struct model *m)
{
	if (is_amd(m))
		return 0x3f;
	return 0x43 | (has(m, F_PMU) ? DEBUGCTL_FREEZE_LBR | DEBUGCTL_FREEZE_PMU : 0) |
	       (has(m, F_BUS_LOCK_DETECT) ? DEBUGCTL_BUS_LOCK : 0);
}

/* IBRS, STIBP, SSBD, BHI_DIS_S */
static bool spec_ctrl_bits(const struct cpu *c, u32 index, u64 v)
{
	(void)index;
	return !(v & ~(u64)(has(c->model, F_BHI_CTRL) ? 0x407 : 7));
}

/* In units of 8 MiB. */
static bool top_of_memory(const struct cpu *c, u32 index, u64 v)
{
	(void)index;
	return !(v & 0x7fffff) && !(v >> c->model->physical_bits);
}

/* ---- registers that do something ---- */

static bool write_debugctl(struct cpu *c, u32 index, u64 v)
{
	(void)index;
	if (v & ~debugctl_bits(c->model))
		return false;
	c->debugctl = has(c->model, F_ARCH_LBR) ? v & ~(u64)DEBUGCTL_LBR : v;
	update_mode(c);
	return true;
}

/* Of AMD's processors they have 32 bits: SYSENTER is for legacy mode. */
static bool write_sysenter_esp(struct cpu *c, u32 index, u64 v)
{
	(void)index;
	c->sysenter_esp = is_amd(c->model) ? (u32)v : v;
	return true;
}

static bool write_sysenter_eip(struct cpu *c, u32 index, u64 v)
{
	(void)index;
	c->sysenter_eip = is_amd(c->model) ? (u32)v : v;
	return true;
}

static bool read_microcode(struct cpu *c, u32 index, u64 *v)
{
	(void)index;
	*v = is_amd(c->model) ? c->model->microcode : (u64)c->model->microcode << 32;
	return true;
}

/* Software clears IA32_BIOS_SIGN_ID before CPUID gives the revision; PATCH_LEVEL is read-only. */
static bool write_microcode(struct cpu *c, u32 index, u64 v)
{
	(void)index;
	(void)v;
	return !is_amd(c->model);
}

static bool read_efer_msr(struct cpu *c, u32 index, u64 *v)
{
	(void)index;
	*v = c->efer;
	return efer_bits(c->model) != 0;
}

static bool write_efer_msr(struct cpu *c, u32 index, u64 v)
{
	(void)index;
	return efer_bits(c->model) && write_efer(c, v);
}

/* Bit 7 is read-only: there are performance counters. */
static u64 counters_available(const struct model *m) { return has(m, F_PMU) && !is_amd(m) ? 1 << 7 : 0; }

/* The bits that there are; others stay 0. */
static bool write_misc_enable(struct cpu *c, u32 index, u64 v)
{
	(void)index;
	c->misc_enable = (v & ((u64)1 << 34 | 1 << 23 | 1 << 22 | MISC_MONITOR | 1 << 16 | 1 << 3)) |
			 counters_available(c->model);
	return true;
}

static bool read_counter(struct cpu *c, u32 index, u64 *v)
{
	(void)index;
	cpu_sync(c);
	*v = read_tsc(c);
	return true;
}

static bool write_counter(struct cpu *c, u32 index, u64 v)
{
	(void)index;
	cpu_sync(c);
	set_tsc_offset(c, v - c->clock->now);
	return true;
}

static bool write_tsc_adjust(struct cpu *c, u32 index, u64 v)
{
	(void)index;
	cpu_sync(c);
	set_tsc_offset(c, v);
	return true;
}

/* Once bit 0 is set, the register stays as it is until RESET. */
static bool write_feature_control(struct cpu *c, u32 index, u64 v)
{
	(void)index;
	if (c->feature_control & 1)
		return false;
	c->feature_control = v;
	return true;
}

static bool read_vmx_capability(struct cpu *c, u32 index, u64 *v)
{
	*v = vmx_capability(c, index);
	return index < 0x491 || (index == 0x491 && vmx_secondary_allowed(c->model) & SEC_VMFUNC) ||
	       (index == 0x492 && vmx_tertiary_allowed(c->model)) || (index == 0x493 && has(c->model, F_FRED));
}

static bool write_apic_base(struct cpu *c, u32 index, u64 v)
{
	(void)index;
	cpu_sync(c);
	return apic_set_base(c->apic, v);
}

static bool read_deadline(struct cpu *c, u32 index, u64 *v)
{
	(void)index;
	*v = apic_read_deadline(c->apic);
	return true;
}

static bool write_deadline(struct cpu *c, u32 index, u64 v)
{
	(void)index;
	cpu_sync(c);
	apic_write_deadline(c->apic, v);
	return true;
}

static bool read_x2apic(struct cpu *c, u32 index, u64 *v)
{
	if (x2avic_on(c))
		return avic_read_msr(c, index, v);
	if (vmx_apic_has_msr(c, index, false)) {
		*v = vmx_apic_read_msr(c, index);
		return true;
	}
	cpu_sync(c);
	return apic_read_msr(c->apic, index, v);
}

static bool write_x2apic(struct cpu *c, u32 index, u64 v)
{
	if (x2avic_on(c))
		return avic_write_msr(c, index, v);
	if (vmx_apic_has_msr(c, index, true))
		return vmx_apic_write_msr(c, index, v);
	cpu_sync(c);
	return apic_write_msr(c->apic, index, v);
}

/* ---- CET, protection keys, XSAVES ---- */

static bool xss_bits(const struct cpu *c, u32 index, u64 v)
{
	(void)index;
	return !(v & ~xsave_supervisor_states(c->model));
}

static bool cet_valid(const struct cpu *c, u32 index, u64 v)
{
	(void)index;
	return cet_control_valid(c, v);
}

static bool write_cet(struct cpu *c, u32 index, u64 v)
{
	*(index == 0x6a0 ? &c->u_cet : &c->s_cet) = v;
	update_mode(c);
	return true;
}

static bool write_pkrs(struct cpu *c, u32 index, u64 v)
{
	(void)index;
	if (c->cr4 & CR4_PKS && v != c->pkrs)
		tlb_flush(c, true);
	c->pkrs = v;
	return true;
}

/* They stand side by side. */
static u64 *uintr(struct cpu *c, u32 index) { return &c->uintr->rr + (index - 0x985); }

static bool read_uintr(struct cpu *c, u32 index, u64 *v)
{
	*v = *uintr(c, index);
	return true;
}

static bool write_uintr(struct cpu *c, u32 index, u64 v)
{
	*uintr(c, index) = v;
	return true;
}

/* So do these. */
static u64 *fred(struct cpu *c, u32 index) { return c->fred->rsp + (index - 0x1cc); }

static bool read_fred(struct cpu *c, u32 index, u64 *v)
{
	*v = *fred(c, index);
	return true;
}

static bool write_fred(struct cpu *c, u32 index, u64 v)
{
	*fred(c, index) = v;
	return true;
}

static u64 *xfd(struct cpu *c, u32 index) { return index & 1 ? &c->amx->xfd_err : &c->amx->xfd; }

static bool read_xfd(struct cpu *c, u32 index, u64 *v)
{
	*v = *xfd(c, index);
	return true;
}

static bool write_xfd(struct cpu *c, u32 index, u64 v)
{
	*xfd(c, index) = v;
	return true;
}

/* ---- the table ---- */

enum { READ_ONLY = 1, WRITE_ONLY };

static const struct msr {
	u32 first;
	u8 feature, also, access, maker, family;
	bool apic, kept;
	u32 at;            /* offset into struct cpu; 0: nothing is there */
	u64 ones, reserved, reset;
	bool (*valid)(const struct cpu *c, u32 index, u64 v);
	bool (*read)(struct cpu *c, u32 index, u64 *v);
	bool (*write)(struct cpu *c, u32 index, u64 v);
} msrs[] = {
#define AT(member) offsetof(struct cpu, member)
#define ALL_BUT(bits) ~(u64)(bits)
#define MSR(name, from, to, needs, ...) { .first = from, .feature = F_##needs, __VA_ARGS__ },
#include "cpu/system/msr.def"
};

enum {
#define MSR(name, ...) ROW_##name,
#include "cpu/system/msr.def"
};

/* Two rows of one number do not compile. */
static const struct msr *row_of(u32 index)
{
	switch (index) {
#define MSR(name, first, last, ...) case first ... last: return &msrs[ROW_##name];
#include "cpu/system/msr.def"
	default: return NULL;
	}
}

/* The register that the processor has at INDEX; NULL: it has none that can be accessed so. */
static const struct msr *find(const struct cpu *c, u32 index, unsigned denied)
{
	const struct model *model = c->model;
	const struct msr *m = row_of(index);

	if (!m || !(has(model, m->feature) || (m->also && has(model, (enum feature)m->also))))
		return NULL;
	return (!m->maker || m->maker >> model->maker & 1) &&
			       model_family(model) >= m->family && (!m->apic || c->apic) && m->access != denied
		       ? m
		       : NULL;
}

static u64 *place(struct cpu *c, const struct msr *m, u32 index)
{
	return (u64 *)((char *)c + m->at) + (index - m->first);
}

void msrs_reset(struct cpu *c)
{
#define MSR_STATE(member) c->member = 0;
#define LATER_STATE(member) c->member = 0;
#define MSR_STATES(member, count) memset(c->member, 0, sizeof c->member);
#define MSR_AMD_STATES(member, count) MSR_STATES(member, count)
#include "cpu/system/msr.def"
	for (const struct msr *m = msrs; m < msrs + ARRAY_LEN(msrs); m++)
		if (m->kept)
			*place(c, m, m->first) = m->reset;
	c->misc_enable |= (has(c->model, F_MONITOR) ? MISC_MONITOR : 0) | counters_available(c->model);
}

static bool get(struct cpu *c, const struct msr *m, u32 index, u64 *v)
{
	if (m->read)
		return m->read(c, index, v);
	*v = (m->at ? *place(c, m, index) : 0) | m->ones;
	return true;
}

bool msr_number(const struct cpu *c, unsigned n, u32 *index)
{
	static const struct { u32 first, last; } ranges[] = {
#define MSR(name, from, to, ...) { from, to },
#include "cpu/system/msr.def"
	};

	for (unsigned i = 0; i < ARRAY_LEN(ranges); i++)
		for (u32 at = ranges[i].first; at <= ranges[i].last; at++)
			if (find(c, at, WRITE_ONLY) && n-- == 0) {
				*index = at;
				return true;
			}
	return false;
}

bool read_msr(struct cpu *c, u32 index, u64 *v)
{
	const struct msr *m = find(c, index, WRITE_ONLY);

	*v = 0;
	if (m && get(c, m, index, v))
		return true;
	cpu_sync(c);
	log_line(c->log, "cpu%u: RDMSR %x at %04x:%llx: no such register", c->id, index, c->seg[CS].sel,
		 (unsigned long long)cpu_rip(c));
	return gp_because(c, 0, "this processor has no such MSR (vol. 2, RDMSR)");
}

static bool set(struct cpu *c, const struct msr *m, u32 index, u64 v)
{
	if (v & m->reserved || (m->valid && !m->valid(c, index, v)))
		return false;
	if (m->write)
		return m->write(c, index, v);
	if (m->at)
		*place(c, m, index) = v;
	return true;
}

bool write_msr(struct cpu *c, u32 index, u64 v)
{
	const struct msr *m = find(c, index, READ_ONLY);

	if (m && set(c, m, index, v))
		return true;
	cpu_sync(c);
	log_line(c->log, "cpu%u: WRMSR %x := %llx at %04x:%llx refused", c->id, index, (unsigned long long)v,
		c->seg[CS].sel,
		 (unsigned long long)cpu_rip(c));
	return gp_because(c, 0, "this processor has no such MSR, or the MSR takes no such value (vol. 2, WRMSR)");
}

/* ---- instructions ---- */

BODY(rdmsr)
{
	u64 v;

	(void)o;
	if (!read_msr(c, (u32)c->r[RCX], &v))
		return false;
	c->r[RAX] = (u32)v;
	c->r[RDX] = v >> 32;
	observe(c, EVENT_MSR, (u32)c->r[RCX], v, 8, false);
	return true;
}
GEN_BODY(rdmsr)

BODY(wrmsr)
{
	u64 rip = next_rip(c, o);

	if (!write_msr(c, (u32)c->r[RCX], (u32)c->r[RAX] | c->r[RDX] << 32))
		return false;
	observe(c, EVENT_MSR, (u32)c->r[RCX], (u32)c->r[RAX] | c->r[RDX] << 32, 8, true);
	c->r[RIP] = rip;
	return true;
}
GEN_LOOK(wrmsr)

static void tsc_to_regs(struct cpu *c)
{
	u64 v;

	cpu_sync(c);
	v = read_tsc(c);
	c->r[RAX] = (u32)v;
	c->r[RDX] = v >> 32;
}

BODY(rdtsc)
{
	(void)o;
	tsc_to_regs(c);
	return true;
}
GEN_BODY(rdtsc)

BODY(rdtscp)
{
	(void)o;
	tsc_to_regs(c);
	c->r[RCX] = (u32)c->tsc_aux;
	return true;
}
GEN_BODY(rdtscp)

/* 0: MPERF, 1: APERF, which count at the same rate; no other register can be read. */
BODY(rdpru)
{
	(void)o;
	tsc_to_regs(c);
	if ((u32)c->r[RCX] > 1)
		c->r[RAX] = c->r[RDX] = 0;
	return true;
}
GEN_BODY(rdpru)

/* Histories that an interpreter does not have (vol. 2, HRESET). */
BODY(hreset)
{
	(void)o;
	return !((u32)c->r[RAX] & ~c->hreset_enable) ||
	       gp_because(c, 0, "EAX has a bit that IA32_HRESET_ENABLE has not (vol. 2, HRESET)");
}
GEN_BODY(hreset)

BODY(rdpid)
{
	if (vmx_guest(c) && !vmx_secondary(c, SEC_RDTSCP)) /* which stands for both (25.3) */
		return fault_ud(c);
	reg_set(c, o->dst, in_64(c) ? 8 : 4, c->tsc_aux);
	return true;
}
GEN_BODY(rdpid)

BODY(xgetbv)
{
	u32 index = (u32)c->r[RCX];
	u64 v;

	(void)o;
	if (index > 1 || (index == 1 && !has(c->model, F_XGETBV1)))
		return gp_because(c, 0, "there is no extended control register of that number (vol. 2, XGETBV)");
	v = index ? c->xcr0 & xsave_in_use(c) : c->xcr0;
	c->r[RAX] = (u32)v;
	c->r[RDX] = v >> 32;
	return true;
}
GEN_BODY(xgetbv)

bool write_xcr0(struct cpu *c, u64 v)
{
	if (v & ~xsave_states(c->model) || !(v & 1) || (v & 6) == 4 ||
	    (v & STATE_AVX512 && ((v & STATE_AVX512) != STATE_AVX512 || (v & 6) != 6)) ||
	    (v & STATE_TILE && (v & STATE_TILE) != STATE_TILE))
		return gp_because(c, 0, "XCR0 takes no such value (vol. 1, 13.3)");
	c->xcr0 = v;
	update_mode(c);
	return true;
}

BODY(xsetbv)
{
	if ((u32)c->r[RCX])
		return gp_because(c, 0, "there is no extended control register of that number (vol. 2, XSETBV)");
	if (!write_xcr0(c, (u32)c->r[RAX] | c->r[RDX] << 32))
		return false;
	c->r[RIP] = next_rip(c, o);
	return true;
}
GEN_JUMP(xsetbv)

/* ---- protection keys ---- */

BODY(rdpkru)
{
	(void)o;
	if ((u32)c->r[RCX])
		return gp_because(c, 0, "ECX is not 0 (vol. 2, RDPKRU)");
	c->r[RAX] = c->pkru;
	c->r[RDX] = 0;
	return true;
}
GEN_BODY(rdpkru)

BODY(wrpkru)
{
	(void)o;
	if ((u32)c->r[RCX] || (u32)c->r[RDX])
		return gp_because(c, 0, "ECX or EDX is not 0 (vol. 2, WRPKRU)");
	write_pkru(c, (u32)c->r[RAX]);
	return true;
}
GEN_BODY(wrpkru)
