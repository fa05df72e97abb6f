/* SPDX-License-Identifier: MIT */
/* CPUID (SDM vol. 2, CPUID; APM vol. 3, appendix E): all values follow from the model and from a few control bits. */
#include "cpu/cpu.h"
#include "cpu/op.h"
#include "cpu/system/paravirt.h"
#include "cpu/system/xsave.h"

static const struct { u32 leaf, sub; u8 reg, bit; } feature_bits[F_COUNT] = {
#define X(id, text, leaf, sub, reg, bit) [F_##id] = { leaf, sub, reg, bit },
	FEATURES(X)
#undef X
};

enum { EAX, EBX, ECX, EDX }; /* numbers as .reg of model.h's list: 0 EAX, 1 EBX, 2 ECX, 3 EDX */

/* What AMD's processors show in leaf 80000008h, EBX; Intel's elsewhere. */
static const struct { u8 feature, bit; } amd_bits[] = {
	{ F_SPEC_CTRL, 12 } /* IBPB */, { F_SPEC_CTRL, 14 } /* IBRS */, { F_STIBP, 15 }, { F_SSBD, 24 },
};

static bool shown_by_amd(unsigned f)
{
	for (unsigned i = 0; i < ARRAY_LEN(amd_bits); i++)
		if (amd_bits[i].feature == f)
			return true;
	return false;
}

static void features(const struct model *m, u32 leaf, u32 sub, u32 out[4])
{
	for (unsigned f = 0; f < F_COUNT; f++)
		if (feature_bits[f].leaf == leaf && feature_bits[f].sub == sub && has(m, f) &&
		    !(is_amd(m) && shown_by_amd(f)))
			out[feature_bits[f].reg] |= 1u << feature_bits[f].bit;
}

/* Several processors are the cores of one package, if the model's CPUID has leaves for that; else they are packages.
 * The number of APIC IDs of the package: */
static u32 ids(const struct cpu *c)
{
	const struct model *m = c->model;

	return (is_amd(m) ? m->max_ext_leaf < 0x80000008 : m->max_leaf < 4) || c->all->count == 1 ? 1 : 2u << (31 - __builtin_clz(c->all->count - 1));
}

/* Leaf 4, of AMD's processors 8000001Dh: deterministic cache parameters.
 *   EAX 4-0 type (1 data, 2 code, 3 unified) | 7-5 level | 8 self-initialising | 25-14 threads sharing - 1 | 31-26 cores - 1
 *   (not AMD's)
 *   EBX 11-0 line - 1 | 21-12 partitions - 1 | 31-22 ways - 1      ECX sets - 1 */
static void cache(const struct cpu *c, u32 sub, u32 out[4])
{
	const struct cache_level *l;

	if (sub >= ARRAY_LEN(c->model->caches) || !c->model->caches[sub].level)
		return;
	l = &c->model->caches[sub];
	out[EAX] = l->type | l->level << 5 | 1 << 8 | (is_amd(c->model) ? 0 : (ids(c) - 1) << 26);
	if (l->level == 3) /* all processors share it */
		out[EAX] |= (ids(c) - 1) << 14;
	out[EBX] = 63 | (u32)(l->ways - 1) << 22;
	out[ECX] = l->sets - 1u;
}

static const struct cache_level *level(const struct model *m, unsigned number, unsigned type)
{
	for (unsigned i = 0; i < ARRAY_LEN(m->caches); i++)
		if (m->caches[i].level == number && m->caches[i].type & type)
			return &m->caches[i];
	return NULL;
}

static u32 kib(const struct cache_level *l) { return l->ways * l->sets / 16; }

/* Of leaf 80000006h: 9 refers to leaf 8000001Dh. */
static u32 ways_code(const struct cache_level *l)
{
	return l->ways == 16 ? 8 : l->ways == 8 ? 6 : l->ways <= 4 ? l->ways : 9;
}

/* Leaf 80000006h, the second level: line | ways as a code << 12 | KiB << 16. AMD: | lines per tag << 8 */
static u32 second_level(const struct model *m)
{
	const struct cache_level *l = level(m, 2, 3);

	return l ? 64 | (is_amd(m) ? 1 << 8 | ways_code(l) << 12 : l->ways == 8 ? 6 << 12 : 8 << 12) | kib(l) << 16 : 0;
}

/* Leaf 80000005h: line | lines per tag << 8 | ways << 16 | KiB << 24 */
static u32 first_level(const struct model *m, unsigned type)
{
	const struct cache_level *l = level(m, 1, type);

	return l ? 64 | 1 << 8 | (u32)l->ways << 16 | kib(l) << 24 : 0;
}

