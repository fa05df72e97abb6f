/* SPDX-License-Identifier: MIT */
/* The state of a processor in a snapshot, and the members that are derived from it. */
#include "cpu/op.h"
#include "cpu/amx.h"
#include "cpu/uintr.h"
#include "cpu/system/fred.h"
#include "cpu/system/mca.h"
#include "cpu/system/paravirt.h"
#include "cpu/system/vm/svm.h"
#include "cpu/system/vm/vmx.h"

#define CPU(member, kind) FIELD(struct cpu, member, kind)
#define CPUS(member, kind) FIELDS(struct cpu, member, kind)
/* 16 bytes of the vector registers that instructions without EVEX can access. */
#define HALVES(name, first) FIELDS_APART(struct cpu, name, first, 2, v, VREGS, U64)
#define SEGMENT(n) CPU(seg[n].base, U64), CPU(seg[n].limit, U32), CPU(seg[n].attr, U32), CPU(seg[n].sel, U16)
#define X87(n) CPU(x87.st[n].frac, U64), CPU(x87.st[n].exp, U16)

static const struct field cpu_fields[] = {
	FIELDS(struct cpu, r, U64), CPU(res, U64), CPU(cv, U64), CPU(fix, U8), CPU(eflags, U32),
	SEGMENT(ES), SEGMENT(CS), SEGMENT(SS), SEGMENT(DS), SEGMENT(FS), SEGMENT(GS), SEGMENT(LDTR), SEGMENT(TR),
	CPU(gdtr.base, U64), CPU(gdtr.limit, U16), CPU(idtr.base, U64), CPU(idtr.limit, U16),
	FIELD_MAX(struct cpu, cpl, U8, 3),
	CPU(cr0, U64), CPU(cr2, U64), CPU(cr3, U64), CPU(cr4, U64), CPU(cr8, U64), CPU(efer, U64), CPU(xcr0, U64),
	CPU(pkru, U32),
	CPUS(dr, U64), CPUS(pdpte, U64), HALVES(xmm, v[0].q[0]), HALVES(ymm_high, v[0].q[2]), CPU(mxcsr, U32),
	X87(0), X87(1), X87(2), X87(3), X87(4), X87(5), X87(6), X87(7),
	CPU(x87.cw, U16), CPU(x87.sw, U16), FIELD_MAX(struct cpu, x87.top, U8, 7), CPU(x87.valid, U8),
	CPU(x87.op, U16), CPU(x87.cs, U16), CPU(x87.ds, U16), CPU(x87.ip, U64), CPU(x87.dp, U64),
#define MSR_KEPT(name, number, feature, member, ...) CPU(member, U64),
#define MSR_STATE(member) CPU(member, U64),
#define MSR_STATES(member, count) CPUS(member, U64),
#include "cpu/system/msr.def"
	CPU(shadow_at, U64), CPU(rep_at, U64), CPU(shadow_ss, BOOL), CPU(intr, BOOL), CPU(nmi_pending, BOOL),
		CPU(nmi_blocked, BOOL),
	CPU(init_pending, BOOL), CPU(sipi_pending, BOOL), CPU(sipi_vector, U8), CPU(smm, BOOL), CPU(smi_pending, BOOL),
	CPU(smm_nmi_blocked, BOOL), CPU(smbase, U32), FIELD_MAX(struct cpu, activity, U8, ACTIVITY_FERR),
	CPU(db_pending, U64), CPU(monitor_phys, U64), CPU(monitor_armed, BOOL), CPU(mwait_breaks, BOOL),
	CPU(icount, U64), CPU(idle_ns, U64),
	CPU(quantum_end, U64), CPU(rand, U64),
	FIELD_END
};

static const struct field amd_fields[] = {
#define MSR_AMD(name, number, family, member, ...) CPU(member, U64),
#define MSR_AMD_STATES(member, count) CPUS(member, U64),
#include "cpu/system/msr.def"
	FIELD_END
};

