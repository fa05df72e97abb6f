/* SPDX-License-Identifier: MIT */
/* Shifts and rotates: SHL SHR SAR ROL ROR RCL RCR, SHLD SHRD, and the flagless ones of BMI2. Shifts of registers by a
 * constant, and by CL at 32 and 64 bits, are hot: one handler for each, expanded from the one meaning written here. */
#include "cpu/insn/shift.h"

ALWAYS_INLINE HANDLER_TYPE shift_const(struct cpu *c, const struct op *o, s64 n, enum shift what, unsigned size,
				       bool flags, u64 a)
{
	u64 r = shift(c, what, trim(a, size), (unsigned)o->imm, size, flags);

	reg_set(c, o->dst, size, r);
	RUN_LAST(o + 1, r);
}

ALWAYS_INLINE HANDLER_TYPE shift_cl(struct cpu *c, const struct op *o, s64 n, enum shift what, unsigned size,
				    bool flags)
{
	u64 a = reg_get(c, o->dst, size);
	unsigned count = REG8(8 * RCX) & (8 * size - 1);

	if (count)
		a = shift(c, what, a, count, size, flags);
	reg_set(c, o->dst, size, a); /* a 32-bit shift by 0 clears the upper half, too */
	RUN(o + 1);
}

/* An 8086 shifts by one, again and again: SHL adds the operand to itself, and whole turns through the carry have an OF,
 * too. */
static void flags_8086(struct cpu *c, enum shift what, u64 r, unsigned size)
{
	const unsigned top = 8 * size - 1;
	bool cf = flag_c(c);

	settle_flags(c);
	if (what == SHL)
		c->fix = r & FL_A;
	if (what == RCL || what == RCR)
		c->cv = carry_bits(cf, what == RCL ? bit(r, top) : cf ^ bit(r, top) ^ bit(r, top - 1));
}

/* Every other form. The count is the register o->src (CL, or RZERO) plus the immediate. */
ALWAYS_INLINE bool shift_any(struct cpu *c, const struct op *o, enum shift what, unsigned size)
{
	unsigned count = REG8(o->src) + (u8)o->imm;
	u64 a;

	count &= size == 8 ? 63 : has(c->model, F_I186) ? 31 : 255;
	if (!rm_load_rmw(c, o, size, &a))
		return false;
	if (count)
		a = shift(c, what, a, count, size, true);
	if (count && !has(c->model, F_I186))
		flags_8086(c, what, a, size);
	return rm_store(c, o, o->dst, size, a);
}

struct shift_forms { handler *any_b, *any_v, *constant[4][2][2] /* [without flags][forwarded] */, *cl[4][2]; };

/* What the forms have in common: put the count where the handlers look for it. True if it is a constant of a register
 * form, not 0. */
static bool shift_count(const struct dec *d, struct op *o, unsigned size)
{
	if (dec_kind(d, 1) == OPK_FIXED && d->row->operand[1].size == 'b') {
		o->src = 8 * RCX;
		o->imm = 0;
		return false;
	}
	o->src = 8 * RZERO;
	o->imm = dec_kind(d, 1) == OPK_FIXED ? 1 : o->imm & (size == 8 ? 63 : 31);
	return !d->mem && o->imm;
}

static void choose(const struct dec *d, struct op *o, const struct shift_forms *f)
{
	unsigned size = dec_size(d, 0), i = log2_size(size);
	bool constant = shift_count(d, o, size);

	o->run = size == 1 ? f->any_b : f->any_v;
	if (!has(d->model, F_I186))
		return;
	if (constant && f->constant[i][0][0])
		o->run = f->constant[i][d->dead_flags][d->forwarded];
	else if (!d->mem && o->src == 8 * RCX && f->cl[i][0])
		o->run = f->cl[i][d->dead_flags];
}

