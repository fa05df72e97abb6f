/* SPDX-License-Identifier: MIT */
/* Popek and Goldberg's theorem about the instruction table: the class that each row declares is the one that its
 * columns give, the one that is seen when it runs, and the rows that a monitor would miss on IA-32 are those that Robin
 * and Irvine found. */
#include "cpu/table/popek.h"
#include "rows.h"

static const char *const class_names[] = { [INNOCUOUS] = "innocuous", [PRIVILEGED] = "privileged",
	[CONTROL] = "control", [BEHAVIOUR] = "behaviour" };

START_TEST(declared_is_derived)
{
	unsigned bad = 0;

	for (unsigned i = 0; i < insn_count; i++) {
		const struct insn *row = &insn_table[i];
		enum pg_class class = pg_derive(row, NULL, &pg_ia32);

		if (class == row->pg)
			continue;
		printf("%s \"%s\": declared %s, derived %s\n", row->mnemonic, row->encoding, class_names[row->pg],
		       class_names[class]);
		bad++;
	}
	ck_assert_uint_eq(bad, 0);
}
END_TEST

/* ---- the theorem ---- */

/* J. S. Robin, C. E. Irvine, "Analysis of the Intel Pentium's Ability to Support a Secure Virtual Machine Monitor",
 * USENIX Security 2000. The paper says seventeen; these are the names in its lists. PUSH and POP, MOV, CALL, JMP and
 * RET are those of segment registers and far pointers. */
static const char *const robin_irvine[] = {
	"sgdt", "sidt", "sldt", "smsw", "pushf", "popf",
	"lar", "lsl", "verr", "verw", "pop", "push", "call", "jmp", "int", "ret", "str", "mov",
};

static bool in_list(const char *name, const char *const *list, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!strcmp(list[i], name))
			return true;
	return false;
}

/* The names of the witnesses of model NAME under POLICY are LIST. */
static void expect_witnesses(const char *name, const struct pg_policy *policy, const char *const *list, unsigned n)
{
	const struct insn *rows[256];
	struct model m;
	unsigned count;

	ck_assert(model_parse(&m, name, NULL));
	count = pg_theorem(&m, policy, rows, ARRAY_LEN(rows));
	ck_assert_uint_le(count, ARRAY_LEN(rows));
	for (unsigned i = 0; i < count; i++)
		ck_assert_msg(in_list(pg_witness(rows[i]), list, n), "%s (%s): %s \"%s\"", name, policy->name,
			      rows[i]->mnemonic, rows[i]->encoding);
	for (unsigned i = 0; i < n; i++) {
		bool found = false;

		for (unsigned k = 0; k < count; k++)
			found |= !strcmp(pg_witness(rows[k]), list[i]);
		ck_assert_msg(found, "%s (%s): no %s", name, policy->name, list[i]);
	}
}

START_TEST(robin_and_irvine)
{
	expect_witnesses("pentium", &pg_ia32, robin_irvine, ARRAY_LEN(robin_irvine));
	expect_witnesses("486", &pg_ia32, robin_irvine, ARRAY_LEN(robin_irvine));
	expect_witnesses("386", &pg_ia32, robin_irvine, ARRAY_LEN(robin_irvine));
}
END_TEST

/* The near forms, the general registers and the control registers are not among them. */
START_TEST(only_those_forms)
{
	for (unsigned i = 0; i < insn_count; i++) {
		const struct insn *row = &insn_table[i];
		const char *e = row->encoding;
		bool witness = pg_derive(row, NULL, &pg_ia32) == CONTROL || pg_derive(row, NULL, &pg_ia32) == BEHAVIOUR;

		if (!strcmp(row->mnemonic, "mov"))
			ck_assert_msg(witness == (!strncmp(e, "8C", 2) || !strncmp(e, "8E", 2)), "%s", e);
		else if (!strcmp(row->mnemonic, "push") || !strcmp(row->mnemonic, "pop"))
			ck_assert_msg(witness == (strstr("ES CS SS DS FS GS", row->operands) && *row->operands), "%s",
				      e);
		else if (!strcmp(row->mnemonic, "call") || !strcmp(row->mnemonic, "jmp"))
			ck_assert_msg(witness == (row->operands[1] == 'p'), "%s", e);
		else if (!strcmp(row->mnemonic, "ret"))
			ck_assert_msg(witness == (strchr("89AB", e[1]) != NULL), "%s", e);
	}
}
END_TEST

