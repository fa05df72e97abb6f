/* SPDX-License-Identifier: MIT */
/* ARCHITECTURE.md, law 7: every column of the instruction table is obeyed. Each row is run many times, with random
 * operands, in states that differ just in what a column speaks of. */
#ifdef HAVE_ZYDIS
#include <Zydis/Zydis.h>
#endif
#include "cpu/engine/wait.h"
#include "cpu/operand.h"
#include "rows.h"

static struct isa *isa;
static unsigned bad;

/* Of Intel's processors. Rows that are AMD's alone: tests/silicon/native, test_makers.c. */
#define EACH_ROW(i) for (unsigned i = 0; i < isa->count; i++) if (isa->rows[i].enabled)

static void setup(void)
{
	const struct insn *which;

	build();
	isa = isa_new(&model, &which);
	ck_assert_ptr_nonnull(isa);
	while (!isa->rows[isa->count - 1].enabled)
		isa->count--;
	bad = 0;
}

static void teardown(void)
{
	isa_free(isa);
	bare_free();
}

static void complain(const struct isa_row *row, enum run_mode m, const char *what)
{
	static const char *const modes[] = { "real", "V86", "CPL 0", "CPL 3", "64-bit CPL 0", "64-bit CPL 3" };

	printf("%s, %s: %s;", row_name(row), modes[m], what);
	for (unsigned i = 0; i < 10; i++)
		printf(" %02x", wanted[CODE + i]);
	puts("");
	bad++;
}

static const char *flag_words(u32 flags)
{
	static const struct { u32 bit; const char *name; } names[] = {
		{ FL_C, " C" }, { FL_P, " P" }, { FL_A, " A" }, { FL_Z, " Z" }, { FL_S, " S" }, { FL_T, " T" },
			{ FL_I, " I" }, { FL_D, " D" }, { FL_O, " O" },
		{ FL_IOPL, " IOPL" }, { FL_NT, " NT" }, { FL_RF, " RF" }, { FL_VM, " VM" }, { FL_AC, " AC" },
			{ FL_VIF, " VIF" }, { FL_VIP, " VIP" }, { FL_ID, " ID" },
	};
	static char text[128];

	text[0] = 0;
	for (unsigned i = 0; i < ARRAY_LEN(names); i++)
		if (flags & names[i].bit)
			strcat(text, names[i].name);
	return text;
}

/* A mode in which ROW exists. */
static enum run_mode mode_for(const struct isa_row *row)
{
	if (only_64(row) || (row->insn->modes != NO64 && below(2)))
		return below(4) ? LONG0 : LONG3;
	if (!row->vex && below(3) == 0)
		return below(2) ? REAL : V86;
	return below(4) ? PROT0 : PROT3;
}

/* New registers, memory and code for ROW in M. */
static bool sample(const struct isa_row *row, enum run_mode m)
{
	bool memory = may_be(row, true) && (below(2) || !may_be(row, false));

	sample_registers();
	if (is_rep(row))
		regs.r[RCX] = below(6);
	sample_memory(bits_of(m));
	encode(wanted + CODE, row, bits_of(m), memory, false);
	return memory;
}

static bool wide(enum run_mode m) { return bits_of(m) == 64; }

static void set_flags(u32 flags)
{
	cpu_set_arith(c, flags);
	c->eflags = (c->eflags & (FL_VM | FL_IOPL)) | FL_1 | (flags & ~(u32)(OSZAPC | FL_VM | FL_IOPL));
}

/* ---- flags ---- */

/* Flags that a program can have. TF would trap, RF goes away with the next instruction. */
static const u32 some_flags = OSZAPC | FL_I | FL_D | FL_NT | FL_AC | FL_ID;

static bool run_with(enum run_mode m, u32 flags, bool idt, u32 out, struct seen *s)
{
	bool faulted;

	enter(m);
	c->idtr.limit = idt ? 0x7ff : 0;
	set_flags(flags);
	faulted = run_one();
	look(s, out);
	return faulted;
}

/* .flags: no other bit of EFLAGS changes. .uses: no other bit makes a difference, to the flags that are written
 * neither. */
START_TEST(flags_and_uses)
{
	EACH_ROW(i) {
		const struct isa_row *row = &isa->rows[i];
		u32 extra_out = 0, extra_in = 0;

		for (unsigned k = 0; k < 200; k++) {
			enum run_mode m = mode_for(row);
			u32 flags = (u32)rnd() & some_flags, other = (u32)rnd() & some_flags & ~row->insn->uses,
			    out = row->insn->flags;
			bool idt = !wide(m) && below(2);
			struct seen a, b;

			sample(row, m);
			if (!run_with(m, flags, idt, out, &a))
				extra_out |=
					(cpu_flags(c) ^ (flags | (m == V86 ? FL_VM : 0))) & ~out & ~(u32)(FL_1 | FL_RF);
			run_with(m, flags ^ other, idt, out, &b);
			if (!memcmp(&a, &b, sizeof a))
				continue;
			for (u32 one = 1; one <= FL_ID; one <<= 1) { /* which was it? */
				if (!(other & one))
					continue;
				run_with(m, flags ^ one, idt, out, &b);
				if (memcmp(&a, &b, sizeof a))
					extra_in |= one;
			}
		}
		if (extra_out) {
			printf("%s: writes%s\n", row_name(row), flag_words(extra_out));
			bad++;
		}
		if (extra_in) {
			printf("%s: depends on some of%s\n", row_name(row), flag_words(extra_in));
			bad++;
		}
	}
	ck_assert_uint_eq(bad, 0);
}
END_TEST

