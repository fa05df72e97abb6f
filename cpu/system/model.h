/* SPDX-License-Identifier: MIT */
/* Processor models: which features a processor has, and what CPUID says. */
#ifndef CPU_MODEL_H
#define CPU_MODEL_H

#include "mem/base/bits.h"

/* Features: name as in --cpu, and the CPUID bit that shows it (leaf, sub-leaf, register, bit), or 0 for none. The
 * generations come first; each contains what all earlier ones have. */
#define FEATURES(X) \
	X(I8086, "8086", 0, 0, 0, 0) X(I186, "186", 0, 0, 0, 0) X(I286, "286", 0, 0, 0, 0) X(I386, "386", 0, 0, 0, 0) \
	X(I486, "486", 0, 0, 0, 0) X(PENTIUM, "pentium", 0, 0, 0, 0) X(P6, "p6", 0, 0, 0, 0) X(X64, "x64", 0x80000001, \
		0, 3, 29) \
	X(FPU, "fpu", 1, 0, 3, 0) X(VME, "vme", 1, 0, 3, 1) X(DE, "de", 1, 0, 3, 2) X(PSE, "pse", 1, 0, 3, 3) X(TSC, \
		"tsc", 1, 0, 3, 4) \
	X(MSR, "msr", 1, 0, 3, 5) X(PAE, "pae", 1, 0, 3, 6) X(MCE, "mce", 1, 0, 3, 7) X(CX8, "cx8", 1, 0, 3, \
		8) X(APIC, "apic", 1, 0, 3, 9) \
	X(SEP, "sep", 1, 0, 3, 11) X(MTRR, "mtrr", 1, 0, 3, 12) X(PGE, "pge", 1, 0, 3, 13) X(MCA, "mca", 1, 0, 3, 14) \
	X(CMOV, "cmov", 1, 0, 3, 15) X(PAT, "pat", 1, 0, 3, 16) X(PSE36, "pse36", 1, 0, 3, 17) X(CLFSH, "clflush", 1, \
		0, 3, 19) \
	X(MMX, "mmx", 1, 0, 3, 23) X(FXSR, "fxsr", 1, 0, 3, 24) X(SSE, "sse", 1, 0, 3, 25) X(SSE2, "sse2", 1, 0, 3, \
		26) \
	X(SSE3, "sse3", 1, 0, 2, 0) X(PCLMUL, "pclmulqdq", 1, 0, 2, 1) X(MONITOR, "monitor", 1, 0, 2, 3) X(SSSE3, \
		"ssse3", 1, 0, 2, 9) \
	X(FMA, "fma", 1, 0, 2, 12) X(CX16, "cx16", 1, 0, 2, 13) X(PCID, "pcid", 1, 0, 2, 17) X(SSE4_1, "sse4.1", 1, 0, \
		2, 19) \
	X(SSE4_2, "sse4.2", 1, 0, 2, 20) X(X2APIC, "x2apic", 1, 0, 2, 21) X(MOVBE, "movbe", 1, 0, 2, 22) X(POPCNT, \
		"popcnt", 1, 0, 2, 23) \
	X(TSC_DEADLINE, "tsc-deadline", 1, 0, 2, 24) X(AES, "aes", 1, 0, 2, 25) X(XSAVE, "xsave", 1, 0, 2, 26) X(AVX, \
		"avx", 1, 0, 2, 28) \
	X(F16C, "f16c", 1, 0, 2, 29) X(RDRAND, "rdrand", 1, 0, 2, 30) \
	X(FSGSBASE, "fsgsbase", 7, 0, 1, 0) X(TSC_ADJUST, "tsc-adjust", 7, 0, 1, 1) X(NO_FCS, "no-fcs", 7, 0, 1, \
		13) X(BMI1, "bmi1", 7, 0, 1, 3) X(AVX2, "avx2", 7, 0, 1, 5) X(SMEP, "smep", 7, 0, 1, 7) \
	X(BMI2, "bmi2", 7, 0, 1, 8) X(ERMS, "erms", 7, 0, 1, 9) X(INVPCID, "invpcid", 7, 0, 1, 10) X(RDSEED, "rdseed", \
		7, 0, 1, 18) \
	X(ADX, "adx", 7, 0, 1, 19) X(SMAP, "smap", 7, 0, 1, 20) X(CLFLUSHOPT, "clflushopt", 7, 0, 1, 23) X(CLWB, \
		"clwb", 7, 0, 1, 24) \
	X(SHA, "sha", 7, 0, 1, 29) X(UMIP, "umip", 7, 0, 2, 2) X(PKU, "pku", 7, 0, 2, 3) X(GFNI, "gfni", 7, 0, 2, 8) \
	X(VAES, "vaes", 7, 0, 2, 9) X(VPCLMUL, "vpclmulqdq", 7, 0, 2, 10) X(RDPID, "rdpid", 7, 0, 2, 22) \
	X(MOVDIRI, "movdiri", 7, 0, 2, 27) X(MOVDIR64B, "movdir64b", 7, 0, 2, 28) X(SERIALIZE, "serialize", 7, 0, 3, \
		14) \
	X(FSRM, "fsrm", 7, 0, 3, 4) X(XSAVEOPT, "xsaveopt", 0xd, 1, 0, 0) X(XSAVEC, "xsavec", 0xd, 1, 0, 1) \
	X(XGETBV1, "xgetbv1", 0xd, 1, 0, 2) X(XSAVES, "xsaves", 0xd, 1, 0, 3) \
	X(LAHF64, "lahf64", 0x80000001, 0, 2, 0) X(ABM, "lzcnt", 0x80000001, 0, 2, 5) X(PREFETCHW, "prefetchw", \
		0x80000001, 0, 2, 8) \
	X(SSE4A, "sse4a", 0x80000001, 0, 2, 6) X(3DNOWEXT, "3dnowext", 0x80000001, 0, 3, 30) X(3DNOW, "3dnow", \
		0x80000001, 0, 3, 31) \
	X(SYSCALL, "syscall", 0x80000001, 0, 3, 11) X(NX, "nx", 0x80000001, 0, 3, 20) X(PDPE1GB, "pdpe1gb", \
		0x80000001, 0, 3, 26) \
	X(RDTSCP, "rdtscp", 0x80000001, 0, 3, 27) X(INVTSC, "invtsc", 0x80000007, 0, 3, 8) X(ARAT, "arat", 6, 0, 0, 2) \
	X(SPEC_CTRL, "spec-ctrl", 7, 0, 3, 26) X(STIBP, "stibp", 7, 0, 3, 27) X(ARCH_CAPS, "arch-capabilities", 7, 0, \
		3, 29) \
	X(SSBD, "ssbd", 7, 0, 3, 31) X(BHI_CTRL, "bhi-ctrl", 7, 2, 3, 4) X(MCDT_NO, "mcdt-no", 7, 2, 3, 5) X(VMX, "vmx", 1, 0, 2, 5) \
	X(KVM, "kvm", 0, 0, 0, 0) /* the paravirtual interface: paravirt.h */ \
	/* AMD's (APM vol. 3, appendix E) */ \
	X(CR8_LEGACY, "cr8-legacy", 0x80000001, 0, 2, 4) X(MISALIGNSSE, "misalignsse", 0x80000001, 0, 2, 7) \
	X(TCE, "tce", 0x80000001, 0, 2, 17) X(TOPOEXT, "topoext", 0x80000001, 0, 2, 22) \
	X(MONITORX, "monitorx", 0x80000001, 0, 2, 29) X(FFXSR, "ffxsr", 0x80000001, 0, 3, 25) \
	X(CLZERO, "clzero", 0x80000008, 0, 1, 0) X(XSAVEERPTR, "xsaveerptr", 0x80000008, 0, 1, 2) \
	X(RDPRU, "rdpru", 0x80000008, 0, 1, 4) X(MCOMMIT, "mcommit", 0x80000008, 0, 1, 8) \
	X(WBNOINVD, "wbnoinvd", 0x80000008, 0, 1, 9) X(LFENCE, "lfence-serializing", 0x80000021, 0, 0, 2) \
	X(NULL_CLEARS, "null-sel-clr-base", 0x80000021, 0, 0, 6) \
	X(SVM, "svm", 0x80000001, 0, 2, 2) X(NPT, "npt", 0x8000000a, 0, 3, 0) X(LBRV, "lbrv", 0x8000000a, 0, 3, 1) \
	X(SVM_LOCK, "svm-lock", 0x8000000a, 0, 3, 2) X(NRIPS, "nrip-save", 0x8000000a, 0, 3, 3) \
	X(VMCB_CLEAN, "vmcb-clean", 0x8000000a, 0, 3, 5) X(FLUSH_BY_ASID, "flushbyasid", 0x8000000a, 0, 3, 6) \
	X(DECODE_ASSISTS, "decodeassists", 0x8000000a, 0, 3, 7) X(PAUSE_FILTER, "pause-filter", 0x8000000a, 0, 3, 10) \
	X(PAUSE_THRESHOLD, "pfthreshold", 0x8000000a, 0, 3, 12) \
	X(V_VMSAVE, "v-vmsave-vmload", 0x8000000a, 0, 3, 15) X(VGIF, "vgif", 0x8000000a, 0, 3, 16) \
	X(AVX512F, "avx512f", 7, 0, 1, 16) X(AVX512DQ, "avx512dq", 7, 0, 1, 17) \
	X(AVX512_IFMA, "avx512ifma", 7, 0, 1, 21) \
	X(AVX512CD, "avx512cd", 7, 0, 1, 28) X(AVX512BW, "avx512bw", 7, 0, 1, 30) X(AVX512VL, "avx512vl", 7, 0, 1, 31) \
	X(AVX512_VBMI, "avx512vbmi", 7, 0, 2, 1) X(AVX512_VBMI2, "avx512vbmi2", 7, 0, 2, 6) \
	X(AVX512_VNNI, "avx512vnni", 7, 0, 2, 11) X(AVX512_BITALG, "avx512bitalg", 7, 0, 2, 12) \
	X(AVX512_VPOPCNTDQ, "avx512vpopcntdq", 7, 0, 2, 14) X(AVX512_VP2INTERSECT, "avx512vp2intersect", 7, 0, 3, 8) \
	X(AVX512_FP16, "avx512fp16", 7, 0, 3, 23) X(AVX512_BF16, "avx512bf16", 7, 1, 0, 5) \
	X(AVX_VNNI, "avxvnni", 7, 1, 0, 4) \
	X(AVX_IFMA, "avxifma", 7, 1, 0, 23) X(AVX_VNNI_INT8, "avxvnniint8", 7, 1, 3, 4) \
	X(AVX_VNNI_INT16, "avxvnniint16", 7, 1, 3, 10) \
	X(VMX_APICV, "vmx-apicv", 0, 0, 0, 0) X(VMX_VMFUNC, "vmx-vmfunc", 0, 0, 0, 0) \
	X(VMX_SHADOW, "vmx-shadow-vmcs", 0, 0, 0, 0) X(VMX_PML, "vmx-pml", 0, 0, 0, 0) X(VMX_VE, "vmx-ve", 0, 0, 0, 0) \
	X(VMX_MBEC, "vmx-mbec", 0, 0, 0, 0) X(VMX_TSC_SCALING, "vmx-tsc-scaling", 0, 0, 0, 0) \
	X(VMX_EPT5, "vmx-page-walk-5", 0, 0, 0, 0) \
	X(CLDEMOTE, "cldemote", 7, 0, 2, 25) X(WAITPKG, "waitpkg", 7, 0, 2, 5) X(ENQCMD, "enqcmd", 7, 0, 2, 29) \
	X(HLE, "hle", 7, 0, 1, 4) X(RTM, "rtm", 7, 0, 1, 11) X(RTM_ALWAYS_ABORT, "rtm-always-abort", 7, 0, 3, 11) \
	X(HRESET, "hreset", 7, 1, 0, 22) X(CMPCCXADD, "cmpccxadd", 7, 1, 0, 7) X(RAO_INT, "raoint", 7, 1, 0, 3) \
	X(MOVRS, "movrs", 7, 1, 0, 31) X(PREFETCHI, "prefetchi", 7, 1, 3, 14) X(WRMSRNS, "wrmsrns", 7, 1, 0, 19) \
	X(MSRLIST, "msrlist", 7, 1, 0, 27) X(USER_MSR, "usermsr", 7, 1, 3, 15) X(LKGS, "lkgs", 7, 1, 0, 18) \
	X(INVLPGB, "invlpgb", 0x80000008, 0, 1, 3) \
	X(CET_SS, "shstk", 7, 0, 2, 7) X(CET_IBT, "ibt", 7, 0, 3, 20) X(LAM, "lam", 7, 1, 0, 26) \
	X(LASS, "lass", 7, 1, 0, 6) X(PKS, "pks", 7, 0, 2, 31) X(SHA512, "sha512", 7, 1, 0, 0) \
	X(SM3, "sm3", 7, 1, 0, 1) X(SM4, "sm4", 7, 1, 0, 2) X(AVX_NE_CONVERT, "avxneconvert", 7, 1, 3, 5) \
	X(TBM, "tbm", 0x80000001, 0, 2, 21) X(FMA4, "fma4", 0x80000001, 0, 2, 16) \
	X(PERFCTR_CORE, "perfctr-core", 0x80000001, 0, 2, 23) X(TSC_SCALE, "tsc-scale", 0x8000000a, 0, 3, 4) \
	X(PMU, "pmu", 0xa, 0, 0, 1) /* performance counters that count */ \
	X(LA57, "la57", 7, 0, 2, 16) \
	X(AVIC, "avic", 0x8000000a, 0, 3, 13) \
	X(XOP, "xop", 0x80000001, 0, 2, 11) \
	X(AMX_TILE, "amx-tile", 7, 0, 3, 24) \
	X(AMX_INT8, "amx-int8", 7, 0, 3, 25) X(AMX_BF16, "amx-bf16", 7, 0, 3, 22) \
	X(AMX_FP16, "amx-fp16", 7, 1, 0, 21) X(AMX_COMPLEX, "amx-complex", 7, 1, 3, 8) \
	X(AMX_TF32, "amx-tf32", 0x1e, 1, 0, 6) X(AMX_MOVRS, "amx-movrs", 0x1e, 1, 0, 8) X(XFD, "xfd", 0xd, 1, 0, 4) \
	X(UINTR, "uintr", 7, 0, 3, 5) \
	X(FRED, "fred", 7, 1, 0, 17) X(ARCH_LBR, "arch-lbr", 7, 0, 3, 19) X(APX, "apx", 7, 1, 3, 21) \
	X(VMX_IPI, "vmx-ipi-virtualization", 0, 0, 0, 0) X(VMX_TIMEOUT, "vmx-instruction-timeout", 0, 0, 0, 0) \
	X(VMX_BUS_LOCK, "vmx-bus-lock-detection", 0, 0, 0, 0) X(BUS_LOCK_DETECT, "bus-lock-detect", 7, 0, 2, 24) \
	X(X2AVIC, "x2avic", 0x8000000a, 0, 3, 18) \
	X(MCA_BANKS, "mca-banks", 0, 0, 0, 0) X(SMCA, "scalable-mca", 0x80000007, 0, 1, 3) \
	X(AVX10, "avx10.1", 7, 1, 3, 19) X(AVX10_2, "avx10.2", 7, 1, 3, 19) \
	X(AMX_AVX512, "amx-avx512", 0x1e, 1, 0, 7) X(AMX_FP8, "amx-fp8", 0x1e, 1, 0, 4) \
	X(FZRM, "fzrm", 7, 1, 0, 10) X(FSRS, "fsrs", 7, 1, 0, 11) X(FSRC, "fsrc", 7, 1, 0, 12) \
	X(MD_CLEAR, "md-clear", 7, 0, 3, 10)

