/* SPDX-License-Identifier: MIT */
/* Decimal adjustments: DAA DAS AAA AAS AAM AAD (SDM vol. 2 of each). Flags that the manual leaves undefined come from
 * AL, as on Intel's processors; on an 8086 from the addition or subtraction of the adjustment. */
#include "cpu/insn/shift.h"

/* SF ZF PF from V, AF and CF as given, OF 0. */
static void set_decimal(struct cpu *c, u8 v, bool af, bool cf)
{
	c->res = extend(v, 1);
	c->cv = cf ? (u64)3 << 62 : 0;
	c->fix = af ? FL_A : 0;
}

static bool is_8086(const struct cpu *c) { return !has(c->model, F_I186); }

/* AL and ADJUST have given V. */
static void adjusted_8086(struct cpu *c, u8 al, u8 adjust, u8 v, bool subtract, bool af, bool cf)
{
	bool of = bit(subtract ? (al ^ adjust) & (al ^ v) : (al ^ v) & (adjust ^ v), 7);

	set_decimal(c, v, af, cf);
	c->cv = carry_bits(cf, cf ^ of);
}

static bool packed(struct cpu *c, const struct op *o __attribute__((unused)), bool subtract)
{
	u8 al = REG8(8 * RAX), adjust = 0;
	bool af = (al & 15) > 9 || flag_a(c), cf = al > (is_8086(c) && flag_a(c) ? 0x9f : 0x99) || flag_c(c);
	u8 v;

	if (af)
		adjust = 6;
	if (cf)
		adjust += 0x60;
	/* DAS borrows, too, when the low digit's 6 goes below 0. DAA's carry out of the low digit's 6 means AL was
	 * above 99h. */
	if (subtract && af && al < 6 && !is_8086(c))
		cf = true;
	v = subtract ? al - adjust : al + adjust;
	reg_set(c, 8 * RAX, 1, v);
	if (is_8086(c))
		adjusted_8086(c, al, adjust, v, subtract, af, cf);
	else
		set_decimal(c, v, af, cf);
	return true;
}

static bool unpacked(struct cpu *c, const struct op *o __attribute__((unused)), bool subtract)
{
	u8 al = REG8(8 * RAX), v;
	bool adjust = (al & 15) > 9 || flag_a(c);

	v = adjust ? subtract ? al - 6 : al + 6 : al;

	if (adjust) {
		if (!has(c->model, F_I286)) { /* 8086, 186: AL and AH apart; later ones let AL's carry into AH */
			reg_set(c, 8 * RAX, 1, v);
			reg_set(c, 8 * RAX + 1, 1, (u64)REG8(8 * RAX + 1) + (subtract ? 0xff : 1));
		} else {
			reg_set(c, 8 * RAX, 2, (u64)REG16(8 * RAX) + (subtract ? (u16)-0x106 : 0x106));
		}
	}
	reg_set(c, 8 * RAX, 1, REG8(8 * RAX) & 15);
	if (is_8086(c))
		adjusted_8086(c, al, adjust ? 6 : 0, v, subtract, adjust, adjust);
	else
		set_decimal(c, REG8(8 * RAX), adjust, adjust);
	return true;
}

BODY(daa) { return packed(c, o, false); }
BODY(das) { return packed(c, o, true); }
BODY(aaa) { return unpacked(c, o, false); }
BODY(aas) { return unpacked(c, o, true); }

BODY(aam)
{
	u8 al = REG8(8 * RAX), base = (u8)o->imm;

	if (!base) {
		if (is_8086(c)) /* its division begins with 0 - 0 */
			set_decimal(c, 0, false, false);
		return fault(c, VEC_DE);
	}
	reg_set(c, 8 * RAX + 1, 1, al / base);
	reg_set(c, 8 * RAX, 1, al % base);
	set_decimal(c, al % base, false, false);
	return true;
}

BODY(aad)
{
	u8 al = REG8(8 * RAX), tens = (u8)(REG8(8 * RAX + 1) * (u8)o->imm), v = al + tens;

	reg_set(c, 8 * RAX, 2, v);
	if (is_8086(c))
		set_flags_sum(c, al, tens, (u64)al + tens, 1, false);
	else
		set_decimal(c, v, false, false);
	return true;
}

GEN_BODY(daa)
GEN_BODY(das)
GEN_BODY(aaa)
GEN_BODY(aas)
GEN_BODY(aam)
GEN_BODY(aad)
