/* SPDX-License-Identifier: MIT */
/* Instructions that talk to the processor itself (SDM vol. 2, each one's operation and exceptions; vol. 3, chapter 2):
 * control registers, descriptor table registers, model-specific registers, ports, and the entries that know no
 * descriptors. */
#include "tests/unit/modes.h"

/* ---- who may ---- */

/* What an instruction is above ring 0, in protected and in virtual-8086 mode; -1: it runs. */
static const struct privilege { const char *name; u8 code[6]; int above, v86; bool only_64; } privileges[] = {
	{ "hlt", { 0xf4 }, VEC_GP, VEC_GP, false }, { "clts", { 0x0f, 0x06 }, VEC_GP, VEC_GP, false },
		{ "lmsw ax", { 0x0f, 0x01, 0xf0 }, VEC_GP, VEC_GP, false },
	{ "lgdt [bx]", { 0x0f, 0x01, 0x17 }, VEC_GP, VEC_GP, false },
		{ "lidt [bx]", { 0x0f, 0x01, 0x1f }, VEC_GP, VEC_GP, false },
	{ "lldt ax", { 0x0f, 0x00, 0xd0 }, VEC_GP, VEC_UD, false }, { "ltr ax", { 0x0f, 0x00, 0xd8 }, VEC_GP, VEC_UD,
		false },
	{ "mov eax, cr0", { 0x0f, 0x20, 0xc0 }, VEC_GP, VEC_GP, false }, { "mov cr0, eax", { 0x0f, 0x22, 0xc0 }, VEC_GP,
		VEC_GP, false },
	{ "mov cr3, eax", { 0x0f, 0x22, 0xd8 }, VEC_GP, VEC_GP, false }, { "mov eax, dr0", { 0x0f, 0x21, 0xc0 }, VEC_GP,
		VEC_GP, false },
	{ "mov dr0, eax", { 0x0f, 0x23, 0xc0 }, VEC_GP, VEC_GP, false },
		{ "rdmsr", { 0x0f, 0x32 }, VEC_GP, VEC_GP, false }, { "wrmsr", { 0x0f, 0x30 }, VEC_GP, VEC_GP, false },
	{ "invd", { 0x0f, 0x08 }, VEC_GP, VEC_GP, false }, { "wbinvd", { 0x0f, 0x09 }, VEC_GP, VEC_GP, false },
		{ "invlpg [bx]", { 0x0f, 0x01, 0x3f }, VEC_GP, VEC_GP, false },
	{ "invpcid", { 0x66, 0x0f, 0x38, 0x82, 0x07 }, VEC_GP, VEC_GP, false },
		{ "xsetbv", { 0x0f, 0x01, 0xd1 }, VEC_GP, VEC_GP, false },
	{ "swapgs", { 0x0f, 0x01, 0xf8 }, VEC_GP, VEC_UD, true }, { "sysretq", { 0x48, 0x0f, 0x07 }, VEC_GP, VEC_UD,
		true }, { "sysexit", { 0x0f, 0x35 }, VEC_GP, VEC_GP, false },
	{ "monitor", { 0x0f, 0x01, 0xc8 }, VEC_UD, VEC_UD, false }, { "mwait", { 0x0f, 0x01, 0xc9 }, VEC_UD, VEC_UD,
		false }, { "stac", { 0x0f, 0x01, 0xcb }, VEC_UD, VEC_UD, false },
	{ "clac", { 0x0f, 0x01, 0xca }, VEC_UD, VEC_UD, false }, { "rsm", { 0x0f, 0xaa }, VEC_UD, VEC_UD, false },
	{ "smsw ax", { 0x0f, 0x01, 0xe0 }, -1, -1, false }, { "sgdt [bx]", { 0x0f, 0x01, 0x07 }, -1, -1, false },
		{ "sidt [bx]", { 0x0f, 0x01, 0x0f }, -1, -1, false },
	{ "sldt ax", { 0x0f, 0x00, 0xc0 }, -1, VEC_UD, false }, { "str ax", { 0x0f, 0x00, 0xc8 }, -1, VEC_UD, false },
		{ "rdtsc", { 0x0f, 0x31 }, -1, -1, false },
	{ "cpuid", { 0x0f, 0xa2 }, -1, -1, false }, { "xgetbv", { 0x0f, 0x01, 0xd0 }, -1, -1, false },
};

START_TEST(rings)
{
	for (enum mode m = V86; m < MODE_COUNT; m++)
		for (unsigned i = 0; i < ARRAY_LEN(privileges); i++)
			for (unsigned cpl = 1; cpl < 4; cpl++) {
				const struct privilege *p = &privileges[i];

				if ((m == V86 && cpl < 3) || (p->only_64 && m != LONG))
					continue;
				name_case("%s, ring %u: %s", mode_names[m], cpl, p->name);
				enter(m, cpl);
				c->cr4 |= CR4_OSXSAVE;
				c->xcr0 = 7;
				c->sysenter_cs = CODE64(0);
				c->r[RBX] = DATA;
				poke(CODE, p->code, sizeof p->code);
				settle();
				expect(m == V86 ? p->v86 : p->above, 0);
			}
}
END_TEST

/* CR4.UMIP (vol. 3, 2.5): #GP(0) above ring 0; where there is no such instruction, that comes first. */
START_TEST(umip)
{
	static const struct { const char *name; u8 code[3]; bool prot; } rows[] = {
		{ "smsw ax", { 0x0f, 0x01, 0xe0 }, false }, { "sgdt [bx]", { 0x0f, 0x01, 0x07 }, false },
			{ "sidt [bx]", { 0x0f, 0x01, 0x0f }, false },
		{ "sldt ax", { 0x0f, 0x00, 0xc0 }, true }, { "str ax", { 0x0f, 0x00, 0xc8 }, true },
			{ "smsw [bx]", { 0x0f, 0x01, 0x27 }, false },
	};

	for (enum mode m = REAL; m < MODE_COUNT; m++)
		for (unsigned i = 0; i < 4 * ARRAY_LEN(rows); i++) {
			unsigned k = i / 4, cpl = m == V86 ? 3 : m == REAL ? 0 : i & 3;

			name_case("%s, ring %u: %s", mode_names[m], cpl, rows[k].name);
			enter(m, cpl);
			c->cr4 |= CR4_UMIP;
			c->r[RBX] = DATA;
			poke(CODE, rows[k].code, 3);
			settle();
			expect(m <= V86 && rows[k].prot ? VEC_UD : cpl ? VEC_GP : RETIRED, 0);
		}
}
END_TEST

