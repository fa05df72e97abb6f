/* MXCSR, and saving and restoring the x87, SSE and AVX state (SDM vol. 1, 10.5 and chapter 13).
 *
 * The legacy region, 512 bytes, of FXSAVE and XSAVE:
 *      0  FCW FSW | FTW(abridged) 0 | FOP | FIP (64 bits, or 32 and FCS)
 *     16  FDP (64 bits, or 32 and FDS) | MXCSR | MXCSR_MASK
 *     32  ST0..ST7, 16 bytes each, of which 10 are used
 *    160  XMM0..XMM15 (XMM7 outside of 64-bit mode)
 * then XSAVE's header: 512 XSTATE_BV, 520 XCOMP_BV, 528-575 zeros; then 576 the upper halves of YMM0..15. */
#include "cpu/sse.h"
#include "cpu/x87.h"

enum { STATE_X87 = 1, STATE_SSE = 2, STATE_AVX = 4, STATES = STATE_X87 | STATE_SSE | STATE_AVX };
enum { AT_MXCSR = 24, AT_ST = 32, AT_XMM = 160, LEGACY = 512, HEADER = 64, AT_YMM = LEGACY + HEADER, AREA = AT_YMM + 256 };
#define COMPACT ((u64)1 << 63)

/* ---- MXCSR ---- */

BODY(ldmxcsr)
{
	u64 v;

	if (!op_load(c, o, 4, &v))
		return false;
	if (v & ~(u64)MXCSR_MASK)
		return fault_gp(c, 0);
	sse_park(c);
	c->mxcsr = (u32)v;
	return true;
}
GEN_BODY(ldmxcsr)

BODY(stmxcsr)
{
	sse_park(c);
	return op_store(c, o, 4, c->mxcsr);
}
GEN_BODY(stmxcsr)

/* ---- components to and from the image ---- */

static unsigned xmm_count(const struct cpu *c) { return in_64(c) ? 16 : 8; }

static void save_x87(const struct cpu *c, u8 *image, bool wide)
{
	const struct x87 *x = &c->x87;

	put16(image, x->cw);
	put16(image + 2, x87_status(c));
	image[4] = x87_tags_abridged(c);
	image[5] = 0;
	put16(image + 6, x->op & 0x7ff);
	put64(image + 8, wide ? x->ip : (u64)(u32)x->ip | (u64)x->cs << 32);
	put64(image + 16, wide ? x->dp : (u64)(u32)x->dp | (u64)x->ds << 32);
	for (unsigned i = 0; i < 8; i++) {
		memset(image + AT_ST + 16 * i, 0, 16);
		x87_get_reg(c, i, image + AT_ST + 16 * i);
	}
}

static void load_x87(struct cpu *c, const u8 *image, bool wide)
{
	struct x87 *x = &c->x87;

	x87_set_control(c, get16(image));
	x->valid = image[4];
	x->op = get16(image + 6) & 0x7ff;
	x->ip = wide ? get64(image + 8) : get32(image + 8);
	x->dp = wide ? get64(image + 16) : get32(image + 16);
	x->cs = wide ? 0 : get16(image + 12);
	x->ds = wide ? 0 : get16(image + 20);
	x87_set_status(c, get16(image + 2));
	for (unsigned i = 0; i < 8; i++)
		x87_set_reg(c, i, image + AT_ST + 16 * i);
}

static void save_mxcsr(const struct cpu *c, u8 *image)
{
	put32(image + AT_MXCSR, c->mxcsr);
	put32(image + AT_MXCSR + 4, MXCSR_MASK);
}

/* ---- FXSAVE, FXRSTOR ---- */

/* AMD's fast form leaves XMM registers alone in 64-bit mode at CPL 0 (APM vol. 2, 11.4.3); without CR4.OSFXSR they are not there. */
static bool with_xmm(const struct cpu *c)
{
	return (c->cr4 & CR4_OSFXSR) && !((c->efer & EFER_FFXSR) && in_64(c) && c->cpl == 0);
}

BODY(fxsave)
{
	u8 image[LEGACY];
	bool xmm = with_xmm(c);
	unsigned len = xmm ? AT_XMM + 16 * xmm_count(c) : AT_XMM;

	sse_park(c);
	save_x87(c, image, o->osize == 8);
	save_mxcsr(c, image);
	if (xmm)
		memcpy(image + AT_XMM, c->xmm, 16 * xmm_count(c));
	return op_store_block(c, o, image, len);
}
GEN_BODY(fxsave)

BODY(fxrstor)
{
	u8 image[LEGACY];
	u32 mxcsr;

	if (!op_load_block(c, o, image, LEGACY))
		return false;
	mxcsr = get32(image + AT_MXCSR);
	if (mxcsr & ~(u32)MXCSR_MASK)
		return fault_gp(c, 0);
	sse_park(c);
	load_x87(c, image, o->osize == 8);
	c->mxcsr = mxcsr;
	if (with_xmm(c))
		memcpy(c->xmm, image + AT_XMM, 16 * xmm_count(c));
	return true;
}
GEN_BODY(fxrstor)

/* ---- XSAVE, XSAVEOPT, XSAVEC, XRSTOR ---- */

static u64 requested(const struct cpu *c)
{
	return c->xcr0 & (c->r[RDX] << 32 | (u32)c->r[RAX]) & STATES;
}

static bool all_zero(const void *p, size_t len)
{
	const u8 *b = p;

	for (size_t i = 0; i < len; i++)
		if (b[i])
			return false;
	return true;
}