enum feature {
#define X(id, name, leaf, sub, reg, bit) F_##id,
	FEATURES(X)
#undef X
	F_COUNT
};

enum maker { MAKER_INTEL, MAKER_AMD, MAKERS };
enum { INTEL = 1 << MAKER_INTEL, AMD = 1 << MAKER_AMD }; /* columns of tables: sets of them */

/* A cache as leaf 4 shows it: 1 data, 2 code, 3 both; 64 bytes a line. Level 0: there is none. */
struct cache_level { u8 type, level, ways; u32 sets; };

struct model {
	char name[32];
	u64 features[4];        /* bit F_x */
	enum maker maker;
	char vendor[13], brand[49];
	u32 signature;          /* CPUID.1:EAX; also EDX at reset */
	u32 max_leaf, max_ext_leaf;
	u8 physical_bits, linear_bits;
	struct cache_level caches[4];
	u32 leaf2[4];           /* caches and TLBs again, as descriptors (SDM vol. 2, table 3-12). Of AMD's processors, the
				 * TLBs: EAX and EBX of 80000005h and of 80000006h */
	u32 microcode;          /* its revision, as IA32_BIOS_SIGN_ID or PATCH_LEVEL shows it */
};

static inline bool has(const struct model *m, enum feature f) { return m->features[f >> 6] >> (f & 63) & 1; }
/* Where the makers' processors differ, and no feature says it. */
static inline bool is_amd(const struct model *m) { return m->maker == MAKER_AMD; }
/* As CPUID.1:EAX has it: family, and extended family. */
static inline unsigned model_family(const struct model *m)
{
	unsigned family = m->signature >> 8 & 15;

	return family == 15 ? family + (m->signature >> 20 & 0xff) : family;
}

enum { INVLPGB_PAGES = 7 }; /* that one INVLPGB may name, beyond the first */

_Static_assert(F_COUNT <= 64 * 4, "struct model has room for so many");

/* SPEC is "MODEL[,+feature|,-feature]..."; NULL means "max". False: *ERROR (malloc'd) says what is not known. */
bool model_parse(struct model *m, const char *spec, char **error);
extern const char *const model_names[]; /* NULL at the end */

#endif
