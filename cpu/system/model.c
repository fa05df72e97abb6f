/* SPDX-License-Identifier: MIT */
/* The models of --cpu, and the parser of its text: MODEL[,+feature|,-feature]... */
#include <stdio.h>
#include <stdlib.h>
#include "cpu/system/model.h"

static const struct { const char *name; u8 leafed; u32 leaf; } feature_names[F_COUNT] = {
#define X(id, text, leaf, sub, reg, bit) [F_##id] = { text, (leaf) != 0, leaf },
	FEATURES(X)
#undef X
};

#define END F_COUNT
/* The features that each generation added, its own mark first. An early processor has its coprocessor. */
static const u8 news_8086[] = { F_I8086, F_FPU, END };
static const u8 news_186[] = { F_I186, END };
static const u8 news_286[] = { F_I286, END };
static const u8 news_386[] = { F_I386, END };
static const u8 news_486[] = { F_I486, F_VME, END }; /* DX4: the first ones to have CPUID */
static const u8 news_pentium[] = { F_PENTIUM, F_DE, F_PSE, F_TSC, F_MSR, F_MCE, F_CX8, F_APIC, END };
static const u8 news_p6[] = { F_P6, F_PAE, F_SEP, F_MTRR, F_PGE, F_MCA, F_CMOV, F_PAT, F_PSE36, F_MMX, F_FXSR, END };
static const u8 news_x64[] = { F_X64, F_CLFSH, F_SSE, F_SSE2, F_SYSCALL, F_NX, END };
static const u8 news_core2[] = { F_SSE3, F_MONITOR, F_SSSE3, F_CX16, F_LAHF64, END };
static const u8 news_nehalem[] = { F_SSE4_1, F_SSE4_2, F_POPCNT, F_RDTSCP, F_INVTSC, END };
static const u8 news_haswell[] = {
	F_PCLMUL, F_FMA, F_PCID, F_X2APIC, F_MOVBE, F_TSC_DEADLINE, F_AES, F_XSAVE, F_AVX, F_F16C, F_RDRAND, F_FSGSBASE,
		F_TSC_ADJUST, F_BMI1, F_AVX2,
	F_SMEP, F_BMI2, F_ERMS, F_INVPCID, F_NO_FCS, F_XSAVEOPT, F_ABM, F_PDPE1GB, F_ARAT, F_VMX,
	F_VMX_VMFUNC, F_VMX_SHADOW, END
};
static const u8 news_max[] = {
	F_RDSEED, F_ADX, F_SMAP, F_CLFLUSHOPT, F_UMIP, F_RDPID, F_FSRM, F_XSAVEC, F_XGETBV1, F_XSAVES, F_PKU,
		F_PREFETCHW, F_SPEC_CTRL, F_STIBP,
	F_ARCH_CAPS, F_SSBD, F_BHI_CTRL, F_MCDT_NO, F_SHA, F_GFNI, F_VAES, F_VPCLMUL, F_MOVDIRI, F_MOVDIR64B,
	F_SERIALIZE, F_CLWB, F_VMX_APICV, F_VMX_PML, F_VMX_VE, F_VMX_MBEC, F_VMX_TSC_SCALING, F_VMX_EPT5, END
};

#define NO_CACHES { { 0 } }, { 0 }
#define ANY_CACHES { { 1, 1, 8, 64 }, { 2, 1, 8, 64 }, { 3, 2, 16, 1024 }, { 3, 3, 16, 8192 } }
#define SEE_LEAF_4 { 0x00feff01, 0xf0 } /* 64-byte prefetching */

