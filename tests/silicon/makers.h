/* SPDX-License-Identifier: MIT */
/* Where AMD's processors and Intel's do not do the same. A test that compares with the host asks whose rules the model
 * under test follows, and where the host's maker is the other one it steps over just the differences of this table, by
 * name.
 *
 *     DIFFERENCE(id, instructions, Intel's processors, AMD's processors)
 *
 * Seen on Intel's family 6, model 207 (Sapphire Rapids), and on AMD's family 25, models 1 (Zen 3) and 17 (Zen 4), and
 * family 26 (Zen 5). */
#ifndef SILICON_MAKERS_H
#define SILICON_MAKERS_H

#include "cpu/system/model.h"
#include "tests/silicon/host.h"

#define DIFFERENCES(DIFFERENCE) \
	DIFFERENCE(NEAR_66, "near branches with 66h in 64-bit mode", "66h is ignored", \
		"IP is cut to 16 bits, and a return address has two bytes") \
	DIFFERENCE(VECTOR_AC, "SSE and AVX with a memory operand, EFLAGS.AC", \
		"#AC where no alignment is asked for is left out", "#AC") \
	DIFFERENCE(SHA_ALIGNMENT, "SHA1*, SHA256* of memory", "#GP unless aligned to 16 bytes", \
		"no alignment is asked for") \
	DIFFERENCE(MXCSR_MM, "LDMXCSR, FXRSTOR, XRSTOR; MXCSR_MASK", "MXCSR bit 17 is reserved", \
		"bit 17 is MM, misaligned exception mask") \
	DIFFERENCE(GATHER_FAULT, "VGATHER*, VPGATHER* that fault", "elements in front of the fault are done", \
		"any elements may be done") \
	DIFFERENCE(FP_POINTERS, "FXSAVE, XSAVE, XSAVEC, XSAVEOPT, XRSTOR, FXRSTOR", "FOP, FIP and FDP as they are", \
		"only with an unmasked exception pending") \
	DIFFERENCE(SEGMENT_PUSH, "PUSH of a segment register, 32 bits", "writes two bytes", "writes four bytes") \
	DIFFERENCE(SEGMENT_POP, "POP of a segment register", "reads two bytes", "reads the operand size") \
	DIFFERENCE(FAR_REX_W, "LSS, LFS, LGS, CALL and JMP far through memory with REX.W", "an offset of 64 bits", \
		"REX.W is ignored") \
	DIFFERENCE(VEX_W, "VPINSRD, VPEXTRD with W = 1 outside 64-bit mode; VPERMQ, VPERMPD with W = 0", \
		   "W is ignored by the first two; #UD for the others", \
		   	"#UD for the first two; W is ignored by the others") \
	DIFFERENCE(PREFETCH_REGISTER, "0F 0D with a register", "no operation", "#UD") \
	DIFFERENCE(FSCALE_TINY, "FSCALE of a denormal number by 0, underflow unmasked", "no underflow", "underflow") \
	DIFFERENCE(X87_STORE, "x87 stores with an unmasked exception to where a store faults", \
		"the numeric exception first", "the fault first") \
	DIFFERENCE(REP_67, "REP string instructions with 67h in 64-bit mode that fault", "upper halves are cleared", \
		"upper halves stay until an iteration is done") \
	DIFFERENCE(REP_FLAGS, "REP CMPS, REP SCAS that fault", "flags of the last iteration that ended", \
		"other flags") \
	DIFFERENCE(WRAP_4G, "operands in memory, those on the stack too, that go on beyond 4 GiB outside 64-bit mode", \
		"they wrap", "#GP, or the bytes behind") \
	DIFFERENCE(DP_NAN, "DPPS, DPPD", "sums of NaNs take the one to the left", "another order of additions") \
	DIFFERENCE(PS2PH, "VCVTPS2PH with an unmasked exception or a fault", \
		"a fault first, MXCSR as before; all flags are set", \
		   "the numeric exception first; PE is left out") \
	DIFFERENCE(LOOP_REP, "LOOPE, LOOPNE with F2h or F3h", "the prefix is ignored", \
		"it takes part in the condition") \
	DIFFERENCE(PAUSE_REX_B, "F3 REX.B 90", "PAUSE", "XCHG with R8") \
	DIFFERENCE(INT1, "INT1", "a trap: the address behind", "the address of INT1") \
	DIFFERENCE(DOUBLE_SHIFT, "SHLD, SHRD of 16 bits by more than 16", "undefined by the manuals", \
		"undefined by the manuals") \
	DIFFERENCE(MOVSXD_66, "MOVSXD with 66h", "reads two bytes", "reads four bytes") \
	DIFFERENCE(SYSRET_32, "SYSCALL, SYSRET outside 64-bit mode", "#UD", "instructions") \
	DIFFERENCE(LOCK_CR8, "MOV to and from CR0 with LOCK", "#UD", "CR8") \
	DIFFERENCE(LOCK_VERW, "VERW with LOCK", "#UD", "the prefix is ignored, but #UD from family 26 on") \
	DIFFERENCE(FAR_RETURN, "RET far and IRET that fault", \
		"an order of checks; offsets beyond 4 GiB to 32-bit code are cut", "another order; #GP") \
	DIFFERENCE(UD_OPERANDS, "UD0, UD1 whose operands cannot be fetched", "the fetch faults", "#UD") \
	DIFFERENCE(FS_OFFSET, "operands in FS and GS whose offset is not canonical, but the sum with the base is", \
		"the sum counts", "#GP") \
	DIFFERENCE(ENTER_ORDER, "ENTER that faults", "the frame is written first", \
		"the end of the frame is checked first")

enum difference {
#define X(id, instructions, intel, amd) DIFF_##id,
	DIFFERENCES(X)
#undef X
	DIFF_COUNT
};

/* May tests hold MODEL against the host where the makers differ? */
static inline bool host_same_maker(const struct model *m) { return host_maker() == m->maker; }
/* May byte AT of an image that FXSAVE or XSAVE makes differ? FOP, FIP and FDP (DIFF_FP_POINTERS), MXCSR_MASK
 * (DIFF_MXCSR_MM). */
static inline bool makers_image(const struct model *m, unsigned at)
{
	return !host_same_maker(m) && ((at >= 6 && at < 24) || (at >= 28 && at < 32));
}

#endif
