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
}
END_TEST

/* With VT-x the answer is yes: nothing is left, on any processor. */
START_TEST(vtx)
{
	for (unsigned i = 0; model_names[i]; i++)
		expect_witnesses(model_names[i], &pg_vtx, NULL, 0);
}
END_TEST

/* ---- observed ---- */

/* Ways in which two machines can differ that a program should not see. */
static const struct variation { u32 resource; const char *name; } variations[] = {
	{ SR_CPL, "CPL" }, { SR_CR0, "CR0" }, { SR_CR2, "CR2" }, { SR_CR3, "CR3" }, { SR_CR4, "CR4" }, { SR_DR, "DR" },
		{ SR_GDTR, "GDTR" }, { SR_IDTR, "IDTR" },
	{ SR_LDTR, "LDTR" }, { SR_TR, "TR" }, { SR_MSR, "MSR" }, { SR_IF, "IF" }, { SR_IOPL, "IOPL" },
		{ SR_SEG, "SEG" }, { SR_TSC, "TSC" }, { SR_XCR0, "XCR0" },
	{ SR_DESC, "DESC" }, { SR_AC, "AC" },
	/* Those that most depend on come more often. */
	{ SR_CPL, NULL }, { SR_CPL, NULL }, { SR_DESC, NULL }, { SR_CPL, NULL }, { SR_DESC, NULL },
};

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
	case SR_XCR0: c->xcr0 ^= 4; break;
	case SR_SEG:
		if (c->mode & MODE_LONG)
			c->seg[ES].sel = c->seg[FS].sel = S_DATA0B;
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
struct system { u64 cr0, cr2, cr3, cr4, efer, xcr0, dr[8], msr[12], gdtr, idtr, ldtr, tr, cpl, flags, activity; };
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
	return what;
}

struct observation {
	bool ran0, ran3;      /* without a trap, at CPL 0 and at CPL 3 */
	u32 writes, reads;    /* SR_* */
};

/* A random state, the same each time for the same BASE. At CPL 3 the monitor's policy holds. */
static void begin(enum run_mode m, u64 base)
{
	u64 keep = seed;

	seed = base;
	enter(m);
	c->eflags |= rnd() & (FL_I | FL_AC | FL_ID);
	c->sfmask = rnd() & (FL_I | FL_AC | FL_D);
	c->idtr.limit = rnd() & 1 && bits_of(m) == 32 ? 0x7ff : 0;
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

static void observe(const struct isa_row *row, struct observation *seen, unsigned samples)
{
	const bool wide = only_64(row);
	const unsigned bits = wide ? 64 : 32;

	memset(seen, 0, sizeof *seen);
	for (unsigned k = 0; k < samples; k++) {
		const struct variation *v = &variations[k % ARRAY_LEN(variations)];
		bool memory = may_be(row, true) && (below(2) || !may_be(row, false));
		struct seen a, b;
		u64 base = rnd() | 1, slot;

		sample_registers();
		if (is_rep(row))
			regs.r[RCX] = row->insn->port ? 1 + below(5) : below(6); /* no count, no I/O */
		sample_memory(bits);
		encode(wanted + CODE, row, bits, memory, false);

		begin(wide ? LONG3 : PROT3, base);
		seen->ran3 |= go(&a, &seen->writes);
		if (v->resource == SR_CPL) {
			begin(wide ? LONG0 : PROT0, base);
			seen->ran0 |= go(&b, &seen->writes);
		} else if (v->resource == SR_DESC) {
			slot = descriptor(0, below(2) ? 0xfff : 0xffff, below(256), 4);
			put64(wanted + GDT + S_SLOT, slot);
			put64(wanted + GDT_COPY + S_SLOT, slot);
			begin(wide ? LONG3 : PROT3, base);
			go(&b, &seen->writes);
		} else if (v->resource == SR_IOPL) { /* the policy is that it is 0 at CPL 3 */
			begin(wide ? LONG0 : PROT0, base);
			seen->ran0 |= go(&a, &seen->writes);
			begin(wide ? LONG0 : PROT0, base);
			vary(v->resource);
			seen->ran0 |= go(&b, &seen->writes);
		} else {
			begin(wide ? LONG3 : PROT3, base);
			vary(v->resource);
			seen->ran3 |= go(&b, &seen->writes);
		}
		if (memcmp(&a, &b, sizeof a) && !switched_off(&a) && !switched_off(&b))
			seen->reads |= v->resource;
	}
}

/* Rows that never run here, and so cannot be seen to be what they are. */
static const struct { const char *mnemonic, *why; } unseen[] = {
	{ "rsm", "outside of system management mode: always #UD" },
	{ "rdpmc", "there are no counters: always #GP" },
};

static enum pg_class class_of(const struct observation *o)
{
	if (o->ran0 && !o->ran3)
		return PRIVILEGED;
	return o->writes ? CONTROL : o->reads ? BEHAVIOUR : INNOCUOUS;
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

START_TEST(observed_is_declared)
{
	const struct insn *which;
	struct isa *isa;
	unsigned bad = 0, runs = 0;

	build();
	isa = isa_new(&model, &which);
	ck_assert_ptr_nonnull(isa);
	while (!isa->rows[isa->count - 1].enabled)
		isa->count--;
	for (unsigned i = 0; i < isa->count; i++) {
		const struct isa_row *row = &isa->rows[i];
		const struct insn *insn = row->insn;
		struct observation o;
		enum pg_class class;
		bool skip = false;

		for (unsigned k = 0; k < ARRAY_LEN(unseen); k++)
			skip |= !strcmp(unseen[k].mnemonic, insn->mnemonic);
		if (skip)
			continue;
		observe(row, &o, insn->pg == INNOCUOUS ? 108 : 3600);
		class = class_of(&o);
		runs++;
		if (class != insn->pg) {
			printf("%s: declared %s, observed %s", row_name(row), class_names[insn->pg],
			       class_names[class]);
			printf(" (reads%s;", words(o.reads));
			printf(" writes%s)\n", words(o.writes));
			bad++;
		}
		if (o.writes & ~insn->writes) {
			printf("%s: changes%s\n", row_name(row), words(o.writes & ~insn->writes));
			bad++;
		}
		/* That it faults at CPL 3 is said by .check. */
		if (o.reads & ~insn->reads & ~(class == PRIVILEGED ? SR_CPL | SR_IOPL : 0)) {
			printf("%s: depends on%s\n", row_name(row), words(o.reads & ~insn->reads));
			bad++;
		}
	}
	printf("%u rows observed\n", runs);
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
	tcase_add_test(table, vtx);
	tcase_add_test(table, observed_is_declared);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