/* CR4.TSD and CR4.PCE; there are no counters, so RDPMC has no index that is valid (vol. 2, RDPMC). */
START_TEST(counters)
{
	for (enum mode m = REAL; m < MODE_COUNT; m++)
		for (unsigned n = 0; n < 4 * 4 * 3; n++) {
			unsigned cpl = m == V86 ? 3 : n & 3, tsd = n >> 2 & 1, pce = n >> 3 & 1, which = n >> 4;

			if (m == REAL && cpl)
				continue;
			name_case("%s, ring %u: %u, TSD %u, PCE %u", mode_names[m], cpl, which, tsd, pce);
			enter(m, cpl);
			c->cr4 |= (tsd ? CR4_TSD : 0) | (pce ? CR4_PCE : 0);
			update_mode(c);
			if (which == 1)
				POKE(CODE, 0x0f, 0x01, 0xf9);
			else
				POKE(CODE, 0x0f, which ? 0x33 : 0x31);
			c->tsc_aux = 0x12345678;
			expect(which == 2 || (cpl && tsd) ? VEC_GP : RETIRED, 0);
			if (which == 1 && !(cpl && tsd))
				EQ(c->r[RCX], 0x12345678);
		}
}
END_TEST

/* ---- CR0 ---- */

/* Vol. 2, MOV to CR0: PG wants PE, NW wants CD, 64-bit mode wants PG; the upper half is reserved; the rest of the lower
 * is ignored, ET is one. */
START_TEST(cr0)
{
	static const enum mode modes[] = { REAL, P32, C32, LONG };

	for (unsigned k = 0; k < ARRAY_LEN(modes); k++)
		for (unsigned n = 0; n < 128; n++) {
			enum mode m = modes[k];
			u64 v = (n & 1 ? CR0_PE : 0) | (n & 2 ? CR0_PG : 0) | (n & 4 ? CR0_CD : 0) |
				(n & 8 ? CR0_NW : 0) | (n & 16 ? CR0_TS | CR0_EM | CR0_MP : 0) |
				(n & 32 ? 0x1ffaffd0 & ~(u32)(CR0_WP | CR0_AM | CR0_NE | CR0_ET) : 0) |
				(n & 64 && m == LONG ? (u64)1 << 40 : 0);
			bool bad = (v & CR0_PG && !(v & CR0_PE)) || (v & CR0_NW && !(v & CR0_CD)) || v >> 32 ||
				   (m == LONG && !(v & CR0_PG));

			name_case("%s: CR0 := %llx", mode_names[m], (unsigned long long)v);
			enter(m, 0);
			POKE(CODE, 0x0f, 0x22, 0xc0);
			c->r[RAX] = v;
			poke32(PML4 + 0x800, 0); /* whatever pages they make */
			expect(bad ? VEC_GP : RETIRED, 0);
			if (bad)
				continue;
			EQ(c->cr0, (v & (CR0_PE | CR0_PG | CR0_CD | CR0_NW | CR0_TS | CR0_EM | CR0_MP)) | CR0_ET);
			EQ(c->efer >> 10 & 1, is_long(m) && v & CR0_PG ? 1 : 0); /* LMA */
		}
}
END_TEST

/* Into IA-32e mode (vol. 3, 9.8.5): PAE, no 64-bit CS, no 16-bit TSS. */
START_TEST(into_long_mode)
{
	static const struct { const char *name; bool pae, l, tss16; int vector; } rows[] = {
		{ "as it should be", true, false, false, RETIRED }, { "no PAE", false, false, false, VEC_GP },
			{ "CS.L", true, true, false, VEC_GP }, { "16-bit TSS", true, false, true, VEC_GP },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		name_case("%s", rows[i].name);
		enter(P32, 0);
		c->efer = EFER_LME;
		c->cr4 |= rows[i].pae ? CR4_PAE : 0;
		c->cr3 = PML4;
		poke64(PML4, (PML4 + 0x1000) | 0x67);
		poke64(PML4 + 0x1000, 0xe7);
		if (rows[i].l)
			c->seg[CS].attr |= SEG_L;
		if (rows[i].tss16)
			c->seg[TR].attr = SEG_P | 3;
		POKE(CODE, 0x0f, 0x22, 0xc0);
		c->r[RAX] = CR0_PE | CR0_PG;
		settle();
		expect(rows[i].vector, 0);
		EQ(c->efer & EFER_LMA, rows[i].vector == RETIRED ? EFER_LMA : 0);
	}
}
END_TEST

/* LMSW sets PE and cannot clear it, and knows MP, EM and TS besides. SMSW: 16 bits to memory, as many as there are to a
 * register. */
START_TEST(machine_status_word)
{
	for (enum mode m = REAL; m < MODE_COUNT; m++)
		for (unsigned v = 0; v < 16; v++) {
			u64 was;

			if (m == V86)
				continue;
			name_case("%s: LMSW %x", mode_names[m], v);
			enter(m, 0);
			was = c->cr0;
			POKE(CODE, 0x0f, 0x01, 0xf0);
			c->r[RAX] = 0xfff0 | v;
			expect(RETIRED, 0);
			EQ(c->cr0, (was & ~(u64)14) | v | (was & 1));
		}
	for (enum mode m = REAL; m < MODE_COUNT; m++) {
		name_case("%s: SMSW", mode_names[m]);
		enter(m, 0);
		c->cr0 |= CR0_WP | CR0_AM | CR0_NE;
		POKE(CODE, 0x0f, 0x01, 0xe0, 0x0f, 0x01, 0x20 | rm_bx(m));
		c->r[RAX] = 0xaaaaaaaaaaaaaaaa;
		c->r[RBX] = DATA;
		poke32(DATA, 0x55555555);
		settle();
		expect(RETIRED, 0);
		EQ(c->r[RAX], word_of(m) == 2 ? 0xaaaaaaaaaaaa0000 | (u16)c->cr0 : (u32)c->cr0);
		expect(RETIRED, 0);
		EQ(peek(DATA, 4), 0x55550000 | (u16)c->cr0);
	}
}
END_TEST

