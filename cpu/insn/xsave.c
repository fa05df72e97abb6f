/* SPDX-License-Identifier: MIT */
/* MXCSR, and saving and restoring the x87, SSE and AVX state (SDM vol. 1, 10.5 and chapter 13).
 *
 * The legacy region, 512 bytes, of FXSAVE and XSAVE:
 *      0  FCW FSW | FTW(abridged) 0 | FOP | FIP (64 bits, or 32 and FCS)
 *     16  FDP (64 bits, or 32 and FDS) | MXCSR | MXCSR_MASK
 *     32  ST0..ST7, 16 bytes each, of which 10 are used
 *    160  XMM0..XMM15 (XMM7 outside of 64-bit mode)
 * then XSAVE's header: 512 XSTATE_BV, 520 XCOMP_BV, 528-575 zeros; then the other components, each at its own place,
 * or, in the compacted format, one behind the other. Only the parts of what is asked for are touched. */
#include "cpu/insn/vector/vector.h"
#include "cpu/cet.h"
#include "cpu/x87.h"
#include "cpu/amx.h"
#include "cpu/uintr.h"
#include "cpu/system/xsave.h"

enum { AT_MXCSR = 24, AT_ST = 32, AT_XMM = 160, LEGACY = 512, AT_COMPACT = LEGACY + 8, HEADER_END = LEGACY + 64,
	AREA = 11648 };
#define COMPACT ((u64)1 << 63)

/* ---- MXCSR ---- */

BODY(ldmxcsr)
{
	u64 v;

	if (!op_load(c, o, 4, &v))
		return false;
	if (v & ~(u64)mxcsr_bits(c))
		return gp_because(c, 0, "a reserved bit of MXCSR would be set (vol. 1, 10.2.3)");
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
	/* AMD's processors save the pointers only while an exception is pending (APM vol. 2, 11.4.4). */
	bool pointers = !is_amd(c->model) || x87_status(c) & X87_ES;

	put16(image, x->cw);
	put16(image + 2, x87_status(c));
	image[4] = x87_tags_abridged(c);
	image[5] = 0;
	memset(image + 6, 0, AT_MXCSR - 6);
	if (pointers) {
		put16(image + 6, x->op & 0x7ff);
		put64(image + 8, wide ? x->ip : (u64)(u32)x->ip | (u64)x87_fcs(c) << 32);
		put64(image + 16, wide ? x->dp : (u64)(u32)x->dp | (u64)x87_fds(c) << 32);
	}
	for (unsigned i = 0; i < 8; i++) {
		memset(image + AT_ST + 16 * i, 0, 16);
		x87_get_reg(c, i, image + AT_ST + 16 * i);
	}
}

/* AMD's processors have 48 bits of an address. */
static u64 pointer(const struct cpu *c, u64 v) { return is_amd(c->model) ? (u64)((s64)(v << 16) >> 16) : v; }

static void load_x87(struct cpu *c, const u8 *image, bool wide)
{
	struct x87 *x = &c->x87;

	x87_set_control(c, get16(image));
	x->valid = image[4];
	x->op = get16(image + 6) & 0x7ff;
	x->ip = wide ? pointer(c, get64(image + 8)) : get32(image + 8);
	x->dp = wide ? pointer(c, get64(image + 16)) : get32(image + 16);
	x->cs = wide ? 0 : get16(image + 12);
	x->ds = wide ? 0 : get16(image + 20);
	x87_set_status(c, get16(image + 2));
	for (unsigned i = 0; i < 8; i++)
		x87_set_reg(c, i, image + AT_ST + 16 * i);
}

static void save_mxcsr(const struct cpu *c, u8 *image)
{
	put32(image + AT_MXCSR, c->mxcsr);
	put32(image + AT_MXCSR + 4, mxcsr_bits(c));
}

/* ---- FXSAVE, FXRSTOR ---- */

/* AMD's fast form leaves XMM registers alone in 64-bit mode at CPL 0 (APM vol. 2, 11.4.3); without CR4.OSFXSR they are
 * not there. */
static bool with_xmm(const struct cpu *c)
{
	return (c->cr4 & CR4_OSFXSR) && !((c->efer & EFER_FFXSR) && in_64(c) && c->cpl == 0);
}

