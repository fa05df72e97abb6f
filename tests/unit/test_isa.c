/* SPDX-License-Identifier: MIT */
/* The laws of the instruction table: every encoding parses, no two rows overlap unless one says that it wins, every key
 * has at most one row; and for every row, in every mode, with every ModRM byte and prefix, Zydis agrees on length, name
 * and operands. */
#include <check.h>
#include <stdlib.h>

#ifdef HAVE_ZYDIS
#include "tests/unit/zydis.h"
#else
#include "cpu/op.h"
#include "tests/unit/isa_slot.h"
static struct model everything; /* every row is enabled */
static struct isa *isa;
#endif

static void setup(void)
{
	const struct insn *which;

	memset(everything.features, 0xff, sizeof everything.features);
	isa = isa_new(&everything, &which);
	if (!isa && which)
		ck_abort_msg("does not parse: %s \"%s\" \"%s\"", which->mnemonic, which->encoding, which->operands);
	ck_assert_ptr_nonnull(isa);
}

static void teardown(void)
{
	isa_free(isa);
}

START_TEST(rows_parse)
{
	ck_assert_uint_eq(isa->count, insn_count);
	for (unsigned i = 0; i < isa->count; i++) {
		const struct isa_row *row = &isa->rows[i];

		ck_assert_msg(!(row->match & ~row->mask), "%s %s", row->insn->mnemonic, row->insn->encoding);
		ck_assert_msg(!(row->mask & KEY_MODRM) || row->modrm, "%s %s", row->insn->mnemonic,
			      row->insn->encoding);
	}
}
END_TEST

/* What an encoding word means, by the table in isa.h and the comment in insn.def. */
START_TEST(encodings)
{
	unsigned seen = 0;

	for (unsigned i = 0; i < isa->count; i++) {
		const struct isa_row *row = &isa->rows[i];
		const char *e = row->insn->encoding;

		if (!strcmp(e, "00 /r")) {
			ck_assert(row->map == 0 && row->opcode == 0 && row->opcode_mask == 0xff && row->modrm &&
				  row->mask == KEY_VEX);
			ck_assert(row->operands == 2 && row->operand[0].kind == OPK_E && row->operand[1].kind == OPK_G);
			seen |= 1;
		} else if (!strcmp(e, "0F C8+r")) {
			ck_assert(row->map == 1 && row->opcode == 0xc8 && row->opcode_mask == 0xf8 && !row->modrm);
			seen |= 2;
		} else if (!strcmp(e, "REX.W1 0F C7 /1 mem")) {
			ck_assert(row->mask == (0x38 | KEY_MEM | KEY_W | KEY_VEX) &&
				  row->match == (0x08 | KEY_MEM | KEY_W));
			seen |= 4;
		} else if (!strcmp(e, "VEX.LZ.F2.0F3A F0 /r")) {
			ck_assert(row->map == 3 && row->vex && row->opcode == 0xf0);
			ck_assert(row->mask == (KEY_PP | KEY_L | KEY_L2 | KEY_VEX) &&
				  row->match == (3 << 9 | KEY_VEX));
			seen |= 8;
		} else if (!strcmp(e, "D9 F2")) { /* F2 after an opcode is a ModRM byte */
			ck_assert(row->map == 0 && row->opcode == 0xd9 && (row->mask & 0x1ff) == 0x1ff &&
				  (row->match & 0x1ff) == 0xf2);
			seen |= 16;
		}
	}
	ck_assert_uint_eq(seen, 31);
}
END_TEST

START_TEST(no_overlap)
{
	bool *loses = calloc(isa->count, sizeof *loses);
	unsigned bad = 0;

	for (unsigned i = 0; i < isa->count; i++) {
		const struct insn *a = isa->rows[i].insn;
		bool wins = false;

		for (unsigned k = i + 1; k < isa->count; k++) {
			const struct insn *b = isa->rows[k].insn;

			if (!isa_overlap(&isa->rows[i], &isa->rows[k]))
				continue;
			wins = true;
			loses[k] = true;
			if (!a->over && !b->last) {
				printf("overlap: %s \"%s\" and %s \"%s\"\n", a->mnemonic, a->encoding, b->mnemonic,
				       b->encoding);
				bad++;
			}
		}
		if (a->last && !loses[i]) {
			printf("loses to nothing: %s \"%s\"\n", a->mnemonic, a->encoding);
			bad++;
		}
		if (a->over && !wins) {
			printf("wins over nothing: %s \"%s\"\n", a->mnemonic, a->encoding);
			bad++;
		}
	}
	ck_assert_uint_eq(bad, 0);
	free(loses);
}
END_TEST