/* Every flag that .flags names changes for some operands, but those that are undefined. */
START_TEST(flags_are_written)
{
	EACH_ROW(i) {
		const struct isa_row *row = &isa->rows[i];
		u32 written = 0, want = row->insn->flags & ~row->insn->undef & some_flags;
		bool ran = false;

		for (unsigned k = 0; k < 2000 && want & ~written; k++) {
			enum run_mode m = mode_for(row);
			u32 flags = (u32)rnd() & some_flags;

			sample(row, m);
			enter(m);
			c->idtr.limit = !wide(m) && below(2) ? 0x7ff : 0;
			c->sfmask = rnd();
			set_flags(flags);
			if (run_one())
				continue;
			written |= cpu_flags(c) ^ flags;
			ran = true;
		}
		if (ran && want & ~written) {
			printf("%s: does not write%s\n", row_name(row), flag_words(want & ~written));
			bad++;
		}
	}
	ck_assert_uint_eq(bad, 0);
}
END_TEST

/* ---- LOCK (SDM vol. 2, LOCK) ---- */

/* With a memory destination, rows that say so take LOCK and do what they do without it; everything else is #UD. */
START_TEST(lock)
{
	EACH_ROW(i) {
		const struct isa_row *row = &isa->rows[i];

		/* LOCK MOV CR0 is MOV CR8 on some; Intel says #UD, and the decoder leaves it to the body. */
		if (has_operand(row, OPK_C))
			continue;
		for (unsigned k = 0; k < 16; k++) {
			enum run_mode m = mode_for(row);
			bool memory = sample(row, m);
			struct seen a, b;
			u64 keep = seed;

			encode(wanted + CODE, row, bits_of(m), memory, false);
			enter(m);
			run_one();
			look(&a, OSZAPC | FL_D);
			seed = keep;
			encode(wanted + CODE, row, bits_of(m), memory, true);
			enter(m);
			run_one();
			look(&b, OSZAPC | FL_D);
			if (row->insn->lock && memory) {
				if (!a.faulted)
					b.r[RIP]--;
				if (memcmp(&a, &b, sizeof a)) {
					complain(row, m, "LOCK makes a difference");
					break;
				}
			} else if (!b.faulted || b.vector != VEC_UD) {
				complain(row, m, "takes LOCK");
				break;
			}
		}
	}
	ck_assert_uint_eq(bad, 0);
}
END_TEST

/* ---- what the engine obeys can still be wrong: against the manual ---- */