BODY(fxsave)
{
	u8 image[LEGACY];
	bool xmm = with_xmm(c);
	unsigned len = xmm ? AT_XMM + 16 * xmm_count(c) : AT_XMM;
	u64 linear;

	/* All 512 bytes must be there, though what is reserved and software's own is not written. */
	if (!op_linear(c, o, LEGACY, true, &linear) || !mem_check_write(c, linear, LEGACY))
		return false;
	sse_park(c);
	save_x87(c, image, o->osize == 8);
	save_mxcsr(c, image);
	if (xmm)
		vregs_save(c, 0, image + AT_XMM, xmm_count(c));
	return mem_write_block(c, linear, image, len);
}
GEN_BODY(fxsave)

BODY(fxrstor)
{
	u8 image[LEGACY];
	u32 mxcsr;

	if (!op_load_block(c, o, image, LEGACY))
		return false;
	mxcsr = get32(image + AT_MXCSR);
	if (mxcsr & ~mxcsr_bits(c))
		return gp_because(c, 0, "a reserved bit of MXCSR would be set (vol. 1, 10.2.3)");
	sse_park(c);
	load_x87(c, image, o->osize == 8);
	c->mxcsr = mxcsr;
	if (with_xmm(c))
		vregs_load(c, 0, image + AT_XMM, xmm_count(c));
	return true;
}
GEN_BODY(fxrstor)

/* ---- components ---- */

/* In the order of their numbers, which is that of the compacted format. APX has the place that MPX had. */
enum { YMM_HIGH = 2, OPMASK = 5, ZMM_HIGH, HIGH_ZMM, PKRU = 9, CET_U = 11, CET_S, UINTR = 14, LBR, TILECFG = 17,
       TILEDATA, APX };
static const struct component components[] = {
	{ YMM_HIGH, HEADER_END, 256, false }, { OPMASK, 1088, 64, false }, { ZMM_HIGH, 1152, 512, false },
	{ HIGH_ZMM, 1664, 1024, false }, { PKRU, 2688, 8, false },
	{ CET_U, 0, 16, false }, { CET_S, 0, 24, false }, { UINTR, 0, 48, false }, /* in the compacted format only */
	{ LBR, 0, LBR_STATE, false }, /* so is this */
	{ TILECFG, 2752, 64, true }, { TILEDATA, 2816, 8192, true }, { APX, 960, 8 * EGPRS, false },
};

const struct component *xsave_component(unsigned number)
{
	for (unsigned i = 0; i < ARRAY_LEN(components); i++)
		if (components[i].number == number)
			return &components[i];
	return NULL;
}

u64 xsave_states(const struct model *m)
{
	return STATE_X87 | STATE_SSE | (has(m, F_AVX) ? STATE_AVX : 0) | (has(m, F_AVX512F) ? STATE_AVX512 : 0) |
	       (has(m, F_PKU) ? STATE_PKRU : 0) | (has(m, F_AMX_TILE) ? STATE_TILE : 0) |
	       (has(m, F_APX) ? STATE_APX : 0);
}

u64 xsave_supervisor_states(const struct model *m)
{
	return (has(m, F_CET_SS) || has(m, F_CET_IBT) ? STATE_CET : 0) | (has(m, F_UINTR) ? STATE_UINTR : 0) |
	       (has(m, F_ARCH_LBR) ? STATE_LBR : 0);
}

/* In the standard format AMD's components follow each other; Intel's leave room for MPX. */
unsigned xsave_at(const struct model *m, const struct component *p)
{
	if (!is_amd(m))
		return p->at;
	switch (p->number) {
	case OPMASK: return 832;
	case ZMM_HIGH: return 896;
	case HIGH_ZMM: return 1408;
	case PKRU: return 2432;
	default: return p->at;
	}
}

/* Where component P is in an area of these COMPONENTS. */
static unsigned place(const struct model *m, const struct component *p, u64 all, bool compact)
{
	unsigned at = HEADER_END;

	if (!compact)
		return xsave_at(m, p);
	for (const struct component *q = components; q <= p; q++) {
		if (!(all >> q->number & 1))
			continue;
		if (q->aligned)
			at = (at + 63) & ~63u;
		if (q != p)
			at += q->size;
	}
	return at;
}

unsigned xsave_size(const struct model *m, u64 all, bool compact)
{
	unsigned end = HEADER_END;

	for (unsigned i = 0; i < ARRAY_LEN(components); i++) {
		unsigned behind = place(m, &components[i], all, compact) + components[i].size;

		if (all >> components[i].number & 1 && behind > end)
			end = behind;
	}
	return end;
}

