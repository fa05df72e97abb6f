/* SPDX-License-Identifier: MIT */
/* The decoder against Zydis: random byte strings in all three modes; length, name and operands must agree
 * (tests/unit/zydis.h).
 *
 *     zydis [--seed S] [--count N]      N strings (1000000); half of them are any bytes, the others likely opcodes behind prefixes
 *
 * Disagreements that the manual settles are in a list below; what is not there fails. */
#include <stdio.h>
#include <stdlib.h>
#ifdef HAVE_ZYDIS
#include "tests/unit/zydis.h"

/* OURS and THEIRS are mnemonics, "-" for nothing, "*" for any; what we do not have is named by its extension. */
static const struct { const char *what, *ours, *theirs, *why; } settled[] = {
	{ "we have nothing", "-", "syscall", "SDM vol. 2, SYSCALL: #UD outside of 64-bit mode" },
	{ "we have nothing", "-", "sysret", "SDM vol. 2, SYSRET: #UD outside of 64-bit mode" },
};

/* Extensions that Zydis knows and libvcpu does not have: their instructions are #UD, as on every processor without
 * them. */
static const char *const absent[] = {
	"AMD_INVLPGB", "AVX512EVEX", "AVX512VEX", "AVX_IFMA",
		"AVX_NE_CONVERT", "AVX_VNNI", "AVX_VNNI_INT8",
	"CET", "CLZERO", "CMPCCXADD", "ENQCMD", "FMA4", "HRESET", "KEYLOCKER", "KEYLOCKER_WIDE", "KNC", "KNCE",
	"KNCJKBR", "KNCSTREAM", "KNCV", "LKGS", "LWP",
	"MCOMMIT", "MONITORX", "MSRLIST", "PADLOCK", "PBNDKB", "PCONFIG", "PT", "RAO_INT", "RDPRU", "RTM", "SGX",
	"SGX_ENCLV", "SMX", "SNP", "SVM", "TBM", "TDX",
	"TSX_LDTRK", "VMFUNC", "VTX", "WAITPKG", "WBNOINVD", "WRMSRNS",
};

enum { KINDS = 512 };
/* SDM vol. 2, table 2-3: SIB.base 101b with mod 00 is no base but a displacement, whatever REX.B says; so it is on
 * silicon. Zydis 4.0 names R13. */
static bool is_no_base(const struct dec *d)
{
	return d->row && d->mem && (d->modrm & 0xc7) == 4 && (d->sib & 7) == 5 && d->rex & 1;
}

static struct disagree { const char *what, *ours, *theirs, *why; u64 count; u8 code[15]; u8 bits; } kinds[KINDS];
static unsigned nkinds;

static bool fits(const char *pattern, const char *name) { return !strcmp(pattern, "*") || !strcmp(pattern, name); }

static bool is_settled(struct disagree *k)
{
	for (unsigned i = 0; i < ARRAY_LEN(settled); i++)
		if (fits(settled[i].what, k->what) && fits(settled[i].ours, k->ours) &&
		    fits(settled[i].theirs, k->theirs)) {
			k->why = settled[i].why;
			return true;
		}
	for (unsigned i = 0; i < ARRAY_LEN(absent) && !strcmp(k->what, "we have nothing"); i++)
		if (!strcmp(k->theirs, absent[i])) {
			k->why = "absent";
			return true;
		}
	return false;
}

static struct disagree *find_kind(const char *what, const char *ours, const char *theirs, unsigned bits, const u8 *code)
{
	struct disagree *k;

	for (k = kinds; k < kinds + nkinds; k++)
		if (k->what == what && !strcmp(k->ours, ours) && !strcmp(k->theirs, theirs))
			return k;
	if (nkinds == KINDS)
		return &kinds[KINDS - 1];
	nkinds++;
	*k = (struct disagree){ .what = what, .ours = ours, .theirs = theirs, .bits = (u8)bits };
	memcpy(k->code, code, sizeof k->code);
	is_settled(k);
	return k;
}

static u64 seed = 1;

