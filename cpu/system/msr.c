/* Model-specific registers (SDM vol. 4, chapter 2), the time-stamp counter, XCR0. Registers that a model lacks give #GP(0), as they do in silicon. */
#include "cpu/observe.h"
#include "cpu/system/system.h"
#include "cpu/system/xsave.h"

enum {
	MSR_P5_MC_ADDR = 0, MSR_P5_MC_TYPE = 1, MSR_TSC = 0x10, MSR_PLATFORM_ID = 0x17, MSR_APIC_BASE = 0x1b, MSR_TSC_ADJUST = 0x3b, MSR_SPEC_CTRL = 0x48,
	MSR_PRED_CMD = 0x49, MSR_BIOS_UPDT_TRIG = 0x79, MSR_BIOS_SIGN_ID = 0x8b, MSR_PKG_CST_CONFIG = 0xe2, MSR_MTRRCAP = 0xfe, MSR_POWER_CTL = 0x1fc, MSR_ARCH_CAPABILITIES = 0x10a,
	MSR_FLUSH_CMD = 0x10b, MSR_SYSENTER_CS = 0x174, MSR_SYSENTER_ESP = 0x175, MSR_SYSENTER_EIP = 0x176, MSR_MCG_CAP = 0x179,
	MSR_MCG_STATUS = 0x17a, MSR_MISC_ENABLE = 0x1a0, MSR_DEBUGCTL = 0x1d9, MSR_MTRR_PHYSBASE0 = 0x200, MSR_MTRR_PHYSMASK7 = 0x20f,
	MSR_MTRR_FIX64K = 0x250, MSR_MTRR_FIX16K_0 = 0x258, MSR_MTRR_FIX16K_1 = 0x259, MSR_MTRR_FIX4K_0 = 0x268, MSR_MTRR_FIX4K_7 = 0x26f,
	MSR_PAT = 0x277, MSR_MTRR_DEF_TYPE = 0x2ff, MSR_TSC_DEADLINE = 0x6e0, MSR_X2APIC = 0x800, MSR_X2APIC_END = 0x8ff,
	MSR_XSS = 0xda0,
};
#define MSR_EFER 0xc0000080u
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_CSTAR 0xc0000083u
#define MSR_SFMASK 0xc0000084u
#define MSR_FS_BASE 0xc0000100u
#define MSR_GS_BASE 0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX 0xc0000103u

/* IA32_ARCH_CAPABILITIES: an interpreter does not speculate, so it has none of the troubles that have a bit here.
 *    0 RDCL_NO | 1 IBRS_ALL | 3 SKIP_L1DFL | 4 SSB_NO | 5 MDS_NO | 6 IF_PSCHANGE_MC_NO | 8 TAA_NO | 13 SBDR_SSDP_NO | 14 FBSDP_NO | 15 PSDP_NO
 *    17 FB_CLEAR | 20 BHI_NO | 24 PBRSB_NO | 26 GDS_NO | 27 RFDS_NO | 62 ITS_NO */
#define ARCH_CAPABILITIES (0x7bu | 1u << 8 | 7u << 13 | 1u << 17 | 1u << 20 | 1u << 24 | 3u << 26 | (u64)1 << 62)

u64 read_tsc(const struct cpu *c) { return c->clock->now + c->tsc_offset; }

/* Which is IA32_TSC_ADJUST, too: what a write to one of them adds, the other gets as well (SDM vol. 3, 17.17.3). */
static void set_tsc_offset(struct cpu *c, u64 offset)
{
	c->tsc_offset = offset;
	if (c->apic && has(c->model, F_TSC_DEADLINE))
		apic_write_deadline(c->apic, apic_read_deadline(c->apic));
}

u64 efer_bits(const struct model *m)
{
	return (has(m, F_SYSCALL) ? EFER_SCE : 0) | (has(m, F_X64) ? EFER_LME | EFER_LMA : 0) | (has(m, F_NX) ? EFER_NXE : 0);
}