/* The same from the other side: of the rows that a key has in its list, all but the last say .over, or the last says
 * .last. All of a list agree on ModRM. */
static void one_row(const struct isa *table)
{
	for (unsigned slot = 0; slot < 3 * MAPS * 256; slot++) {
		struct isa_row *list = *isa_slot(table, slot);

		for (struct isa_row *row = list; row; row = row->next) {
			ck_assert_msg(row->modrm == list->modrm, "%s: ModRM or not?", row->insn->encoding);
			ck_assert(row->opcode == (slot / 3 & 255));
		}
		for (u64 key = 0; list && key < (slot % 3 == 2 ? KEY_L2 << 1 : KEY_O16 << 1); key++) {
			const struct isa_row *found = NULL;

			if (!(key & KEY_VEX) != !(slot % 3) || (slot % 3 && key & KEY_O16) || !(key & KEY_MEM) != ((key & 0xc0) == 0xc0) ||
			    (!list->modrm && key & 0xff))
				continue;
			for (struct isa_row *row = list; row; row = row->next) {
				if ((key & row->mask) != row->match)
					continue;
				ck_assert_msg(!found || found->insn->over || row->insn->last,
					      "key %llx has \"%s\" and \"%s\"", (unsigned long long)key,
					      found ? found->insn->encoding : "", row->insn->encoding);
				found = row;
			}
		}
	}
}

START_TEST(one_row_per_key)
{
	one_row(isa);
	for (unsigned i = 0; i < 2; i++) { /* 8086, 186 */
		const struct insn *which;
		struct model model;
		struct isa *of_model;

		ck_assert(model_parse(&model, model_names[i], NULL));
		of_model = isa_new(&model, &which);
		ck_assert_ptr_nonnull(of_model);
		one_row(of_model);
		isa_free(of_model);
	}
}
END_TEST

/* An 8086 knows no undefined opcode, with and without a coprocessor; a 186 does. */
START_TEST(all_is_defined)
{
	static const char *const models[] = { "8086", "8086,-fpu", "186" };
	unsigned undefined[ARRAY_LEN(models)] = { 0 };

	for (unsigned i = 0; i < ARRAY_LEN(models); i++) {
		const struct insn *which;
		struct model model;
		struct isa *of_model;

		ck_assert(model_parse(&model, models[i], NULL));
		of_model = isa_new(&model, &which);
		for (unsigned n = 0; n < 0x10000; n++) {
			u8 code[EARLY_BYTES] = { (u8)(n >> 8), (u8)n };
			struct dec d;
			struct op o;

			undefined[i] += decode(of_model, &model, MODE_16, code, sizeof code, &d, &o) != DECODE_OK;
		}
		isa_free(of_model);
	}
	ck_assert_uint_eq(undefined[0], 0);
	ck_assert_uint_eq(undefined[1], 0);
	ck_assert_uint_gt(undefined[2], 256 * 5); /* 0Fh and 63h to 67h */
}
END_TEST

/* A row of a feature that the model lacks cannot be found. */
START_TEST(models)
{
	struct model model = { .features = { 1 << F_I8086 } };
	const struct insn *which;
	struct isa *old = isa_new(&model, &which);

	ck_assert_ptr_nonnull(old);
	ck_assert_ptr_nonnull(old->index[0][0x00]);
	ck_assert_ptr_null(old->index[1][0x82]);
	ck_assert_ptr_null(old->index[1][0xa2]);
	for (unsigned i = 0; i < old->count; i++)
		ck_assert(old->rows[i].enabled == (old->rows[i].insn->since == F_I8086));
	isa_free(old);
}
END_TEST

/* Columns that contradict each other. */
START_TEST(columns)
{
	for (unsigned i = 0; i < insn_count; i++) {
		const struct insn *r = &insn_table[i];
		const char *name = r->encoding;

		ck_assert_msg(!(r->undef & ~r->flags), "%s %s: undefined, but not written", r->mnemonic, name);
		ck_assert_msg(!(r->pure && r->ends), "%s %s", r->mnemonic, name);
		ck_assert_msg(!(r->d64 && r->f64), "%s %s", r->mnemonic, name);
		ck_assert_msg(!r->lock || strchr("EM", r->operands[0]), "%s %s: LOCK without a memory destination",
			      r->mnemonic, name);
		ck_assert_msg(!(r->check & CHK_CPL0) || r->pg == PRIVILEGED, "%s %s", r->mnemonic, name);
	}
}
END_TEST