static bool listed(const char *name, const char *list)
{
	size_t len = strlen(name);

	for (const char *at = list; (at = strstr(at, name)); at += len)
		if ((at == list || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
			return true;
	return false;
}

START_TEST(as_in_the_manual)
{
	/* SDM vol. 2, LOCK. */
	static const char *const lockable =
		"add adc and btc btr bts cmpxchg cmpxchg8b cmpxchg16b dec inc neg not or sbb sub xor xadd xchg";
	/* Vol. 3, 5.9, and those that came later; MOV of control and debug registers beside them. */
	static const char *const privileged = "lgdt lldt ltr lidt lmsw clts invd wbinvd invlpg hlt rdmsr wrmsr swapgs sysexit sysret xsetbv invpcid xsaves xrstors "
		"vmrun vmload vmsave stgi clgi invlpga wrmsrns rdmsrlist wrmsrlist lkgs invlpgb "
		"tlbsync hreset enqcmds wruss setssbsy clrssbsy";
	/* Vol. 2: "not recognized in real-address mode"; the last ones because of VEX. */
	static const char *const protected = "arpl lar lsl lldt ltr sldt str verr verw vmxon vmxoff vmclear vmptrld vmptrst vmread "
					"vmwrite vmlaunch vmresume invept invvpid vmrun vmload vmsave stgi "
					"clgi invlpga invlpgb tlbsync";
	/* Vol. 3, 2.5, CR4.UMIP. */
	static const char *const umip = "sgdt sidt sldt smsw str";

	EACH_ROW(i) {
		const struct isa_row *row = &isa->rows[i];
		const struct insn *insn = row->insn;
		bool special = has_operand(row, OPK_C) || has_operand(row, OPK_D);
		bool destination = row->operands && (row->operand[0].kind == OPK_E || row->operand[0].kind == OPK_M);

		if (insn->lock != (destination && !row->evex && listed(insn->mnemonic, lockable)))
			complain(row, PROT0, ".lock");
		if (!(insn->check & CHK_CPL0) != !(special || listed(insn->mnemonic, privileged)))
			complain(row, PROT0, "CHK_CPL0");
		if (!row->vex && !(insn->check & CHK_PROT) != !listed(insn->mnemonic, protected))
			complain(row, PROT0, "CHK_PROT");
		if (row->vex && !(insn->check & (CHK_PROT | CHK_AVX | CHK_AVX512)))
			complain(row, PROT0, "VEX in real mode");
		if (!(insn->check & CHK_UMIP) != !listed(insn->mnemonic, umip))
			complain(row, PROT0, "CHK_UMIP");
	}
	ck_assert_uint_eq(bad, 0);
}
END_TEST

#ifdef HAVE_ZYDIS
/* Arithmetic flags that Zydis says are written, undefined and read are ours. */
START_TEST(flags_as_zydis)
{
	ZydisDecoder d32, d64;

	ck_assert(ZYAN_SUCCESS(ZydisDecoderInit(&d32, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32)));
	ck_assert(ZYAN_SUCCESS(ZydisDecoderInit(&d64, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)));
	EACH_ROW(i) {
		const struct isa_row *row = &isa->rows[i];
		enum run_mode m = only_64(row) ? LONG0 : PROT0;
		const struct insn *insn = row->insn;
		ZydisDecodedInstruction z;
		ZydisDecodedOperand zop[ZYDIS_MAX_OPERAND_COUNT];
		const ZydisAccessedFlags *f;
		const u32 of = OSZAPC | FL_D;
		u32 written, undefined;

		sample(row, m);
		if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(wide(m) ? &d64 : &d32, wanted + CODE, 15, &z, zop)))
			continue;
		f = z.cpu_flags;
		written = (f->modified | f->set_0 | f->set_1 | f->undefined) & of;
		/* Vol. 2, PTEST and VTESTPS: OF, SF, AF and PF are cleared, with VEX, too. */
		if (!strcmp(insn->mnemonic, "vptest") || !strcmp(insn->mnemonic, "vtestps") ||
		    !strcmp(insn->mnemonic, "vtestpd"))
			written |= FL_O | FL_S | FL_A | FL_P;
		/* Zydis thinks of the flags that a monitor may load (vol. 3, 30.3: the six are written). */
		if (insn->check & CHK_VMX)
			written &= ~(u32)FL_D;
		/* Nor does it think of the flags that the VMCB has. */
		if (!strcmp(insn->mnemonic, "vmrun"))
			written = of;
		/* Vol. 2, RSTORSSP, CLRSSBSY, TESTUI: CF says something, the others become 0. */
		if (!strcmp(insn->mnemonic, "rstorssp") || !strcmp(insn->mnemonic, "clrssbsy") ||
		    !strcmp(insn->mnemonic, "testui"))
			written = OSZAPC;
		/* Vol. 2, UIRET: RFLAGS & 254DD5H */
		if (!strcmp(insn->mnemonic, "uiret"))
			written |= FL_D;
		/* Zydis does not think of task switches (vol. 2, CALL, JMP, INT n: flags affected). */
		if ((insn->flags & of) != written &&
		    !(insn->writes & SR_TASK && insn->flags & FL_NT && insn->uses & FL_NT)) {
			printf("%s: writes, we say%s,", row_name(row), flag_words(insn->flags & of));
			printf(" Zydis%s\n", flag_words(written));
			bad++;
		}
		undefined = f->undefined & of;
		/* Vol. 2: a shift by the constant 1 leaves OF defined; SBB sets AF; BEXTR clears CF and OF. */
		if (row->operands == 2 && row->operand[1].kind == OPK_FIXED && row->operand[1].size == 0)
			undefined &= ~(u32)FL_O;
		if (!strcmp(insn->mnemonic, "sbb"))
			undefined &= ~(u32)FL_A;
		if (!strcmp(insn->mnemonic, "bextr"))
			undefined &= ~(u32)(FL_C | FL_O);
		if ((insn->undef & of) != undefined) {
			printf("%s: undefined, we say%s,", row_name(row), flag_words(insn->undef & of));
			printf(" Zydis%s\n", flag_words(undefined));
			bad++;
		}
		if (f->tested & of & ~insn->uses) {
			printf("%s: reads, we say%s,", row_name(row), flag_words(insn->uses & of));
			printf(" Zydis%s\n", flag_words(f->tested & of));
			bad++;
		}
	}
	ck_assert_uint_eq(bad, 0);
}
END_TEST
#endif

/* ---- modes and fixed checks ---- */

/* Does the row that the bytes at CODE are, in M, say the same as ROW? Another row may have the bytes in another mode.
 * */
static const struct isa_row *decoded(enum run_mode m)
{
	struct dec d;
	struct op o;

	enter(m);
	return decode(isa, &model, c->mode, wanted + CODE, 15, &d, &o) == DECODE_OK ? d.row : NULL;
}

static bool is_row(const struct isa_row *a, const struct isa_row *b) { return a && a->insn == b->insn; }

