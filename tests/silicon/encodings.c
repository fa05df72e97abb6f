/* SPDX-License-Identifier: MIT */
/* Every encoding there can be, as far as it decides what is an instruction: opcodes of all maps with every kind of
 * ModRM, prefix, REX.W, LOCK and VEX field, in 64- and 32-bit code, and lengths around 15 bytes. Both must agree about
 * what is #UD (SDM vol. 2, 2.3 and appendix A), and about what is too long. */
#include <string.h>
#include "tests/silicon/trial.h"

enum { MODRM = 72, LEGACY = MODRM * 256 * 4 * 5 * 2, VEX_MODRM = 16, VEX = VEX_MODRM * 256 * 32 * 4 * 8,
	LONG = 4 * 5 * 20, EVEX_MODRM = 16, EVEX = EVEX_MODRM * 256 * 16 * 4 * 2 * 4 * 2 * 4 * 3,
	ALL = LEGACY + VEX + LONG };

/* EVEX is last. */
u64 encodings_count(void) { return 2 * ((u64)ALL + (host_avx512() ? EVEX : 0)); }

/* Opcodes of extensions that libvcpu has not, and the host may have. */
enum { VEX_MAP = 0x80 };
static const struct { u8 map, first, last; } beyond[] = {
	{ 0, 0xc6, 0xc7 },                                                                 /* TSX */
	/* VMX (a hypervisor answers), TDX, SGX, TSX, CET */
	{ 1, 0x01, 0x01 },
	/* PTWRITE, WAITPKG, CET, user interrupts */
	{ 1, 0xae, 0xae }, { 1, 0xc7, 0xc7 },
	/* Key Locker, CET, ENQCMD, RAO-INT, HRESET */
	{ 2, 0xd8, 0xdf }, { 2, 0xf5, 0xfc }, { 3, 0xf0, 0xf0 },
	/* AVX-512's mask registers */
	{ VEX_MAP | 1, 0x41, 0x4b }, { VEX_MAP | 1, 0x90, 0x99 }, { VEX_MAP | 3, 0x30, 0x33 },
	{ VEX_MAP | 2, 0x49, 0x4b }, { VEX_MAP | 2, 0x5c, 0x5e },                          /* AMX */
	/* AVX-VNNI, AVX-IFMA, AVX-NE-CONVERT */
	{ VEX_MAP | 2, 0x50, 0x53 }, { VEX_MAP | 2, 0xd2, 0xd3 }, { VEX_MAP | 2, 0xb0, 0xb5 },
	/* SHA512, SM3, SM4, CMPccXADD */
	{ VEX_MAP | 2, 0xcb, 0xda }, { VEX_MAP | 2, 0xe0, 0xef },
};

static bool is_beyond(unsigned map, unsigned opcode)
{
	for (unsigned i = 0; i < ARRAY_LEN(beyond); i++)
		if (beyond[i].map == map && opcode >= beyond[i].first && opcode <= beyond[i].last)
			return true;
	return false;
}

/* The next digit of *N in BASE. */
static unsigned digit(u64 *n, unsigned base)
{
	unsigned d = (unsigned)(*n % base);

	*n /= base;
	return d;
}

/* Memory is [EBX] or [RBX], with a SIB byte, which VSIB takes as well. */
static u8 *put_modrm(u8 *p, unsigned reg_or_modrm)
{
	*p++ = (u8)(reg_or_modrm < 8 ? reg_or_modrm << 3 | 4 : 0xc0 + reg_or_modrm - 8);
	if (reg_or_modrm < 8)
		*p++ = 0x23;
	return p;
}

static u8 *put_legacy(u8 *p, u64 n, unsigned bits, bool *other)
{
	static const u8 prefixes[] = { 0, 0x66, 0xf3, 0xf2, 0xf0 };
	static const char not_opcodes[] = "\x0f\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3";
	unsigned modrm = digit(&n, MODRM), opcode = digit(&n, 256), map = digit(&n, 4),
		 prefix = digit(&n, ARRAY_LEN(prefixes)), w = digit(&n, 2);

	if (map == 0 && (memchr(not_opcodes, (int)opcode, sizeof not_opcodes - 1) || (bits == 64 && opcode >> 4 == 4)))
		return NULL;
	/* VEX and EVEX; an instruction of 32-bit mode only with memory */
	if (map == 0 && (opcode == 0xc4 || opcode == 0xc5 || opcode == 0x62) && (bits == 64 || modrm >= 8))
		return NULL;
	if (map == 1 && (opcode == 0x38 || opcode == 0x3a || opcode == 0x34)) /* SYSENTER is the kernel's affair */
		return NULL;
	if (w && bits != 64)
		return NULL;
	*other = is_beyond(map, opcode);
	if (prefix)
		*p++ = prefixes[prefix];
	if (w)
		*p++ = 0x48;
	if (map)
		*p++ = 0x0f;
	if (map > 1)
		*p++ = map == 2 ? 0x38 : 0x3a;
	*p++ = (u8)opcode;
	return put_modrm(p, modrm);
}