/* ---- what is no instruction ---- */

static struct isa *isa_of(struct model *model, const char *name)
{
	const struct insn *which;

	ck_assert(model_parse(model, name, NULL));
	return isa_new(model, &which);
}

static enum decode_result result(const struct isa *i, const struct model *model, unsigned bits, const u8 *code,
				 unsigned len)
{
	u32 mode = MODE_PE | MODE_OSFXSR | MODE_OSXSAVE | MODE_AVX | MODE_AVX512 | (bits == 64 ? MODE_LONG | MODE_64 : MODE_32);
	struct dec d;
	struct op o;

	return decode(i, model, mode, code, len, &d, &o);
}

/* .wide: VPADDB came with AVX, of 256 bits with AVX2; VADDPS both with AVX. */
START_TEST(lengths)
{
	static const u8 vpaddb[2][4] = { { 0xc5, 0xf1, 0xfc, 0xc2 }, { 0xc5, 0xf5, 0xfc, 0xc2 } },
			vaddps[2][4] = { { 0xc5, 0xf0, 0x58, 0xc2 }, { 0xc5, 0xf4, 0x58, 0xc2 } };
	static const struct { const char *name; bool integers[2], floats; } cases[] = {
		{ "haswell", { true, true }, true }, { "haswell,-avx2", { true, false }, true },
			{ "haswell,-avx", { false, true }, false }, { "nehalem", { false, false }, false },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct model model;
		struct isa *of_model = isa_of(&model, cases[i].name);

		for (unsigned l = 0; l < 2; l++) {
			ck_assert_msg((result(of_model, &model, 64, vpaddb[l], 4) == DECODE_OK) == cases[i].integers[l],
				      "%s, VPADDB, L %u", cases[i].name, l);
			ck_assert_msg((result(of_model, &model, 64, vaddps[l], 4) == DECODE_OK) == cases[i].floats,
				      "%s, VADDPS, L %u", cases[i].name, l);
		}
		isa_free(of_model);
	}
}
END_TEST

/* The cells that are empty in the opcode maps of SDM vol. 2, appendix A, with and without prefixes; the processor gives
 * the same answers to tests/silicon/native --encodings. */
