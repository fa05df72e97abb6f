/* The models that --cpu knows, and the text that names them: MODEL[,+feature|,-feature]... */
#include <stdio.h>
#include <stdlib.h>
#include "cpu/model.h"

static const struct { const char *name; u8 leafed; u32 leaf; } feature_names[F_COUNT] = {
#define X(id, text, leaf, sub, reg, bit) [F_##id] = { text, (leaf) != 0, leaf },
	FEATURES(X)
#undef X
};

#define END F_COUNT
/* What each generation brought (its own mark first). An early processor has its coprocessor fitted. */
static const u8 news_8086[] = { F_I8086, F_FPU, END };
static const u8 news_186[] = { F_I186, END };
static const u8 news_286[] = { F_I286, END };
static const u8 news_386[] = { F_I386, END };
static const u8 news_486[] = { F_I486, F_VME, END }; /* DX4: the first ones to have CPUID */
static const u8 news_pentium[] = { F_PENTIUM, F_DE, F_PSE, F_TSC, F_MSR, F_MCE, F_CX8, F_APIC, END };
static const u8 news_p6[] = { F_P6, F_PAE, F_SEP, F_MTRR, F_PGE, F_MCA, F_CMOV, F_PAT, F_PSE36, F_MMX, F_FXSR, END };
static const u8 news_x64[] = { F_X64, F_CLFSH, F_SSE, F_SSE2, F_SYSCALL, F_NX, END };
static const u8 news_max[] = {
	F_SSE3, F_PCLMUL, F_SSSE3, F_CX16, F_PCID, F_SSE4_1, F_SSE4_2, F_X2APIC, F_MOVBE, F_POPCNT, F_TSC_DEADLINE, F_AES, F_XSAVE,
	F_RDRAND, F_FSGSBASE, F_BMI1, F_SMEP, F_BMI2, F_ERMS, F_INVPCID, F_RDSEED, F_ADX, F_SMAP, F_CLFLUSHOPT, F_UMIP,
	F_RDPID, F_FSRM, F_XSAVEOPT, F_XSAVEC, F_XGETBV1, F_XSAVES, F_PKU, F_LAHF64, F_ABM, F_PREFETCHW, F_PDPE1GB, F_RDTSCP, F_INVTSC, F_ARAT, F_SPEC_CTRL, F_STIBP,
	F_ARCH_CAPS, F_SSBD, F_BHI_CTRL, F_MCDT_NO, F_AVX, F_F16C, F_FMA, F_AVX2, F_SHA, F_GFNI, F_VAES, F_VPCLMUL, F_MOVDIRI, F_MOVDIR64B,
	F_SERIALIZE, F_CLWB, END
};

/* Oldest first: each model has the features of all before it. */
static const struct generation {
	const char *name;
	const u8 *news;
	const char *brand;
	u32 signature; /* 0 with max_leaf 0 and no CPUID: what EDX shows after reset */
	u32 max_leaf, max_ext_leaf;
	u8 physical_bits, linear_bits;
} generations[] = {
	{ "8086", news_8086, "", 0, 0, 0, 20, 20 },
	{ "186", news_186, "", 0, 0, 0, 20, 20 },
	{ "286", news_286, "", 0, 0, 0, 24, 24 },
	{ "386", news_386, "", 0x0308, 0, 0, 32, 32 },
	{ "486", news_486, "", 0x0480, 1, 0, 32, 32 },
	{ "pentium", news_pentium, "", 0x0525, 1, 0, 32, 32 },
	{ "p6", news_p6, "", 0x0652, 2, 0, 36, 32 },
	{ "x86-64", news_x64, "libvcpu x86-64", 0x0f41, 5, 0x80000008, 36, 48 },
	{ "max", news_max, "libvcpu", 0x606a6, 0x16, 0x80000008, 40, 48 },
};

const char *const model_names[] = { "8086", "186", "286", "386", "486", "pentium", "p6", "x86-64", "max", NULL };

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
		/* Generations cannot be taken from one another: what a 486 without a 386 would be nobody knows. */
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