static bool all_zero(const void *p, size_t len)
{
	const u8 *b = p;

	for (size_t i = 0; i < len; i++)
		if (b[i])
			return false;
	return true;
}

/* XINUSE: which components are not as at reset (13.6). MXCSR is not looked at. AMD's processors know that ZMM16 to ZMM31
 * are in use outside of 64-bit mode, too, where they save and restore nothing of them. */
static u64 in_use(const struct cpu *c)
{
	u64 used = 0;
	const struct x87 *x = &c->x87;

	if (x->cw != 0x37f || x87_status(c) || x->valid || x->op || x->ip || x->dp || x87_fcs(c) || x87_fds(c) ||
	    !all_zero(x->st, sizeof x->st))
		used |= STATE_X87;
	for (unsigned i = 0; i < xmm_count(c); i++) {
		if (c->v[i].q[0] | c->v[i].q[1])
			used |= STATE_SSE;
		if (c->v[i].q[2] | c->v[i].q[3])
			used |= STATE_AVX;
		if (!all_zero(&c->v[i].b[32], 32))
			used |= 1 << ZMM_HIGH;
	}
	if (!all_zero(c->k, sizeof c->k))
		used |= 1 << OPMASK;
	if ((in_64(c) || is_amd(c->model)) && !all_zero(&c->v[16], 16 * sizeof c->v[16]))
		used |= 1 << HIGH_ZMM;
	if (c->pkru)
		used |= STATE_PKRU;
	if (c->u_cet | c->pl3_ssp)
		used |= 1 << CET_U;
	if (c->pl0_ssp | c->pl1_ssp | c->pl2_ssp)
		used |= 1 << CET_S;
	if (uintr_in_use(c))
		used |= STATE_UINTR;
	if (has(c->model, F_ARCH_LBR) && lbr_in_use(c))
		used |= STATE_LBR;
	if (c->amx && c->amx->config[0])
		used |= STATE_TILECFG;
	if (c->amx && !all_zero(c->amx->tiles, sizeof c->amx->tiles))
		used |= STATE_TILEDATA;
	if (in_64(c) && !all_zero(c->egpr, sizeof c->egpr))
		used |= STATE_APX;
	return used;
}

/* XGETBV, XSAVEC and XSAVES call SSE in use, too, if MXCSR is not as at reset. */
u64 xsave_in_use(const struct cpu *c)
{
	sse_park((struct cpu *)c);
	return in_use(c) | (c->mxcsr != MXCSR_RESET ? STATE_SSE : 0);
}

/* What is read or written: outside of 64-bit mode the registers that are not there stay as they are, in memory as well.
 * */
static unsigned component_len(const struct cpu *c, const struct component *p)
{
	switch (p->number) {
	case YMM_HIGH: return 16 * xmm_count(c);
	case ZMM_HIGH: return 32 * xmm_count(c);
	case HIGH_ZMM:
	case APX: return in_64(c) ? p->size : 0;
	default: return p->size;
	}
}

static void component_save(const struct cpu *c, unsigned number, u8 *image)
{
	switch (number) {
	case YMM_HIGH: vregs_save(c, 16, image, xmm_count(c)); break;
	case OPMASK:
		for (unsigned i = 0; i < ARRAY_LEN(c->k); i++)
			put64(image + 8 * i, c->k[i]);
		break;
	case ZMM_HIGH:
		for (unsigned i = 0; i < xmm_count(c); i++)
			memcpy(image + 32 * i, &c->v[i].b[32], 32);
		break;
	case HIGH_ZMM:
		if (in_64(c))
			memcpy(image, &c->v[16], 16 * sizeof c->v[16]);
		break;
	case CET_U:
		put64(image, c->u_cet);
		put64(image + 8, c->pl3_ssp);
		break;
	case CET_S:
		put64(image, c->pl0_ssp);
		put64(image + 8, c->pl1_ssp);
		put64(image + 16, c->pl2_ssp);
		break;
	case UINTR: uintr_save(c, image); break;
	case LBR: lbr_save(c, image); break;
	case TILECFG: memcpy(image, c->amx->config, sizeof c->amx->config); break;
	case TILEDATA: memcpy(image, c->amx->tiles, sizeof c->amx->tiles); break;
	case APX:
		for (unsigned i = 0; in_64(c) && i < EGPRS; i++)
			put64(image + 8 * i, c->egpr[i]);
		break;
	default: put64(image, c->pkru); break;
	}
}