static u64 rnd(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return seed * 0x2545f4914f6cdd1d;
}

static void pick(u8 code[16])
{
	static const u8 prefixes[] = { 0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x36, 0x64, 0x48, 0x41, 0x4f, 0x45 };
	unsigned n = 0;

	put64(code, rnd());
	put64(code + 8, rnd());
	if (rnd() >> 63)
		return;
	while (n < 3 && rnd() >> 62 == 0)
		code[n++] = prefixes[(rnd() >> 32) % sizeof prefixes];
	switch (rnd() >> 61) {
	case 0: case 1: code[n] = 0x0f; break;
	case 2: code[n] = 0x0f, code[n + 1] = 0x38; break;
	case 3: code[n] = 0x0f, code[n + 1] = 0x3a; break;
	case 4: code[n] = 0xc5, code[n + 1] |= 0x80; break;
	case 5: code[n] = 0xc4, code[n + 1] = (u8)((code[n + 1] & 0x20) | 0xc1 | (rnd() >> 62) % 3); break;
	}
}

int main(int argc, char **argv)
{
	static const struct { unsigned bits; ZydisMachineMode mode; ZydisStackWidth stack; } modes[] = {
		{ 16, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16 },
		{ 32, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32 },
		{ 64, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64 },
	};
	static const ZydisDecoderMode off[] = { ZYDIS_DECODER_MODE_MPX };
	ZydisDecoder decoder[3];
	const struct insn *which;
	u64 count = 1000000, failed = 0;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--seed"))
			seed = strtoull(argv[i + 1], NULL, 0) * 2 + 1;
		else if (!strcmp(argv[i], "--count"))
			count = strtoull(argv[i + 1], NULL, 0);
		else {
			fprintf(stderr, "zydis: what is \"%s\"?\n", argv[i]);
			return 2;
		}
	}
	memset(everything.features, 0xff, sizeof everything.features);
	isa = isa_new(&everything, &which);
	if (!isa)
		return 1;
	make_plain();
	for (unsigned m = 0; m < 3; m++) {
		if (!ZYAN_SUCCESS(ZydisDecoderInit(&decoder[m], modes[m].mode, modes[m].stack)))
			return 1;
		for (unsigned i = 0; i < ARRAY_LEN(off); i++)
			ZydisDecoderEnableMode(&decoder[m], off[i], ZYAN_FALSE);
	}
	for (unsigned i = 0; i < 16; i++)
		rnd();
	for (u64 i = 0; i < count; i++) {
		unsigned m = (unsigned)(i % 3);
		const ZydisDecodedInstruction *theirs;
		ZydisDecodedInstruction z;
		const char *what;
		struct dec d;
		u8 code[24];

		pick(code);
		what = disagreement(&decoder[m], modes[m].bits, code, &d, &z, &theirs);
		if (what && !is_no_base(&d)) {
			struct disagree *k = find_kind(what, d.row ? d.row->insn->mnemonic : "-", !theirs ? "-"
				: d.row || theirs->meta.isa_ext == ZYDIS_ISA_EXT_BASE
				? ZydisMnemonicGetString(theirs->mnemonic) :
						      ZydisISAExtGetString(theirs->meta.isa_ext), modes[m].bits, code);

			k->count++;
			failed += !k->why;
		}
	}
	for (const struct disagree *k = kinds; k < kinds + nkinds; k++)
		if (!k->why) {
			printf("%llu: %s: %s, Zydis: %s, %u bits:", (unsigned long long)k->count, k->what, k->ours,
			       k->theirs, k->bits);
			for (unsigned i = 0; i < sizeof k->code; i++)
				printf(" %02x", k->code[i]);
			printf("\n");
		}
	printf("%llu passed, %llu failed\n", (unsigned long long)(count - failed), (unsigned long long)failed);
	isa_free(isa);
	free(plain_rows);
	return failed != 0;
}
#else
int main(void)
{
	printf("skipped: built without Zydis\n0 passed, 0 failed, 1 skipped\n");
	return 0;
}
#endif