static void amd_caches(const struct model *m, u32 leaf, u32 out[4])
{
	const struct cache_level *third = level(m, 3, 3);
	const u32 *tlbs = m->leaf2 + (leaf == 0x80000006 ? 2 : 0);

	out[EAX] = tlbs[0];
	out[EBX] = tlbs[1];
	if (leaf == 0x80000005) {
		out[ECX] = first_level(m, 1);
		out[EDX] = first_level(m, 2);
	} else {
		out[ECX] = second_level(m);
		if (third) /* in units of 512 KiB */
			out[EDX] = 64 | 1 << 8 | 9 << 12 | kib(third) / 512 << 18;
	}
}

/* Leaf 0Dh: the layout of XSAVE's area. */
static void xsave_area(const struct cpu *c, u32 sub, u32 out[4])
{
	const struct model *m = c->model;
	u64 all = xsave_states(m);

	if (!has(m, F_XSAVE))
		return;
	if (sub == 0) {
		out[EAX] = (u32)all;
		out[EBX] = xsave_size(m, c->xcr0 & all, false);
		out[ECX] = xsave_size(m, all, false);
	} else if (sub == 1) {
		features(m, 0xd, 1, out);
		if (has(m, F_XSAVEC))
			out[EBX] = xsave_size(m, (c->xcr0 & all) | c->xss, true);
		out[ECX] = (u32)xsave_supervisor_states(m);
	} else if (sub < 64 && xsave_supervisor_states(m) >> sub & 1) {
		out[EAX] = xsave_component(sub)->size;
		out[ECX] = 1;
	} else if (sub < 64 && all >> sub & 1) {
		out[EAX] = xsave_component(sub)->size;
		out[EBX] = xsave_at(m, xsave_component(sub));
		out[ECX] = (xsave_component(sub)->aligned ? 2 : 0) |
			   (has(m, F_XFD) && STATE_TILEDATA >> sub & 1 ? 4 : 0);
	}
}

static void vendor(const struct model *m, u32 out[4])
{
	memcpy(&out[EBX], m->vendor, 4);
	memcpy(&out[EDX], m->vendor + 4, 4);
	memcpy(&out[ECX], m->vendor + 8, 4);
}

/* Leaf 1: signature, and features. */
static void version(const struct cpu *c, u32 out[4])
{
	const struct model *m = c->model;

	out[EAX] = m->signature;
	/* brand 0 | CLFLUSH line in 8 bytes << 8 | logical processors << 16 | APIC ID << 24 */
	out[EBX] = (has(m, F_CLFSH) ? 8 << 8 : 0) | (has(m, F_APIC) ? ids(c) << 16 | c->id << 24 : 0);
	features(m, 1, 0, out);
	if (ids(c) > 1)
		out[EDX] |= 1 << 28; /* HTT: the number in EBX is valid */
	if (has(m, F_XSAVE) && c->cr4 & CR4_OSXSAVE)
		out[ECX] |= 1 << 27;
	if (has(m, F_PMU) && !is_amd(m))
		out[ECX] |= 1 << 15; /* PDCM: IA32_PERF_CAPABILITIES */
	if (c->paravirt)
		out[ECX] |= 1u << 31; /* there is a hypervisor */
	if (!monitor_enabled(c))
		out[ECX] &= ~(1u << 3);
	if (!c->apic || !(c->apic_base & 1 << 11)) {
		out[EDX] &= ~(1u << 9);
		if (!c->apic)
			out[ECX] &= ~(1u << 21 | 1u << 24);
	}
}

/* Leaf 5: MONITOR and MWAIT. */
static void monitor(const struct model *m, u32 out[4])
{
	if (!has(m, F_MONITOR))
		return;
	out[EAX] = out[EBX] = 64;
	out[ECX] = 3;
	out[EDX] = is_amd(m) ? 1 << 4 | 1 : 2 << 4; /* sub-states of C0 and C1 */
}

static void extended_features(const struct cpu *c, u32 sub, u32 out[4])
{
	const struct model *m = c->model;

	if (sub <= 2)
		features(m, 7, sub, out);
	if (sub == 0) {
		for (u32 last = 1; last <= 2; last++) { /* the highest sub-leaf that says something */
			u32 of_last[4] = { 0 };

			features(m, 7, last, of_last);
			if (of_last[EAX] | of_last[EBX] | of_last[ECX] | of_last[EDX])
				out[EAX] = last;
		}
		if (has(m, F_PKU) && c->cr4 & CR4_PKE)
			out[ECX] |= 1 << 4;
	}
}

/* Leaf 0Bh: one thread a core. EAX 4-0: bits of the ID below the next level; ECX 7-0 echoes the sub-leaf, 15-8 the
 * level's type. */