/* Later processors add to the list: what shows IA32_APIC_BASE, CR4.OSFXSR, XCR0, TSC_AUX. UMIP (SDM vol. 3, 2.5) takes
 * five names off it, and the answer stays no. */
START_TEST(later_processors)
{
	static const char *const p6[] = {
		"sgdt", "sidt", "sldt", "smsw", "pushf", "popf", "lar", "lsl", "verr", "verw", "pop", "push", "call",
			"jmp", "int", "ret", "str", "mov", "cpuid",
		"fxsave", "fxrstor",
	};
	static const char *const max_umip[] = {
		"pushf", "popf", "lar", "lsl", "verr", "verw", "pop", "push", "call", "jmp", "int", "ret", "mov",
			"cpuid", "xgetbv", "xsave", "xrstor", "xsaveopt", "xsavec",
		"rdpid", "fxsave", "fxrstor",
	};

	expect_witnesses("p6", &pg_ia32, p6, ARRAY_LEN(p6));
	expect_witnesses("max", &pg_umip, max_umip, ARRAY_LEN(max_umip));
	expect_witnesses("max,+apx", &pg_umip, max_umip, ARRAY_LEN(max_umip)); /* APX adds none */
}
END_TEST

/* SVM's intercepts (APM vol. 2, table 15-7) as names of instructions: every row of these has one, and no other. */
START_TEST(intercepts)
{
	static const char *const svm[] = {
		"in", "out", "ins", "outs", "sgdt", "sidt", "sldt", "str", "lgdt", "lidt", "lldt", "ltr", "smsw",
		"lmsw", "clts", "rdmsr", "wrmsr", "rdtsc", "rdtscp", "rdpmc", "cpuid", "rsm", "iret", "invd", "wbinvd",
		"pause", "hlt", "invlpg", "invpcid", "monitor", "mwait", "xsetbv", "pushf", "popf", "int", "int1",
		"vmrun", "vmmcall", "vmload", "vmsave", "stgi", "clgi", "invlpga", "monitorx", "mwaitx", "rdpru", "mcommit",
		"invlpgb", "tlbsync",
	};

	for (unsigned i = 0; i < insn_count; i++) {
		const struct insn *row = &insn_table[i];
		bool system_register = !strcmp(row->mnemonic, "mov") && !strncmp(row->encoding, "0F 2", 4);
		bool has_one = system_register || in_list(row->mnemonic, svm, ARRAY_LEN(svm));

		ck_assert_msg(!row->intercept == !has_one, "%s", row->mnemonic);
	}
}
END_TEST

/* With VT-x and SVM the answer is yes: nothing is left, on any processor. */
START_TEST(hardware_support)
{
	for (unsigned i = 0; model_names[i]; i++) {
		expect_witnesses(model_names[i], &pg_vtx, NULL, 0);
		expect_witnesses(model_names[i], &pg_svm, NULL, 0);
	}
}
END_TEST

/* Ring compression changes nothing: what traps at CPL 3 traps at CPL 1, and the rest does not. IOPL 1 adds what IOPL
 * guards (SDM vol. 2: CLI, STI, IN, OUT, INS, OUTS). */
START_TEST(ring_compression)
{
	static const char *const guarded[] = { "cli", "sti", "in", "out", "ins", "outs" };

	for (unsigned i = 0; i < insn_count; i++) {
		const struct insn *row = &insn_table[i];
		enum pg_class class = pg_derive(row, NULL, &pg_ring1_iopl);

		ck_assert_int_eq(pg_derive(row, NULL, &pg_ring1), row->pg);
		if (in_list(row->mnemonic, guarded, ARRAY_LEN(guarded)))
			ck_assert_msg(class == CONTROL || class == BEHAVIOUR, "%s", row->mnemonic);
		else
			ck_assert_msg(class == row->pg, "%s", row->mnemonic);
	}
}
END_TEST