/* .modes: not found in the other mode, where the bytes are #UD or another instruction. */
START_TEST(modes)
{
	EACH_ROW(i) {
		const struct isa_row *row = &isa->rows[i];

		if (!row->insn->modes)
			continue;
		for (unsigned k = 0; k < 8; k++) {
			enum run_mode here = row->insn->modes == ONLY64 ? LONG0 : PROT0,
				      there = row->insn->modes == ONLY64 ? PROT0 : LONG0;
			const struct isa_row *other;

			sample(row, here);
			if (!is_row(decoded(here), row)) {
				complain(row, here, "is not found");
				break;
			}
			other = decoded(there);
			if (is_row(other, row)) {
				complain(row, there, "is found");
				break;
			}
			if (!other && (!run_one() || c->fault.vector != VEC_UD)) {
				complain(row, there, "is not #UD");
				break;
			}
		}
	}
	ck_assert_uint_eq(bad, 0);
}
END_TEST

/* What each word of .check means: a mode, what is set up in it, and the fault that the row then raises. */
static const struct check {
	u32 check;
	enum run_mode mode;
	u64 cr0, cr4_off;      /* bits that are set, that are cleared */
	u64 cr4_on, xcr0_off, efer_off;
	u8 vector;
	bool port;             /* in place of .check */
	bool no_sysenter;      /* IA32_SYSENTER_CS is null */
} checks[] = {
	{ .check = CHK_CPL0, .mode = PROT3, .vector = VEC_GP },
	{ .check = CHK_CPL0, .mode = LONG3, .vector = VEC_GP },
	{ .check = CHK_CPL0, .mode = V86, .vector = VEC_GP },
	{ .check = CHK_PROT, .mode = REAL, .vector = VEC_UD },
	{ .check = CHK_PROT, .mode = V86, .vector = VEC_UD },
	{ .check = CHK_AVX, .mode = REAL, .vector = VEC_UD },
	{ .check = CHK_AVX, .mode = V86, .vector = VEC_UD },
	{ .check = CHK_AVX512, .mode = REAL, .vector = VEC_UD },
	{ .check = CHK_AVX512, .mode = V86, .vector = VEC_UD },
	{ .check = CHK_AVX512, .mode = PROT0, .cr4_off = CR4_OSXSAVE, .vector = VEC_UD },
	{ .check = CHK_AVX512, .mode = PROT3, .xcr0_off = 0xe4, .vector = VEC_UD },
	{ .check = CHK_AVX512, .mode = LONG3, .cr0 = CR0_TS, .vector = VEC_NM },
	{ .check = CHK_UMIP, .mode = PROT3, .cr4_on = CR4_UMIP, .vector = VEC_GP },
	{ .check = CHK_UMIP, .mode = LONG3, .cr4_on = CR4_UMIP, .vector = VEC_GP },
	{ .check = CHK_FPU, .mode = PROT3, .cr0 = CR0_TS, .vector = VEC_NM },
	{ .check = CHK_FPU, .mode = PROT0, .cr0 = CR0_EM, .vector = VEC_NM },
	{ .check = CHK_WAIT, .mode = PROT0, .cr0 = CR0_TS | CR0_MP, .vector = VEC_NM },
	{ .check = CHK_MMX, .mode = PROT0, .cr0 = CR0_EM, .vector = VEC_UD },
	{ .check = CHK_MMX, .mode = PROT3, .cr0 = CR0_TS, .vector = VEC_NM },
	{ .check = CHK_SSE, .mode = PROT0, .cr0 = CR0_EM, .vector = VEC_UD },
	{ .check = CHK_SSE, .mode = PROT3, .cr4_off = CR4_OSFXSR, .vector = VEC_UD },
	{ .check = CHK_SSE, .mode = LONG3, .cr0 = CR0_TS, .vector = VEC_NM },
	{ .check = CHK_AVX, .mode = PROT0, .cr4_off = CR4_OSXSAVE, .vector = VEC_UD },
	{ .check = CHK_AVX, .mode = PROT3, .xcr0_off = 4, .vector = VEC_UD },
	{ .check = CHK_AVX, .mode = LONG3, .cr0 = CR0_TS, .vector = VEC_NM },
	{ .check = CHK_XSAVE, .mode = PROT3, .cr4_off = CR4_OSXSAVE, .vector = VEC_UD },
	{ .check = CHK_XSAVE, .mode = PROT3, .cr0 = CR0_TS, .vector = VEC_NM },
	{ .check = CHK_OSXSAVE, .mode = PROT3, .cr4_off = CR4_OSXSAVE, .vector = VEC_UD },
	{ .check = CHK_FSGSBASE, .mode = LONG3, .cr4_off = CR4_FSGSBASE, .vector = VEC_UD },
	{ .check = CHK_PKE, .mode = PROT3, .cr4_off = CR4_PKE, .vector = VEC_UD },
	{ .check = CHK_IOPL, .mode = PROT3, .vector = VEC_GP },
	{ .port = true, .mode = PROT3, .vector = VEC_GP },
	{ .check = CHK_IOPL, .mode = V86, .vector = VEC_GP },
	{ .port = true, .mode = V86, .vector = VEC_GP },
	{ .check = CHK_TSD, .mode = V86, .cr4_on = CR4_TSD, .vector = VEC_GP },
	{ .check = CHK_V86IOPL, .mode = V86, .vector = VEC_GP },
	{ .check = CHK_V86INT, .mode = V86, .vector = VEC_GP },
	{ .check = CHK_TSD, .mode = PROT3, .cr4_on = CR4_TSD, .vector = VEC_GP },
	{ .check = CHK_PCE, .mode = PROT3, .vector = VEC_GP },
	{ .check = CHK_RING0, .mode = PROT3, .vector = VEC_UD },
	{ .check = CHK_RING0, .mode = LONG3, .vector = VEC_UD },
	{ .check = CHK_SCE, .mode = LONG0, .efer_off = EFER_SCE, .vector = VEC_UD },
	{ .check = CHK_SCE, .mode = LONG3, .efer_off = EFER_SCE, .vector = VEC_UD },
	{ .check = CHK_SEP, .mode = REAL, .vector = VEC_GP },
	{ .check = CHK_SEP, .mode = PROT0, .no_sysenter = true, .vector = VEC_GP },
	{ .check = CHK_SVM, .mode = LONG0, .efer_off = EFER_SVME, .vector = VEC_UD },
	{ .check = CHK_SEP, .mode = LONG3, .no_sysenter = true, .vector = VEC_GP },
	{ .check = CHK_SMM, .mode = PROT0, .vector = VEC_UD },
	{ .check = CHK_CET, .mode = PROT0, .cr4_off = CR4_CET, .vector = VEC_UD },
	{ .check = CHK_FRED, .mode = LONG0, .vector = VEC_UD },
	{ .check = CHK_SHSTK, .mode = LONG3, .cr4_off = CR4_CET, .vector = VEC_UD },
};

