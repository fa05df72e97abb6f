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
static const u8 news_skylake[] = {
	F_RDSEED, F_ADX, F_SMAP, F_CLFLUSHOPT, F_XSAVEC, F_XGETBV1, F_XSAVES, F_PKU, F_PREFETCHW, F_CLWB, F_SPEC_CTRL,
	F_STIBP, F_SSBD, F_VMX_APICV, F_VMX_PML, F_VMX_VE, F_VMX_MBEC, F_VMX_TSC_SCALING,
	F_AVX512F, F_AVX512DQ, F_AVX512CD, F_AVX512BW, F_AVX512VL, F_MCA_BANKS, END
};
static const u8 news_icelake[] = {
	F_UMIP, F_RDPID, F_FSRM, F_ARCH_CAPS, F_SHA, F_GFNI, F_VAES, F_VPCLMUL, F_VMX_EPT5,
	F_AVX512_IFMA, F_AVX512_VBMI, F_AVX512_VBMI2, F_AVX512_VNNI, F_AVX512_BITALG, F_AVX512_VPOPCNTDQ, F_LA57,
	F_WBNOINVD, END
};
static const u8 news_sapphire_rapids[] = { F_BHI_CTRL, F_MCDT_NO, F_MOVDIRI, F_MOVDIR64B, F_SERIALIZE,
	F_VMX_IPI, F_VMX_BUS_LOCK, F_VMX_TIMEOUT, F_AVX512_FP16, F_AVX512_BF16, F_AVX_VNNI, F_AMX_TILE, F_AMX_INT8, F_AMX_BF16,
	F_XFD, F_CLDEMOTE, F_ENQCMD, F_BUS_LOCK_DETECT, F_UINTR, F_ARCH_LBR, F_CET_SS, F_CET_IBT, F_PKS,
	F_HLE, F_RTM, F_FZRM, F_FSRS, F_FSRC, F_MD_CLEAR, END };
/* What of those max has not, so that its runs stay what they were. */
static const u8 not_in_max[] = {
	F_AVX512F, F_AVX512DQ, F_AVX512CD, F_AVX512BW, F_AVX512VL, F_AVX512_IFMA, F_AVX512_VBMI, F_AVX512_VBMI2,
	F_AVX512_VNNI, F_AVX512_BITALG, F_AVX512_VPOPCNTDQ, F_LA57, F_WBNOINVD, F_AVX512_FP16, F_AVX512_BF16, F_AVX_VNNI,
	F_AMX_TILE, F_AMX_INT8, F_AMX_BF16, F_XFD, F_CLDEMOTE, F_ENQCMD, F_BUS_LOCK_DETECT, F_UINTR, F_ARCH_LBR,
	F_CET_SS, F_CET_IBT, F_PKS, F_MCA_BANKS, F_HLE, F_RTM, F_FZRM, F_FSRS, F_FSRC, F_MD_CLEAR, END
};
static const u8 nothing[] = { END };

