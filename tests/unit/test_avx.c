/* SPDX-License-Identifier: MIT */
/* Instructions with VEX prefixes, SHA, GFNI and direct stores against the silicon of the host: each row of the table is
 * encoded, the same bytes run here and in the guest, from the same registers, and everything must come out the same:
 * registers to bit 255, MXCSR, memory, and which exception there was.
 *
 * Without an x86-64 host there is nothing to compare with; extensions that the host lacks are left out. */
#define _GNU_SOURCE
#include <math.h>
#include "tests/unit/silicon.h"

#if defined __x86_64__ && defined __linux__

/* ---- rows ---- */

/* Rows of insn_avx.def. */
static bool is_ours(const struct insn *i)
{
	bool plain = i->since == F_SHA || i->since == F_GFNI || i->since == F_MOVDIRI || i->since == F_MOVDIR64B ||
		     i->since == F_SERIALIZE;

	return (plain || i->check & CHK_AVX) && *i->encoding != 'E' && i->modes != NO64 && host_has(i->since);
}

static bool approximate(const struct insn *i)
{
	return !strncmp(i->mnemonic, "vrcp", 4) || !strncmp(i->mnemonic, "vrsqrt", 6);
}

struct encoded { u8 bytes[16]; unsigned len, index; };

static bool host_has_256(const struct insn *i) { return !i->wide || host_has(i->wide); }

static bool encode(const struct isa_row *row, enum shape form, struct encoded *out)
{
	u8 *p = out->bytes, reg = 1, rm = 2, vvvv = 0, w = row->mask & KEY_W ? !!(row->match & KEY_W) : rnd() & 1;
	u8 l = row->mask & KEY_L ? !!(row->match & KEY_L) : (rnd() & 1) && host_has_256(row->insn),
	   pp = row->match >> 9 & 3, third = 3, index = 0;
	static const u8 prefix[4] = { 0, 0x66, 0xf3, 0xf2 };
	bool is_mem = form >= SHAPE_BASE, has_h = false, has_mem = false, has_rm = false, general = false,
	     high = form == SHAPE_HIGH;

	for (unsigned i = 0; i < row->operands; i++) {
		u8 kind = row->operand[i].kind;

		has_h |= kind == OPK_H;
		has_mem |= kind == OPK_E || kind == OPK_W || kind == OPK_M;
		has_rm |= kind == OPK_E || kind == OPK_W || kind == OPK_U || kind == OPK_R;
		general |= kind == OPK_E || kind == OPK_G || kind == OPK_R;
	}
	if (row->mask & KEY_MEM && !!(row->match & KEY_MEM) != is_mem)
		return false;
	if (row->operands && (is_mem ? !has_mem : !has_rm))
		return false;
	if ((!row->operands && form != SHAPE_REG) || (high && general))
		return false;
	if (form == SHAPE_SAME)
		rm = third = reg;
	if (row->mask & 0x38)
		reg = (u8)(row->match >> 3 & 7);
	if (row->insn->vsib) {
		static const u8 indices[SHAPES] = {
			[SHAPE_BASE] = 5, [SHAPE_INDEX] = 13, [SHAPE_SEG] = 4, [SHAPE_UNALIGNED] = 15, [SHAPE_EDGE] = 5
		};

		index = out->index = indices[form];
	}
	if (has_h)
		vvvv = (u8)(third + 8 * high);
	if (form == SHAPE_SEG)
		*p++ = 0x67;
	if (row->vex) {
		bool x = row->insn->vsib && index & 8, two = row->map == 1 && !w && !high && !x && rnd() & 1;

		if (two) {
			*p++ = 0xc5;
			*p++ = (u8)(0x80 | (~vvvv & 15) << 3 | l << 2 | pp);
		} else {
			*p++ = 0xc4;
			*p++ = (u8)((high ? 0x40 : 0xe0) ^ (x ? 0x40 : 0)) | row->map;
			*p++ = (u8)(w << 7 | (~vvvv & 15) << 3 | l << 2 | pp);
		}
	} else {
		if (row->mask & KEY_PP && pp)
			*p++ = prefix[pp];
		if (high || (general && w))
			*p++ = (u8)(0x40 | (general && w ? 8 : 0) | (high ? 5 : 0));
		*p++ = 0x0f;
		if (row->map > 1)
			*p++ = row->map == 2 ? 0x38 : 0x3a;
	}
	*p++ = row->opcode;
	if (row->modrm) {
		if ((row->mask & 0xff) == 0xff)
			*p++ = (u8)row->match;
		else if (row->insn->vsib)
			*p++ = (u8)(4 | reg << 3), *p++ = (u8)(rnd() << 6 | (index & 7) << 3 | RDI);
		else if (!is_mem)
			*p++ = (u8)(0xc0 | reg << 3 | rm);
		else if (form == SHAPE_INDEX)
			*p++ = (u8)(0x44 | reg << 3), *p++ = 0x6e, *p++ = 8;
		else
			*p++ = (u8)(reg << 3 | RDI);
	}
	for (unsigned i = 0; i < row->operands; i++)
		if (row->operand[i].kind == OPK_I)
			*p++ = (u8)rnd();
		else if (row->operand[i].kind == OPK_L)
			*p++ = (u8)((form == SHAPE_SAME ? 1 : 4 + 8 * high) << 4 | (rnd() & 15));
	out->len = (unsigned)(p - out->bytes);
	return true;
}