/* N bytes at TO. IMAGE NULL: as at reset. */
static void bytes_load(void *to, const u8 *image, size_t n)
{
	if (image)
		memcpy(to, image, n);
	else
		memset(to, 0, n);
}

static void component_load(struct cpu *c, unsigned number, const u8 *image)
{
	switch (number) {
	case YMM_HIGH:
		for (unsigned i = 0; i < xmm_count(c); i++)
			bytes_load(&c->v[i].b[16], image ? image + 16 * i : NULL, 16);
		break;
	case OPMASK:
		for (unsigned i = 0; i < ARRAY_LEN(c->k); i++)
			c->k[i] = image ? get64(image + 8 * i) : 0;
		break;
	case ZMM_HIGH:
		for (unsigned i = 0; i < xmm_count(c); i++)
			bytes_load(&c->v[i].b[32], image ? image + 32 * i : NULL, 32);
		break;
	case HIGH_ZMM:
		if (in_64(c))
			bytes_load(&c->v[16], image, 16 * sizeof c->v[16]);
		break;
	case CET_U:
		c->u_cet = image ? get64(image) : 0;
		c->pl3_ssp = image ? get64(image + 8) : 0;
		break;
	case CET_S:
		c->pl0_ssp = image ? get64(image) : 0;
		c->pl1_ssp = image ? get64(image + 8) : 0;
		c->pl2_ssp = image ? get64(image + 16) : 0;
		break;
	case UINTR: uintr_load(c, image); break;
	case LBR: lbr_load(c, image); break;
	case TILECFG: tile_config_load(c, image && tile_config_valid(image) ? image : (const u8[64]){ 0 }); break;
	case TILEDATA: bytes_load(c->amx->tiles, image, sizeof c->amx->tiles); break;
	case APX:
		for (unsigned i = 0; in_64(c) && i < EGPRS; i++)
			c->egpr[i] = image ? get64(image + 8 * i) : 0;
		break;
	default: write_pkru(c, image ? get32(image) : 0); break;
	}
}

/* The MSRs must be allowed what they get (13.8.2). */
static bool component_valid(const struct cpu *c, unsigned number, const u8 *image)
{
	if (number == UINTR) /* a notification's vector must have been taken away before */
		return !uintr_vector(c->uintr) && uintr_valid(c->model, image);
	if (number == LBR)
		return lbr_valid(c, image);
	if (number > CET_S)
		return true;
	if (number == CET_U && !cet_control_valid(c, get64(image)))
		return false;
	for (unsigned at = number == CET_U ? 8 : 0; number >= CET_U && at < (number == CET_U ? 16 : 24); at += 8)
		if (get64(image + at) & 3 || !canonical_base(c->model, get64(image + at)))
			return false;
	return true;
}

/* ---- the area in memory ---- */

/* The parts of an area that will be written, in the image and, from LINEAR, in memory. */
struct area {
	u8 image[AREA];
	struct part_of { u16 from, len; u64 linear; } parts[5 + ARRAY_LEN(components)];
	unsigned nparts;
};

/* Legacy region and header must be in the segment, and aligned, whatever of them is touched. */
static bool area_begins(struct cpu *c, const struct op *o, bool write)
{
	u64 linear;

	if (!op_linear(c, o, HEADER_END, write, &linear))
		return false;
	return linear & 63 ? gp_because(c, 0, "the XSAVE area is not aligned to 64 bytes (vol. 1, 13.4)") : true;
}

/* LEN bytes come in; with WRITE it is seen to it that they may be written, and the first WRITTEN of them are a part
 * that will be. */
static bool area_part(struct cpu *c, const struct op *o, struct area *a, unsigned from, unsigned len, unsigned written,
		      bool write)
{
	u64 linear;

	if (!seg_linear(c, o->seg, (op_offset(c, o) + from) & op_amask(o), len, write, &linear))
		return false;
	if (written)
		a->parts[a->nparts++] = (struct part_of){ (u16)from, (u16)written, linear };
	return write ? mem_check_write(c, linear, len) : mem_read_block(c, linear, a->image + from, len);
}