/* Oldest first: each model has the features of all before it. */
static const struct generation {
	const char *name;
	const u8 *news;
	const char *brand;
	u32 signature; /* 0 with max_leaf 0 and no CPUID: what EDX shows after reset */
	u32 max_leaf, max_ext_leaf;
	u8 physical_bits, linear_bits;
	struct cache_level caches[4];
	u32 leaf2[4];
} generations[] = {
	{ "8086", news_8086, "", 0, 0, 0, 20, 20, NO_CACHES },
	{ "186", news_186, "", 0, 0, 0, 20, 20, NO_CACHES },
	{ "286", news_286, "", 0, 0, 0, 24, 24, NO_CACHES },
	{ "386", news_386, "", 0x0308, 0, 0, 32, 32, NO_CACHES },
	{ "486", news_486, "", 0x0480, 1, 0, 32, 32, NO_CACHES },
	{ "pentium", news_pentium, "", 0x0525, 1, 0, 32, 32, NO_CACHES },
	{ "p6", news_p6, "", 0x0652, 2, 0, 36, 32, { { 0 } }, { 0x03020101, 0, 0, 0x0c040843 } },
	{ "x86-64", news_x64, "libvcpu x86-64", 0x0f41, 5, 0x80000008, 36, 48, ANY_CACHES, SEE_LEAF_4 },
	{ "core2", news_core2, "Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz", 0x06fb, 10, 0x80000008, 36, 48,
	  { { 1, 1, 8, 64 }, { 2, 1, 8, 64 }, { 3, 2, 16, 4096 } }, { 0x05b0b101, 0x005657f0, 0, 0x2cb43049 } },
	{ "nehalem", news_nehalem, "Intel(R) Core(TM) i7 CPU         920  @ 2.67GHz", 0x106a5, 11, 0x80000008, 36, 48,
	  { { 1, 1, 8, 64 }, { 2, 1, 4, 128 }, { 3, 2, 8, 512 }, { 3, 3, 16, 8192 } },
	  	{ 0x55035a01, 0x00f0b2e4, 0, 0x09ca212c } },
	{ "haswell", news_haswell, "Intel(R) Core(TM) i7-4770 CPU @ 3.40GHz", 0x306c3, 13, 0x80000008, 39, 48,
	  { { 1, 1, 8, 64 }, { 2, 1, 8, 64 }, { 3, 2, 8, 512 }, { 3, 3, 16, 8192 } },
	  	{ 0x76036301, 0x00f0b5ff, 0, 0x00c10000 } },
	{ "max", news_max, "libvcpu", 0x606a6, 0x16, 0x80000008, 40, 48, ANY_CACHES, SEE_LEAF_4 },
};

const char *const model_names[] = { "8086", "186", "286", "386", "486", "pentium", "p6", "x86-64", "core2", "nehalem",
	"haswell", "max", NULL };

static bool fail(char **error, const char *what, const char *name, size_t len)
{
	char text[160];

	snprintf(text, sizeof text, "unknown %s \"%.*s\"", what, (int)(len < 64 ? len : 64), name);
	if (error)
		*error = strdup(text);
	return false;
}

static bool same(const char *name, const char *text, size_t len)
{
	return strlen(name) == len && !memcmp(name, text, len);
}

static bool set_generation(struct model *m, const char *name, size_t len)
{
	for (unsigned g = 0; g < ARRAY_LEN(generations); g++) {
		const struct generation *gen = &generations[g];

		for (const u8 *f = gen->news; *f != END; f++)
			m->features[*f >> 6] |= (u64)1 << (*f & 63);
		if (!same(gen->name, name, len))
			continue;
		strcpy(m->name, gen->name);
		strcpy(m->vendor, "GenuineIntel");
		strcpy(m->brand, gen->brand);
		m->signature = gen->signature;
		m->max_leaf = gen->max_leaf;
		m->max_ext_leaf = gen->max_ext_leaf;
		m->physical_bits = gen->physical_bits;
		m->linear_bits = gen->linear_bits;
		memcpy(m->caches, gen->caches, sizeof m->caches);
		memcpy(m->leaf2, gen->leaf2, sizeof m->leaf2);
		return true;
	}
	return false;
}

/* Make room in CPUID for features that were added to an older model. */
static void widen(struct model *m, unsigned f)
{
	u32 leaf = feature_names[f].leaf;

	if (!feature_names[f].leafed)
		return;
	if (leaf < 0x80000000 && m->max_leaf < leaf)
		m->max_leaf = leaf;
	if (leaf >= 0x80000000 && m->max_ext_leaf < leaf)
		m->max_ext_leaf = leaf;
}

bool model_parse(struct model *m, const char *spec, char **error)
{
	size_t len;

	memset(m, 0, sizeof *m);
	if (error)
		*error = NULL;
	if (!spec || !*spec)
		spec = "max";
	len = strcspn(spec, ",");
	if (!set_generation(m, spec, len))
		return fail(error, "processor", spec, len);
	for (spec += len; *spec == ','; spec += len) {
		bool on = spec[1] != '-';
		unsigned f;

		spec++;
		if (*spec == '+' || *spec == '-')
			spec++;
		len = strcspn(spec, ",");
		/* Marks of generations cannot be removed: a 486 without the 386's features is not defined. */
		for (f = F_X64 + 1; f < F_COUNT; f++)
			if (same(feature_names[f].name, spec, len))
				break;
		if (f == F_COUNT)
			return fail(error, "processor feature", spec, len);
		if (on) {
			m->features[f >> 6] |= (u64)1 << (f & 63);
			widen(m, f);
		} else {
			m->features[f >> 6] &= ~((u64)1 << (f & 63));
		}
	}
	return true;
}