/* AMD's */
static const u8 news_k6[] = {
	F_I8086, F_FPU, F_I186, F_I286, F_I386, F_I486, F_VME, F_PENTIUM, F_DE, F_PSE, F_TSC, F_MSR, F_MCE, F_CX8,
	F_PGE, F_MMX, F_SYSCALL, F_3DNOW, F_PREFETCHW, END
};
static const u8 news_k8[] = {
	F_P6, F_PAE, F_APIC, F_SEP, F_MTRR, F_MCA, F_CMOV, F_PAT, F_PSE36, F_FXSR, F_X64, F_CLFSH, F_SSE, F_SSE2,
	F_SSE3, F_NX, F_LAHF64, F_FFXSR, F_3DNOWEXT, END
};
static const u8 news_zen1[] = {
	F_MONITOR, F_SSSE3, F_CX16, F_SSE4_1, F_SSE4_2, F_POPCNT, F_RDTSCP, F_INVTSC, F_PCLMUL, F_FMA, F_MOVBE, F_AES,
	F_XSAVE, F_AVX, F_F16C, F_RDRAND, F_FSGSBASE, F_BMI1, F_AVX2, F_SMEP, F_BMI2, F_XSAVEOPT, F_ABM, F_PDPE1GB,
	F_ARAT, F_RDSEED, F_ADX, F_SMAP, F_CLFLUSHOPT, F_XSAVEC, F_XGETBV1, F_XSAVES, F_SHA, F_SSE4A,
	F_MISALIGNSSE, F_CLZERO, F_TCE, F_CR8_LEGACY, F_TOPOEXT, F_PERFCTR_CORE, F_XSAVEERPTR, F_SVM, F_NPT, F_SVM_LOCK, F_NRIPS,
	F_VMCB_CLEAN, F_FLUSH_BY_ASID, F_DECODE_ASSISTS, F_PAUSE_FILTER, F_PAUSE_THRESHOLD, F_V_VMSAVE, F_VGIF,
	F_LBRV, F_TSC_SCALE, F_AVIC, F_MCA_BANKS, F_SMCA, END
};
static const u8 news_zen2[] = {
	F_X2APIC, F_UMIP, F_RDPID, F_CLWB, F_WBNOINVD, F_NULL_CLEARS, F_SPEC_CTRL, F_STIBP, F_SSBD, END
};
static const u8 news_zen3[] = {
	F_PCID, F_INVPCID, F_ERMS, F_FSRM, F_PKU, F_VAES, F_VPCLMUL, F_LFENCE, END
};
static const u8 not_in_zen[] = { F_3DNOW, F_3DNOWEXT, END };
static const u8 news_zen4[] = {
	F_GFNI, F_X2AVIC, F_AVX512F, F_AVX512DQ, F_AVX512CD, F_AVX512BW, F_AVX512VL, F_AVX512_IFMA, F_AVX512_VBMI,
	F_AVX512_VBMI2, F_AVX512_VNNI, F_AVX512_BITALG, F_AVX512_VPOPCNTDQ, F_AVX512_BF16, F_LA57, F_CET_SS, END
};
static const u8 news_zen5[] = { F_MOVDIRI, F_MOVDIR64B, F_AVX_VNNI, F_AVX512_VP2INTERSECT, F_PREFETCHI, F_BUS_LOCK_DETECT, END };

#define NO_CACHES { { 0 } }, { 0 }
#define ANY_CACHES { { 1, 1, 8, 64 }, { 2, 1, 8, 64 }, { 3, 2, 16, 1024 }, { 3, 3, 16, 8192 } }
#define SEE_LEAF_4 { 0x00feff01, 0xf0 } /* 64-byte prefetching */
#define L1_32K { 1, 1, 8, 64 }, { 2, 1, 8, 64 }
#define ZEN_TLBS(code, data) { 0xff40ff40, 0xff40ff40, code, data }