/* Theorem 3. A hybrid monitor is not possible either: in user mode, too, a program sees GDTR and its like, IF, and what
 * the descriptor tables say. What only shows the CPL, as PUSH CS, is no witness any more. Those that remain are the
 * instructions which Robin and Irvine find to be user-level, but for PUSH and MOV from a segment register. */
START_TEST(hybrid)
{
	static const char *const pentium[] = {
		"sgdt", "sidt", "sldt", "smsw", "pushf", "popf", "lar", "lsl", "verr", "verw", "pop", "call", "jmp",
		"int", "ret", "str", "mov",
	};

	for (unsigned k = 0; k < 6; k++) {
		const struct pg_policy *policy = (const struct pg_policy *const[]){ &pg_ia32, &pg_umip, &pg_ring1,
			&pg_ring1_iopl, &pg_vtx, &pg_svm }[k];
		bool found[ARRAY_LEN(pentium)] = { false };

		ck_assert(model_parse(&model, "pentium", NULL));
		for (unsigned i = 0; i < insn_count; i++) {
			const struct insn *row = &insn_table[i];
			enum pg_class class = pg_derive_user(row, &model, policy);

			if (!insn_in(row, &model) || class == INNOCUOUS || class == PRIVILEGED)
				continue;
			ck_assert_msg(k < 4 && strncmp(row->encoding, "8C", 2) && strcmp(row->mnemonic, "push"), "%s",
				      row->encoding);
			ck_assert_msg(in_list(pg_witness(row), pentium, ARRAY_LEN(pentium)), "%s", row->mnemonic);
			for (unsigned n = 0; n < ARRAY_LEN(pentium); n++)
				found[n] |= !strcmp(pg_witness(row), pentium[n]);
		}
		for (unsigned n = 0; n < ARRAY_LEN(pentium); n++) {
			bool umip = policy == &pg_umip && *pentium[n] == 's'; /* those five begin so */

			ck_assert_msg(found[n] == (k < 4 && !umip), "%s: %s", policy->name, pentium[n]);
		}
	}
}
END_TEST

/* ---- observed ---- */

/* Ways in which two machines can differ that a program should not see. */
static const struct variation { u32 resource; const char *name; } variations[] = {
	{ SR_CPL, "CPL" }, { SR_CR0, "CR0" }, { SR_CR2, "CR2" }, { SR_CR3, "CR3" }, { SR_CR4, "CR4" }, { SR_DR, "DR" },
		{ SR_GDTR, "GDTR" }, { SR_IDTR, "IDTR" },
	{ SR_LDTR, "LDTR" }, { SR_TR, "TR" }, { SR_MSR, "MSR" }, { SR_IF, "IF" }, { SR_IOPL, "IOPL" },
		{ SR_SEG, "SEG" }, { SR_TSC, "TSC" }, { SR_XCR0, "XCR0" },
	{ SR_DESC, "DESC" }, { SR_AC, "AC" }, { SR_IO, "IO" },
	/* Those that most depend on come more often. */
	{ SR_CPL, NULL }, { SR_CPL, NULL }, { SR_DESC, NULL }, { SR_CPL, NULL }, { SR_DESC, NULL },
};

/* A device at every port. */
static u64 port_value, port_writes;
static u64 read_port(void *owner, u64 offset, unsigned size)
{
	(void)owner;
	(void)offset;
	(void)size;
	return port_value;
}
static void write_port(void *owner, u64 offset, unsigned size, u64 value)
{
	(void)owner;
	(void)offset;
	(void)size;
	(void)value;
	port_writes++;
}