static const struct field later_fields[] = {
#define MSR_LATER(name, number, feature, member, ...) CPU(member, U64),
#define LATER_STATE(member) CPU(member, U64),
#include "cpu/system/msr.def"
	FIELD_END
};

static bool has_later(const struct model *m)
{
	static const u8 features[] = { F_FRED, /* which has IA32_PL0_SSP, too */
#define MSR_LATER(name, number, feature, member, ...) F_##feature,
#include "cpu/system/msr.def"
	};

	for (unsigned i = 0; i < ARRAY_LEN(features); i++)
		if (has(m, features[i]))
			return true;
	return false;
}

/* A whole register of AVX-512; and what it adds to another. */
#define ZMM(n) FIELDS(struct cpu, v[n].q, U64)
static const struct field avx512_fields[] = {
	CPUS(k, U64), HALVES(zmm_third, v[0].q[4]), HALVES(zmm_fourth, v[0].q[6]),
	ZMM(16), ZMM(17), ZMM(18), ZMM(19), ZMM(20), ZMM(21), ZMM(22), ZMM(23),
	ZMM(24), ZMM(25), ZMM(26), ZMM(27), ZMM(28), ZMM(29), ZMM(30), ZMM(31), FIELD_END
};

static const struct field apx_fields[] = { CPUS(egpr, U64), FIELD_END };

void cpu_loaded(struct cpu *c)
{
	c->r[RZERO] = 0;
	c->r[R2GIB] = (u64)1 << 31;
	c->mxcsr &= mxcsr_bits(c);
	c->eflags = (c->eflags & ~(u32)OSZAPC) | FL_1;
	/* A time that no run reaches, and that would soon wrap around. */
	if (c->idle_ns >> 62 || (unsigned __int128)c->icount * c->ns_q16 >> 78)
		c->idle_ns = c->icount = 0;
	c->op = NULL;
	c->n = 0;
	c->end = c->icount;
	c->attn = 0;
	c->page_in.wanted = c->lock_alone = false;
	c->look_at = c->watch_at = c->watched = 0;
	c->doubts = c->watch_doubts = 0;
	pmu_loaded(c);
	tlb_forget(c);
	if (c->monitor_armed)
		monitor_watch(c);
	update_mode(c);
	for (unsigned i = ES; i <= GS; i++)
		seg_update(c, i);
	c->clock->now = cpu_now(c);
}

unsigned cpu_parts(struct cpu *c, struct part out[], unsigned max)
{
	unsigned count = 0;

	/* Equal flags have many lazy forms. A snapshot must not depend on the form that the last instructions left. */
	cpu_set_arith(c, cpu_flags(c));
	pmu_account(c);
	if (count < max)
		out[count++] = (struct part){ c->name, c, cpu_fields, NULL };
	if (is_amd(c->model) && count < max)
		out[count++] = (struct part){ c->amd_name, c, amd_fields, NULL };
	if (c->apic && count < max)
		out[count++] = apic_part(c->apic);
	if (c->vmx && count < max)
		out[count++] = vmx_part(c);
	if (c->paravirt && count < max)
		out[count++] = paravirt_part(c);
	if (c->svm && count < max)
		out[count++] = svm_part(c);
	if (c->amx && count < max)
		out[count++] = amx_part(c);
	if (c->uintr && count < max)
		out[count++] = uintr_part(c);
	if (has(c->model, F_AVX512F) && count < max)
		out[count++] = (struct part){ c->avx512_name, c, avx512_fields, NULL };
	if (has_later(c->model) && count < max)
		out[count++] = (struct part){ c->later_name, c, later_fields, NULL };
	if (has(c->model, F_PMU) && count < max)
		out[count++] = pmu_part(c);
	if (c->fred && count < max)
		out[count++] = fred_part(c);
	if (has(c->model, F_ARCH_LBR) && count < max)
		out[count++] = lbr_part(c);
	if (has(c->model, F_APX) && count < max)
		out[count++] = (struct part){ c->apx_name, c, apx_fields, NULL };
	if (c->mca && count < max)
		out[count++] = mca_part(c);
	return count;
}