START_TEST(undefined)
{
	/* ModRM: every byte, with a register, with memory; else reg / 8, of both kinds, or a byte from C0 on */
	enum { ANY = -1, REG = -2, MEM = -3 };
	static const struct { u8 bits, map, opcode; s16 modrm[9]; } empty[] = {
		{ 64, 0, 0x06, { ANY } }, { 64, 0, 0x07, { ANY } }, { 64, 0, 0x0e, { ANY } }, { 64, 0, 0x16, { ANY } },
			{ 64, 0, 0x17, { ANY } },
		{ 64, 0, 0x1e, { ANY } }, { 64, 0, 0x1f, { ANY } }, { 64, 0, 0x27, { ANY } }, { 64, 0, 0x2f, { ANY } },
			{ 64, 0, 0x37, { ANY } },
		{ 64, 0, 0x3f, { ANY } }, { 64, 0, 0x60, { ANY } }, { 64, 0, 0x61, { ANY } }, { 64, 0, 0x82, { ANY } },
			{ 64, 0, 0x9a, { ANY } },
		{ 64, 0, 0xce, { ANY } }, { 64, 0, 0xd4, { ANY } }, { 64, 0, 0xd5, { ANY } }, { 64, 0, 0xd6, { ANY } },
			{ 64, 0, 0xea, { ANY } },
		{ 0, 0, 0x8d, { REG } }, { 0, 0, 0x8f, { 1, 2, 3, 4, 5, 6, 7 } }, { 0, 0, 0x8e, { 1, 6, 7 } },
			{ 32, 0, 0x62, { REG } },
		{ 0, 0, 0xc6, { 1, 2, 3, 4, 5, 6, 0xf9, 0xff } }, { 0, 0, 0xc7, { 1, 2, 3, 4, 5, 6, 0xf9, 0xff } },
		{ 0, 0, 0xfe, { 2, 3, 4, 5, 6, 7 } }, { 0, 0, 0xff, { 7, 0xd8, 0xdf, 0xe8, 0xef } },
		{ 0, 0, 0xd9, { 0xd1, 0xd7, 0xe2, 0xe3, 0xe6, 0xe7, 0xef } },
			{ 0, 0, 0xda, { 0xe0, 0xe8, 0xea, 0xf0, 0xff } },
		{ 0, 0, 0xdb, { 0xe5, 0xe7, 0xf8, 0xff } }, { 0, 0, 0xdd, { 0xf0, 0xf8, 0xff } },
			{ 0, 0, 0xde, { 0xd8, 0xda, 0xdf } },
		{ 0, 0, 0xdf, { 0xe1, 0xe7, 0xf8, 0xff } },
		{ 0, 1, 0x00, { 6, 7 } }, { 0, 1, 0x01, { 0xc0, 0xc7, 0xfe } }, { 0, 1, 0x04, { ANY } },
			{ 0, 1, 0x0a, { ANY } }, { 0, 1, 0x0c, { ANY } },
		{ 0, 1, 0x13, { REG } }, { 0, 1, 0x17, { REG } }, { 0, 1, 0x24, { ANY } }, { 0, 1, 0x25, { ANY } },
			{ 0, 1, 0x26, { ANY } }, { 0, 1, 0x27, { ANY } },
		{ 0, 1, 0x2b, { REG } }, { 0, 1, 0x36, { ANY } }, { 0, 1, 0x37, { ANY } }, { 0, 1, 0x39, { ANY } },
			{ 0, 1, 0x3b, { ANY } }, { 0, 1, 0x3f, { ANY } },
		{ 0, 1, 0x50, { MEM } }, { 0, 1, 0x71, { MEM } }, { 0, 1, 0x71, { 0, 1, 3, 5, 7 } },
			{ 0, 1, 0x72, { 0, 1, 3, 5, 7 } }, { 0, 1, 0x73, { 0, 1, 4, 5 } },
		{ 0, 1, 0x7a, { ANY } }, { 0, 1, 0x7b, { ANY } }, { 0, 1, 0xa6, { ANY } }, { 0, 1, 0xa7, { ANY } },
			{ 0, 1, 0xb2, { REG } }, { 0, 1, 0xb4, { REG } },
		{ 0, 1, 0xb5, { REG } }, { 0, 1, 0xba, { 0, 1, 2, 3 } }, { 0, 1, 0xc3, { REG } },
			{ 0, 1, 0xc7, { 0, 2 } }, { 0, 1, 0xd7, { MEM } },
		{ 0, 1, 0xe7, { REG } }, { 0, 1, 0xf7, { MEM } },
		{ 0, 2, 0x0c, { ANY } }, { 0, 2, 0x11, { ANY } }, { 0, 2, 0x1f, { ANY } }, { 0, 2, 0x2a, { REG } },
			{ 0, 2, 0x42, { ANY } }, { 0, 2, 0xf7, { ANY } },
		{ 0, 3, 0x00, { ANY } }, { 0, 3, 0x18, { ANY } }, { 0, 3, 0x4a, { ANY } }, { 0, 3, 0xf0, { ANY } },
	};
	static const u8 prefixes[] = { 0, 0x66, 0xf3, 0xf2, 0x2e, 0xf0 };
	struct model max;
	struct isa *now = isa_of(&max, "max");
	unsigned bad = 0;

	for (unsigned n = 0; n < ARRAY_LEN(empty) * 2 * ARRAY_LEN(prefixes) * 256; n++) {
		unsigned modrm = n & 255, prefix = n / 256 % ARRAY_LEN(prefixes),
			 bits = n / 256 / ARRAY_LEN(prefixes) & 1 ? 32 : 64;
		unsigned i = n / 256 / ARRAY_LEN(prefixes) / 2;
		u8 code[32] = { 0 }, *p = code;
		bool is_empty = false;

		for (unsigned k = 0; k < ARRAY_LEN(empty[i].modrm); k++) {
			int m = empty[i].modrm[k];

			is_empty |= m == ANY || (m == REG && modrm >= 0xc0) || (m == MEM && modrm < 0xc0) ||
				    (m >= 0xc0 && m == (int)modrm);
			/* reg / 8: behind the first, 0 is just the end of the list */
			is_empty |= m >= 0 && m < 8 && (m || !k) && (modrm >> 3 & 7) == (unsigned)m;
		}
		if (!is_empty || (empty[i].bits && empty[i].bits != bits))
			continue;
		if (prefix)
			*p++ = prefixes[prefix];
		if (empty[i].map)
			*p++ = 0x0f;
		if (empty[i].map > 1)
			*p++ = empty[i].map == 2 ? 0x38 : 0x3a;
		*p++ = empty[i].opcode;
		*p++ = (u8)modrm;
		if (result(now, &max, bits, code, sizeof code) == DECODE_UD)
			continue;
		bad++;
		printf("%u bits: prefix %02x, map %u, %02x %02x\n", bits, prefixes[prefix], empty[i].map,
		       empty[i].opcode, modrm);
	}
	ck_assert_uint_eq(bad, 0);
	isa_free(now);
}
END_TEST