static void set_address(struct vec_state *s, const struct insn *row, enum shape form, unsigned which, u64 data)
{
	if (row->vsib) { /* elements around the middle; at the edge, some are beyond the end */
		s->r[RDI] = data + 64 + (form == SHAPE_UNALIGNED) + (form == SHAPE_EDGE ? 24 : 0);
		return;
	}
	if (!strcmp(row->mnemonic, "vmaskmovdqu"))
		s->r[RDI] = data + 7;
	if (!strcmp(row->mnemonic, "movdir64b"))
		s->r[RCX] = data + (form == SHAPE_UNALIGNED ? 0 : 64);
	if (form == SHAPE_INDEX) {
		s->r[RBP] = 4;
		s->r[RSI] = data + 32 - 16;
	} else if (form == SHAPE_EDGE) {
		s->r[RDI] = data + DATA_SIZE - 4 * which;
	} else if (form >= SHAPE_BASE) {
		s->r[RDI] = data + 32 + (form == SHAPE_UNALIGNED);
	}
}

/* Two approximations to within 1.5 * 2^-12; NaNs, infinities and zeros as they are, but that silicon may give
 * denormals. */
static bool near(const union ymm *a, const union ymm *b)
{
	for (unsigned i = 0; i < 8; i++)
		if (isnormal(a->f[i]) && isnormal(b->f[i]) ? fabsf(a->f[i] / b->f[i] - 1) > 3.0f / 4096 :
		    a->d[i] != b->d[i] && fabsf(a->f[i]) > 1.2e-38f)
			return false;
	return true;
}

static bool same(const struct insn *row, const struct vec_state *a, const struct vec_state *b)
{
	for (unsigned i = 0; i < 8; i++)
		if (i != RSP && i != RSI && i != RDI && (i != RCX || strcmp(row->mnemonic, "movdir64b")) &&
		    a->r[i] != b->r[i])
			return false;
	for (unsigned i = 0; i < 16; i++)
		if ((i & 7) == 1 && approximate(row) ? !near(&a->ymm[i], &b->ymm[i])
						     : memcmp(&a->ymm[i], &b->ymm[i], 32))
			return false;
	return a->exception == b->exception && (a->exception >= 0 || a->flags == b->flags) && a->mxcsr == b->mxcsr &&
	       !memcmp(a->data, b->data, sizeof a->data);
}

/* Indices from -8 to 7, of 8 or 4 bytes. */
static void small_indices(union ymm *v, bool wide)
{
	for (unsigned i = 0; i < 8; i++)
		v->d[i] = wide && i & 1 ? 0 - (v->d[i - 1] >> 31) : (u32)(rnd() % 16) - 8;
}