bool write_efer(struct cpu *c, u64 v)
{
	u64 changed;

	if (v & ~efer_bits(c->model))
		return gp_because(c, 0, "a bit of EFER is set that this processor does not have (2.2.1)");
	v = (v & ~(u64)EFER_LMA) | (c->efer & EFER_LMA);
	changed = v ^ c->efer;
	if (changed & EFER_LME && c->cr0 & CR0_PG)
		return gp_because(c, 0, "EFER.LME cannot be changed while CR0.PG is set (4.1.2)");
	c->efer = v;
	if (changed & EFER_NXE)
		tlb_flush(c, true);
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

static int mtrr_fix_index(u32 index)
{
	if (index == MSR_MTRR_FIX64K)
		return 0;
	if (index == MSR_MTRR_FIX16K_0 || index == MSR_MTRR_FIX16K_1)
		return 1 + (int)(index - MSR_MTRR_FIX16K_0);
	if (index >= MSR_MTRR_FIX4K_0 && index <= MSR_MTRR_FIX4K_7)
		return 3 + (int)(index - MSR_MTRR_FIX4K_0);
	return -1;
}

static u64 *mtrr(struct cpu *c, u32 index)
{
	int fix = mtrr_fix_index(index);

	if (!has(c->model, F_MTRR))
		return NULL;
	if (fix >= 0)
		return &c->mtrr_fix[fix];
	if (index >= MSR_MTRR_PHYSBASE0 && index <= MSR_MTRR_PHYSMASK7)
		return &c->mtrr_var[index - MSR_MTRR_PHYSBASE0];
	return index == MSR_MTRR_DEF_TYPE ? &c->mtrr_def : NULL;
}

static bool mtrr_valid(const struct cpu *c, u32 index, u64 v)
{
	u64 beyond = ~(((u64)1 << c->model->physical_bits) - 1);

	if (mtrr_fix_index(index) >= 0)
		return types_valid(v, false);
	if (index == MSR_MTRR_DEF_TYPE)
		return !(v & ~(u64)0xcff) && type_valid(v & 0xff);
	if (index & 1)
		return !(v & (beyond | 0x7ff));
	return !(v & (beyond | 0xf00)) && type_valid(v & 0xff);
}

/* ---- registers that only hold what was written ---- */

static const struct {
	u32 index;
	u8 feature;
	bool address;      /* must be canonical */
	u32 offset;
	u64 bits;          /* others give #GP */
} plain[] = {
#define P(msr, feature, address, member, bits) { msr, F_##feature, address, offsetof(struct cpu, member), bits }
	P(MSR_SYSENTER_CS, SEP, false, sysenter_cs, 0xffffffff),
	P(MSR_SYSENTER_ESP, SEP, true, sysenter_esp, ~(u64)0),
	P(MSR_SYSENTER_EIP, SEP, true, sysenter_eip, ~(u64)0),
	P(MSR_STAR, SYSCALL, false, star, ~(u64)0),
	P(MSR_LSTAR, SYSCALL, true, lstar, ~(u64)0),
	P(MSR_CSTAR, SYSCALL, true, cstar, ~(u64)0),
	P(MSR_SFMASK, SYSCALL, false, sfmask, 0xffffffff),
	P(MSR_FS_BASE, X64, true, seg[FS].base, ~(u64)0),
	P(MSR_GS_BASE, X64, true, seg[GS].base, ~(u64)0),
	P(MSR_KERNEL_GS_BASE, X64, true, kernel_gs_base, ~(u64)0),
	P(MSR_TSC_AUX, RDTSCP, false, tsc_aux, 0xffffffff),
	P(MSR_SPEC_CTRL, SPEC_CTRL, false, spec_ctrl, 0x407), /* IBRS, STIBP, SSBD, BHI_DIS_S */
	P(MSR_XSS, XSAVES, false, xss, 0), /* no component is for supervisors alone */
	P(MSR_PKG_CST_CONFIG, MONITOR, false, cst_config, 0xffffffff), /* how deep MWAIT may sleep: it makes no difference */
	P(MSR_POWER_CTL, MONITOR, false, power_ctl, 0xffffffff),
	P(MSR_MCG_STATUS, MCA, false, mcg_status, 7),
	P(MSR_DEBUGCTL, P6, false, debugctl, 0x43), /* LBR, TR (which record nothing), BTF */
#undef P
};

static u64 *plain_at(struct cpu *c, unsigned i) { return (u64 *)((char *)c + plain[i].offset); }

bool read_msr(struct cpu *c, u32 index, u64 *v)
{
	const struct model *m = c->model;
	const u64 *mtrr_reg;

	for (unsigned i = 0; i < ARRAY_LEN(plain); i++)
		if (plain[i].index == index && has(m, plain[i].feature)) {
			*v = *plain_at(c, i);
			return true;
		}
	mtrr_reg = mtrr(c, index);
	if (mtrr_reg) {
		*v = *mtrr_reg;
		return true;
	}
	*v = 0;
	switch (index) {
	case MSR_P5_MC_ADDR: case MSR_P5_MC_TYPE:
		if (has(m, F_MCE))
			return true;
		break;
	case MSR_TSC:
		cpu_sync(c);
		*v = read_tsc(c);
		return true;
	case MSR_TSC_ADJUST:
		*v = c->tsc_offset;
		if (has(m, F_TSC_ADJUST))
			return true;
		break;
	case MSR_EFER:
		*v = c->efer;
		if (has(m, F_X64))
			return true;
		break;
	case MSR_APIC_BASE:
		*v = c->apic_base;
		if (c->apic)
			return true;
		break;
	case MSR_TSC_DEADLINE:
		if (!c->apic || !has(m, F_TSC_DEADLINE))
			break;
		*v = apic_read_deadline(c->apic);
		return true;
	case MSR_MISC_ENABLE:
		*v = c->misc_enable | 0x1801; /* fast strings; no branch trace, no PEBS */
		if (has(m, F_X64))
			return true;
		break;
	case MSR_MTRRCAP:
		*v = 0x508; /* 8 variable ranges | fixed ranges | write combining */
		if (has(m, F_MTRR))
			return true;
		break;
	case MSR_PAT:
		*v = c->pat;
		if (has(m, F_PAT))
			return true;
		break;
	case MSR_PLATFORM_ID: case MSR_MCG_CAP:
		if (has(m, F_P6))
			return true;
		break;
	case MSR_BIOS_SIGN_ID:
		*v = (u64)1 << 32; /* microcode revision */
		if (has(m, F_P6))
			return true;
		break;
	case MSR_ARCH_CAPABILITIES:
		*v = ARCH_CAPABILITIES;
		if (has(m, F_ARCH_CAPS))
			return true;
		break;
	default:
		if (index >= MSR_X2APIC && index <= MSR_X2APIC_END && c->apic) {
			cpu_sync(c);
			if (apic_read_msr(c->apic, index, v))
				return true;
		}
	}
	cpu_sync(c);
	log_line(c->log, "cpu%u: RDMSR %x at %04x:%llx: no such register", c->id, index, c->seg[CS].sel, (unsigned long long)cpu_rip(c));
	return gp_because(c, 0, "this processor has no such MSR (vol. 2, RDMSR)");
}

static bool refuse(struct cpu *c, u32 index, u64 v)
{
	cpu_sync(c);
	log_line(c->log, "cpu%u: WRMSR %x := %llx at %04x:%llx refused", c->id, index, (unsigned long long)v, c->seg[CS].sel,
		 (unsigned long long)cpu_rip(c));
	return gp_because(c, 0, "this processor has no such MSR, or the MSR takes no such value (vol. 2, WRMSR)");
}

bool write_msr(struct cpu *c, u32 index, u64 v)
{
	const struct model *m = c->model;
	u64 *mtrr_reg;

	for (unsigned i = 0; i < ARRAY_LEN(plain); i++)
		if (plain[i].index == index && has(m, plain[i].feature)) {
			if (v & ~plain[i].bits || (plain[i].address && !canonical(v)))
				return refuse(c, index, v);
			*plain_at(c, i) = v;
			return true;
		}
	mtrr_reg = mtrr(c, index);
	if (mtrr_reg) {
		if (!mtrr_valid(c, index, v))
			return refuse(c, index, v);
		*mtrr_reg = v;
		return true;
	}
	switch (index) {
	case MSR_P5_MC_ADDR: case MSR_P5_MC_TYPE:
		if (has(m, F_MCE))
			return true;
		break;
	case MSR_TSC:
		cpu_sync(c);
		set_tsc_offset(c, v - c->clock->now);
		return true;
	case MSR_TSC_ADJUST:
		if (!has(m, F_TSC_ADJUST))
			break;
		cpu_sync(c);
		set_tsc_offset(c, v);
		return true;
	case MSR_EFER:
		if (has(m, F_X64))
			return write_efer(c, v) || refuse(c, index, v);
		break;
	case MSR_APIC_BASE:
		if (!c->apic)
			break;
		cpu_sync(c);
		return apic_set_base(c->apic, v) || refuse(c, index, v);
	case MSR_TSC_DEADLINE:
		if (!c->apic || !has(m, F_TSC_DEADLINE))
			break;
		cpu_sync(c);
		apic_write_deadline(c->apic, v);
		return true;
	case MSR_MISC_ENABLE:
		if (!has(m, F_X64))
			break;
		c->misc_enable = v & ((u64)1 << 34 | 1 << 23 | 1 << 22 | MISC_MONITOR | 1 << 16 | 1 << 3);
		return true;
	case MSR_PAT:
		if (!has(m, F_PAT) || !types_valid(v, true))
			break;
		c->pat = v;
		return true;
	case MSR_PRED_CMD:
		if (has(m, F_SPEC_CTRL) && !(v & ~(u64)1))
			return true;
		break;
	case MSR_FLUSH_CMD:
		break;
	case MSR_BIOS_UPDT_TRIG: case MSR_BIOS_SIGN_ID:
		if (has(m, F_P6))
			return true;
		break;
	default:
		if (index >= MSR_X2APIC && index <= MSR_X2APIC_END && c->apic) {
			cpu_sync(c);
			if (apic_write_msr(c->apic, index, v))
				return true;
		}
	}
	return refuse(c, index, v);
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

static bool tsc_denied(const struct cpu *c) { return c->cpl && c->cr4 & CR4_TSD; }

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
	if (tsc_denied(c))
		return gp_because(c, 0, "CR4.TSD is set, and CPL is not 0 (2.5)");
	tsc_to_regs(c);
	return true;
}
GEN_BODY(rdtsc)

BODY(rdtscp)
{
	(void)o;
	if (tsc_denied(c))
		return gp_because(c, 0, "CR4.TSD is set, and CPL is not 0 (2.5)");
	tsc_to_regs(c);
	c->r[RCX] = (u32)c->tsc_aux;
	return true;
}
GEN_BODY(rdtscp)

BODY(rdpid)
{
	reg_set(c, o->dst, in_64(c) ? 8 : 4, c->tsc_aux);
	return true;
}
GEN_BODY(rdpid)

/* There are no performance counters (CPUID leaf 0Ah says so), and so no valid index. */
BODY(rdpmc)
{
	(void)o;
	return gp_because(c, 0, "this processor has no performance counter of that number (vol. 2, RDPMC)");
}
GEN_BODY(rdpmc)

BODY(xgetbv)
{
	u32 index = (u32)c->r[RCX];
	u64 v;

	(void)o;
	if (!(c->mode & MODE_OSXSAVE))
		return fault_ud(c);
	if (index > 1 || (index == 1 && !has(c->model, F_XGETBV1)))
		return gp_because(c, 0, "there is no extended control register of that number (vol. 2, XGETBV)");
	v = index ? c->xcr0 & xsave_in_use(c) : c->xcr0;
	c->r[RAX] = (u32)v;
	c->r[RDX] = v >> 32;
	return true;
}
GEN_BODY(xgetbv)

BODY(xsetbv)
{
	u64 v = (u32)c->r[RAX] | c->r[RDX] << 32;

	if (!(c->mode & MODE_OSXSAVE))
		return fault_ud(c);
	if (c->cpl)
		return gp_because(c, 0, "it is a privileged instruction, and CPL is not 0 (5.9)");
	if ((u32)c->r[RCX])
		return gp_because(c, 0, "there is no extended control register of that number (vol. 2, XSETBV)");
	if (v & ~xsave_states(c->model) || !(v & 1) || (v & 6) == 4)
		return gp_because(c, 0, "XCR0 takes no such value (vol. 1, 13.3)");
	c->xcr0 = v;
	c->r[RIP] = next_rip(c, o);
	update_mode(c);
	return true;
}
GEN_JUMP(xsetbv)

/* ---- protection keys ---- */

BODY(rdpkru)
{
	(void)o;
	if (!(c->cr4 & CR4_PKE))
		return fault_ud(c);
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
	if (!(c->cr4 & CR4_PKE))
		return fault_ud(c);
	if ((u32)c->r[RCX] || (u32)c->r[RDX])
		return gp_because(c, 0, "ECX or EDX is not 0 (vol. 2, WRPKRU)");
	write_pkru(c, (u32)c->r[RAX]);
	return true;
}
GEN_BODY(wrpkru)