static void arrange(const struct check *k)
{
	c->cr0 |= k->cr0;
	c->cr4 = (c->cr4 & ~k->cr4_off) | k->cr4_on;
	c->xcr0 &= ~k->xcr0_off;
	c->efer &= ~k->efer_off;
	if (k->no_sysenter)
		c->sysenter_cs = 3;
}

/* With the word: always that fault, whatever the operands. */
START_TEST(checks_fault)
{
	const struct check *k = &checks[_i];
	unsigned rows = 0;

	EACH_ROW(i) {
		const struct isa_row *row = &isa->rows[i];

		if (!(k->port ? row->insn->port : row->insn->check & k->check) ||
		    (wide(k->mode) ? row->insn->modes == NO64 : only_64(row)))
			continue;
		if (k->mode == V86 && k->vector != VEC_UD && row->insn->check & CHK_PROT) /* #UD comes first */
			continue;
		rows++;
		for (unsigned n = 0; n < 24; n++) {
			sample(row, k->mode);
			if (is_rep(row))
				regs.r[RCX] = 1;
			enter(k->mode);
			c->efer |= row->insn->check & CHK_SVM ? EFER_SVME : 0;
			arrange(k);
			if (!run_one() || c->fault.vector != k->vector || (k->vector == VEC_GP && c->fault.error)) {
				printf("%u, vector %u: ", _i, c->fault.vector);
				complain(row, k->mode, "no fault, or another one");
				break;
			}
		}
	}
	ck_assert_uint_eq(bad, 0);
	ck_assert_msg(rows, "check %u: no rows", _i);
}
END_TEST

/* Without the word: turning the feature off makes no difference. */
START_TEST(checks_are_complete)
{
	const struct check *k = &checks[_i];

	if (!(k->cr0 | k->cr4_on | k->cr4_off | k->xcr0_off | k->efer_off) && !k->no_sysenter)
		return;
	EACH_ROW(i) {
		const struct isa_row *row = &isa->rows[i];
		u32 same = 0;

		for (unsigned n = 0; n < ARRAY_LEN(checks); n++) /* other words with the same cause */
			if ((checks[n].cr0 & k->cr0) | (checks[n].cr4_on & k->cr4_on) |
				    (checks[n].cr4_off & k->cr4_off) | (checks[n].xcr0_off & k->xcr0_off) |
				    (checks[n].efer_off & k->efer_off) ||
			    (checks[n].no_sysenter && k->no_sysenter))
				same |= checks[n].check;
		if (k->cr4_off & CR4_CET && has_operand(row, OPK_C)) /* with it, CR0.WP must stay set */
			continue;
		if (row->insn->check & same ||
		    row->insn->reads & (SR_CR0 | SR_CR4 | SR_XCR0 | (k->efer_off || k->no_sysenter ? SR_MSR : 0)) ||
		    (wide(k->mode) ? row->insn->modes == NO64 : only_64(row)))
			continue;
		for (unsigned n = 0; n < 16; n++) {
			struct seen a, b;

			sample(row, k->mode);
			enter(k->mode);
			run_one();
			look(&a, OSZAPC | FL_D);
			enter(k->mode);
			arrange(k);
			run_one();
			look(&b, OSZAPC | FL_D);
			if (memcmp(&a, &b, sizeof a)) {
				printf("%u, vector %u: ", _i, b.vector);
				complain(row, k->mode, "looks at a setting that its check does not name");
				break;
			}
		}
	}
	ck_assert_uint_eq(bad, 0);
}
END_TEST