/* Oldest first: each model has the features of all before it that are of the same maker, but for what is GONE. */
static const struct generation {
	enum maker maker;
	const char *name;
	const u8 *news;
	const char *brand;
	u32 signature; /* 0 with max_leaf 0 and no CPUID: what EDX shows after reset */
	u32 max_leaf, max_ext_leaf;
	u8 physical_bits, linear_bits;
	struct cache_level caches[4];
	u32 leaf2[4];
	u32 microcode;
	const u8 *gone; /* NULL: nothing */
} generations[] = {
	{ MAKER_INTEL, "8086", news_8086, "", 0, 0, 0, 20, 20, NO_CACHES, 0 },
	{ MAKER_INTEL, "186", news_186, "", 0, 0, 0, 20, 20, NO_CACHES, 0 },
	{ MAKER_INTEL, "286", news_286, "", 0, 0, 0, 24, 24, NO_CACHES, 0 },
	{ MAKER_INTEL, "386", news_386, "", 0x0308, 0, 0, 32, 32, NO_CACHES, 0 },
	{ MAKER_INTEL, "486", news_486, "", 0x0480, 1, 0, 32, 32, NO_CACHES, 0 },
	{ MAKER_INTEL, "pentium", news_pentium, "", 0x0525, 1, 0, 32, 32, NO_CACHES, 0 },
	{ MAKER_INTEL, "p6", news_p6, "", 0x0652, 2, 0, 36, 32, { { 0 } }, { 0x03020101, 0, 0, 0x0c040843 }, 1 },
	{ MAKER_INTEL, "x86-64", news_x64, "libvcpu x86-64", 0x0f41, 5, 0x80000008, 36, 48, ANY_CACHES, SEE_LEAF_4, 1 },
	{ MAKER_INTEL, "core2", news_core2, "Intel(R) Core(TM)2 Duo CPU     T7700  @ 2.40GHz",
	  0x06fb, 10, 0x80000008, 36, 48,
	  { { 1, 1, 8, 64 }, { 2, 1, 8, 64 }, { 3, 2, 16, 4096 } }, { 0x05b0b101, 0x005657f0, 0, 0x2cb43049 }, 1 },
	{ MAKER_INTEL, "nehalem", news_nehalem, "Intel(R) Core(TM) i7 CPU         920  @ 2.67GHz",
	  0x106a5, 11, 0x80000008, 36, 48,
	  { { 1, 1, 8, 64 }, { 2, 1, 4, 128 }, { 3, 2, 8, 512 }, { 3, 3, 16, 8192 } },
	  	{ 0x55035a01, 0x00f0b2e4, 0, 0x09ca212c }, 1 },
	{ MAKER_INTEL, "haswell", news_haswell, "Intel(R) Core(TM) i7-4770 CPU @ 3.40GHz",
	  0x306c3, 13, 0x80000008, 39, 48,
	  { { 1, 1, 8, 64 }, { 2, 1, 8, 64 }, { 3, 2, 8, 512 }, { 3, 3, 16, 8192 } },
	  	{ 0x76036301, 0x00f0b5ff, 0, 0x00c10000 }, 1 },
	{ MAKER_INTEL, "skylake-server", news_skylake, "Intel(R) Xeon(R) Platinum 8180 CPU @ 2.50GHz", 0x50654, 0x16,
	  0x80000008, 46, 48, { L1_32K, { 3, 2, 16, 1024 }, { 3, 3, 11, 57344 } },
	  { 0x76036301, 0x00f0b5ff, 0, 0x00c30000 }, 1 },
	{ MAKER_INTEL, "icelake-server", news_icelake, "Intel(R) Xeon(R) Platinum 8380 CPU @ 2.30GHz", 0x606a6, 0x16,
	  0x80000008, 46, 48, { { 1, 1, 12, 64 }, { 2, 1, 8, 64 }, { 3, 2, 20, 1024 }, { 3, 3, 12, 81920 } },
	  SEE_LEAF_4, 1 },
	{ MAKER_INTEL, "sapphire-rapids", news_sapphire_rapids, "Intel(R) Xeon(R) Platinum 8480+", 0x806f8, 0x20,
	  0x80000008, 46, 48, { { 1, 1, 12, 64 }, { 2, 1, 8, 64 }, { 3, 2, 16, 2048 }, { 3, 3, 15, 114688 } },
	  SEE_LEAF_4, 1 },
	{ MAKER_INTEL, "max", nothing, "libvcpu", 0x606a6, 0x16, 0x80000008, 40, 48, ANY_CACHES, SEE_LEAF_4, 1, not_in_max },
	{ MAKER_AMD, "k6-2", news_k6, "AMD-K6(tm) 3D processor", 0x058c, 1, 0x80000005, 32, 32,
	  { { 1, 1, 2, 256 }, { 2, 1, 2, 256 } }, { 0, 0x02800140 }, 0 },
	{ MAKER_AMD, "opteron", news_k8, "AMD Opteron(tm) Processor 252", 0x20f51, 1, 0x80000018, 40, 48,
	  { { 1, 1, 2, 512 }, { 2, 1, 2, 512 }, { 3, 2, 16, 1024 } }, { 0xff08ff08, 0xff20ff20, 0, 0x42004200 }, 0x4d },
	{ MAKER_AMD, "zen1", news_zen1, "AMD EPYC 7601 32-Core Processor", 0x800f12, 0xd, 0x8000001f, 48, 48,
	  { { 1, 1, 8, 64 }, { 2, 1, 4, 256 }, { 3, 2, 8, 1024 }, { 3, 3, 16, 8192 } },
	  ZEN_TLBS(0x36006400, 0x56006400), 0x08001250, not_in_zen },
	{ MAKER_AMD, "zen2", news_zen2, "AMD EPYC 7742 64-Core Processor", 0x830f10, 0x10, 0x80000020, 48, 48,
	  { L1_32K, { 3, 2, 8, 1024 }, { 3, 3, 16, 16384 } }, ZEN_TLBS(0x48006400, 0x68006400), 0x0830107c },
	{ MAKER_AMD, "zen3", news_zen3, "AMD EPYC 7763 64-Core Processor", 0xa00f11, 0x10, 0x80000023, 48, 48,
	  { L1_32K, { 3, 2, 8, 1024 }, { 3, 3, 16, 32768 } }, ZEN_TLBS(0x48002200, 0x68004200), 0x0a0011d5 },
	{ MAKER_AMD, "zen4", news_zen4, "AMD EPYC 9654 96-Core Processor", 0xa10f11, 0x10, 0x80000023, 52, 48,
	  { L1_32K, { 3, 2, 8, 2048 }, { 3, 3, 16, 32768 } }, ZEN_TLBS(0x5c002200, 0x6c004200), 0x0a101148 },
	{ MAKER_AMD, "zen5", news_zen5, "AMD EPYC 9755 128-Core Processor", 0xb00f21, 0x10, 0x80000023, 52, 48,
	  { { 1, 1, 12, 64 }, { 2, 1, 8, 64 }, { 3, 2, 16, 1024 }, { 3, 3, 16, 32768 } },
	  ZEN_TLBS(0x5c002200, 0x6c004200), 0x0b002116 },
};