static u8 *put_vex(u8 *p, u64 n, bool *other)
{
	unsigned modrm = digit(&n, VEX_MODRM), opcode = digit(&n, 256), map = digit(&n, 32), pp = digit(&n, 4),
		 l = digit(&n, 2), w = digit(&n, 2), v = digit(&n, 2);

	if ((map < 1 || map > 3) && (modrm || l || w || v)) /* nothing is there at all */
		return NULL;
	*other = is_beyond(VEX_MAP | map, opcode);
	*p++ = 0xc4;
	*p++ = (u8)(0xe0 | map);
	*p++ = (u8)(w << 7 | (v ? 10 : 15) << 3 | l << 2 | pp);
	*p++ = (u8)opcode;
	return put_modrm(p, modrm < 8 ? modrm : 8 + (modrm & 7) * 8 + 1);
}

/* Without L'L = 3, which is for rounding, W, L'L and EVEX.b are all there; masks are none, K1, K1 with zeroing, zeroing
 * alone. FIELDS: as they should be; EVEX.vvvv in use; a reserved bit of the prefix. */
static u8 *put_evex(u8 *p, u64 n)
{
	unsigned modrm = digit(&n, EVEX_MODRM), opcode = digit(&n, 256), map = digit(&n, 16), pp = digit(&n, 4),
		 w = digit(&n, 2), l = digit(&n, 4), b = digit(&n, 2), mask = digit(&n, 4), fields = digit(&n, 3);
	bool group = (map == 1 && opcode >= 0x71 && opcode <= 0x73) || (map == 2 && opcode >= 0xc6 && opcode <= 0xc7);

	/* ModRM.reg tells instructions apart only there. */
	if (modrm & 7 && !(group && mask == 1))
		return NULL;
	/* Where nothing is at all; APX's map is not the host's. */
	if ((map < 1 || map == 4 || map > 6) && (modrm || l || w || b || mask || fields || pp))
		return NULL;
	*p++ = 0x62;
	*p++ = (u8)(0xf0 | map);
	*p++ = (u8)(w << 7 | (fields == 1 ? 10 : 15) << 3 | (fields == 2 ? 0 : 4) | pp);
	*p++ = (u8)((mask >= 2 ? 0x80 : 0) | l << 5 | b << 4 | 8 | (mask == 1 || mask == 2));
	*p++ = (u8)opcode;
	return put_modrm(p, modrm < 8 ? modrm : 8 + (modrm & 7) * 8 + 1);
}

/* NOP, ADD [EBX], EAX, SHLD ESI, EDX, 3 and CRC32 EAX, EDX with up to 19 prefixes. */
static u8 *put_long(u8 *p, u64 n)
{
	static const u8 prefixes[] = { 0x66, 0x67, 0x2e, 0x64, 0xf2 };
	static const struct { u8 len, bytes[5]; } all[4] = {
		{ 1, { 0x90 } }, { 2, { 0x01, 0x03 } }, { 4, { 0x0f, 0xa4, 0xd6, 3 } },
			{ 5, { 0xf2, 0x0f, 0x38, 0xf1, 0xc2 } },
	};
	unsigned which = digit(&n, 4), prefix = digit(&n, ARRAY_LEN(prefixes)), count = digit(&n, 20);

	memset(p, prefixes[prefix], count);
	memcpy(p + count, all[which].bytes, all[which].len);
	return p + count + all[which].len;
}

void make_encoding(struct trial *t, u64 n)
{
	unsigned at = CODE + 0x400;
	struct state *s = &t->in;
	u8 *p = t->poke[0].bytes, *end;
	struct dec d;
	struct op o;

	t->bits = digit(&n, 2) ? 32 : 64;
	t->through = false;
	t->definedness = true;
	t->beyond = false;
	t->pokes = 1;
	t->count = 0;
	end = n < LEGACY         ? put_legacy(p, n, t->bits, &t->beyond)
	      : n < LEGACY + VEX ? put_vex(p, n - LEGACY, &t->beyond)
	      : n < ALL          ? put_long(p, n - LEGACY - VEX)
				 : put_evex(p, n - ALL);
	if (!end)
		return;
	memset(end, 0, 15);
	t->count = 1;
	t->start[0] = t->row[0] = 0;
	t->poke[0].at = (u16)at;
	t->poke[0].len = (u16)(end - p + 15);
	if (guest_decode(t->bits, p, 15, &d, &o) == DECODE_OK) {
		t->row[0] = (u16)(d.row->insn - insn_table);
		t->poke[0].len = d.len;
	}
	p[t->poke[0].len++] = 0xcc;
	memset(s, 0, sizeof *s);
	for (unsigned i = 0; i < (t->bits == 64 ? 16 : 8); i++)
		s->r[i] = WINDOW + DATA + 0x800;
	s->r[RSP] = WINDOW + STACK + 0x800;
	s->r[RCX] = 1;
	s->rip = WINDOW + at;
	s->flags = FL_1 | FL_I;
	s->seg[CS] = t->bits == 64 ? USER_CS : USER_CS32;
	for (unsigned i = ES; i <= GS; i++)
		if (i != CS && (t->bits == 32 || i == SS))
			s->seg[i] = USER_DS;
	s->f.cw = 0x37f;
	s->f.mxcsr = 0x1f80;
}