/* CHK_MF: an x87 exception that is unmasked and waits is raised by these, and by no others (SDM vol. 1, 8.7). */
START_TEST(waiting_exceptions)
{
	EACH_ROW(i) {
		const struct isa_row *row = &isa->rows[i];

		for (unsigned n = 0; n < 16; n++) {
			enum run_mode m = mode_for(row);

			sample(row, m);
			enter(m);
			c->x87.cw = 0x37e;
			c->x87.sw = 0x81; /* ES, IE */
			run_one();
			if ((c->fault.vector == VEC_MF) != !!(row->insn->check & CHK_MF)) {
				complain(row, m, row->insn->check & CHK_MF ? "does not raise #MF" : "raises #MF");
				break;
			}
		}
	}
	ck_assert_uint_eq(bad, 0);
}
END_TEST

/* No coprocessor comes before its exception: #NM, or of MMX #UD, not #MF (SDM vol. 3, table 6-2). */
START_TEST(no_coprocessor_no_exception)
{
	EACH_ROW(i) {
		const struct isa_row *row = &isa->rows[i];

		if (!(row->insn->check & CHK_MF) || !(row->insn->check & (CHK_FPU | CHK_MMX | CHK_WAIT)))
			continue;
		for (unsigned n = 0; n < 8; n++) {
			enum run_mode m = mode_for(row);

			sample(row, m);
			enter(m);
			c->cr0 |= CR0_TS | CR0_MP;
			update_mode(c);
			c->x87.cw = 0x37e;
			c->x87.sw = 0x81; /* ES, IE */
			run_one();
			if (c->fault.vector != VEC_NM) {
				complain(row, m, "does not raise #NM");
				break;
			}
		}
	}
	ck_assert_uint_eq(bad, 0);
}
END_TEST

/* .port: rows to which ports are a resource, and no others. */
START_TEST(ports)
{
	EACH_ROW(i)
		if (isa->rows[i].insn->port != !!((isa->rows[i].insn->reads | isa->rows[i].insn->writes) & SR_IO))
			complain(&isa->rows[i], PROT0, ".port");
	ck_assert_uint_eq(bad, 0);
}
END_TEST

/* What changes CPL from 0 to 3 alone raises no #GP(0) where .check names nothing: neither privileged, nor I/O, nor
 * IOPL. */
START_TEST(unprivileged)
{
	const u32 named = CHK_CPL0 | CHK_RING0 | CHK_IOPL | CHK_PCE | CHK_V86IOPL | CHK_V86INT;

	EACH_ROW(i) {
		const struct isa_row *row = &isa->rows[i];
		enum run_mode outer = only_64(row) ? LONG3 : PROT3;

		if (row->insn->check & named || row->insn->port || row->insn->reads & (SR_CPL | SR_DESC))
			continue;
		for (unsigned n = 0; n < 24; n++) {
			struct seen a, b;

			sample(row, outer);
			enter(outer - 1);
			run_one();
			look(&a, OSZAPC | FL_D);
			enter(outer);
			run_one();
			look(&b, OSZAPC | FL_D);
			if (memcmp(&a, &b, sizeof a)) {
				complain(row, outer, "looks at CPL");
				break;
			}
		}
	}
	ck_assert_uint_eq(bad, 0);
}
END_TEST

/* ---- pure, ends, rep, align ---- */

/* .quiet, and what wait.c makes of .pure and .condition: memory and what is no general register stay as they are, and
 * time makes no difference. */
START_TEST(quiet_rows)
{
	unsigned rows = 0;

	EACH_ROW(i) {
		const struct isa_row *row = &isa->rows[i];
		bool one = false;

		for (unsigned k = 0; k < 100; k++) {
			enum run_mode m = mode_for(row);
			u64 before, flags;
			struct seen a, b;
			struct dec d;
			struct op o;

			sample(row, m);
			enter(m);
			if (decode(isa, &model, c->mode, wanted + CODE, 15, &d, &o) != DECODE_OK || d.raises ||
			    !quiet(&d))
				continue;
			before = bare_state();
			flags = cpu_flags(c);
			if (run_one())
				continue;
			look(&a, OSZAPC | FL_D);
			if (memcmp(ram->host, wanted, PML4) /* page walks set A bits there */) {
				complain(row, m, "stores");
				break;
			}
			one = true;
			enter(m);
			c->icount = 12345;
			run_one();
			look(&b, OSZAPC | FL_D);
			memcpy(c->r, head, sizeof c->r);
			for (unsigned n = 0; n < 16; n++)
				c->r[n] = bits_of(m) == 64 ? regs.r[n] : n < 8 ? (u32)regs.r[n] : 0;
			c->r[RIP] = CODE;
			cpu_set_arith(c, (u32)flags);
			c->eflags = (c->eflags & ~(u32)FL_D) | (flags & FL_D);
			c->icount = 0;
			if (memcmp(&a, &b, sizeof a) || bare_state() != before) {
				complain(row, m, "depends on time, or changes more");
				break;
			}
		}
		rows += one;
	}
	ck_assert_uint_eq(bad, 0);
	ck_assert_uint_gt(rows, 200);
}
END_TEST

/* Without .ends: RIP goes on to the next instruction, or stays at a fault; and the mode that decoding depends on is as
 * before, but for MODE_FLAT: loads of DS and ES leave the block by ATTN_MODE if that changes. */
