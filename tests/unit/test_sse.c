/* SPDX-License-Identifier: MIT */
/* SSE instructions against the silicon of the host: each row of the table is encoded, the same bytes run here and in
 * the guest, from the same registers, and everything must come out the same: registers, MXCSR, memory, and which
 * exception there was.
 *
 * Without an x86-64 host there is nothing to compare with; extensions that the host lacks are left out. RCPxS and
 * RSQRTxS are compared with their definition instead: |relative error| <= 1.5 * 2^-12. */
#define _GNU_SOURCE
#include <math.h>
#include "tests/unit/silicon.h"

#if defined __x86_64__ && defined __linux__

/* ---- rows ---- */

struct encoded { u8 bytes[16]; unsigned len; bool mem, imm; u32 address_reg; };

/* Rows of insn_sse.def that compute: on XMM registers, and CRC32, MOVNTI. */
static bool is_ours(const struct insn *i)
{
	if (i->check != CHK_SSE && strcmp(i->mnemonic, "crc32") && strcmp(i->mnemonic, "movnti"))
		return false;
	if (strpbrk(i->operands, "PQN"))
		return false;
	return host_has(i->since);
}

static bool approximate(const struct insn *i)
{
	return !strncmp(i->mnemonic, "rcp", 3) || !strncmp(i->mnemonic, "rsqrt", 5);
}

/* The bytes of ROW in FORM: XMM1 (or 9) or RCX in reg; XMM2 (or 10) or RDX in rm, or [RDI], [RSI + RBP * 2 + 8], [EDI].
 * False: there is no such form. */
static bool encode(const struct insn *row, enum shape form, u8 imm, struct encoded *out)
{
	char text[64], *word, *save = NULL;
	u8 opcode[4], prefix = 0, *p = out->bytes;
	bool w = false, o16 = false, has_reg = true, has_mem = strpbrk(row->operands, "EWM");
	bool high = form == SHAPE_HIGH;
	unsigned n = 0, digit = 8;

	if (strpbrk(row->operands, "MR"))
		has_reg = false;
	if (strstr(row->encoding, " reg"))
		has_reg = true, has_mem = false;
	else if (strstr(row->encoding, " mem"))
		has_reg = false;
	if (strchr(row->operands, 'U'))
		has_mem = false;
	out->mem = form >= SHAPE_BASE;
	if (out->mem ? !has_mem : !has_reg)
		return false;
	snprintf(text, sizeof text, "%s", row->encoding);
	for (word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (!strcmp(word, "NP") || !strcmp(word, "mem") || !strcmp(word, "reg") || !strcmp(word, "REX.W0"))
			continue;
		if (!strcmp(word, "REX.W1"))
			w = true;
		else if (word[0] == '/')
			digit = word[1] == 'r' ? 8 : (unsigned)(word[1] - '0');
		else if (!n && !prefix && (!strcmp(word, "66") || !strcmp(word, "F3") || !strcmp(word, "F2")))
			prefix = (u8)strtoul(word, NULL, 16);
		else
			opcode[n++] = (u8)strtoul(word, NULL, 16);
	}
	if (strpbrk(row->operands, "y") || !strncmp(row->mnemonic, "pcmpe", 5))
		w = rnd() & 1;
	if (strstr(row->operands, "Ev")) {
		w = rnd() & 1;
		o16 = !w && rnd() & 1;
	}
	if (form == SHAPE_SEG)
		*p++ = 0x67;
	if (o16)
		*p++ = 0x66;
	if (prefix)
		*p++ = prefix;
	/* XMM9 and XMM10 only where both are XMM. */
	if (high && (strpbrk(row->operands, "EGRMB") || !strpbrk(row->operands, "VU")))
		return false;
	if (w || high)
		*p++ = (u8)(0x40 | w << 3 | (high ? (digit == 8 ? 5 : 1) : 0));
	for (unsigned i = 0; i < n; i++)
		*p++ = opcode[i];
	if (digit == 8)
		digit = 1;
	switch (form) {
	case SHAPE_REG:
	case SHAPE_HIGH: *p++ = (u8)(0xc0 | digit << 3 | 2); break;
	case SHAPE_SAME: *p++ = (u8)(0xc0 | digit << 3 | 1); break;
	case SHAPE_INDEX: *p++ = (u8)(0x44 | digit << 3), *p++ = 0x6e, *p++ = 8; break;
	default: *p++ = (u8)(digit << 3 | 7); break;
	}
	out->imm = strstr(row->operands, "Ib");
	if (out->imm)
		*p++ = imm;
	if (strstr(row->operands, "Ib,Ib")) /* EXTRQ, INSERTQ: a field's length and index; beyond bit 63 AMD leaves the result open */
		*p++ = (u8)(imm & 63 ? (rnd() % (65 - (imm & 63))) | (rnd() & 0xc0) : 0);
	out->len = (unsigned)(p - out->bytes);
	return true;
}