#define SHIFT_ANY(name, NAME) \
	BODY(name##_b) { return shift_any(c, o, NAME, 1); } \
	BODY(name##_v) { return o->osize == 2 ? shift_any(c, o, NAME, 2) : o->osize == 4 ? shift_any(c, o, NAME, 4) \
		: shift_any(c, o, NAME, 8); } \
	BODY_HANDLER(name##_b) \
	BODY_HANDLER(name##_v)
#define SHIFT_CONST(name, NAME, size) \
	HANDLER(name##_c##size) { return shift_const(c, o, n, NAME, size, true, reg_get(c, o->base, size)); } \
	HANDLER(name##_c##size##_n) { return shift_const(c, o, n, NAME, size, false, reg_get(c, o->base, size)); } \
	FORWARDED_HANDLER(name##_c##size##_forwarded) { \
		return shift_const(c, o, n, NAME, size, true, FORWARDED(o->base, size)); } \
	FORWARDED_HANDLER(name##_c##size##_n_forwarded) { \
		return shift_const(c, o, n, NAME, size, false, FORWARDED(o->base, size)); }
#define SHIFT_CL(name, NAME, size) \
	HANDLER(name##_cl##size) { return shift_cl(c, o, n, NAME, size, true); } \
	HANDLER(name##_cl##size##_n) { return shift_cl(c, o, n, NAME, size, false); }
#define SHIFT_FORMS(name) { { name, name##_forwarded }, { name##_n, name##_n_forwarded } }
#define SHIFT(name, NAME) \
	SHIFT_ANY(name, NAME) \
	SHIFT_CONST(name, NAME, 1) SHIFT_CONST(name, NAME, 2) SHIFT_CONST(name, NAME, 4) SHIFT_CONST(name, NAME, 8) \
	SHIFT_CL(name, NAME, 4) SHIFT_CL(name, NAME, 8) \
	GEN(name) \
	{ \
		static const struct shift_forms forms = { \
			h_##name##_b, h_##name##_v, \
			{ SHIFT_FORMS(name##_c1), SHIFT_FORMS(name##_c2), SHIFT_FORMS(name##_c4), \
				SHIFT_FORMS(name##_c8) }, \
			{ { NULL }, { NULL }, { name##_cl4, name##_cl4_n }, { name##_cl8, name##_cl8_n } }, \
		}; \
		choose(d, o, &forms); \
	} \
	SPECIALISE_DST(name##_c4_n) SPECIALISE_DST(name##_c8_n)
#define ROTATE_CARRY(name, NAME) \
	SHIFT_ANY(name, NAME) \
	GEN(name) \
	{ \
		static const struct shift_forms forms = { .any_b = h_##name##_b, .any_v = h_##name##_v }; \
		choose(d, o, &forms); \
	}

SHIFT(shl, SHL)
SHIFT(shr, SHR)
SHIFT(sar, SAR)
SHIFT(rol, ROL)
SHIFT(ror, ROR)
ROTATE_CARRY(rcl, RCL)
ROTATE_CARRY(rcr, RCR)

/* All ones, with the flags of an OR; SETMOC does nothing when CL is 0. */
static bool set_minus_one(struct cpu *c, const struct op *o)
{
	set_flags_logic(c, ~(u64)0, o->osize);
	return rm_store(c, o, o->dst, o->osize, ~(u64)0);
}

BODY(setmo) { return set_minus_one(c, o); }
BODY(setmoc) { return !REG8(8 * RCX) || set_minus_one(c, o); }
BODY_HANDLER(setmo)
BODY_HANDLER(setmoc)
GEN(setmo) { o->osize = dec_size(d, 0) & 15; o->run = h_setmo; }
GEN(setmoc) { o->osize = dec_size(d, 0) & 15; o->run = h_setmoc; }

/* SHLD, SHRD: A by COUNT, which is not 0. The bits that come in are B's. A 16-bit one by more than 16 is undefined; P6
 * and later go on as if the first operand came again, AMD's processors as if the second did:
 *   SHLD  a:b:a << count, the highest third       SHRD  a:b:a >> count, the lowest third */
ALWAYS_INLINE u64 shift_double(struct cpu *c, u64 a, u64 b, unsigned count, unsigned size, bool left, bool flags)
{
	const unsigned width = 8 * size, top = width - 1;
	u64 r;

	if (size == 2) {
		u64 first = left ? a : is_amd(c->model) ? b : a, last = left && is_amd(c->model) ? b : a;
		u64 triple = first << 32 | b << 16 | last, cf = left ? bit(triple, 48 - count) : bit(triple, count - 1);

		if (count > 16 && is_amd(c->model))
			cf = 0;
		r = trim(left ? triple << count >> 32 : triple >> count, 2);
		c->cv = carry_bits(cf, left ? bit(r, top) : cf ^ bit(r, top) ^ bit(r, top - 1));
		c->fix = 0;
	} else {
		if (size == 4) /* cheaper than the host's own: on AMD's processors it is microcode */
			r = left ? (a << 32 | b) << count >> 32 : (u32)((b << 32 | a) >> count);
		else /* the compiler knows it */
			r = left ? a << count | b >> (width - count) : a >> count | b << (width - count);
		if (!flags)
			return r;
		c->cv = left ? last_out_left(a, count, size) : last_out(a, count) ^ (r ^ r << 1) << (63 - top) >> 1;
		c->fix = FIX_LOOSE;
	}
	c->res = extend(r, size);
	return r;
}

/* The count is the immediate, or if that is -1, CL. */
static bool shift_double_any(struct cpu *c, const struct op *o, bool left)
{
	const unsigned size = o->osize, count = (o->imm < 0 ? REG8(8 * RCX) : (u8)o->imm) & (size == 8 ? 63 : 31);
	u64 a, b = reg_get(c, o->src, size);

	if (!rm_load_rmw(c, o, size, &a))
		return false;
	if (count)
		a = size == 2   ? shift_double(c, a, b, count, 2, left, true)
		    : size == 4 ? shift_double(c, a, b, count, 4, left, true)
				: shift_double(c, a, b, count, 8, left, true);
	return rm_store(c, o, o->dst, size, a);
}

/* Registers, by a constant that is not 0. */
ALWAYS_INLINE HANDLER_TYPE shift_double_const(struct cpu *c, const struct op *o, s64 n, unsigned size, bool left,
					      bool flags)
{
	u64 a = reg_get(c, o->dst, size), b = reg_get(c, o->src, size);

	reg_set(c, o->dst, size, shift_double(c, a, b, (unsigned)o->imm, size, left, flags));
	RUN(o + 1);
}

/* CONSTANT: [of 8 bytes][without flags] */
static void choose_double(const struct dec *d, struct op *o, handler *any, handler *const constant[2][2])
{
	o->src = dec_place(d, 1); /* CL may have taken its place */
	o->imm = dec_kind(d, 2) == OPK_FIXED ? -1 : o->imm & (d->osize == 8 ? 63 : 31);
	o->run = d->mem || o->imm <= 0 || d->osize == 2 ? any : constant[d->osize == 8][d->dead_flags];
}

#define SHIFT_DOUBLE(name, left) \
	BODY(name) { return shift_double_any(c, o, left); } \
	BODY_HANDLER(name) \
	HANDLER(name##_c4) { return shift_double_const(c, o, n, 4, left, true); } \
	HANDLER(name##_c8) { return shift_double_const(c, o, n, 8, left, true); } \
	HANDLER(name##_c4_n) { return shift_double_const(c, o, n, 4, left, false); } \
	HANDLER(name##_c8_n) { return shift_double_const(c, o, n, 8, left, false); } \
	GEN(name) \
	{ \
		static handler *const constant[2][2] = { { name##_c4, name##_c4_n }, { name##_c8, name##_c8_n } }; \
		choose_double(d, o, h_##name, constant); \
	}
SHIFT_DOUBLE(shld, true)
SHIFT_DOUBLE(shrd, false)

/* BMI2: no flags, any register as the count. */
ALWAYS_INLINE bool shift_plain(struct cpu *c, const struct op *o, enum shift what)
{
	unsigned size = o->osize,
		 count = (unsigned)(what == ROR ? o->imm8 : reg_get(c, o->third, size)) & (8 * size - 1);
	u64 a;

	if (!rm_load(c, o, o->src, size, &a))
		return false;
	if (count)
		a = size == 8 ? shift(c, what, a, count, 8, false) : shift(c, what, a, count, 4, false);
	reg_set(c, o->dst, size, a);
	return true;
}

BODY(rorx) { return shift_plain(c, o, ROR); }
BODY(sarx) { return shift_plain(c, o, SAR); }
BODY(shlx) { return shift_plain(c, o, SHL); }
BODY(shrx) { return shift_plain(c, o, SHR); }
#define GEN_PLAIN(name) BODY_HANDLER(name) GEN(name) { o->osize = dec_size(d, 0) & 15; o->run = h_##name; }
GEN_PLAIN(rorx)
GEN_PLAIN(sarx)
GEN_PLAIN(shlx)
GEN_PLAIN(shrx)