START_TEST(ends)
{
	EACH_ROW(i) {
		const struct isa_row *row = &isa->rows[i];

		if (row->insn->ends)
			continue;
		for (unsigned k = 0; k < 60; k++) {
			enum run_mode m = mode_for(row);
			struct dec d;
			struct op o;
			u64 mode;

			sample(row, m);
			enter(m);
			settle();
			mode = c->mode;
			if (decode(isa, &model, mode, wanted + CODE, 15, &d, &o) != DECODE_OK || run_one())
				continue;
			if (c->r[RIP] != (u64)CODE + d.len || (c->mode ^ mode) & ~(u64)MODE_FLAT) {
				complain(row, m, "ends its block");
				break;
			}
		}
	}
	ck_assert_uint_eq(bad, 0);
}
END_TEST

/* .rep: with RCX = 0 nothing happens; else RCX counts down, and each of the rows has a form without REP beside it. */
START_TEST(rep)
{
	EACH_ROW(i) {
		const struct isa_row *row = &isa->rows[i];
		enum run_mode m = PROT0;
		struct seen a, b;

		if (!row->insn->rep)
			continue;
		sample(row, m);
		regs.r[RCX] = 0;
		enter(m);
		look(&a, 0);
		if (run_one())
			complain(row, m, "faults with a count of 0");
		look(&b, 0);
		a.faulted = false;
		b.r[RIP] = a.r[RIP];
		if (memcmp(&a, &b, sizeof a))
			complain(row, m, "does something with a count of 0");
		regs.r[RCX] = 1;
		enter(m);
		if (run_one() || c->r[RCX] || c->r[RIP] != CODE + 2)
			complain(row, m, "does not count");
	}
	ck_assert_uint_eq(bad, 0);
}
END_TEST

/* .pure: with registers it neither faults nor leaves the block, in any mode where it is. */
START_TEST(pure)
{
	EACH_ROW(i) {
		const struct isa_row *row = &isa->rows[i];

		if (!row->insn->pure || (row->modrm && !may_be(row, false) && strcmp(row->insn->mnemonic, "lea")))
			continue;
		for (unsigned k = 0; k < 100; k++) {
			enum run_mode m = mode_for(row);
			bool memory = !may_be(row, false) && row->modrm;
			u32 flags = (u32)rnd() & some_flags;

			sample(row, m);
			encode(wanted + CODE, row, bits_of(m), memory, false);
			if (!is_row(decoded(m), row)) /* a prefix of ours made it another */
				continue;
			enter(m);
			set_flags(flags);
			if (run_one() || c->r[RIP] < CODE || c->r[RIP] > CODE + 15) {
				complain(row, m, "is not pure");
				break;
			}
		}
	}
	ck_assert_uint_eq(bad, 0);
}
END_TEST

static const u8 *bytes_of(const struct location *l)
{
	switch (l->kind) {
	case IN_GENERAL: return (const u8 *)&c->r[l->reg] + l->first;
	case IN_VECTOR: return c->v[l->reg].b;
	case IN_MASK: return (const u8 *)&c->k[l->reg];
	case IN_MEMORY: return l->value + l->size <= RAM_SIZE ? ram->host + l->value : NULL;
	case IN_IMMEDIATE: return (const u8 *)&l->value;
	default: return NULL;
	}
}

/* .copies: the first operand has the last one's low bytes afterwards, a conditional move's perhaps those that it had;
 * of two that are written, each has the other's. Operands are where operands() says. */
START_TEST(copies)
{
	unsigned seen = 0;

	EACH_ROW(i) {
		const struct isa_row *row = &isa->rows[i];

		for (unsigned k = 0; row->insn->copies && k < 100; k++) {
			enum run_mode m = mode_for(row);
			struct location at[LOCATIONS];
			const u8 *first, *last;
			u8 source[64], old[64];
			unsigned size, n;
			struct dec d;
			struct op o;

			sample(row, m);
			regs.r[RCX] = is_rep(row) ? 1 : regs.r[RCX];
			enter(m);
			if (decode(isa, &model, c->mode, wanted + CODE, 15, &d, &o) != DECODE_OK ||
			    !is_row(d.row, row) || (d.evex && d.k))
				continue;
			n = operands(c, &d, &o, at);
			first = bytes_of(&at[0]);
			last = bytes_of(&at[n - 1]);
			if (!first || !last)
				continue;
			size = at[0].size < at[n - 1].size ? at[0].size : at[n - 1].size;
			memcpy(source, last, size);
			memcpy(old, first, size);
			if (run_one())
				continue;
			seen++;
			if ((memcmp(first, source, size) && !(row->insn->condition && !memcmp(first, old, size))) ||
			    (at[n - 1].written && memcmp(last, old, size))) {
				complain(row, m, "does not copy");
				break;
			}
		}
	}
	ck_assert_uint_eq(bad, 0);
	ck_assert_uint_gt(seen, 5000);
}
END_TEST