/* ---- CR2, CR3, CR4, CR8 ---- */

START_TEST(cr4)
{
	const u64 known = 0x7f /* VME PVI TSD DE PSE PAE MCE */ | CR4_PGE | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT |
		CR4_UMIP | CR4_FSGSBASE | CR4_PCIDE | CR4_OSXSAVE | CR4_VMXE |
			  /* vol. 3, 2.5; no SMX, LA57, CET, PKS, LAM here, as CPUID says */
			  CR4_SMEP | CR4_SMAP | CR4_PKE;

	for (enum mode m = P32; m < MODE_COUNT; m++)
		for (unsigned bit = 0; bit < 64; bit++) {
			u64 v = (u64)1 << bit;
			bool bad = !(v & known) || (v == CR4_PCIDE && !is_long(m));

			if (m == C16 || (m != LONG && bit > 31))
				continue;
			name_case("%s: CR4 bit %u", mode_names[m], bit);
			enter(m, 0);
			POKE(CODE, 0x0f, 0x22, 0xe0);
			c->r[RAX] = v | (is_long(m) ? CR4_PAE : 0);
			expect(bad ? VEC_GP : RETIRED, 0);
			if (!bad)
				EQ(c->cr4, v | (is_long(m) ? CR4_PAE : 0));
		}
	for (enum mode m = C32; m < MODE_COUNT; m++) {
		name_case("%s: PAE off", mode_names[m]);
		enter(m, 0);
		POKE(CODE, 0x0f, 0x22, 0xe0);
		expect(VEC_GP, 0);
		name_case("%s: PCIDE with a PCID", mode_names[m]);
		enter(m, 0);
		c->cr3 |= 8;
		c->r[RAX] = CR4_PAE | CR4_PCIDE;
		POKE(CODE, 0x0f, 0x22, 0xe0);
		expect(VEC_GP, 0);
	}
	/* With PCIDE paging stays on: it would be left with a PCID (vol. 3, 4.10.1). */
	name_case("PG off with PCIDE");
	enter(C32, 0);
	c->cr4 |= CR4_PCIDE;
	POKE(CODE, 0x0f, 0x22, 0xc0);
	c->r[RAX] = CR0_PE;
	expect(VEC_GP, 0);
}
END_TEST

/* CR3: reserved are bits from MAXPHYADDR up, but 63 with PCIDE. CR8: four bits. CR2: anything. The others are no
 * registers. */
START_TEST(others)
{
	for (unsigned pcide = 0; pcide < 2; pcide++)
		for (unsigned bit = 0; bit < 64; bit++) {
			bool bad = bit >= 40 && !(pcide && bit == 63);

			name_case("CR3 bit %u, PCIDE %u", bit, pcide);
			enter(LONG, 0);
			c->cr4 |= pcide ? CR4_PCIDE : 0;
			POKE(CODE, 0x0f, 0x22, 0xd8);
			c->r[RAX] = (u64)1 << bit;
			expect(bad ? VEC_GP : RETIRED, 0);
			if (!bad)
				EQ(c->cr3, bit == 63 ? 0 : (u64)1 << bit);
		}
	for (unsigned bit = 0; bit < 64; bit++) {
		name_case("CR8, CR2 bit %u", bit);
		enter(LONG, 0);
		POKE(CODE, 0x0f, 0x22, 0xd0, 0x44, 0x0f, 0x22, 0xc0);
		c->r[RAX] = (u64)1 << bit;
		expect(RETIRED, 0);
		EQ(c->cr2, (u64)1 << bit);
		expect(bit > 3 ? VEC_GP : RETIRED, 0);
	}
	for (enum mode m = REAL; m < MODE_COUNT; m++)
		for (unsigned n = 0; n < 16; n++)
			for (unsigned to = 0; to < 2; to++) {
				if ((n > 7 && m != LONG) || m == V86)
					continue;
				name_case("%s: MOV %s CR%u", mode_names[m], to ? "to" : "from", n);
				enter(m, 0);
				c->r[RAX] = n == 0 ? c->cr0 : n == 3 ? c->cr3 : n == 4 ? c->cr4 : 0;
				if (n > 7)
					POKE(CODE, 0x44, 0x0f, to ? 0x22 : 0x20, (u8)(0xc0 | (n & 7) << 3));
				else
					POKE(CODE, 0x0f, to ? 0x22 : 0x20, (u8)(0xc0 | n << 3));
				expect(n == 0 || (n >= 2 && n <= 4) || n == 8 ? RETIRED : VEC_UD, 0);
			}
}
END_TEST

/* The first CR4 was a 486's. */
START_TEST(cr4_of_models)
{
	static const struct { const char *model; int vector; } rows[] = { { "386", VEC_UD }, { "486", RETIRED } };

	for (unsigned i = 0; i < 2 * ARRAY_LEN(rows); i++) {
		name_case("%s", rows[i / 2].model);
		bare_free();
		bare_new(rows[i / 2].model, RAM_SIZE);
		enter(P32, 0);
		c->cr4 = 0;
		POKE(CODE, 0x0f, i & 1 ? 0x22 : 0x20, 0xe0);
		expect(rows[i / 2].vector, 0);
	}
}
END_TEST

/* A 286 looks at the first six bytes of a descriptor. */
START_TEST(descriptors_286)
{
	bare_free();
	bare_new("286", RAM_SIZE);
	name_case("286");
	enter(P16, 0);
	set_descriptor(SLOT, descriptor(0xff123456, 0xffff, 0x93, 0xf));
	POKE(CODE, 0x8e, 0xc0);
	c->r[RAX] = SLOT;
	expect(RETIRED, 0);
	EQ(c->seg[ES].base, 0x123456);
	EQ(c->seg[ES].limit, 0xffff);
}
END_TEST