/* Make this machine differ in RESOURCE from what enter() gave it. */
static void vary(u32 resource)
{
	static const struct { u8 reg; u16 sel; } aliases[] = { { CS, S_CODE3B | 3 }, { SS, S_DATA3B | 3 },
		{ DS, S_DATA3B | 3 }, { ES, S_DATA3B }, { FS, S_DATA3B }, { GS, S_DATA3B | 3 } };

	switch (resource) {
	case SR_CR0: c->cr0 ^= CR0_MP | CR0_WP; break;
	case SR_CR2: c->cr2 ^= 0x1234; break;
	case SR_CR3: c->cr3 ^= 0x18; break; /* PWT, PCD */
	case SR_CR4: c->cr4 ^= CR4_DE | CR4_MCE | CR4_PGE | CR4_OSFXSR; break;
	case SR_DR: c->dr[0] = 0x1234; c->dr[6] ^= 1; break;
	case SR_GDTR: c->gdtr.base = GDT_COPY; break;
	case SR_IDTR:
		c->idtr.base = IDT_COPY;
		if (!(c->mode & MODE_LONG))
			c->idtr.limit = 0x7ff - c->idtr.limit;
		break;
	case SR_LDTR: descriptor_to_seg(&c->seg[LDTR], S_LDT, get64(wanted + GDT + S_LDT)); c->seg[LDTR].sel = S_SLOT;
		break;
	case SR_TR: c->seg[TR].sel = S_TASK2; break;
	case SR_MSR: c->tsc_aux ^= 5; c->kernel_gs_base ^= 0x100; c->pat ^= 1; c->sysenter_esp ^= 8; break;
	case SR_IF: c->eflags ^= FL_I; break;
	case SR_IOPL: c->eflags ^= FL_IOPL; break;
	case SR_AC: c->eflags ^= FL_AC; break;
	case SR_TSC: c->idle_ns += 1000; break;
	case SR_XCR0: c->xcr0 ^= 0xe4; break;
	case SR_IO: port_value ^= 0xff; break;
	case SR_SEG:
		if (c->mode & MODE_LONG)
			c->seg[ES].sel = c->seg[FS].sel = S_DATA0B;
		else if (c->cpl == 1 || c->cpl == 2)
			c->seg[DS].sel = c->seg[ES].sel = c->seg[FS].sel = c->seg[GS].sel = S_DATA0B;
		else if (c->cpl)
			for (unsigned i = 0; i < ARRAY_LEN(aliases); i++)
				load_seg(aliases[i].reg, aliases[i].sel);
		else
			c->seg[CS].sel = S_CODE0B, c->seg[SS].sel = S_DATA0B, c->seg[DS].sel = S_DATA0B,
				c->seg[ES].sel = c->seg[FS].sel = c->seg[GS].sel = S_DATA0;
		break;
	}
}

/* What of the system RESOURCES the instruction changed. */
struct system { u64 cr0, cr2, cr3, cr4, efer, xcr0, dr[8], msr[12], gdtr, idtr, ldtr, tr, cpl, flags, activity, io; };
static struct system system_now(void)
{
	struct system s;

	memset(&s, 0, sizeof s);
	s = (struct system){
		.cr0 = c->cr0, .cr2 = c->cr2, .cr3 = c->cr3, .cr4 = c->cr4, .xcr0 = c->xcr0,
		.msr = { c->efer, c->star, c->lstar, c->cstar, c->sfmask, c->kernel_gs_base, c->sysenter_cs,
		c->sysenter_esp, c->sysenter_eip, c->pat, c->tsc_aux, c->misc_enable },
		.gdtr = c->gdtr.base << 16 | c->gdtr.limit, .idtr = c->idtr.base << 16 | c->idtr.limit,
		.ldtr = c->seg[LDTR].sel, .tr = c->seg[TR].base << 16 | c->seg[TR].sel,
		.cpl = c->cpl, .flags = c->eflags, .activity = (u64)c->activity << 1 | c->monitor_armed,
		.io = port_writes,
	};
	memcpy(s.dr, c->dr, sizeof s.dr);
	return s;
}