static void topology(const struct cpu *c, u32 sub, u32 out[4])
{
	out[ECX] = sub & 0xff;
	out[EDX] = c->id;
	if (sub < 2) {
		out[EAX] = sub ? (u32)__builtin_ctz(ids(c)) : 0;
		out[EBX] = sub ? c->all->count : 1;
		out[ECX] |= (sub + 1) << 8;
	}
}

/* Leaf 15h: TSC = crystal * EBX / EAX: 25 MHz (which also drives the local APIC's timer) * 40 = 1 GHz */
static void crystal(u32 out[4])
{
	out[EAX] = 1;
	out[EBX] = 40;
	out[ECX] = 25000000;
}

/* Leaf 16h. */
static void frequencies(u32 out[4])
{
	out[EAX] = out[EBX] = 1000; /* base and maximum, MHz */
	out[ECX] = 100;             /* bus */
}

/* Leaf 80000001h. AMD's processors repeat what leaf 1 has in the same places of EDX. */
static void extended_version(const struct cpu *c, u32 out[4])
{
	const struct model *m = c->model;
	u32 one[4] = { 0 };

	features(m, 0x80000001, 0, out);
	if (!is_amd(m)) {
		if (!in_64(c))
			out[EDX] &= ~(1u << 11); /* the SYSCALL bit is set in 64-bit mode only */
		return;
	}
	version(c, one);
	out[EAX] = m->signature;
	out[EDX] |= (one[EDX] & 0x0183f3ff) | (has(m, F_SSE) ? 1 << 22 : 0); /* extensions to MMX */
	out[ECX] |= ids(c) > 1 ? 1 << 1 : 0; /* the HTT bit means cores */
}

/* Leaf 80000008h: features in EBX. AMD: ECX 7-0 cores - 1 | 15-12 bits of the APIC ID that number them
 *   EDX 15-0 pages of INVLPGB, less 1 | 31-16 registers of RDPRU, less 1 */
static void addresses(const struct cpu *c, u32 out[4])
{
	const struct model *m = c->model;

	out[EAX] = m->physical_bits | m->linear_bits << 8;
	features(m, 0x80000008, 0, out);
	out[EDX] = (has(m, F_INVLPGB) ? INVLPGB_PAGES : 0) | (has(m, F_RDPRU) ? 1u << 16 : 0);
	if (!is_amd(m))
		return;
	for (unsigned i = 0; i < ARRAY_LEN(amd_bits); i++)
		if (has(m, amd_bits[i].feature))
			out[EBX] |= 1u << amd_bits[i].bit;
	out[ECX] = (c->all->count - 1) | (u32)__builtin_ctz(ids(c)) << 12;
}

/* Leaf 8000001Eh: one thread a core, all on one node. */
static void extended_topology(const struct cpu *c, u32 out[4])
{
	if (!has(c->model, F_TOPOEXT) || !c->apic)
		return;
	out[EAX] = c->id;
	out[EBX] = c->id & 0xff;
}

/* Leaf 8000000Ah: revision, number of ASIDs, features of SVM. */
static void svm(const struct model *m, u32 out[4])
{
	if (!has(m, F_SVM))
		return;
	features(m, 0x8000000a, 0, out);
	out[EAX] = 1;
	out[EBX] = 0x8000;
}

static void brand(const struct model *m, unsigned part, u32 out[4])
{
	char text[48] = { 0 };

	memcpy(text, m->brand, strlen(m->brand));
	memcpy(out, text + part * 16, 16);
}

/* The leaf that CPUID returns for LEAF: beyond the last one, an Intel processor returns its highest basic leaf, one of
 * AMD's nothing. */
static u32 shown(const struct model *m, u32 leaf, u32 max)
{
	bool extended = leaf >= 0x80000000;

	if (is_amd(m) || leaf <= (extended ? m->max_ext_leaf : max) || (leaf == 0x80000000 && m->max_ext_leaf))
		return leaf;
	return max;
}

/* Leaf 1Dh: the palettes, 1: bytes of all tiles, of one << 16 | of a row, tiles << 16 | rows */
static void tiles(const struct model *m, u32 sub, u32 out[4])
{
	if (!has(m, F_AMX_TILE) || sub > 1)
		return;
	out[EAX] = sub ? 8192 | 1024 << 16 : 1;
	out[EBX] = sub ? 64 | 8 << 16 : 0;
	out[ECX] = sub ? 16 : 0;
}