/* PAE paging reads four entries with CR3, and when CR0 or CR4 turn it on or change what counts (vol. 3, 4.4.1): P with
 * a reserved bit is #GP(0). */
START_TEST(pdptes)
{
	static const struct { const char *name; u8 reg; u64 cr0, cr4, v; bool loads; } rows[] = {
		{ "CR3", 3, CR0_PG, CR4_PAE, DATA, true }, { "CR3 without paging", 3, 0, CR4_PAE, DATA, false },
			{ "CR3 without PAE", 3, CR0_PG, 0, DATA, false },
		{ "PG on", 0, 0, CR4_PAE, CR0_PE | CR0_PG, true }, { "PGE", 4, CR0_PG, CR4_PAE, CR4_PAE | CR4_PGE,
			true },
		{ "PSE", 4, CR0_PG, CR4_PAE, CR4_PAE | CR4_PSE, true },
			{ "SMEP", 4, CR0_PG, CR4_PAE, CR4_PAE | CR4_SMEP, true },
			{ "TSD", 4, CR0_PG, CR4_PAE, CR4_PAE | CR4_TSD, false },
		{ "CD", 0, CR0_PG, CR4_PAE, CR0_PE | CR0_PG | CR0_CD, true },
			{ "WP", 0, CR0_PG, CR4_PAE, CR0_PE | CR0_PG | CR0_WP, false },
	};

	for (unsigned i = 0; i < 2 * ARRAY_LEN(rows); i++) {
		unsigned k = i / 2;

		name_case("%s, %s", rows[k].name, i & 1 ? "reserved" : "good");
		enter(P32, 0);
		/* Tables for two levels and for PAE at once: there a page table whose eighth entry is CODE, here a
		 * directory whose first is a large page. */
		poke64(DATA, (PML4 + 0x2000) | (i & 1 ? 3 : 1));
		poke64(DATA + 8, i & 1 ? 0 : 2); /* not present: nothing else counts */
		poke64(PML4 + 0x2000, 0xe7);
		poke32(PML4 + 0x2000 + 4 * (CODE >> 12), CODE | 0x67);
		c->cr3 = DATA;
		c->cr4 |= rows[k].cr4;
		c->cr0 |= rows[k].cr0;
		c->pdpte[0] = (PML4 + 0x2000) | 1;
		POKE(CODE, 0x0f, 0x22, (u8)(0xc0 | rows[k].reg << 3));
		c->r[RAX] = rows[k].v;
		settle();
		expect(i & 1 && rows[k].loads ? VEC_GP : RETIRED, 0);
		if (rows[k].loads && !(i & 1))
			EQ(c->pdpte[1], 2);
	}
}
END_TEST

/* ---- EFER and others ---- */

START_TEST(efer)
{
	for (enum mode m = P32; m < MODE_COUNT; m++)
		for (unsigned bit = 0; bit < 64; bit++) {
			u64 v = (u64)1 << bit, was;
			bool bad;

			if (m == C16)
				continue;
			name_case("%s: EFER bit %u", mode_names[m], bit);
			enter(m, 0);
			was = c->efer;
			v ^= was;
			/* LME stays while there is paging */
			bad = v & ~(u64)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE) || (bit == 8 && is_long(m));
			POKE(CODE, 0x0f, 0x30);
			c->r[RCX] = 0xc0000080;
			c->r[RAX] = (u32)v;
			c->r[RDX] = v >> 32;
			expect(bad ? VEC_GP : RETIRED, 0);
			if (!bad)
				EQ(c->efer, bit == 10 ? was : v); /* LMA is not written */
		}
}
END_TEST

START_TEST(xcr0)
{
	static const struct { bool osxsave; unsigned cpl; u32 ecx; u64 v; int vector; } rows[] = {
		{ false, 0, 0, 1, VEC_UD }, { false, 3, 0, 1, VEC_UD }, { true, 3, 0, 1, VEC_GP },
			{ true, 0, 0, 0, VEC_GP }, { true, 0, 0, 1, RETIRED }, { true, 0, 0, 3, RETIRED },
		{ true, 0, 0, 7, RETIRED }, { true, 0, 0, 5, VEC_GP }, { true, 0, 0, 6, VEC_GP },
			{ true, 0, 1, 1, VEC_GP }, { true, 0, 0, (u64)1 << 63 | 1, VEC_GP },
		{ true, 0, 0, 9, VEC_GP }, { true, 0, 0, 0x11, VEC_GP },
	};

	for (enum mode m = REAL; m < MODE_COUNT; m++)
		for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
			if (m <= V86 && rows[i].cpl != (m == V86 ? 3 : 0))
				continue;
			name_case("%s, row %u", mode_names[m], i);
			enter(m, rows[i].cpl);
			c->cr4 |= rows[i].osxsave ? CR4_OSXSAVE : 0;
			POKE(CODE, 0x0f, 0x01, 0xd1);
			c->r[RAX] = (u32)rows[i].v;
			c->r[RDX] = rows[i].v >> 32;
			c->r[RCX] = rows[i].ecx;
			settle();
			expect(rows[i].vector, 0);
			if (rows[i].vector == RETIRED)
				EQ(c->xcr0, rows[i].v);
		}
}
END_TEST