static void compare_once(const struct isa_row *r, enum shape form, bool unmasked)
{
	const struct insn *row = r->insn;
	struct vec_state before, host, guest;
	struct encoded code;
	char text[3][1024];
	unsigned which = 1 + rnd() % 7;

	if (!encode(r, form, &code))
		return;
	random_state(&before, !row->pure);
	if (!unmasked)
		before.mxcsr |= 0x1f80;
	else if (rnd() & 1) /* one alone, which may well not be raised */
		before.mxcsr = (before.mxcsr | 0x1f80) & ~(0x80u << rnd() % 6);
	if (!strcmp(row->mnemonic, "vldmxcsr"))
		put32(before.data + 32, get32(before.data + 32) & 0x1ffff); /* sometimes a bit that does not exist */
	if (row->vsib)
		small_indices(&before.ymm[code.index], strstr(row->mnemonic, "gatherq"));
	host = guest = before;
	set_address(&host, row, form, which, host_data());
	set_address(&guest, row, form, which, DATA);
	host_step(code.bytes, code.len, &host);
	guest_step(code.bytes, code.len, &guest);
	if (same(row, &host, &guest) || makers_differ(row, &host, &guest))
		return;
	show("before", &before, text[0], sizeof text[0]);
	show("host  ", &host, text[1], sizeof text[1]);
	show("guest ", &guest, text[2], sizeof text[2]);
	ck_abort_msg("%s %s, form %d, imm %02x, data %016lx%016lx\n%s\n%s\n%s", row->mnemonic, row->encoding, form,
		     code.bytes[code.len - 1], (unsigned long)get64(before.data + 40),
		     (unsigned long)get64(before.data + 32), text[0], text[1], text[2]);
}

static void each_row(unsigned times, bool unmasked)
{
	unsigned rows = 0;

	for (unsigned i = 0; i < c->isa->count; i++) {
		const struct isa_row *row = &c->isa->rows[i];

		if (!is_ours(row->insn) || !insn_in(row->insn, c->model))
			continue;
		rows++;
		for (enum shape form = 0; form < SHAPES; form++)
			for (unsigned n = 0; n < (row->insn->wide ? 2 * times : times); n++)
				if (!unmasked || !row->insn->pure)
					compare_once(row, form, unmasked);
	}
	ck_assert(rows >= 300 || !host_has(F_AVX2));
}

START_TEST(masked)
{
	if (host_works)
		each_row(100, false);
}
END_TEST

START_TEST(unmasked)
{
	if (host_works)
		each_row(150, true);
}
END_TEST

/* Fields that must have one value, prefixes that must not be there, lengths that do not exist; and what SSE does to the
 * upper half. */