static u32 changed(const struct system *a, const struct system *b)
{
	u64 flags = a->flags ^ b->flags;
	bool task = a->tr != b->tr;
	u32 what = 0;

	/* A switch of tasks is one resource, whatever it brings; LTR alone has nothing else. */
	if (task && (flags || a->cpl != b->cpl || a->cr0 != b->cr0 || (a->cr3 != b->cr3) || a->ldtr != b->ldtr))
		return SR_TASK;
	what |= task ? SR_TR : 0;
	what |= a->cr0 != b->cr0 ? SR_CR0 : 0;
	what |= a->cr2 != b->cr2 ? SR_CR2 : 0;
	what |= a->cr3 != b->cr3 ? SR_CR3 : 0;
	what |= a->cr4 != b->cr4 ? SR_CR4 : 0;
	what |= a->xcr0 != b->xcr0 ? SR_XCR0 : 0;
	what |= memcmp(a->dr, b->dr, sizeof a->dr) ? SR_DR : 0;
	what |= memcmp(a->msr, b->msr, sizeof a->msr) && !((a->cr0 ^ b->cr0) & CR0_PG) ? SR_MSR : 0;
	what |= a->gdtr != b->gdtr ? SR_GDTR : 0;
	what |= a->idtr != b->idtr ? SR_IDTR : 0;
	what |= a->ldtr != b->ldtr ? SR_LDTR : 0;
	what |= a->cpl != b->cpl ? SR_CPL : 0;
	what |= flags & FL_I ? SR_IF : 0;
	what |= flags & FL_IOPL ? SR_IOPL : 0;
	what |= flags & FL_AC ? SR_AC : 0;
	what |= a->activity != b->activity ? SR_ACTIVITY : 0;
	what |= a->io != b->io ? SR_IO : 0;
	return what;
}

/* Where a monitor runs its guest, directly. */
static const struct place {
	const char *name;
	unsigned cpl, iopl;
	bool user; /* a hybrid monitor: the guest's user mode alone, whatever its IOPL */
	const struct pg_policy *policy;
	unsigned samples; /* of a row that is sensitive */
} places[] = {
	{ "CPL 3", 3, 0, false, &pg_ia32, 2400 },
	{ "CPL 2", 2, 0, false, &pg_ia32, 1200 },
	{ "CPL 1", 1, 0, false, &pg_ring1, 1200 },
	{ "CPL 1, IOPL 1", 1, 1, false, &pg_ring1_iopl, 1200 },
	{ "user mode", 3, 0, true, &pg_ia32, 1200 },
};

struct observation {
	bool ran0, ran;       /* without a trap, at CPL 0 and at the place's */
	u32 writes, reads;    /* SR_* */
};

/* A random state, the same each time for the same BASE. At CPL > 0 the monitor's policy holds. */
static void begin(bool wide, unsigned cpl, unsigned iopl, u64 base)
{
	u64 keep = seed;

	seed = base;
	enter_at(wide ? LONG0 : PROT0, cpl);
	c->eflags |= (rnd() & (FL_I | FL_AC | FL_ID)) | iopl << 12;
	c->sfmask = rnd() & (FL_I | FL_AC | FL_D);
	c->idtr.limit = rnd() & 1 && !wide ? 0x7ff : 0;
	port_value = 0x5a5a5a5a;
	c->monitor_armed = true;
	c->monitor_phys = RAM_SIZE - 64; /* where no sample stores */
	if (c->cpl) {
		c->cr4 |= CR4_TSD;
		c->efer &= ~(u64)EFER_SCE;
		c->sysenter_cs = 0;
	}
	seed = keep;
}

static bool go(struct seen *s, u32 *writes)
{
	struct system before, after;
	bool faulted;

	settle();
	before = system_now();
	faulted = run_one();
	after = system_now();
	look(s, OSZAPC | FL_D);
	if (!faulted)
		*writes |= changed(&before, &after);
	return !faulted;
}

/* #UD and #NM that one side has are features which the monitor has turned off: traps, nothing that is seen. */
static bool switched_off(const struct seen *s) { return s->faulted && (s->vector == VEC_UD || s->vector == VEC_NM); }

/* Put SEL where an instruction may take a selector from. */
static void aim_at(u16 sel, unsigned bits)
{
	for (unsigned i = RAX; i <= RBX; i++)
		regs.r[i] = sel;
	if (below(2)) { /* as an operand, and for POP */
		put64(wanted + DATA, sel);
		put64(wanted + STACK, sel);
	} else { /* behind an offset: far pointers and returns */
		put64(wanted + DATA, TARGET);
		put16(wanted + DATA + bits / 8, sel);
		put64(wanted + STACK, TARGET);
		put64(wanted + STACK + bits / 8, sel);
	}
}