static bool area_write(struct cpu *c, const struct area *a)
{
	for (unsigned i = 0; i < a->nparts; i++)
		if (!mem_write_block(c, a->parts[i].linear, a->image + a->parts[i].from, a->parts[i].len))
			return false;
	return true;
}

/* Of an area whose layout has the components ALL: those ASKED for must be there whole, also where nothing of them is
 * read or written (13.13 lets the processor touch them, and Intel's do); WRITTEN are those that will be. */
static bool area_parts(struct cpu *c, const struct op *o, struct area *a, u64 asked, u64 written, bool mxcsr, u64 all,
		       bool compact, bool write)
{
	unsigned x87 = written & STATE_X87 ? AT_XMM - AT_ST : 0, xmm = 16 * xmm_count(c);

	if (asked & STATE_X87 && (!area_part(c, o, a, 0, AT_MXCSR, x87 ? AT_MXCSR : 0, write) ||
				  !area_part(c, o, a, AT_ST, AT_XMM - AT_ST, x87, write)))
		return false;
	if ((mxcsr || asked & STATE_SSE) && !area_part(c, o, a, AT_MXCSR, 8, mxcsr ? 8 : 0, write))
		return false;
	if (asked & STATE_SSE && !area_part(c, o, a, AT_XMM, xmm, written & STATE_SSE ? xmm : 0, write))
		return false;
	for (unsigned i = 0; i < ARRAY_LEN(components); i++) {
		const struct component *p = &components[i];
		unsigned len = written >> p->number & 1 ? component_len(c, p) : 0;

		if (asked >> p->number & 1 && !area_part(c, o, a, place(c->model, p, all, compact), p->size, len, write))
			return false;
	}
	return true;
}

/* ---- XSAVE, XSAVEOPT, XSAVEC, XSAVES ---- */

#define EDX_EAX(c) ((c)->r[RDX] << 32 | (u32)(c)->r[RAX])

/* XSAVEOPT leaves out components that are as at reset; XSAVEC besides says so in XCOMP_BV, and packs what follows the
 * header. */
ALWAYS_INLINE bool xsave_body(struct cpu *c, const struct op *o, u64 rfbm, bool optimised, bool compact)
{
	struct area a;
	u64 used = compact ? xsave_in_use(c) : in_use(c), states;
	unsigned header = compact ? 16 : 8;
	bool mxcsr;

	rfbm &= xsave_states(c->model) | xsave_supervisor_states(c->model);
	if (c->amx)
		used &= ~c->amx->xfd; /* as if they were as at reset */
	states = optimised ? rfbm & used : c->amx ? rfbm & ~c->amx->xfd : rfbm;
	mxcsr = compact ? states & STATE_SSE : rfbm & (STATE_SSE | STATE_AVX);
	sse_park(c);
	a.nparts = 0;
	if (!area_begins(c, o, true) || !area_part(c, o, &a, LEGACY, header, header, true) ||
	    !mem_read_block(c, a.parts[0].linear, a.image + LEGACY, 8) ||
	    (is_amd(c->model) && !area_part(c, o, &a, 0, 1, 0, true)) || /* whatever is asked for */
	    !area_parts(c, o, &a, rfbm, states, mxcsr, rfbm, compact, true))
		return false;
	if (compact) {
		put64(a.image + LEGACY, rfbm & used);
		put64(a.image + AT_COMPACT, rfbm | COMPACT);
	} else {
		put64(a.image + LEGACY, (get64(a.image + LEGACY) & ~rfbm) | (rfbm & used));
	}
	if (states & STATE_X87)
		save_x87(c, a.image, o->osize == 8);
	if (mxcsr)
		save_mxcsr(c, a.image);
	if (states & STATE_SSE)
		vregs_save(c, 0, a.image + AT_XMM, xmm_count(c));
	for (unsigned i = 0; i < ARRAY_LEN(components); i++)
		if (states >> components[i].number & 1)
			component_save(c, components[i].number, a.image + place(c->model, &components[i], rfbm, compact));
	return area_write(c, &a);
}