const char *const model_names[] = { "8086", "186", "286", "386", "486", "pentium", "p6", "x86-64", "core2", "nehalem",
	"haswell", "skylake-server", "icelake-server", "sapphire-rapids", "max", "k6-2", "opteron", "zen1", "zen2",
	"zen3", "zen4", "zen5", NULL };

static const char *const vendors[MAKERS] = { "GenuineIntel", "AuthenticAMD" };

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

static void give(struct model *m, unsigned f) { m->features[f >> 6] |= (u64)1 << (f & 63); }
static void take(struct model *m, unsigned f) { m->features[f >> 6] &= ~((u64)1 << (f & 63)); }

static void set_model(struct model *m, const struct generation *gen)
{
	strcpy(m->name, gen->name);
	m->maker = gen->maker;
	strcpy(m->vendor, vendors[gen->maker]);
	strcpy(m->brand, gen->brand);
	m->signature = gen->signature;
	m->max_leaf = gen->max_leaf;
	m->max_ext_leaf = gen->max_ext_leaf;
	m->physical_bits = gen->physical_bits;
	m->linear_bits = gen->linear_bits;
	memcpy(m->caches, gen->caches, sizeof m->caches);
	memcpy(m->leaf2, gen->leaf2, sizeof m->leaf2);
	m->microcode = gen->microcode;
}

static bool set_generation(struct model *m, const char *name, size_t len)
{
	if (same("zen", name, len))
		return set_generation(m, "zen3", 4);
	for (unsigned g = 0; g < ARRAY_LEN(generations); g++) {
		const struct generation *gen = &generations[g];

		if (g && gen->maker != gen[-1].maker)
			memset(m->features, 0, sizeof m->features);
		for (const u8 *f = gen->news; *f != END; f++)
			give(m, *f);
		for (const u8 *f = gen->gone; f && *f != END; f++)
			take(m, *f);
		if (same(gen->name, name, len)) {
			set_model(m, gen);
			return true;
		}
	}
	return false;
}

/* Make room in CPUID for features that were added to an older model. */
static void widen(struct model *m, unsigned f)
{
	/* they have leaves of their own, too */
	u32 leaf = f == F_SVM        ? 0x8000000a
		   : f == F_HRESET   ? 0x20
		   : f == F_ARCH_LBR ? 0x1c
		   : f == F_AMX_TILE ? 0x1e
		   : f == F_APX      ? 0x29
		   : f == F_AVX10 || f == F_AVX10_2 ? 0x24
				     : feature_names[f].leaf;

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
			give(m, f);
			if (f == F_AVX10_2) /* a version has what those before it have */
				give(m, F_AVX10);
			widen(m, f);
		} else {
			take(m, f);
		}
	}
	if (has(m, F_LA57) && m->linear_bits == 48)
		m->linear_bits = 57;
	return true;
}