static void observe(const struct isa_row *row, const struct place *place, struct observation *seen, unsigned samples)
{
	const bool wide = only_64(row);
	const unsigned bits = wide ? 64 : 32;

	memset(seen, 0, sizeof *seen);
	for (unsigned k = 0; k < samples; k++) {
		u32 varied = variations[k % ARRAY_LEN(variations)].resource;
		bool memory = may_be(row, true) && (below(2) || !may_be(row, false)), ran;
		unsigned cpl = place->cpl, iopl = place->user && below(2) ? 3 : place->iopl;
		struct seen a, b;
		u64 base = rnd() | 1, slot;

		if (place->user && varied == SR_CPL) /* there it does not vary */
			varied = SR_DESC;
		sample_registers();
		if (is_rep(row))
			regs.r[RCX] = row->insn->port ? 1 + below(5) : below(6); /* no count, no I/O */
		sample_memory(bits);
		if (varied == SR_DESC && below(2)) /* the descriptor there varies */
			aim_at((u16)(S_SLOT | (below(4) ? cpl : 3)), bits);
		if (varied == SR_CPL && below(2))
			aim_at(selector(), bits);
		if (varied == SR_XCR0 && below(2)) /* CPUID's leaf that shows it */
			regs.r[RAX] = 0xd, regs.r[RCX] = 0;
		encode(wanted + CODE, row, bits, memory, false);

		begin(wide, cpl, iopl, base);
		ran = go(&a, &seen->writes);
		if (varied == SR_CPL) {
			begin(wide, 0, iopl, base);
			seen->ran0 |= go(&b, &seen->writes);
		} else if (varied == SR_DESC) {
			slot = descriptor(0, below(2) ? 0xfff : 0xffff, below(256), 4);
			put64(wanted + GDT + S_SLOT, slot);
			put64(wanted + GDT_COPY + S_SLOT, slot);
			begin(wide, cpl, iopl, base);
			go(&b, &seen->writes);
		} else if (varied == SR_IOPL && !place->user) { /* the policy fixes it where the guest runs */
			begin(wide, 0, iopl, base);
			seen->ran0 |= go(&a, &seen->writes);
			begin(wide, 0, iopl, base);
			vary(varied);
			seen->ran0 |= go(&b, &seen->writes);
		} else {
			begin(wide, cpl, iopl, base);
			vary(varied);
			ran |= go(&b, &seen->writes) && varied != SR_IOPL;
		}
		seen->ran |= ran && iopl == place->iopl;
		if (memcmp(&a, &b, sizeof a) && !switched_off(&a) && !switched_off(&b))
			seen->reads |= varied;
	}
}

/* Rows that never run here, and so cannot be seen to be what they are. */
static const struct { const char *mnemonic, *why; } unseen[] = {
	{ "rsm", "outside of system management mode: always #UD" },
	{ "vmfunc", "outside of VMX non-root operation: always #UD" },
	{ "rdpmc", "the model has no counters: always #GP" },
	{ "senduipi", "IA32_UINTR_TT has bit 0 clear: always #UD" },
	{ "erets", "CR4.FRED is clear: always #UD" },
	{ "eretu", "CR4.FRED is clear: always #UD" },
	{ "setssbsy", "the supervisor has no shadow stacks: always #UD" },
	{ "clrssbsy", "the supervisor has no shadow stacks: always #UD" },
};

static enum pg_class class_of(const struct place *place, const struct observation *o)
{
	u32 shared = place->user ? SR_CPL | SR_SEG | SR_AC : 0; /* by the guest's user mode and the processor's */

	if (o->ran0 && !o->ran)
		return PRIVILEGED;
	return o->writes & ~shared || o->writes & SR_CPL ? CONTROL : o->reads & ~shared ? BEHAVIOUR : INNOCUOUS;
}

static const char *words(u32 set)
{
	static char text[256];

	text[0] = 0;
	for (unsigned i = 0; i < ARRAY_LEN(variations); i++)
		if (set & variations[i].resource && variations[i].name)
			strcat(strcat(text, " "), variations[i].name);
	if (set & SR_TASK)
		strcat(text, " TASK");
	if (set & SR_ACTIVITY)
		strcat(text, " ACTIVITY");
	return text;
}