START_TEST(msrs)
{
	static const struct { u32 index; u64 v; int vector; } rows[] = {
		{ 0x12345, 0, VEC_GP }, { 0xc0000081, ~(u64)0, RETIRED }, { 0xc0000082, (u64)1 << 47, VEC_GP },
			{ 0xc0000082, 0xffff800000000000, RETIRED },
		{ 0xc0000083, (u64)1 << 60, VEC_GP }, { 0xc0000084, (u64)1 << 32, VEC_GP },
			{ 0xc0000084, 0xffffffff, RETIRED }, { 0xc0000100, 0x800000000000, VEC_GP },
		{ 0xc0000101, 0x7fffffffffff, RETIRED }, { 0xc0000102, 0x800000000000, VEC_GP },
			{ 0x174, 0xffff, RETIRED }, { 0x175, 0x800000000000, VEC_GP },
		{ 0x176, 0x800000000000, VEC_GP }, { 0x277, 0x0007040600070406, RETIRED }, { 0x277, 2, VEC_GP },
			{ 0x277, 8, VEC_GP }, { 0x277, (u64)3 << 56, VEC_GP },
		{ 0x2ff, 0xc06, RETIRED }, { 0x2ff, 0x100, VEC_GP }, { 0x2ff, 0x1000, VEC_GP }, { 0x2ff, 2, VEC_GP },
			{ 0x200, 6, RETIRED }, { 0x200, 7, VEC_GP }, { 0x200, 0x800, VEC_GP },
		{ 0x201, 0x800, RETIRED }, { 0x201, 0x400, VEC_GP }, { 0x201, (u64)1 << 40, VEC_GP },
			{ 0x250, 0x0606060606060606, RETIRED }, { 0x250, 0x0606060606060602, VEC_GP },
		{ 0x10a, 0, VEC_GP }, { 0xfe, 0, VEC_GP }, { 0xc0000103, (u64)1 << 32, VEC_GP },
			{ 0xc0000103, 0xffffffff, RETIRED }, { 0xda0, 1, VEC_GP }, { 0xda0, 0, RETIRED },
		{ 0x10, 0x123456789, RETIRED }, { 0x1d9, 3, RETIRED }, { 0x1d9, (u64)1 << 40, VEC_GP },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		name_case("MSR %x := %llx", rows[i].index, (unsigned long long)rows[i].v);
		enter(LONG, 0);
		POKE(CODE, 0x0f, 0x30, 0x0f, 0x32);
		c->r[RCX] = 0x7700000000000000 | rows[i].index; /* ECX */
		c->r[RAX] = 0x7700000000000000 | (u32)rows[i].v;
		c->r[RDX] = 0x7700000000000000 | rows[i].v >> 32;
		expect(rows[i].vector, 0);
		if (rows[i].vector != RETIRED)
			continue;
		expect(RETIRED, 0);
		if (rows[i].index != 0x10)
			EQ(c->r[RAX] | c->r[RDX] << 32, rows[i].v);
	}
}
END_TEST

/* INIT (vol. 3, 10.1 and table 10-1): MSRs, x87 and SSE registers stay; EFER and the bases of FS and GS do not, which
 * belong to what is set anew. */
START_TEST(init)
{
	static const struct { u32 index; u64 v, after; } rows[] = {
		{ 0x174, 0x10, 0x10 }, { 0x175, 0x1234, 0x1234 }, { 0x176, 0x5678, 0x5678 },
			{ 0x277, 0x0606060606060606, 0x0606060606060606 }, { 0x2ff, 0xc06, 0xc06 },
		{ 0xc0000081, 0x1234567890, 0x1234567890 }, { 0xc0000082, 0x1234, 0x1234 },
			{ 0xc0000083, 0x1234, 0x1234 }, { 0xc0000084, 0x200, 0x200 },
		{ 0xc0000102, 0x1234, 0x1234 }, { 0xc0000103, 7, 7 }, { 0xc0000080, EFER_SCE, 0 },
			{ 0xc0000100, 0x1234, 0 }, { 0xc0000101, 0x1234, 0 },
	};

	for (unsigned hard = 0; hard < 2; hard++) {
		enter(REAL, 0);
		for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
			ck_assert(write_msr(c, rows[i].index, rows[i].v));
		c->x87.cw = 0x27f;
		c->mxcsr = 0x1fbf;
		c->xcr0 = 7;
		cpu_reset(c, !hard);
		for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
			u64 v;

			name_case("MSR %x after %s", rows[i].index, hard ? "RESET" : "INIT");
			ck_assert(read_msr(c, rows[i].index, &v));
			EQ(v, !hard ? rows[i].after : rows[i].index == 0x277 ? 0x0007040600070406 : 0);
		}
		EQ(c->x87.cw, hard ? 0x40 : 0x27f);
		EQ(c->mxcsr, hard ? 0x1f80 : 0x1fbf);
		EQ(c->xcr0, hard ? 1 : 7);
		EQ(c->r[RIP], 0xfff0);
		EQ(c->seg[CS].base, 0xffff0000);
		EQ(c->cr4, 0);
	}
}
END_TEST

/* ---- descriptor table registers ---- */

/* LGDT and LIDT: 24 bits of base with operands of 16 bits, 32, or 64 in 64-bit mode, where the prefix means nothing. */
START_TEST(load_tables)
{
	for (enum mode m = REAL; m < MODE_COUNT; m++)
		for (unsigned n = 0; n < 4; n++) {
			bool prefix = n & 1, idt = n & 2, wide = m == LONG || (word_of(m) == 4) != prefix;
			u64 base = 0x1234789abcde, want = m == LONG ? base : wide ? 0x789abcde : 0x9abcde;

			if (m == V86)
				continue;
			name_case("%s: %s, prefix %d", mode_names[m], idt ? "LIDT" : "LGDT", prefix);
			enter(m, 0);
			POKE(CODE, prefix ? 0x66 : 0x90, 0x0f, 0x01, (u8)((idt ? 0x18 : 0x10) | rm_bx(m)));
			if (!prefix)
				c->r[RIP]++;
			c->r[RBX] = DATA;
			poke16(DATA, 0x5678);
			poke64(DATA + 2, base);
			expect(RETIRED, 0);
			EQ(idt ? c->idtr.base : c->gdtr.base, want);
			EQ(idt ? c->idtr.limit : c->gdtr.limit, 0x5678);
		}
	name_case("not canonical");
	enter(LONG, 0);
	POKE(CODE, 0x0f, 0x01, 0x13);
	c->r[RBX] = DATA;
	poke64(DATA + 2, 0x800000000000);
	expect(VEC_GP, 0);
}
END_TEST

