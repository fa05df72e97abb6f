/* SPDX-License-Identifier: MIT */
/* x87 control: control and status word, environment, state (SDM vol. 1, 8.1.10; vol. 2, FSTENV and FSAVE). */
#include "cpu/insn/x87/x87_insn.h"

void x87_init(struct cpu *c)
{
	c->x87.cw = 0x37f;
	c->x87.sw = 0;
	c->x87.top = c->x87.valid = 0;
	c->x87.op = c->x87.cs = c->x87.ds = 0;
	c->x87.ip = c->x87.dp = 0;
}

void x87_reset(struct cpu *c)
{
	x87_init(c);
	c->x87.cw = 0x40;
	c->x87.valid = 0xff; /* tag word 5555h: all are zero */
	memset(c->x87.st, 0, sizeof c->x87.st);
}

/* ---- control and status word ---- */

BODY(fldcw)
{
	u64 v;

	if (!x87_wait(c) || !op_load(c, o, 2, &v))
		return false;
	x87_set_control(c, (u16)v);
	return true;
}
X87_BODY(fldcw)

BODY(fnstcw) { return op_store(c, o, 2, c->x87.cw); }
X87_BODY(fnstcw)

BODY(fnstsw)
{
	if (o->mem)
		return op_store(c, o, 2, x87_status(c));
	reg_set(c, 8 * RAX, 2, x87_status(c));
	return true;
}
X87_BODY(fnstsw)

BODY(fnclex)
{
	(void)o;
	c->x87.sw &= X87_CC | X87_ES;
	x87_update(c); /* takes ES away, and FERR# with it */
	return true;
}
X87_BODY(fnclex)

BODY(fninit)
{
	(void)o;
	c->x87.sw &= ~X87_EXCEPTIONS;
	x87_update(c);
	x87_init(c);
	return true;
}
X87_BODY(fninit)

BODY(fwait)
{
	(void)o;
	return x87_wait(c);
}
X87_BODY(fwait)

/* FNENI, FNDISI (8087), FNSETPM (287): they mean nothing since the 387. */
BODY(fnold)
{
	(void)c;
	(void)o;
	return true;
}
BODY_HANDLER(fnold)
GEN(fneni) { x87_gen(d, o, h_fnold); }
GEN(fndisi) { x87_gen(d, o, h_fnold); }
GEN(fnsetpm) { x87_gen(d, o, h_fnold); }

/* ---- environment ---- */

u16 x87_tag_word(const struct cpu *c)
{
	u16 tags = 0;

	for (unsigned n = 0; n < 8; n++) {
		struct real a = { c->x87.st[n].frac, c->x87.st[n].exp };
		unsigned tag = !(c->x87.valid >> n & 1) ? 3 : real_is_zero(a) ? 1 : real_is_special(a) ? 2 : 0;

		tags |= (u16)(tag << 2 * n);
	}
	return tags;
}

void x87_set_tag_word(struct cpu *c, u16 tags)
{
	c->x87.valid = 0;
	for (unsigned n = 0; n < 8; n++)
		if ((tags >> 2 * n & 3) != 3)
			c->x87.valid |= (u8)(1u << n);
}

/* Seven words, of 2 or 4 bytes; unused upper halves are ones.
 *
 *           protected mode                  real and virtual-8086 mode: linear addresses
 *    0      control word                    control word
 *    1      status word                     status word
 *    2      tag word                        tag word
 *    3      FIP                             FIP 15-0
 *    4      FCS, and above it FOP           FIP from bit 16 up in bits 12 and up, FOP in 10-0
 *    5      FDP                             FDP 15-0
 *    6      FDS                             FDP from bit 16 up in bits 12 and up
 *
 * In the 16-bit protected format there is no FOP. */
static inline unsigned environment_size(const struct op *o) { return o->osize == 2 ? 14 : 28; }

static void environment_save(const struct cpu *c, const struct op *o, u8 *out)
{
	u32 w[7];

	w[0] = 0xffff0000 | c->x87.cw;
	w[1] = 0xffff0000 | x87_status(c);
	w[2] = 0xffff0000 | x87_tag_word(c);
	if (in_protected(c)) {
		w[3] = (u32)c->x87.ip;
		w[4] = x87_fcs(c) | (u32)(c->x87.op & 0x7ff) << 16;
		w[5] = (u32)c->x87.dp;
		w[6] = 0xffff0000 | x87_fds(c);
	} else {
		u32 ip = (u32)c->x87.ip + ((u32)c->x87.cs << 4), dp = (u32)c->x87.dp + ((u32)c->x87.ds << 4);

		w[3] = 0xffff0000 | ip;
		w[4] = (ip >> 16 & 0xffff) << 12 | (c->x87.op & 0x7ff);
		w[5] = 0xffff0000 | dp;
		w[6] = (dp >> 16 & 0xffff) << 12;
	}
	for (unsigned i = 0; i < 7; i++)
		put_size(out + i * environment_size(o) / 7, environment_size(o) / 7, w[i]);
}

static void environment_load(struct cpu *c, const struct op *o, const u8 *in)
{
	u32 w[7];

	for (unsigned i = 0; i < 7; i++)
		w[i] = (u32)get_size(in + i * environment_size(o) / 7, environment_size(o) / 7);
	if (in_protected(c)) {
		c->x87.ip = o->osize == 2 ? (u16)w[3] : w[3];
		c->x87.cs = (u16)w[4];
		c->x87.op = o->osize == 2 ? 0 : w[4] >> 16 & 0x7ff;
		c->x87.dp = o->osize == 2 ? (u16)w[5] : w[5];
		c->x87.ds = (u16)w[6];
	} else {
		c->x87.ip = (u16)w[3] | (u32)(w[4] >> 12) << 16;
		c->x87.op = w[4] & 0x7ff;
		c->x87.dp = (u16)w[5] | (u32)(w[6] >> 12) << 16;
		c->x87.cs = c->x87.ds = 0;
	}
	x87_set_tag_word(c, (u16)w[2]);
	c->x87.cw = (u16)((w[0] & 0x1f3f) | 0x40);
	x87_set_status(c, (u16)w[1]);
}

BODY(fnstenv)
{
	u8 image[28];

	environment_save(c, o, image);
	if (!op_store_block(c, o, image, environment_size(o)))
		return false;
	x87_set_control(c, c->x87.cw | X87_EXCEPTIONS);
	return true;
}
X87_BODY(fnstenv)

BODY(fldenv)
{
	u8 image[28];

	if (!x87_wait(c) || !op_load_block(c, o, image, environment_size(o)))
		return false;
	environment_load(c, o, image);
	return true;
}
X87_BODY(fldenv)

/* ---- state: the environment and ST0 to ST7, 10 bytes each ---- */

BODY(fnsave)
{
	unsigned size = environment_size(o);
	u8 image[28 + 80];

	environment_save(c, o, image);
	for (unsigned i = 0; i < 8; i++)
		x87_get_reg(c, i, image + size + 10 * i);
	if (!op_store_block(c, o, image, size + 80))
		return false;
	return do_fninit(c, HERE(o));
}
X87_BODY(fnsave)

BODY(frstor)
{
	unsigned size = environment_size(o);
	u8 image[28 + 80];

	if (!x87_wait(c) || !op_load_block(c, o, image, size + 80))
		return false;
	environment_load(c, o, image);
	for (unsigned i = 0; i < 8; i++)
		x87_set_reg(c, i, image + size + 10 * i);
	return true;
}
X87_BODY(frstor)