/* .align: #GP(0) at each address that is not a multiple, and only with it (SDM vol. 1, 10.4.1.1). EFLAGS.AC is off. */
START_TEST(align)
{
	EACH_ROW(i) {
		const struct isa_row *row = &isa->rows[i];

		/* XSAVE wants 64, RAO-INT and CMPccXADD their operand's size; they say #GP themselves. */
		if (!may_be(row, true) || row->insn->check & CHK_XSAVE || row->insn->since == F_RAO_INT ||
		    row->insn->since == F_CMPCCXADD || row->insn->with == F_RAO_INT || row->insn->with == F_CMPCCXADD)
			continue;
		for (unsigned k = 1; k < 16; k++) {
			enum run_mode m = only_64(row) ? LONG3 : PROT3;
			u8 *at = wanted + CODE;
			struct seen a, b;

			sample(row, m);
			for (unsigned n = 0; n < 0x400; n++) /* what is there is the same at each address */
				wanted[DATA + n] = 0;
			encode(at, row, bits_of(m), true, false);
			enter(m);
			run_one();
			look(&a, 0);
			while (get32(at) != DATA)
				at++;
			put32(at, DATA + k);
			enter(m);
			run_one();
			look(&b, 0);
			if (a.faulted)
				continue;
			if (row->insn->align ? !b.faulted || b.vector != VEC_GP || b.error : b.faulted) {
				complain(row, m,
					 row->insn->align ? "is not aligned, and does not fault"
							  : "faults, as if it had to be aligned");
				break;
			}
		}
	}
	ck_assert_uint_eq(bad, 0);
}
END_TEST

/* Whatever jumps to a target beyond CS's limit is #GP(0) and has done nothing (SDM vol. 2, Jcc, LOOP, JMP, CALL), and
 * only if it does jump. */
START_TEST(branches_are_limited)
{
	EACH_ROW(i) {
		const struct isa_row *row = &isa->rows[i];
		bool always = !strcmp(row->insn->mnemonic, "jmp") || !strcmp(row->insn->mnemonic, "call");
		unsigned jumped = 0, stayed = 0;

		for (unsigned k = 0; has_operand(row, OPK_J) && !only_64(row) && k < 200; k++) {
			struct dec d;
			struct op o;

			sample(row, PROT3);
			regs.r[RCX] = below(3);
			enter(PROT3);
			ck_assert_int_eq(decode(isa, &model, c->mode, wanted + CODE, 15, &d, &o), DECODE_OK);
			c->seg[CS].limit = CODE + d.len - 1;
			c->seg[CS].attr &= ~(u32)SEG_G;
			if (!run_one())
				stayed += c->r[RIP] == (u64)CODE + d.len &&
					  c->r[RCX] == (u32)(regs.r[RCX] - !strncmp(row->insn->mnemonic, "loop", 4));
			else
				jumped += c->fault.vector == VEC_GP && !c->fault.error && c->r[RIP] == CODE &&
					  c->r[RCX] == regs.r[RCX] && c->r[RSP] == STACK;
		}
		if (has_operand(row, OPK_J) && !only_64(row) &&
		    (!jumped || !stayed != always || jumped + stayed != 200))
			complain(row, PROT3, "jumps beyond the limit, or stays wrongly");
	}
	ck_assert_uint_eq(bad, 0);
}
END_TEST

/* Whatever pushes beyond SS's limit is #SS(0). */
START_TEST(pushes_are_limited)
{
	EACH_ROW(i) {
		const struct isa_row *row = &isa->rows[i];

		if (strncmp(row->insn->mnemonic, "push", 4) || only_64(row))
			continue;
		sample(row, PROT0);
		enter(PROT0);
		c->seg[SS].limit = STACK - 0x400;
		c->seg[SS].attr &= ~(u32)SEG_G;
		if (!run_one() || c->fault.vector != VEC_SS || c->fault.error || c->r[RSP] != STACK)
			complain(row, PROT0, "pushes beyond the limit");
	}
	ck_assert_uint_eq(bad, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("columns");
	TCase *table = tcase_create("columns");
	SRunner *runner = srunner_create(suite);
	int failed;

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* Check's children end with _exit */
	suite_add_tcase(suite, table);
	tcase_add_checked_fixture(table, setup, teardown);
	tcase_set_timeout(table, 120);
	tcase_add_test(table, flags_and_uses);
	tcase_add_test(table, flags_are_written);
	tcase_add_test(table, lock);
	tcase_add_test(table, as_in_the_manual);
#ifdef HAVE_ZYDIS
	tcase_add_test(table, flags_as_zydis);
#endif
	tcase_add_test(table, modes);
	tcase_add_loop_test(table, checks_fault, 0, ARRAY_LEN(checks));
	tcase_add_loop_test(table, checks_are_complete, 0, ARRAY_LEN(checks));
	tcase_add_test(table, waiting_exceptions);
	tcase_add_test(table, no_coprocessor_no_exception);
	tcase_add_test(table, ports);
	tcase_add_test(table, unprivileged);
	tcase_add_test(table, pure);
	tcase_add_test(table, quiet_rows);
	tcase_add_test(table, ends);
	tcase_add_test(table, rep);
	tcase_add_test(table, copies);
	tcase_add_test(table, align);
	tcase_add_test(table, branches_are_limited);
	tcase_add_test(table, pushes_are_limited);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