/* SGDT, SIDT: 6 bytes, or 10. SLDT, STR: 16 bits to memory whatever the size, zero-extended in a register. */
START_TEST(store_tables)
{
	for (enum mode m = REAL; m < MODE_COUNT; m++) {
		name_case("%s: SGDT", mode_names[m]);
		enter(m, 0);
		POKE(CODE, 0x0f, 0x01, rm_bx(m));
		c->r[RBX] = DATA;
		c->gdtr.base = m == LONG ? 0x123456789abc : 0x56789abc;
		c->gdtr.limit = 0x1122;
		poke64(DATA + 4, ~(u64)0);
		expect(RETIRED, 0);
		EQ(peek(DATA, 2), 0x1122);
		EQ(peek(DATA + 2, 8), m == LONG ? 0x123456789abc : 0xffffffff56789abc);
		c->gdtr.base = GDT;
		if (m <= V86)
			continue;
		POKE(CODE + 3, 0x0f, 0x00, rm_bx(m), 0x0f, 0x00, 0xc8); /* sldt [bx]; str eax */
		poke64(DATA, ~(u64)0);
		c->r[RAX] = ~(u64)0;
		expect(RETIRED, 0);
		EQ(peek(DATA, 8), ~(u64)0xffff | LDT_SEL);
		expect(RETIRED, 0);
		EQ(c->r[RAX], word_of(m) == 2 ? ~(u64)0xffff | TASK : TASK);
	}
}
END_TEST

/* ---- SYSENTER, SYSEXIT, SYSCALL, SYSRET ---- */

static void flat_state(unsigned reg, u16 sel, u32 attr)
{
	EQ(c->seg[reg].sel, sel);
	EQ(c->seg[reg].base, 0);
	EQ(c->seg[reg].limit, 0xffffffff);
	EQ(c->seg[reg].attr, attr);
}
enum { FLAT_CODE = SEG_P | SEG_S | SEG_CODE | SEG_W | SEG_A | SEG_G, FLAT_DATA = SEG_P | SEG_S | SEG_W | SEG_A | SEG_G |
	SEG_DB, RING3 = SEG_DPL };

START_TEST(sysenter)
{
	for (enum mode m = REAL; m < MODE_COUNT; m++)
		for (unsigned n = 0; n < 5; n++) {
			static const u16 cs[] = { 0, 3, 0, 0x08, 0x0b };
			bool bad = m == REAL || cs[n] < 4;

			name_case("%s: SYSENTER_CS %x", mode_names[m], cs[n]);
			enter(m, 3 * (m > V86));
			POKE(CODE, 0x0f, 0x34);
			c->sysenter_cs = cs[n] | (n == 2 ? 0x10000 : 0); /* 16 bits count */
			c->sysenter_eip = 0x1234567000;
			c->sysenter_esp = 0x7654321000;
			c->eflags |= FL_I | FL_D | FL_IOPL;
			settle();
			expect(bad ? VEC_GP : RETIRED, 0);
			if (bad)
				continue;
			flat_state(CS, cs[n] & 0xfffc, FLAT_CODE | (is_long(m) ? SEG_L : SEG_DB));
			flat_state(SS, (cs[n] & 0xfffc) + 8, FLAT_DATA);
			EQ(c->cpl, 0);
			EQ(c->r[RIP], is_long(m) ? 0x1234567000 : 0x34567000);
			EQ(c->r[RSP], is_long(m) ? 0x7654321000 : 0x54321000);
			EQ(c->eflags, FL_1 | FL_D | FL_IOPL); /* VM and IF are clear */
		}
}
END_TEST

START_TEST(sysexit)
{
	static const struct { u64 rcx, rdx; u16 cs; bool wide; int vector; } rows[] = {
		{ 0x5000, 0x6000, 0x08, false, RETIRED }, { 0x5000, 0x6000, 3, false, VEC_GP },
			{ 0x5000, 0x6000, 0x08, true, RETIRED }, { 0x800000000000, 0x6000, 0x08, true, VEC_GP },
		{ 0x5000, 0x800000000000, 0x08, true, VEC_GP },
			{ 0x800000005000, 0x900000006000, 0x08, false, RETIRED },
	};

	for (enum mode m = REAL; m < MODE_COUNT; m++)
		for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
			bool w = rows[i].wide;
			int vector = m <= V86 ? VEC_GP : rows[i].vector;

			if (w && m != LONG)
				continue;
			name_case("%s, row %u", mode_names[m], i);
			enter(m, 0);
			POKE(CODE, w ? 0x48 : 0x90, 0x0f, 0x35);
			if (!w)
				c->r[RIP]++;
			c->sysenter_cs = rows[i].cs;
			c->r[RCX] = rows[i].rcx;
			c->r[RDX] = rows[i].rdx;
			expect(vector, 0);
			if (vector != RETIRED)
				continue;
			flat_state(CS, (u16)((rows[i].cs + (w ? 32 : 16)) | 3),
				   FLAT_CODE | RING3 | (w ? SEG_L : SEG_DB));
			flat_state(SS, (u16)((rows[i].cs + (w ? 40 : 24)) | 3), FLAT_DATA | RING3);
			EQ(c->cpl, 3);
			EQ(c->r[RIP], w ? rows[i].rdx : (u32)rows[i].rdx);
			EQ(c->r[RSP], w ? rows[i].rcx : (u32)rows[i].rcx);
		}
}
END_TEST