/* Leaf 1Eh: the largest K, rows, and N, bytes << 8, of a multiplication */
static void multiplier(const struct model *m, u32 sub, u32 out[4])
{
	u32 newer[4] = { 0 };

	features(m, 0x1e, 1, newer);
	if (newer[EAX]) /* where the sub-leaf is, it repeats those of leaf 7 */
		newer[EAX] |= has(m, F_AMX_INT8) | has(m, F_AMX_BF16) << 1 | has(m, F_AMX_COMPLEX) << 2 |
			      has(m, F_AMX_FP16) << 3;
	if (sub == 1)
		out[EAX] = newer[EAX];
	else if (sub == 0 && has(m, F_AMX_TILE)) {
		out[EAX] = newer[EAX] != 0; /* the highest sub-leaf */
		out[EBX] = 16 | 64 << 8;
	}
}

static void basic_leaf(const struct cpu *c, u32 leaf, u32 sub, u32 max, u32 out[4])
{
	const struct model *m = c->model;

	switch (leaf) {
	case 0:
		out[EAX] = max;
		vendor(m, out);
		break;
	case 1: version(c, out); break;
	case 5: monitor(m, out); break;
	case 6: features(m, leaf, 0, out); break;
	case 7: extended_features(c, sub, out); break;
	case 0xb: topology(c, sub, out); break;
	case 0xd: xsave_area(c, sub, out); break;
	}
	if (is_amd(m))
		return;
	switch (leaf) {
	case 2: memcpy(out, m->leaf2, sizeof m->leaf2); break;
	case 4: cache(c, sub, out); break;
	case 0xa: pmu_cpuid(m, out); break;
	case 0x15: crystal(out); break;
	case 0x16: frequencies(out); break;
	case 0x1c:
		if (has(m, F_ARCH_LBR))
			lbr_cpuid(out);
		break;
	case 0x1d: tiles(m, sub, out); break;
	case 0x1e: multiplier(m, sub, out); break;
	case 0x20: out[EBX] = has(m, F_HRESET); break; /* bits that IA32_HRESET_ENABLE has */
	case 0x24: /* AVX10's version, for 128, 256 and 512 bits */
		out[EBX] = !sub && has(m, F_AVX10) ? 7 << 16 | (has(m, F_AVX10_2) ? 2 : 1) : 0;
		break;
	case 0x29: out[EBX] = !sub && has(m, F_APX); break; /* APX_NCI_NDD_NF: all of map 4 */
	}
}

static void extended_leaf(const struct cpu *c, u32 leaf, u32 sub, u32 out[4])
{
	const struct model *m = c->model;

	switch (leaf) {
	case 0x80000000: out[EAX] = m->max_ext_leaf; break;
	case 0x80000001: extended_version(c, out); break;
	case 0x80000002: case 0x80000003: case 0x80000004: brand(m, leaf - 0x80000002, out); break;
	case 0x80000006: out[ECX] = second_level(m); break;
	case 0x80000007: features(m, leaf, 0, out); break;
	case 0x80000008: addresses(c, out); break;
	case 0x8000000a: svm(m, out); break;
	}
	if (!is_amd(m))
		return;
	switch (leaf) {
	case 0x80000000: vendor(m, out); break;
	case 0x80000005: case 0x80000006: amd_caches(m, leaf, out); break;
	case 0x8000001d:
		if (has(m, F_TOPOEXT))
			cache(c, sub, out);
		break;
	case 0x8000001e: extended_topology(c, out); break;
	case 0x80000021: features(m, leaf, 0, out); break;
	}
}

void cpuid(const struct cpu *c, u32 leaf, u32 sub, u32 out[4])
{
	const struct model *m = c->model;
	u32 max = m->max_leaf;

	if (c->paravirt && leaf - KVM_LEAF < KVM_LEAVES) {
		memset(out, 0, 4 * sizeof *out);
		paravirt_cpuid(c, leaf, out);
		return;
	}
	if (c->misc_enable & 1u << 22 && max > 3) /* limit CPUID maxval */
		max = 3;
	leaf = shown(m, leaf, max);
	out[EAX] = out[EBX] = out[ECX] = out[EDX] = 0;
	if (leaf >= 0x80000000 && leaf <= m->max_ext_leaf)
		extended_leaf(c, leaf, sub, out);
	else if (leaf <= max)
		basic_leaf(c, leaf, sub, max, out);
}

BODY(cpuid)
{
	u32 out[4];

	cpuid(c, (u32)c->r[RAX], (u32)c->r[RCX], out);
	c->r[RAX] = out[EAX];
	c->r[RBX] = out[EBX];
	c->r[RCX] = out[ECX];
	c->r[RDX] = out[EDX];
	(void)o;
	return true;
}
GEN_BODY(cpuid)