static void set_address(struct vec_state *s, const struct insn *row, enum shape form, unsigned which, u64 data)
{
	if (!strcmp(row->mnemonic, "maskmovdqu"))
		s->r[RDI] = data + 7;
	if (form == SHAPE_INDEX) {
		s->r[RBP] = 4;
		s->r[RSI] = data + 16 - 16;
	} else if (form == SHAPE_EDGE) {
		s->r[RDI] = data + DATA_SIZE - 4 * which;
	} else if (form >= SHAPE_BASE) {
		s->r[RDI] = data + 16 + (form == SHAPE_UNALIGNED);
	}
}

static bool same(const struct vec_state *a, const struct vec_state *b)
{
	for (unsigned i = 0; i < 8; i++)
		if (i != RSP && i != RSI && i != RDI && a->r[i] != b->r[i])
			return false;
	return a->exception == b->exception && (a->exception >= 0 || a->flags == b->flags) && a->mxcsr == b->mxcsr &&
	       !memcmp(a->ymm, b->ymm, sizeof a->ymm) && !memcmp(a->data, b->data, sizeof a->data);
}

static void compare_once(const struct insn *row, enum shape form, bool unmasked)
{
	struct vec_state before, host, guest;
	struct encoded code;
	char text[3][1024];
	bool fp = !row->pure;
	unsigned which = 1 + rnd() % 7;

	if (!encode(row, form, (u8)rnd(), &code))
		return;
	random_state(&before, fp);
	if (!unmasked)
		before.mxcsr |= 0x1f80;
	if (!strcmp(row->mnemonic, "ldmxcsr"))
		put32(before.data + 16, get32(before.data + 16) & 0x1ffff); /* sometimes a bit that does not exist */
	host = guest = before;
	set_address(&host, row, form, which, host_data());
	set_address(&guest, row, form, which, DATA);
	host_step(code.bytes, code.len, &host);
	guest_step(code.bytes, code.len, &guest);
	if (same(&host, &guest) || makers_differ(row, &host, &guest))
		return;
	show("before", &before, text[0], sizeof text[0]);
	show("host  ", &host, text[1], sizeof text[1]);
	show("guest ", &guest, text[2], sizeof text[2]);
	ck_abort_msg("%s %s, form %d, imm %02x, data %016lx%016lx\n%s\n%s\n%s", row->mnemonic, row->encoding, form,
		     code.bytes[code.len - 1], (unsigned long)get64(before.data + 24),
		     (unsigned long)get64(before.data + 16), text[0], text[1], text[2]);
}

static void each_row(unsigned times, bool unmasked)
{
	unsigned rows = 0;

	for (unsigned i = 0; host_works && i < insn_count; i++) {
		const struct insn *row = &insn_table[i];

		if (!is_ours(row) || approximate(row))
			continue;
		rows++;
		for (enum shape form = 0; form < SHAPES; form++)
			for (unsigned n = 0; n < times; n++)
				compare_once(row, form, unmasked && !row->pure);
	}
	ck_assert(!host_works || rows >= 100);
}

START_TEST(masked)
{
	each_row(150, false);
}
END_TEST

START_TEST(unmasked)
{
	each_row(150, true);
}
END_TEST

/* ---- saving and restoring ---- */

enum { IMAGES = 0x4000, IMAGE = 1024 }; /* in the guest: one to restore, one saved to */

/* RESTORE [RDI], SAVE [RSI], with EDX:EAX = all that both have, on the same images. */
static void compare_images(const u8 *code, unsigned len, const u8 *image, bool extended)
{
	struct vec_state host = { .mxcsr = 0x1f80 }, guest;
	static u8 saved[2][IMAGE];
	u8 *at = page + PAGE_SIZE;

	host.r[RAX] = 7;
	guest = host;
	host.r[RDI] = (u64)(uintptr_t)at;
	host.r[RSI] = host.r[RDI] + IMAGE;
	guest.r[RDI] = IMAGES;
	guest.r[RSI] = IMAGES + IMAGE;
	for (unsigned i = 0; i < IMAGE; i++)
		at[IMAGE + i] = extended && i >= 512 && i < 576 ? 0 : 0xa5; /* XSAVE keeps the header's other bits */
	space_write_block(&mem, IMAGES, image, IMAGE);
	space_write_block(&mem, IMAGES + IMAGE, at + IMAGE, IMAGE);
	memcpy(at, image, IMAGE);
	host_step(code, len, &host);
	memcpy(saved[0], at + IMAGE, IMAGE);

	space_write_block(&mem, CODE, code, len);
	memcpy(c->r, guest.r, sizeof guest.r);
	c->r[RIP] = CODE;
	c->mxcsr = 0x1f80;
	guest.exception = cpu_run(c, c->icount + 2, ~(u64)0) == CPU_EXCEPTION ? c->fault.vector : -1;
	space_read_block(&mem, IMAGES + IMAGE, saved[1], IMAGE);
	ck_assert_int_eq(guest.exception, host.exception);
	if (extended) { /* silicon may call a component used that is not; and the other way round never */
		u64 host_bv = get64(saved[0] + 512), guest_bv = get64(saved[1] + 512);

		ck_assert_msg(!(guest_bv & ~host_bv), "XSTATE_BV %lx, here %lx", (unsigned long)guest_bv,
			      (unsigned long)host_bv);
		memcpy(saved[0] + 512, saved[1] + 512, 8);
	}
	for (unsigned i = 0; i < IMAGE; i++)
		ck_assert_msg(saved[0][i] == saved[1][i] || makers_image(c->model, i), "byte %u: %02x, here %02x", i,
			      saved[1][i], saved[0][i]);
}