/* Complain about what was seen at PLACE. Returns the number of complaints. */
static unsigned compare(const struct isa_row *row, const struct place *place, const struct observation *o)
{
	const struct insn *insn = row->insn;
	enum pg_class class = class_of(place, o),
		      wanted_class = (place->user ? pg_derive_user : pg_derive)(insn, NULL, place->policy);
	unsigned bad = 0;
	/* That it faults where the guest runs is said by .check. */
	u32 reads = o->reads & ~insn->reads & ~(class == PRIVILEGED ? SR_CPL | SR_IOPL : 0);

	if (class != wanted_class) {
		printf("%s, %s: derived %s, observed %s", place->name, row_name(row), class_names[wanted_class],
		       class_names[class]);
		printf(" (reads%s;", words(o->reads));
		printf(" writes%s)\n", words(o->writes));
		bad++;
	}
	if (o->writes & ~insn->writes) {
		printf("%s, %s: changes%s\n", place->name, row_name(row), words(o->writes & ~insn->writes));
		bad++;
	}
	if (reads) {
		printf("%s, %s: depends on%s\n", place->name, row_name(row), words(reads));
		bad++;
	}
	if (place->user && o->writes & insn->inner) {
		printf("%s: changes%s at CPL 3\n", row_name(row), words(o->writes & insn->inner));
		bad++;
	}
	if (!place->user && insn->inner & ~o->writes) {
		printf("%s, %s: does not change%s\n", place->name, row_name(row), words(insn->inner & ~o->writes));
		bad++;
	}
	return bad;
}

/* At every CPL that a monitor can choose, and in the guest's user mode. */
START_TEST(observed_is_derived)
{
	static const struct device_ops ports = { read_port, write_port, 1, 4 };
	const struct place *place = &places[_i];
	const struct insn *which;
	struct isa *isa;
	unsigned bad = 0, runs = 0;

	build();
	ck_assert_int_ge(space_add_device(&io, "ports", 0, 0x10000, &ports, NULL), 0);
	isa = isa_new(&model, &which);
	ck_assert_ptr_nonnull(isa);
	while (!isa->rows[isa->count - 1].enabled)
		isa->count--;
	for (unsigned i = 0; i < isa->count; i++) {
		const struct isa_row *row = &isa->rows[i];
		const struct insn *insn = row->insn;
		struct observation o;
		bool skip = insn->check & (CHK_VMX | CHK_SVM); /* they need a monitor: test_vmx.c, test_svm.c */

		for (unsigned k = 0; k < ARRAY_LEN(unseen); k++)
			skip |= !strcmp(unseen[k].mnemonic, insn->mnemonic);
		/* in 64-bit mode there is paging, and here no page of shadow stacks */
		skip |= row->evex && !strcmp(insn->mnemonic, "wruss");
		/* IOPL makes no difference to the others: at CPL 1 they have been observed */
		skip |= place->iopl && !insn->port && !(insn->check & CHK_IOPL) &&
			!((insn->reads | insn->writes) & (SR_IF | SR_IOPL));
		if (skip || !row->enabled) /* it is AMD's */
			continue;
		observe(row, place, &o, place->samples / (insn->pg == INNOCUOUS ? 32 : 1));
		o.ran0 |= place->user && insn->pg == PRIVILEGED; /* other places have seen that */
		bad += compare(row, place, &o);
		runs++;
	}
	printf("%s: %u rows observed\n", place->name, runs);
	ck_assert_uint_eq(bad, 0);
	isa_free(isa);
	bare_free();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("popek");
	TCase *table = tcase_create("theorem");
	SRunner *runner = srunner_create(suite);
	int failed;

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* Check's children end with _exit */
	suite_add_tcase(suite, table);
	tcase_set_timeout(table, 120);
	tcase_add_test(table, declared_is_derived);
	tcase_add_test(table, robin_and_irvine);
	tcase_add_test(table, only_those_forms);
	tcase_add_test(table, later_processors);
	tcase_add_test(table, intercepts);
	tcase_add_test(table, hardware_support);
	tcase_add_test(table, ring_compression);
	tcase_add_test(table, hybrid);
	tcase_add_loop_test(table, observed_is_derived, 0, ARRAY_LEN(places));
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