START_TEST(syscall)
{
	for (enum mode m = REAL; m < MODE_COUNT; m++)
		for (unsigned n = 0; n < 4; n++) {
			bool sce = n & 1, ring0 = n & 2, bad = m != LONG || !sce;

			name_case("%s: SYSCALL, SCE %d, ring %d", mode_names[m], sce, ring0 ? 0 : 3);
			enter(m, ring0 || m <= V86 ? 0 : 3);
			c->efer = (c->efer & ~(u64)EFER_SCE) | (sce ? EFER_SCE : 0);
			POKE(CODE, 0x0f, 0x05);
			c->star = (u64)0x4b << 32;
			c->lstar = 0xffff812345678000;
			c->sfmask = FL_D | FL_NT | FL_AC;
			c->eflags |= FL_D | FL_NT | FL_AC | FL_IOPL | FL_I;
			settle();
			expect(bad ? VEC_UD : RETIRED, 0);
			if (bad)
				continue;
			flat_state(CS, 0x48, FLAT_CODE | SEG_L);
			flat_state(SS, 0x53, FLAT_DATA); /* the RPL of STAR stays in it */
			EQ(c->cpl, 0);
			EQ(c->r[RCX], CODE + 2);
			EQ(c->r[R11], FL_1 | FL_D | FL_NT | FL_AC | FL_IOPL | FL_I);
			EQ(c->eflags, FL_1 | FL_IOPL | FL_I);
			EQ(c->r[RIP], c->lstar);
			EQ(c->r[RSP], STACK);
		}
}
END_TEST

START_TEST(sysret)
{
	static const struct { enum mode m; bool sce; unsigned cpl; bool wide; u64 rcx; int vector; } rows[] = {
		{ LONG, true, 0, true, 0x5000, RETIRED }, { LONG, true, 0, false, 0x123400005000, RETIRED },
			{ LONG, true, 0, true, 0x800000000000, VEC_GP },
		{ LONG, true, 3, true, 0x5000, VEC_GP }, { LONG, true, 1, false, 0x5000, VEC_GP },
			{ LONG, false, 0, true, 0x5000, VEC_UD }, { LONG, false, 3, true, 0x5000, VEC_UD },
		{ C32, true, 0, false, 0x5000, VEC_UD }, { P32, true, 0, false, 0x5000, VEC_UD },
			{ REAL, true, 0, false, 0x5000, VEC_UD }, { V86, true, 3, false, 0x5000, VEC_UD },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		bool w = rows[i].wide;

		name_case("row %u", i);
		enter(rows[i].m, rows[i].cpl);
		c->efer = (c->efer & ~(u64)EFER_SCE) | (rows[i].sce ? EFER_SCE : 0);
		update_mode(c);
		POKE(CODE, w ? 0x48 : 0x90, 0x0f, 0x07);
		if (!w)
			c->r[RIP]++;
		c->star = (u64)0x48 << 48;
		c->r[RCX] = rows[i].rcx;
		c->r[R11] = 0xffffffff & ~(u32)FL_T;
		expect(rows[i].vector, 0);
		if (rows[i].vector != RETIRED)
			continue;
		flat_state(CS, w ? 0x5b : 0x4b, FLAT_CODE | RING3 | (w ? SEG_L : SEG_DB));
		flat_state(SS, 0x53, FLAT_DATA | RING3);
		EQ(c->cpl, 3);
		EQ(c->r[RIP], w ? rows[i].rcx : (u32)rows[i].rcx);
		EQ(cpu_flags(c), (0x3c7fd7 & ~FL_T) | FL_1); /* neither RF nor VM */
	}
}
END_TEST

/* ---- bases ---- */

START_TEST(bases)
{
	for (unsigned cpl = 0; cpl < 4; cpl += 3)
		for (unsigned n = 0; n < 16; n++) {
			bool gs = n & 1, write = n & 2, wide = n & 4, enabled = n & 8;

			name_case("ring %u: %s%sBASE, %u bits, FSGSBASE %d", cpl, write ? "WR" : "RD", gs ? "GS" : "FS",
				  wide ? 64 : 32, enabled);
			for (unsigned bad = 0; bad < 2; bad++) {
				u64 v = bad ? 0x800012345678 : 0x7fff12345678;
				int vector = !enabled ? VEC_UD : bad && write && wide ? VEC_GP : RETIRED;

				enter(LONG, cpl);
				c->cr4 |= enabled ? CR4_FSGSBASE : 0;
				POKE(CODE, 0xf3, wide ? 0x48 : 0x40, 0x0f, 0xae,
					(u8)(0xc0 | (write ? 2 : 0) << 3 | gs << 3));
				c->r[RAX] = v;
				if (!write)
					c->seg[gs ? GS : FS].base = 0x7fff12345678;
				settle();
				expect(vector, 0);
				if (vector == RETIRED && !bad)
					EQ(write ? c->seg[gs ? GS : FS].base : c->r[RAX], wide ? 0x7fff12345678
						: 0x12345678);
			}
		}
	/* There are none outside of 64-bit mode. */
	for (enum mode m = REAL; m < LONG; m++) {
		name_case("%s: RDFSBASE", mode_names[m]);
		enter(m, 0);
		c->cr4 |= CR4_FSGSBASE;
		POKE(CODE, 0xf3, 0x0f, 0xae, 0xc0);
		settle();
		expect(VEC_UD, 0);
		name_case("%s: SWAPGS", mode_names[m]);
		enter(m, 0);
		POKE(CODE, 0x0f, 0x01, 0xf8);
		expect(VEC_UD, 0);
	}
	name_case("SWAPGS");
	enter(LONG, 0);
	POKE(CODE, 0x0f, 0x01, 0xf8);
	c->seg[GS].base = 0x111000;
	c->kernel_gs_base = 0xffff888000000000;
	expect(RETIRED, 0);
	EQ(c->seg[GS].base, 0xffff888000000000);
	EQ(c->kernel_gs_base, 0x111000);
}
END_TEST

/* ---- ports (vol. 1, 19.5) ---- */

/* IN and OUT in protected mode with CPL > IOPL, and in virtual-8086 mode always: the bits of all the ports must be
 * clear. Two bytes are read, and both must be inside the TSS, which must be one of 32 bits that has a map. */