START_TEST(reserved)
{
	enum { vpermq_w0 = 18 };
	static const struct { u8 bytes[10], len; } codes[] = {
		{ { 0xc5, 0xe8, 0x28, 0xca }, 4 },                   /* vmovaps, vvvv = 2 */
		{ { 0xc5, 0xf0, 0x77 }, 3 },                         /* vzeroupper, vvvv = 1 */
		{ { 0xc5, 0xe9, 0x70, 0xca, 0x1b }, 5 },             /* vpshufd, vvvv = 2 */
		{ { 0xc5, 0xe8, 0x51, 0xca }, 4 },                   /* vsqrtps, vvvv = 2 */
		{ { 0xc5, 0xea, 0x51, 0xca }, 4 },                   /* vsqrtss has one */
		{ { 0xc5, 0xe8, 0x2e, 0xca }, 4 },                   /* vucomiss, vvvv = 2 */
		{ { 0xc5, 0xea, 0x10, 0x0f }, 4 },                   /* vmovss from memory, vvvv = 2 */
		{ { 0xc4, 0xe3, 0xe9, 0xf0, 0xca, 0x01 }, 6 },       /* no such instruction */
		{ { 0x66, 0xc5, 0xf8, 0x58, 0xca }, 5 },             /* 66 before VEX */
		{ { 0xf2, 0xc5, 0xf8, 0x58, 0xca }, 5 },
		{ { 0xf3, 0xc5, 0xf8, 0x58, 0xca }, 5 },
		{ { 0xf0, 0xc5, 0xf8, 0x58, 0x0f }, 5 },             /* LOCK */
		{ { 0x48, 0xc5, 0xf8, 0x58, 0xca }, 5 },             /* REX */
		{ { 0x64, 0xc5, 0xf8, 0x58, 0xca }, 5 },             /* a segment override may be there */
		{ { 0xc5, 0xfd, 0x6e, 0xca }, 4 },                   /* vmovd, L = 1 */
		{ { 0xc5, 0xec, 0x12, 0xca }, 4 },                   /* vmovhlps, L = 1 */
		{ { 0xc4, 0xe2, 0x79, 0x19, 0xca }, 5 },             /* vbroadcastsd, L = 0 */
		{ { 0xc4, 0xe2, 0xfd, 0x18, 0xca }, 5 },             /* vbroadcastss, W = 1 */
		[vpermq_w0] = { { 0xc4, 0xe3, 0x7d, 0x00, 0xca, 0x1b }, 6 }, /* vpermq, W = 0 */
		{ { 0xc4, 0xe3, 0xf9, 0x00, 0xca, 0x1b }, 6 },       /* vpermq, L = 0 */
		{ { 0xc4, 0xe3, 0x69, 0x18, 0xca, 0x01 }, 6 },       /* vinsertf128, L = 0 */
		{ { 0xc4, 0xe3, 0xed, 0x4a, 0xca, 0x30 }, 6 },       /* vblendvps, W = 1 */
		{ { 0xc4, 0xe3, 0x6d, 0x41, 0xca, 0x31 }, 6 },       /* vdppd, L = 1 */
		{ { 0xc4, 0xe2, 0x71, 0x90, 0x0c, 0x2f }, 6 },       /* vpgatherdd, mask = destination */
		{ { 0xc4, 0xe2, 0x61, 0x90, 0x0c, 0x0f }, 6 },       /* index = destination */
		{ { 0xc4, 0xe2, 0x61, 0x90, 0x0c, 0x1f }, 6 },       /* index = mask */
		{ { 0xc4, 0xe2, 0x61, 0x90, 0x0f }, 5 },             /* no SIB */
		{ { 0xc4, 0xe0, 0x78, 0x58, 0xca }, 5 },             /* map 0 */
		{ { 0x0f, 0x28, 0xca }, 3 },                         /* SSE leaves bits 255:128 alone */
		{ { 0x0f, 0x58, 0xca }, 3 },
		{ { 0x66, 0x0f, 0xef, 0xca }, 4 },
		{ { 0xf2, 0x0f, 0x10, 0xca }, 4 },
		{ { 0xf3, 0x0f, 0x7e, 0xca }, 4 },
		{ { 0x66, 0x0f, 0x3a, 0x62, 0xca, 0x40 }, 6 },       /* pcmpistrm, and with VEX */
		{ { 0xc4, 0xe3, 0x79, 0x62, 0xca, 0x40 }, 6 },
	};

	if (!host_works || !host_has(F_AVX2))
		return;
	for (unsigned i = 0; i < ARRAY_LEN(codes); i++)
		for (unsigned n = 0; n < 20 && !(i == vpermq_w0 && !host_same_maker(c->model) /* DIFF_VEX_W */); n++) {
			struct vec_state host, guest;

			random_state(&host, false);
			guest = host;
			host.r[RDI] = (u64)(uintptr_t)page + PAGE_SIZE;
			guest.r[RDI] = RAM_SIZE - PAGE_SIZE;
			host_step(codes[i].bytes, codes[i].len, &host);
			guest_step(codes[i].bytes, codes[i].len, &guest);
			ck_assert_msg(host.exception == guest.exception &&
					      !memcmp(host.ymm, guest.ymm, sizeof host.ymm),
				      "%u: exception %d, here %d", i, guest.exception, host.exception);
		}
}
END_TEST

#endif

int main(void)
{
	Suite *suite = suite_create("avx");
	TCase *t = tcase_create("avx");

	tcase_set_timeout(t, 120);
#if defined __x86_64__ && defined __linux__
	tcase_add_checked_fixture(t, make_guest, bare_free);
	tcase_add_checked_fixture(t, make_host, NULL);
	tcase_add_test(t, masked);
	tcase_add_test(t, unmasked);
	tcase_add_test(t, reserved);
#endif
	suite_add_tcase(suite, t);
	return bare_run(suite);
}