/* XINUSE: which components are not as at reset (13.6). MXCSR is not looked at. */
static u64 in_use(const struct cpu *c)
{
	u64 used = 0;
	const struct x87 *x = &c->x87;

	if (x->cw != 0x37f || x87_status(c) || x->valid || x->op || x->ip || x->dp || x->cs || x->ds || !all_zero(x->st, sizeof x->st))
		used |= STATE_X87;
	if (!all_zero(c->xmm, 16 * xmm_count(c)))
		used |= STATE_SSE;
	if (!all_zero(c->ymm_high, 16 * xmm_count(c)))
		used |= STATE_AVX;
	return used;
}

/* The area's linear address; it must be aligned to 64 bytes. */
static bool area(struct cpu *c, const struct op *o, unsigned len, bool write, u64 *linear)
{
	if (!op_linear(c, o, len, write, linear))
		return false;
	return *linear & 63 ? fault_gp(c, 0) : true;
}

/* XSAVEOPT leaves out components that are as at reset; XSAVEC besides says so in XCOMP_BV, and packs what follows the header. */
ALWAYS_INLINE bool xsave_body(struct cpu *c, const struct op *o, bool optimised, bool compact)
{
	u64 rfbm = requested(c), used, linear, write;
	u8 image[AREA] = { 0 };
	unsigned len = rfbm & STATE_AVX ? AREA : AT_YMM, n = 16 * xmm_count(c);

	sse_park(c);
	used = in_use(c);
	if (compact && c->mxcsr != MXCSR_RESET)
		used |= STATE_SSE;
	if (!area(c, o, len, true, &linear) || !mem_check_write(c, linear, len) || !mem_read_block(c, linear, image, len))
		return false;
	write = optimised ? rfbm & used : rfbm;
	if (write & STATE_X87)
		save_x87(c, image, o->osize == 8);
	if (compact ? write & STATE_SSE : rfbm & (STATE_SSE | STATE_AVX))
		save_mxcsr(c, image);
	if (write & STATE_SSE)
		memcpy(image + AT_XMM, c->xmm, n);
	if (write & STATE_AVX)
		memcpy(image + AT_YMM, c->ymm_high, n);
	if (compact) {
		put64(image + LEGACY, rfbm & used);
		put64(image + LEGACY + 8, rfbm | COMPACT);
	} else {
		put64(image + LEGACY, (get64(image + LEGACY) & ~rfbm) | (rfbm & used));
	}
	return mem_write_block(c, linear, image, len);
}

BODY(xsave) { return xsave_body(c, o, false, false); }
GEN_BODY(xsave)
BODY(xsaveopt) { return xsave_body(c, o, true, false); }
GEN_BODY(xsaveopt)
BODY(xsavec) { return xsave_body(c, o, true, true); }
GEN_BODY(xsavec)

BODY(xrstor)
{
	u64 rfbm = requested(c), linear, present, layout;
	u8 image[AREA];
	unsigned n = 16 * xmm_count(c), len = rfbm & STATE_AVX ? AREA : AT_YMM;
	bool compact, load_mxcsr;
	u32 mxcsr;

	if (!area(c, o, AT_YMM, false, &linear) || !mem_read_block(c, linear, image, AT_YMM))
		return false;
	present = get64(image + LEGACY);
	layout = get64(image + LEGACY + 8);
	compact = layout & COMPACT;
	if (compact && !has(c->model, F_XSAVEC))
		return fault_gp(c, 0);
	if (compact ? (layout & ~COMPACT & ~c->xcr0) || (present & ~layout) : (present & ~c->xcr0) || layout)
		return fault_gp(c, 0);
	if (!all_zero(image + LEGACY + 16, compact ? 48 : 8))
		return fault_gp(c, 0);
	if (compact && !(layout & STATE_AVX))
		len = AT_YMM;
	if (len > AT_YMM && (present & STATE_AVX) && !mem_read_block(c, linear + AT_YMM, image + AT_YMM, len - AT_YMM))
		return false;
	/* Standard form: MXCSR comes with SSE or AVX, whatever XSTATE_BV says (13.8.1); compacted: with SSE, or its reset value. */
	load_mxcsr = compact ? rfbm & present & STATE_SSE : rfbm & (STATE_SSE | STATE_AVX);
	mxcsr = load_mxcsr ? get32(image + AT_MXCSR) : compact && rfbm & STATE_SSE ? MXCSR_RESET : c->mxcsr;
	if (load_mxcsr && mxcsr & ~(u32)MXCSR_MASK)
		return fault_gp(c, 0);
	sse_park(c);
	if (load_mxcsr || (compact && rfbm & STATE_SSE))
		c->mxcsr = mxcsr;
	if (rfbm & STATE_X87) {
		if (present & STATE_X87) {
			load_x87(c, image, o->osize == 8);
		} else {
			memset(c->x87.st, 0, sizeof c->x87.st);
			x87_init(c);
		}
	}
	if (rfbm & STATE_SSE) {
		if (present & STATE_SSE)
			memcpy(c->xmm, image + AT_XMM, n);
		else
			memset(c->xmm, 0, n);
	}
	if (rfbm & STATE_AVX) {
		if (present & STATE_AVX)
			memcpy(c->ymm_high, image + AT_YMM, n);
		else
			memset(c->ymm_high, 0, n);
	}
	return true;
}
GEN_BODY(xrstor)