START_TEST(ports)
{
	static const struct { u16 port; unsigned size; u16 limit; bool tss16; int vector; } rows[] = {
		{ 0x10, 1, 0x1ff, false, RETIRED }, { 0x13, 1, 0x1ff, false, VEC_GP },
			{ 0x12, 2, 0x1ff, false, VEC_GP }, { 0x10, 4, 0x1ff, false, VEC_GP },
		{ 0x14, 4, 0x1ff, false, RETIRED }, { 0xf, 4, 0x1ff, false, RETIRED },
			{ 0x17, 4, 0x1ff, false, RETIRED }, { 0x10, 1, 0x88 + 2, false, VEC_GP },
		{ 0x10, 1, 0x88 + 3, false, RETIRED }, { 0x10, 1, 0x66, false, VEC_GP },
			{ 0x10, 1, 0x67, false, VEC_GP }, { 0x10, 1, 0x1ff, true, VEC_GP },
			{ 0xffff, 1, 0x1ff, false, VEC_GP },
	};

	for (enum mode m = REAL; m < MODE_COUNT; m++)
		for (unsigned i = 0; i < 8 * 4 * ARRAY_LEN(rows); i++) {
			unsigned k = i / 32, level = i & 3, way = i >> 2 & 1, cpl = m == V86 ? 3 : i >> 3 & 3,
				 prefix = rows[k].size > 1 && (rows[k].size == 2) != is_16(m);
			bool free = m == REAL || (m != V86 && cpl <= level);

			if (m == REAL && cpl)
				continue;
			name_case("%s, ring %u, IOPL %u: %s, row %u", mode_names[m], cpl, level, way ? "OUT" : "IN", k);
			enter(m, cpl);
			poke8(TSS_AT + 0x88 + 2, 8); /* port 13h */
			c->seg[TR].limit = rows[k].limit;
			if (rows[k].tss16)
				c->seg[TR].attr = SEG_P | 3;
			POKE(CODE, prefix ? 0x66 : 0x90, (u8)((way ? 0xee : 0xec) | (rows[k].size > 1)));
			if (!prefix)
				c->r[RIP]++;
			c->r[RDX] = rows[k].port;
			c->eflags |= level << 12;
			settle();
			if (rows[k].tss16 && is_long(m))
				continue;
			expect(free ? RETIRED : rows[k].vector, 0);
		}
}
END_TEST

/* ---- MONITOR, MWAIT, INVPCID ---- */

START_TEST(monitor)
{
	static const struct { u64 rcx, rax; bool off; int vector; } rows[] = {
		{ 0, DATA, false, RETIRED }, { 1, DATA, false, VEC_GP }, { 0x100000000, DATA, false, VEC_GP },
			{ 0, 0x800000000000, false, VEC_GP }, { 0, DATA, true, VEC_UD },
		{ 0, (u64)511 * GiB, false, VEC_PF },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		name_case("MONITOR, row %u", i);
		enter(LONG, 0);
		POKE(CODE, 0x0f, 0x01, 0xc8);
		c->r[RAX] = rows[i].rax;
		c->r[RCX] = rows[i].rcx;
		if (rows[i].off)
			c->misc_enable &= ~(u64)MISC_MONITOR;
		expect(rows[i].vector, 0);
	}
	for (unsigned ecx = 0; ecx < 4; ecx++) {
		name_case("MWAIT, ECX %u", ecx);
		enter(P32, 0);
		POKE(CODE, 0x0f, 0x01, 0xc9);
		c->r[RCX] = ecx;
		expect(ecx > 1 ? VEC_GP : RETIRED, 0); /* nothing is monitored: it goes on */
	}
}
END_TEST

START_TEST(invpcid)
{
	static const struct { u64 type, pcid, linear; bool pcide; int vector; } rows[] = {
		{ 0, 0, 0x1000, false, RETIRED }, { 0, 1, 0x1000, false, VEC_GP }, { 0, 1, 0x1000, true, RETIRED },
			{ 0, 0x1000, 0x1000, true, VEC_GP }, { 0, 0, 0x800000000000, true, VEC_GP },
		{ 1, 1, 0x800000000000, true, RETIRED }, { 1, 1, 0, false, VEC_GP }, { 2, 0, 0, false, RETIRED },
			{ 3, 0, 0, true, RETIRED }, { 4, 0, 0, true, VEC_GP },
		{ (u64)1 << 32, 0, 0, true, VEC_GP }, { 2, (u64)1 << 12, 0, true, VEC_GP },
			{ 3, (u64)1 << 63, 0, false, VEC_GP },
	};

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		name_case("row %u", i);
		enter(LONG, 0);
		c->cr4 |= rows[i].pcide ? CR4_PCIDE : 0;
		POKE(CODE, 0x66, 0x0f, 0x38, 0x82, 0x03);
		c->r[RAX] = rows[i].type;
		c->r[RBX] = DATA;
		poke64(DATA, rows[i].pcid);
		poke64(DATA + 8, rows[i].linear);
		expect(rows[i].vector, 0);
	}
	name_case("INVLPG of what is not canonical");
	enter(LONG, 0);
	POKE(CODE, 0x0f, 0x01, 0x3b);
	c->r[RBX] = 0x800000000000;
	expect(RETIRED, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("control");
	TCase *t = tcase_create("control");

	tcase_add_checked_fixture(t, modes_setup, bare_free);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, rings);
	tcase_add_test(t, umip);
	tcase_add_test(t, counters);
	tcase_add_test(t, cr0);
	tcase_add_test(t, into_long_mode);
	tcase_add_test(t, machine_status_word);
	tcase_add_test(t, cr4);
	tcase_add_test(t, others);
	tcase_add_test(t, cr4_of_models);
	tcase_add_test(t, descriptors_286);
	tcase_add_test(t, pdptes);
	tcase_add_test(t, efer);
	tcase_add_test(t, xcr0);
	tcase_add_test(t, msrs);
	tcase_add_test(t, init);
	tcase_add_test(t, load_tables);
	tcase_add_test(t, store_tables);
	tcase_add_test(t, sysenter);
	tcase_add_test(t, sysexit);
	tcase_add_test(t, syscall);
	tcase_add_test(t, sysret);
	tcase_add_test(t, bases);
	tcase_add_test(t, ports);
	tcase_add_test(t, monitor);
	tcase_add_test(t, invpcid);
	suite_add_tcase(s, t);
	return bare_run(s);
}