static void random_image(u8 *image)
{
	for (unsigned i = 0; i < IMAGE; i += 8)
		put64(image + i, rnd() % 8 ? rnd() : 0);
	put16(image, (u16)((rnd() & 0xf3f) | 0x40));
	put16(image + 6, (u16)(rnd() & 0x7ff));
	if (rnd() % 8)
		put32(image + 24, (u32)rnd() & 0xffff);
	/* FIP and FDP: canonical addresses; FCS and FDS are always 0 on newer silicon. */
	put64(image + 8, rnd() & 0x7fffffff);
	put64(image + 16, rnd() & 0x7fffffff);
}

START_TEST(fxsave)
{
	static const u8 code32[] = { 0x0f, 0xae, 0x0f, 0x0f, 0xae, 0x06 },
			code64[] = { 0x48, 0x0f, 0xae, 0x0f, 0x48, 0x0f, 0xae, 0x06 };
	static u8 image[IMAGE];

	for (unsigned n = 0; host_works && n < 500; n++) {
		random_image(image);
		compare_images(code32, sizeof code32, image, false);
		compare_images(code64, sizeof code64, image, false);
	}
}
END_TEST

START_TEST(xsave)
{
	static const u8 code32[] = { 0x0f, 0xae, 0x2f, 0x0f, 0xae, 0x26 },
			code64[] = { 0x48, 0x0f, 0xae, 0x2f, 0x48, 0x0f, 0xae, 0x26 };
	static u8 image[IMAGE];

	if (!host_works)
		return;
	for (unsigned n = 0; n < 500; n++) {
		random_image(image);
		memset(image + 512, 0, 64);
		image[512] = rnd() & 7;
		if (rnd() % 16 == 0)
			image[512 + rnd() % 24] |= 0x10; /* a bit that is reserved everywhere */
		if (rnd() % 4 == 0)
			memset(image + 160, 0, 256);
		compare_images(code32, sizeof code32, image, true);
		compare_images(code64, sizeof code64, image, true);
	}
}
END_TEST

#endif

/* SDM vol. 2, table 2-18 and following: which exception there is where SSE is not available. */
START_TEST(unavailable)
{
	static const struct { u64 cr0, cr4; int exception; } cases[] = {
		{ CR0_TS, CR4_OSFXSR | CR4_OSXMMEXCPT, VEC_NM }, { CR0_EM, CR4_OSFXSR | CR4_OSXMMEXCPT, VEC_UD },
			{ 0, CR4_OSXMMEXCPT, VEC_UD },
		{ CR0_TS | CR0_EM, CR4_OSFXSR, VEC_UD }, { 0, CR4_OSFXSR | CR4_OSXMMEXCPT, VEC_XM },
			{ 0, CR4_OSFXSR, VEC_UD },
	};
	static const u8 divss[] = { 0xf3, 0x0f, 0x5e, 0xca };
	u64 cr0 = c->cr0, cr4 = c->cr4;

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct vec_state s = { .mxcsr = 0x1d80 }; /* 1 / 0 with ZM clear */
		bool reaches = cases[i].cr0 == 0 && cases[i].cr4 & CR4_OSFXSR;

		c->cr0 = cr0 | cases[i].cr0;
		c->cr4 = (cr4 & ~(u64)(CR4_OSFXSR | CR4_OSXMMEXCPT)) | cases[i].cr4;
		update_mode(c);
		s.ymm[1].f[0] = 1;
		guest_step(divss, sizeof divss, &s);
		ck_assert_int_eq(s.exception, cases[i].exception);
		ck_assert_uint_eq(s.mxcsr, reaches ? 0x1d84 : 0x1d80);
		ck_assert(s.ymm[1].f[0] == 1);
	}
	c->cr0 = cr0;
	c->cr4 = cr4;
	update_mode(c);
}
END_TEST