/* SDM vol. 2, 2.3.11: 15 bytes are the most, whatever they are; more is #GP(0), which is what the engine makes of
 * DECODE_LONG. */
START_TEST(fifteen_bytes)
{
	static const struct { u8 len, bytes[10]; } all[] = {
		{ 1, { 0x90 } }, { 2, { 0x01, 0x03 } }, { 7, { 0x81, 0x80, 1, 2, 3, 4 } }, { 5, { 0xb8 } },
			{ 4, { 0x0f, 0xa4, 0xd6, 3 } },
		{ 5, { 0x66, 0x0f, 0x38, 0x00, 0xc1 } }, { 4, { 0xc5, 0xf8, 0x58, 0xca } },
			{ 10, { 0xc4, 0xe3, 0x79, 0x0f, 0x80 } },
	};
	static const u8 prefixes[] = { 0x2e, 0x36, 0x64, 0x67 };
	struct model max;
	struct isa *now = isa_of(&max, "max");

	for (unsigned i = 0; i < ARRAY_LEN(all); i++)
		for (unsigned bits = 32; bits <= 64; bits += 32)
			for (unsigned k = 0; k < ARRAY_LEN(prefixes); k++)
				for (unsigned n = 0; n <= 20; n++) {
					u8 code[40] = { 0 };
					/* 81 80: disp32, imm32 */
					unsigned len = n + all[i].len + (all[i].len == 7 ? 3 : 0);

					if (prefixes[k] == 0x67 && bits == 32 && all[i].len > 5) /* another ModRM */
						continue;
					memset(code, prefixes[k], n);
					memcpy(code + n, all[i].bytes, all[i].len);
					ck_assert_msg(result(now, &max, bits, code, sizeof code) ==
							      (len > 15 ? DECODE_LONG : DECODE_OK),
						      "case %u, %u bits, %u of %02x: %u bytes", i, bits, n, prefixes[k],
						      len);
				}
	isa_free(now);
}
END_TEST

#ifdef HAVE_ZYDIS

/* ---- one encoding ---- */

static unsigned compared, differ;
static u8 *reported; /* by row */

static void report(const char *what, const struct insn *insn, unsigned bits, const u8 *code,
		   const ZydisDecodedInstruction *z)
{
	unsigned n = insn ? (unsigned)(insn - plain_rows) : 0;

	differ++;
	if (insn && reported[n])
		return;
	reported[n] = insn != NULL;
	printf("%s: %s \"%s\" \"%s\", %u bits:", what, insn ? insn->mnemonic : "-", insn ? insn->encoding : "",
	       insn ? insn->operands : "", bits);
	for (unsigned i = 0; i < 12; i++)
		printf(" %02x", code[i]);
	printf("  Zydis: %s, %u bytes, %u operands\n", z ? ZydisMnemonicGetString(z->mnemonic) : "invalid", z
		? z->length : 0,
	       z ? z->operand_count_visible : 0);
}

static void compare(const ZydisDecoder *decoder, const struct insn *made_for, unsigned bits, const u8 *code)
{
	const ZydisDecodedInstruction *theirs;
	ZydisDecodedInstruction z;
	struct dec d;
	const char *what = disagreement(decoder, bits, code, &d, &z, &theirs);

	compared++;
	if (what)
		report(what, d.row ? d.row->insn : made_for, bits, code, theirs);
}

/* ---- all encodings of a row ---- */

