/* Integer SSE2 and SSSE3: what vec_int.h defines, as instructions on XMM registers. */
#include "cpu/insn/vector/vector.h"
#include "cpu/insn/vector/vec_int.h"

/* PAND, ANDPS and ANDPD differ only in which domain of the silicon they use. */
VEC_OP(pand_x, vec_and, 16)
VEC_OP(pandn_x, vec_andn, 16)
VEC_OP(por_x, vec_or, 16)
VEC_OP(pxor_x, vec_xor, 16)
GEN(andps) { gen_pand_x(d, o); }
GEN(andpd) { gen_pand_x(d, o); }
GEN(andnps) { gen_pandn_x(d, o); }
GEN(andnpd) { gen_pandn_x(d, o); }
GEN(orps) { gen_por_x(d, o); }
GEN(orpd) { gen_por_x(d, o); }
GEN(xorps) { gen_pxor_x(d, o); }
GEN(xorpd) { gen_pxor_x(d, o); }

VEC_OP(paddb_x, vec_paddb, 16)
VEC_OP(paddw_x, vec_paddw, 16)
VEC_OP(paddd_x, vec_paddd, 16)
VEC_OP(paddq_x, vec_paddq, 16)
VEC_OP(psubb_x, vec_psubb, 16)
VEC_OP(psubw_x, vec_psubw, 16)
VEC_OP(psubd_x, vec_psubd, 16)
VEC_OP(psubq_x, vec_psubq, 16)

VEC_OP(pmullw_x, vec_pmullw, 16)
VEC_OP(pmuludq_x, vec_pmuludq, 16)
VEC_OP(pmaddwd_x, vec_pmaddwd, 16)

VEC_OP(pcmpeqb_x, vec_pcmpeqb, 16)
VEC_OP(pcmpeqw_x, vec_pcmpeqw, 16)
VEC_OP(pcmpeqd_x, vec_pcmpeqd, 16)
VEC_OP(pcmpgtb_x, vec_pcmpgtb, 16)
VEC_OP(pcmpgtw_x, vec_pcmpgtw, 16)
VEC_OP(pcmpgtd_x, vec_pcmpgtd, 16)

VEC_OP(pminub_x, vec_pminub, 16)
VEC_OP(pmaxub_x, vec_pmaxub, 16)
VEC_OP(pminsw_x, vec_pminsw, 16)
VEC_OP(pmaxsw_x, vec_pmaxsw, 16)
VEC_OP(pavgb_x, vec_pavgb, 16)
VEC_OP(pavgw_x, vec_pavgw, 16)

VEC_OP(psllw_x, vec_psllw, 16)
VEC_OP(pslld_x, vec_pslld, 16)
VEC_OP(psllq_x, vec_psllq, 16)
VEC_OP(psrlw_x, vec_psrlw, 16)
VEC_OP(psrld_x, vec_psrld, 16)
VEC_OP(psrlq_x, vec_psrlq, 16)
VEC_OP(psraw_x, vec_psraw, 16)
VEC_OP(psrad_x, vec_psrad, 16)

VEC_SLOW_OP(paddusb_x, vec_paddusb, 16)
VEC_SLOW_OP(paddusw_x, vec_paddusw, 16)
VEC_SLOW_OP(psubusb_x, vec_psubusb, 16)
VEC_SLOW_OP(psubusw_x, vec_psubusw, 16)
VEC_SLOW_OP(paddsb_x, vec_paddsb, 16)
VEC_SLOW_OP(paddsw_x, vec_paddsw, 16)
VEC_SLOW_OP(psubsb_x, vec_psubsb, 16)
VEC_SLOW_OP(psubsw_x, vec_psubsw, 16)

VEC_SLOW_OP(pmulhw_x, vec_pmulhw, 16)
VEC_SLOW_OP(pmulhuw_x, vec_pmulhuw, 16)
VEC_SLOW_OP(psadbw_x, vec_psadbw, 16)

/* SSSE3 */
VEC_SLOW_OP(phaddw_x, vec_phaddw, 16)
VEC_SLOW_OP(phaddd_x, vec_phaddd, 16)
VEC_SLOW_OP(phaddsw_x, vec_phaddsw, 16)
VEC_SLOW_OP(phsubw_x, vec_phsubw, 16)
VEC_SLOW_OP(phsubd_x, vec_phsubd, 16)
VEC_SLOW_OP(phsubsw_x, vec_phsubsw, 16)
VEC_SLOW_OP(pmaddubsw_x, vec_pmaddubsw, 16)
VEC_SLOW_OP(pmulhrsw_x, vec_pmulhrsw, 16)
VEC_SLOW_OP(pabsb_x, vec_pabsb, 16)
VEC_SLOW_OP(pabsw_x, vec_pabsw, 16)
VEC_SLOW_OP(pabsd_x, vec_pabsd, 16)
VEC_SLOW_OP(psignb_x, vec_psignb, 16)
VEC_SLOW_OP(psignw_x, vec_psignw, 16)
VEC_SLOW_OP(psignd_x, vec_psignd, 16)

/* ---- shifts by an immediate: 66 0F 71-73 ---- */

typedef vec shift_fn(vec a, u64 count);

ALWAYS_INLINE HANDLER_TYPE shift_imm(struct cpu *c, const struct op *o, s64 n, shift_fn *fn)
{
	xmm_set(c, o->dst, fn(xmm_get(c, o->dst), o->imm8));
	RUN(o + 1);
}

#define SHIFT_IMM(name, fn) \
	static HANDLER(h_##name) { return shift_imm(c, o, n, fn); } \
	GEN(name) { (void)d; o->run = h_##name; }

SHIFT_IMM(psllw_xi, shift_left_w)
SHIFT_IMM(pslld_xi, shift_left_d)
SHIFT_IMM(psllq_xi, shift_left_q)
SHIFT_IMM(psrlw_xi, shift_right_w)
SHIFT_IMM(psrld_xi, shift_right_d)
SHIFT_IMM(psrlq_xi, shift_right_q)
SHIFT_IMM(psraw_xi, shift_sign_w)
SHIFT_IMM(psrad_xi, shift_sign_d)
SHIFT_IMM(pslldq, vec_pslldq)
SHIFT_IMM(psrldq, vec_psrldq)