BODY(xsave) { return xsave_body(c, o, c->xcr0 & EDX_EAX(c), false, false); }
GEN_BODY(xsave)
BODY(xsaveopt) { return xsave_body(c, o, c->xcr0 & EDX_EAX(c), true, false); }
GEN_BODY(xsaveopt)
BODY(xsavec) { return xsave_body(c, o, c->xcr0 & EDX_EAX(c), true, true); }
GEN_BODY(xsavec)
/* A program that does not run gets no notification: UINV becomes 0. */
BODY(xsaves)
{
	u64 rfbm = (c->xcr0 | c->xss) & EDX_EAX(c);

	if (!xsave_body(c, o, rfbm, true, true))
		return false;
	if (rfbm & STATE_UINTR)
		c->uintr->misc = (u32)c->uintr->misc;
	return true;
}
GEN_BODY(xsaves)

/* ---- XRSTOR, XRSTORS ---- */

/* What the header must not say (13.8.1, 13.8.2, 13.12): POSSIBLE is XCR0, for XRSTORS with IA32_XSS. */
static bool header_valid(const struct cpu *c, const u8 *image, u64 possible)
{
	u64 present = get64(image + LEGACY), layout = get64(image + AT_COMPACT);

	if (!(layout & COMPACT))
		return !(present & ~possible) && !layout && !get64(image + LEGACY + 16);
	return has(c->model, F_XSAVEC) && !(layout & ~COMPACT & ~possible) && !(present & ~layout) &&
	       all_zero(image + LEGACY + 16, 48);
}

ALWAYS_INLINE bool xrstor_body(struct cpu *c, const struct op *o, u64 possible, bool supervisor)
{
	struct area a;
	u64 all = xsave_states(c->model) | xsave_supervisor_states(c->model), states, layout;
	u64 rfbm = possible & EDX_EAX(c) & all;
	bool compact, mxcsr;

	a.nparts = 0;
	if (!area_begins(c, o, false) || !area_part(c, o, &a, LEGACY, HEADER_END - LEGACY, 0, false))
		return false;
	layout = get64(a.image + AT_COMPACT);
	compact = layout & COMPACT;
	if (!header_valid(c, a.image, possible) || (supervisor && !compact))
		return gp_because(c, 0, "the header of the XSAVE area is not valid (vol. 1, 13.4.2)");
	states = rfbm & get64(a.image + LEGACY);
	if (!xfd_allows(c, states))
		return false;
	/* Standard format: MXCSR comes with SSE or AVX, whatever XSTATE_BV says (13.8.1); compacted: with SSE, or its
	 * reset value. */
	mxcsr = compact ? states & STATE_SSE : rfbm & (STATE_SSE | STATE_AVX);
	if (!area_parts(c, o, &a, compact ? rfbm & layout : rfbm, 0, mxcsr, layout, compact, false))
		return false;
	if (mxcsr && get32(a.image + AT_MXCSR) & ~mxcsr_bits(c))
		return gp_because(c, 0, "a reserved bit of MXCSR would be set (vol. 1, 10.2.3)");
	for (unsigned i = 0; i < ARRAY_LEN(components); i++)
		if (states >> components[i].number & 1 &&
		    !component_valid(c, components[i].number, a.image + place(c->model, &components[i], layout, compact)))
			return gp_because(c, 0, "an MSR takes no such value (vol. 1, 13.8.2)");
	sse_park(c);
	if (mxcsr)
		c->mxcsr = get32(a.image + AT_MXCSR);
	else if (compact && rfbm & STATE_SSE)
		c->mxcsr = MXCSR_RESET;
	if (states & STATE_X87) {
		load_x87(c, a.image, o->osize == 8);
	} else if (rfbm & STATE_X87) {
		memset(c->x87.st, 0, sizeof c->x87.st);
		x87_init(c);
	}
	if (states & STATE_SSE)
		vregs_load(c, 0, a.image + AT_XMM, xmm_count(c));
	else if (rfbm & STATE_SSE)
		vregs_clear(c, 0, xmm_count(c));
	for (unsigned i = 0; i < ARRAY_LEN(components); i++) {
		unsigned number = components[i].number;

		if (rfbm >> number & 1)
			component_load(c, number,
				       states >> number & 1 ? a.image + place(c->model, &components[i], layout, compact) : NULL);
	}
	return true;
}

BODY(xrstor) { return xrstor_body(c, o, c->xcr0, false); }
GEN_BODY(xrstor)
BODY(xrstors) { return xrstor_body(c, o, c->xcr0 | c->xss, true); }
GEN_BODY(xrstors)