/* Flags that nobody reads need not be computed; but an instruction that is not available is somebody. */
START_TEST(unavailable_in_a_block)
{
	static const u8 code[] = { 0x01, 0xc0, /* add eax, eax */ 0x66, 0x0f, 0xef, 0xca, /* pxor xmm1, xmm2 */ 0x29,
		0xc9, /* sub ecx, ecx */
	                           0xeb, 0xfe };

	space_write_block(&mem, CODE, code, sizeof code);
	memset(c->r, 0, sizeof c->r);
	c->r[RIP] = CODE;
	c->r[RAX] = 0xffffffff;
	cpu_set_arith(c, 0);
	c->cr0 |= CR0_TS;
	update_mode(c);
	ck_assert_int_eq(cpu_run(c, c->icount + 100, ~(u64)0), CPU_EXCEPTION);
	ck_assert_int_eq(c->fault.vector, VEC_NM);
	ck_assert_uint_eq(c->r[RIP], CODE + 2);
	ck_assert_uint_eq(cpu_flags(c) & OSZAPC, FL_C | FL_S | FL_A);
	c->cr0 &= ~(u64)CR0_TS;
	update_mode(c);
}
END_TEST

static double relative(double got, double want)
{
	return fabs(got / want - 1);
}

/* SDM vol. 1, 10.4.1.2: the maximum relative error. */
START_TEST(approximations)
{
	static const struct {
		u8 code[4];
		bool root;
	} insn[] = { { { 0xf3, 0x0f, 0x53, 0xca }, false }, { { 0xf3, 0x0f, 0x52, 0xca }, true } };

	for (unsigned i = 0; i < ARRAY_LEN(insn); i++)
		for (u32 n = 0; n < 65536; n++) {
			struct vec_state s = { .mxcsr = 0x1f80 };
			u32 x = 0x3f800000 + n * 256 + (n & 255);
			float f;
			double want;

			s.ymm[2].d[0] = x;
			guest_step(insn[i].code, 4, &s);
			memcpy(&f, &x, sizeof f);
			want = insn[i].root ? 1 / sqrt(f) : 1 / (double)f;
			ck_assert_int_eq(s.exception, -1);
			ck_assert_uint_eq(s.mxcsr, 0x1f80);
			ck_assert_msg(relative((double)s.ymm[1].f[0], want) <= 1.5 / 4096, "%08x -> %08x", x,
				      s.ymm[1].d[0]);
		}
}
END_TEST

/* SDM vol. 2, RCPPS and RSQRTPS: special values; and the answers are ours on every host. */
START_TEST(approximations_special)
{
	static const struct { bool root; u32 x, want; } cases[] = {
		{ false, 0, 0x7f800000 }, { false, 0x80000000, 0xff800000 }, { false, 0x807fffff, 0xff800000 },
			{ false, 0x7f800000, 0 },
		{ false, 0xff800000, 0x80000000 }, { false, 0x7f800001, 0x7fc00001 }, { false, 0xffc00003, 0xffc00003 },
			{ false, 0x7f7fffff, 0 },
		{ false, 0x3f800000, 0x3f7ff000 }, { true, 0, 0x7f800000 }, { true, 0x80000001, 0xff800000 },
			{ true, 0x7f800000, 0 },
		{ true, 0xbf800000, 0xffc00000 }, { true, 0xff800000, 0xffc00000 }, { true, 0x7f800001, 0x7fc00001 },
			{ true, 0x3f800000, 0x3f7ff800 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
		struct vec_state s = { .mxcsr = 0x1f80 };
		u8 code[4] = { 0xf3, 0x0f, cases[i].root ? 0x52 : 0x53, 0xca };

		s.ymm[2].d[0] = cases[i].x;
		guest_step(code, 4, &s);
		ck_assert_msg(s.ymm[1].d[0] == cases[i].want && s.mxcsr == 0x1f80, "%d %08x -> %08x, not %08x",
			cases[i].root, cases[i].x,
			      s.ymm[1].d[0], cases[i].want);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sse");
	TCase *t = tcase_create("sse");

	tcase_add_checked_fixture(t, make_guest, bare_free);
	tcase_set_timeout(t, 120);
#if defined __x86_64__ && defined __linux__
	tcase_add_checked_fixture(t, make_host, NULL);
	tcase_add_test(t, masked);
	tcase_add_test(t, unmasked);
	tcase_add_test(t, fxsave);
	tcase_add_test(t, xsave);
#endif
	tcase_add_test(t, unavailable);
	tcase_add_test(t, unavailable_in_a_block);
	tcase_add_test(t, approximations);
	tcase_add_test(t, approximations_special);
	suite_add_tcase(suite, t);
	return bare_run(suite);
}