static unsigned put_row(u8 *at, const struct isa_row *row, unsigned opcode, u8 modrm, u8 rex, unsigned pp, bool l)
{
	static const u8 prefix[4] = { 0, 0x66, 0xf3, 0xf2 };
	u8 *p = at;

	if (row->vex) {
		*p++ = row->map >= MAP_XOP ? 0x8f : 0xc4;
		*p++ = (u8)((rex & 4 ? 0 : 0x80) | (rex & 2 ? 0 : 0x40) | (rex & 1 ? 0 : 0x20) | row->map);
		*p++ = (u8)((rex & 8 ? 0x80 : 0) |
			((row->insn->operands[0] == 'B' || strstr(row->insn->operands, ",B") ||
			strchr(row->insn->operands, 'H')) ?
			    5 << 3 : 0x78) | l << 2 | pp);
	} else {
		if (pp)
			*p++ = prefix[pp];
		if (rex)
			*p++ = rex;
		if (row->map)
			*p++ = 0x0f;
		if (row->map >= 2)
			*p++ = row->map == 2 ? 0x38 : row->map == 3 ? 0x3a : 0x0f;
	}
	if (row->map != MAP_3DNOW)
		*p++ = (u8)opcode;
	if (row->modrm)
		*p++ = modrm;
	return (unsigned)(p - at);
}

/* Bytes of SIB and displacement behind MODRM. */
static unsigned operand_len(u8 modrm, u8 sib, unsigned asize)
{
	unsigned mod = modrm >> 6, rm = modrm & 7, has_sib = asize != 2 && mod != 3 && rm == 4;
	bool alone = mod == 0 && (asize == 2 ? rm == 6 : rm == 5 || (has_sib && (sib & 7) == 5));

	return has_sib + (mod == 1 ? 1 : mod == 2 || alone ? (asize == 2 ? 2 : 4) : 0);
}

/* Of EVEX rows: fields at random, ones that the row does not allow among them. */
static void some_evex(const ZydisDecoder *decoder, const struct isa_row *row, unsigned bits)
{
	static u64 seed = 1;

	for (unsigned n = 0; n < 2000; n++) {
		u8 code[32];
		bool w, uses_v = strchr(row->insn->operands, 'H'), fixed = row->mask & KEY_L2;
		unsigned l, k;

		seed = seed * 6364136223846793005 + 1442695040888963407;
		for (unsigned i = 0; i < 16; i++)
			code[i] = (u8)(seed >> (i & 7) * 7 ^ i * 37 * (seed >> 60));
		code[0] = 0x62;
		w = row->mask & KEY_W ? !!(row->match & KEY_W) : code[2] & 0x80;
		l = fixed ? (row->match & KEY_L ? 1u : 0) + (row->match & KEY_L2 ? 2u : 0)
			  : (unsigned)(seed >> 40) & (seed >> 58 & 15 ? 1 : 3);
		l = !fixed && seed >> 50 & 1 ? 2 : l;
		k = seed >> 20 & 1 && row->insn->masking != MASKING_MUST ? 0 : code[3] & 7;
		code[1] = (u8)((bits == 64 ? code[1] & 0xf0 : 0xf0) | row->map);
		code[2] = (u8)(w << 7 | (uses_v ? code[2] & 0x78 : 0x78) | 4 | (row->match >> 9 & 3));
		code[3] = (u8)(code[3] & (seed >> 30 & 1 ? 0x90 : 0x10));
		code[3] = (u8)(code[3] | l << 5 | (uses_v ? seed >> 25 & 8 : 8) | k);
		code[4] = row->opcode;
		code[5] = (u8)((code[5] & ~row->mask) | (row->match & row->mask & 0xff));
		if (row->mask & KEY_MEM && !!(row->match & KEY_MEM) != (code[5] < 0xc0))
			code[5] ^= 0xc0;
		if (row->mask & KEY_MEM && !!(row->match & KEY_MEM) != (code[5] < 0xc0))
			continue;
		compare(decoder, row->insn, bits, code);
	}
}

static void all_encodings(const ZydisDecoder *decoder, const struct isa_row *row, unsigned bits)
{
	static const u8 rexes[] = { 0, 0x48, 0x40, 0x44, 0x42, 0x41, 0x4f };
	static const u8 tail[] = { 0x71, 0x83, 0x25, 0x42, 0x91, 0x64, 0x37, 0x58,
				   0x66, 0x13, 0x05, 0x22, 0x78, 0x12, 0x34 };

	for (unsigned variant = 0; variant < 4 * 4 * ARRAY_LEN(rexes) * 2; variant++) {
		unsigned pp = variant & 3, extra = variant >> 2 & 3;
		u8 rex = rexes[(variant >> 4) % ARRAY_LEN(rexes)];
		bool l = (variant >> 4) / ARRAY_LEN(rexes);

		if ((l && !row->vex) || (rex & ~8 & 15 && bits != 64) || (rex && bits != 64 && !row->vex))
			continue;
		if ((row->mask & KEY_PP) != 0 && (row->match & KEY_PP) >> 9 != pp)
			continue;
		if ((row->mask & KEY_W && (bool)(row->match & KEY_W) != (bool)(rex & 8)) ||
		    (row->mask & KEY_L && (bool)(row->match & KEY_L) != l))
			continue;
		for (unsigned modrm = 0; modrm < (row->modrm ? 256u : 1u); modrm++) {
			u64 key = modrm | (modrm < 0xc0 ? KEY_MEM : 0);
			u8 code[32];
			unsigned n = 0;

			if (row->modrm && (key & row->mask & 0x1ff) != (row->match & 0x1ff))
				continue;
			/* 66h is a prefix beside F2 and F3, too; the VEX forms bear none. */
			if (extra & 1 && row->vex)
				continue;
			if (extra & 1 && !row->vex && pp >= 2)
				code[n++] = 0x66;
			if (extra & 2)
				code[n++] = 0x67;
			for (unsigned r = 0; r < (row->opcode_mask == 0xff ? 1u : 8u); r++) {
				unsigned m = n + put_row(code + n, row, row->opcode + r, (u8)modrm, rex, pp, l);

				memcpy(code + m, tail + (modrm & 3), 11);
				if (row->map == MAP_3DNOW)
					code[m +
						operand_len((u8)modrm, code[m], bits == 64 ? 8
						: (bits == 16) != !!(extra & 2) ? 2 : 4)] = row->opcode;
				compare(decoder, row->insn, bits, code);
			}
		}
	}
}

START_TEST(zydis_agrees)
{
	static const struct { unsigned bits; ZydisMachineMode mode; ZydisStackWidth stack; } modes[] = {
		{ 16, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16 },
		{ 32, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32 },
		{ 64, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64 },
	};
	ZydisDecoder decoder;

	make_plain();
	reported = calloc(insn_count, 1);
	ck_assert(ZYAN_SUCCESS(ZydisDecoderInit(&decoder, modes[_i].mode, modes[_i].stack)));
	ZydisDecoderEnableMode(&decoder, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
	compared = differ = 0;
	for (unsigned i = 0; i < isa->count; i++) {
		struct isa_row row = isa->rows[i];

		if (!row.enabled) /* the other maker's, or gone */
			continue;
		row.insn = row.insn >= plain_rows && row.insn < plain_rows + insn_count ? row.insn : &plain_rows[i];
		if (row.insn->modes == (modes[_i].bits == 64 ? NO64 : ONLY64))
			continue;
		if (row.evex)
			some_evex(&decoder, &row, modes[_i].bits);
		else
			all_encodings(&decoder, &row, modes[_i].bits);
	}
	printf("%u bits: %u encodings compared with Zydis, %u differ\n", modes[_i].bits, compared, differ);
	ck_assert_uint_gt(compared, 50000);
	ck_assert_uint_eq(differ, 0);
	free(plain_rows);
	free(reported);
}
END_TEST

#endif

int main(void)
{
	Suite *suite = suite_create("isa");
	TCase *table = tcase_create("table");
	SRunner *runner = srunner_create(suite);
	int failed;

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* Check's children end with _exit */
	suite_add_tcase(suite, table);
	tcase_add_checked_fixture(table, setup, teardown);
	tcase_set_timeout(table, 60);
	tcase_add_test(table, rows_parse);
	tcase_add_test(table, encodings);
	tcase_add_test(table, no_overlap);
	tcase_add_test(table, one_row_per_key);
	tcase_add_test(table, all_is_defined);
	tcase_add_test(table, models);
	tcase_add_test(table, lengths);
	tcase_add_test(table, columns);
	tcase_add_test(table, undefined);
	tcase_add_test(table, fifteen_bytes);
#ifdef HAVE_ZYDIS
	tcase_add_loop_test(table, zydis_agrees, 0, 3);
#endif
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
