/* SPDX-License-Identifier: MIT */
/* Paging against SDM vol. 3, chapter 4: who may do what (4.6), error codes (4.7), accessed and dirty (4.8), sizes and
 * reserved bits of each kind of entry (4.3 to 4.5), what drops cached translations (4.10). */
#include "cpu/system/page.h"
#include "tests/unit/bare.h"

enum { RAM = 256 * 1024, TABLES = 0x10000, PAGE = 0x20000, OTHER = 0x21000 };
#define LINEAR 0x00401000u /* second entry of the second-lowest tables in every mode */
enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, PS = 0x80, G = 0x100 };
#define XD ((u64)1 << 63)
enum { EP = 1, EW = 2, EU = 4, ERSVD = 8, EI = 0x10, EPK = 0x20 };


static void setup(void) { bare_new("max", RAM); }

/* ---- tables ---- */

enum paging { TWO_LEVEL, PAE, FOUR_LEVEL };

static unsigned levels(enum paging mode) { return mode == FOUR_LEVEL ? 4 : 2; } /* PAE's third level is in registers */

/* Where the entry of LEVEL (0: the page table's) for LINEAR is, if every table has its own page. */
static u64 entry_at(enum paging mode, unsigned level)
{
	unsigned bits = mode == TWO_LEVEL ? 10 : 9, size = mode == TWO_LEVEL ? 4 : 8;

	return TABLES + level * PAGE_SIZE + ((u64)LINEAR >> (12 + bits * level) & ((1u << bits) - 1)) * size;
}
static u64 entry_get(enum paging mode, unsigned level)
{
	return get_size(ram->host + entry_at(mode, level), mode == TWO_LEVEL ? 4 : 8);
}
static void entry_set(enum paging mode, unsigned level, u64 e)
{
	put_size(ram->host + entry_at(mode, level), mode == TWO_LEVEL ? 4 : 8, e);
}

/* All present; the leaf with LEAF, all others with UPPER. */
static void tables(enum paging mode, u64 leaf, u64 upper)
{
	memset(ram->host + TABLES, 0, 5 * PAGE_SIZE);
	for (unsigned level = 1; level < levels(mode); level++)
		entry_set(mode, level, (TABLES + (level - 1) * PAGE_SIZE) | upper);
	entry_set(mode, 0, PAGE | leaf);
	c->cr3 = TABLES + (levels(mode) - 1) * PAGE_SIZE;
	c->cr0 = CR0_PE | CR0_PG | CR0_ET;
	c->cr4 = mode == TWO_LEVEL ? CR4_PSE : CR4_PAE;
	c->efer = mode == FOUR_LEVEL ? EFER_LME | EFER_LMA : 0;
	if (mode == PAE)
		c->pdpte[0] = (TABLES + PAGE_SIZE) | P;
	for (unsigned i = ES; i <= GS; i++)
		c->seg[i] = (struct seg){ .limit = 0xffffffff, .attr = SEG_P | SEG_S | SEG_W | SEG_A | SEG_DB | SEG_G };
	c->seg[CS].attr |= SEG_CODE | (mode == FOUR_LEVEL ? SEG_L : 0);
	if (mode == FOUR_LEVEL)
		c->seg[CS].attr &= ~(u32)SEG_DB;
	c->cpl = 0;
	c->eflags = FL_1;
	update_mode(c);
	tlb_flush(c, true);
}

static bool touch(unsigned access)
{
	u64 v, phys;
	u8 *host;

	if ((access & 3) == ACCESS_FETCH)
		return tlb_fill(c, LINEAR, access, &host, &phys);
	if (access & ACCESS_SYSTEM)
		return access & ACCESS_WRITE ? sys_write(c, LINEAR, 1, 0) : sys_read(c, LINEAR, 1, &v);
	return access == ACCESS_WRITE ? mem_write(c, LINEAR, 1, 0) : mem_read(c, LINEAR, 1, &v);
}

/* ---- rights ---- */

/* 4.6.1, sentence by sentence. */
static bool allowed(unsigned access, u64 rights, bool implicit)
{
	bool user_page = rights & U, writable = rights & W, xd = rights & XD && c->efer & EFER_NXE;
	bool wp = c->cr0 & CR0_WP, smep = c->cr4 & CR4_SMEP, smap = c->cr4 & CR4_SMAP, ac = c->eflags & FL_AC;

	if (c->cpl == 3 && !implicit) {
		if (access == ACCESS_READ)
			return user_page;
		if (access == ACCESS_WRITE)
			return user_page && writable;
		return user_page && !xd;
	}
	if (access == ACCESS_FETCH)
		return user_page ? !smep && !xd : !xd;
	if (user_page && smap && (implicit || !ac))
		return false;
	return access == ACCESS_READ || writable || !wp;
}

static u64 rights_of(unsigned n) { return (n & 1 ? W : 0) | (n & 2 ? U : 0) | (n & 4 ? XD : 0); }

/* Each access twice, so that the second finds what the first left in the TLB, with all combinations of CPL and AC in
 * between. */
static void try_all(enum paging mode, u64 rights)
{
	for (unsigned n = 0; n < 2 * 4 * 2 * 4; n++) {
		static const unsigned kinds[] = { ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH,
						  ACCESS_READ | ACCESS_SYSTEM };
		unsigned access = kinds[n & 3];
		bool implicit = access & ACCESS_SYSTEM, user, ok;
		u32 error;

		c->cpl = n & 4 ? 3 : 0;
		c->eflags = FL_1 | (n & 8 ? FL_AC : 0);
		update_mode(c);
		user = c->cpl == 3 && !implicit;
		ok = touch(access);
		ck_assert_msg(ok == allowed(access & 3, rights, implicit),
			      "paging %u, rights %llx, access %u, cpl %u, ac %u, cr0 %llx, cr4 %llx, efer %llx", mode,
			      (unsigned long long)rights, access, c->cpl, n & 8, (unsigned long long)c->cr0,
			      (unsigned long long)c->cr4, (unsigned long long)c->efer);
		if (ok)
			continue;
		error = EP | ((access & 3) == ACCESS_WRITE ? EW : 0) | (user ? EU : 0);
		if ((access & 3) == ACCESS_FETCH && ((mode != TWO_LEVEL && c->efer & EFER_NXE) || c->cr4 & CR4_SMEP))
			error |= EI;
		ck_assert_uint_eq(c->fault.vector, VEC_PF);
		ck_assert_uint_eq(c->fault.error, error);
		ck_assert_uint_eq(c->cr2, LINEAR);
	}
}

/* LEVEL: of the entry that maps the page; above 0 it is a large one, and nothing below it counts. */
static void rights_in(enum paging mode, unsigned level)
{
	bool upper_counts = level + 1 < levels(mode);

	for (unsigned leaf = 0; leaf < 8; leaf++)
		for (unsigned upper = 0; upper < 8; upper++)
			for (unsigned control = 0; control < 16; control++) {
				u64 l = rights_of(leaf), u = rights_of(upper);

				if ((l | u) & XD && (mode == TWO_LEVEL || !(control & 8)))
					continue;
				tables(mode, P | l, P | u);
				if (level)
					entry_set(mode, level, PS | P | l);
				c->cr0 |= control & 1 ? CR0_WP : 0;
				c->cr4 |= (control & 2 ? CR4_SMEP : 0) | (control & 4 ? CR4_SMAP : 0);
				c->efer |= control & 8 ? EFER_NXE : 0;
				update_mode(c);
				try_all(mode, upper_counts ? (l & u & (W | U)) | ((l | u) & XD) : l);
			}
}
START_TEST(rights_two_level) { rights_in(TWO_LEVEL, (unsigned)_i); } END_TEST
START_TEST(rights_pae) { rights_in(PAE, (unsigned)_i); } END_TEST
START_TEST(rights_four_level) { rights_in(FOUR_LEVEL, (unsigned)_i); } END_TEST

/* ---- not present, reserved ---- */

static void expect(unsigned access, int error)
{
	tlb_flush(c, true);
	if (error < 0) {
		ck_assert_msg(touch(access), "#PF(%x)", c->fault.error);
	} else {
		ck_assert(!touch(access));
		ck_assert_uint_eq(c->fault.error, (unsigned)error);
	}
}

START_TEST(not_present)
{
	for (int mode = TWO_LEVEL; mode <= FOUR_LEVEL; mode++)
		for (unsigned level = 0; level < levels((enum paging)mode); level++) {
			tables((enum paging)mode, P | W | U, P | W | U);
			entry_set((enum paging)mode, level, ~(u64)1); /* nothing else counts */
			expect(ACCESS_READ, 0);
			expect(ACCESS_WRITE, EW);
			expect(ACCESS_FETCH, 0);
			c->cr4 |= CR4_SMEP;
			expect(ACCESS_FETCH, EI);
			c->cpl = 3;
			update_mode(c);
			expect(ACCESS_READ, EU);
			expect(ACCESS_READ | ACCESS_SYSTEM, 0);
		}
}
END_TEST

/* Bits 51 to MAXPHYADDR; XD without EFER.NXE; 62 to 52 in PAE; PS in a PML4E (tables 4-14 to 4-20). */
START_TEST(reserved)
{
	for (int m = PAE; m <= FOUR_LEVEL; m++)
		for (unsigned level = 0; level < levels((enum paging)m); level++)
			for (unsigned bit = 9; bit < 64; bit++) {
				bool bad = bit == 63 || (bit >= model.physical_bits && (bit < 52 || m == PAE));

				if (bit > 11 && bit < model.physical_bits)
					continue; /* an address */
				tables((enum paging)m, P | W, P | W);
				entry_set((enum paging)m, level, entry_get((enum paging)m, level) | (u64)1 << bit);
				expect(ACCESS_WRITE, bad ? EP | EW | ERSVD : -1);
				c->efer |= EFER_NXE;
				expect(ACCESS_WRITE, bad && bit != 63 ? EP | EW | ERSVD : -1);
			}
	tables(FOUR_LEVEL, P | W, P | W);
	entry_set(FOUR_LEVEL, 3, entry_get(FOUR_LEVEL, 3) | PS);
	expect(ACCESS_READ, EP | ERSVD);
}
END_TEST

/* ---- large pages ---- */

static bool large(enum paging mode, unsigned level, u64 entry, u64 phys)
{
	struct translation t;

	tables(mode, P | W, P | W);
	entry_set(mode, level, entry);
	t = page_walk(c, LINEAR, ACCESS_READ);
	if (!t.ok) {
		ck_assert_uint_eq(c->fault.error, EP | ERSVD);
		return false;
	}
	ck_assert_uint_eq(t.phys, phys);
	return true;
}

START_TEST(large_pages)
{
	ck_assert(large(PAE, 1, 0x40000000 | PS | P, 0x40001000));
	ck_assert(large(FOUR_LEVEL, 1, 0x740000000 | PS | P, 0x740001000));
	ck_assert(large(FOUR_LEVEL, 2, 0x740000000 | PS | P, 0x740401000));
	for (unsigned bit = 12; bit < 21; bit++) { /* 12 is PAT */
		ck_assert_int_eq(large(PAE, 1, 0x40000000 | (u64)1 << bit | PS | P, 0x40001000), bit == 12);
		ck_assert_int_eq(large(FOUR_LEVEL, 1, 0x40000000 | (u64)1 << bit | PS | P, 0x40001000), bit == 12);
	}
	for (unsigned bit = 12; bit < 30; bit++)
		ck_assert_int_eq(large(FOUR_LEVEL, 2, 0x40000000 | (u64)1 << bit | PS | P, 0x40401000), bit == 12);
	model.features[F_PDPE1GB >> 6] &= ~((u64)1 << (F_PDPE1GB & 63));
	ck_assert(!large(FOUR_LEVEL, 2, 0x40000000 | PS | P, 0));
}
END_TEST

/* Table 4-4: 4-MByte pages. Bits 13 up are address bits 32 up with PSE-36, as many as there are; the rest up to 21 is
 * reserved. */
START_TEST(four_megabytes)
{
	static const struct {
		const char *model;
		unsigned address_bits;
	} models[] = { { "max", 40 }, { "p6", 36 }, { "pentium", 32 } };

	for (unsigned i = 0; i < ARRAY_LEN(models); i++) {
		bare_free();
		bare_new(models[i].model, RAM);
		ck_assert(large(TWO_LEVEL, 1, 0x40c00000 | PS | P, 0x40c01000));
		ck_assert(large(TWO_LEVEL, 1, 0x40c00000 | 1 << 12 | PS | P, 0x40c01000)); /* PAT */
		for (unsigned bit = 13; bit < 22; bit++)
			ck_assert_int_eq(large(TWO_LEVEL, 1, 0x40c00000 | (u64)1 << bit | PS | P,
					       0x40c01000 | (u64)1 << (bit + 19)),
					 bit + 19 < models[i].address_bits);
	}
	/* Without CR4.PSE the bit is ignored. */
	tables(TWO_LEVEL, P, P);
	entry_set(TWO_LEVEL, 1, entry_get(TWO_LEVEL, 1) | PS);
	c->cr4 = 0;
	expect(ACCESS_READ, -1);
}
END_TEST

/* PDPTEs are checked when CR3 is loaded: bits 1, 2, 5-8 and those beyond the address are reserved (4.4.1). */
START_TEST(pdptes)
{
	tables(PAE, P | W, P | W);
	for (unsigned bit = 1; bit < 64; bit++) {
		bool bad = bit == 1 || bit == 2 || (bit >= 5 && bit <= 8) || bit >= model.physical_bits;

		put64(ram->host + PAGE, TABLES | P);
		put64(ram->host + PAGE + 8, (u64)1 << bit | P);
		ck_assert_int_eq(write_cr3(c, PAGE), !bad);
		if (bad)
			ck_assert_uint_eq(c->fault.vector, VEC_GP);
		put64(ram->host + PAGE + 8, (u64)1 << bit); /* not present */
		ck_assert(write_cr3(c, PAGE));
	}
}
END_TEST

/* ---- accessed and dirty ---- */

START_TEST(accessed_dirty)
{
	for (int m = TWO_LEVEL; m <= FOUR_LEVEL; m++) {
		enum paging mode = (enum paging)m;

		for (int access = ACCESS_READ; access <= ACCESS_FETCH; access++) {
			tables(mode, P | W | U, P | W | U);
			ck_assert(touch((unsigned)access));
			for (unsigned level = 0; level < levels(mode); level++)
				ck_assert_uint_eq(entry_get(mode, level) & (A | D),
						  level == 0 && access == ACCESS_WRITE ? A | D : A);
		}
		/* Read first: the write behind it still sets D. */
		tables(mode, P | W | U, P | W | U);
		ck_assert(touch(ACCESS_READ) && touch(ACCESS_WRITE));
		ck_assert_uint_eq(entry_get(mode, 0) & (A | D), A | D);
		/* A write that faults leaves the page clean. */
		tables(mode, P | U, P | W | U);
		c->cr0 |= CR0_WP;
		expect(ACCESS_WRITE, EP | EW);
		ck_assert_uint_eq(entry_get(mode, 0) & D, 0);
		/* Large pages: D is in the entry that maps them, and A in those above. */
		for (unsigned level = 1; level < (mode == FOUR_LEVEL ? 3 : 2); level++) {
			tables(mode, 0, P | W | U);
			entry_set(mode, level, PS | P | W);
			ck_assert(mem_read(c, LINEAR + 0xff000, 1, &(u64){ 0 }));
			ck_assert_uint_eq(entry_get(mode, level) & (A | D), A);
			ck_assert(mem_write(c, LINEAR + 0xfe000, 1, 0));
			ck_assert_uint_eq(entry_get(mode, level) & (A | D), A | D);
			for (unsigned above = level + 1; above < levels(mode); above++)
				ck_assert_uint_eq(entry_get(mode, above) & (A | D), A);
		}
	}
}
END_TEST

/* ---- protection keys (4.6.2, 4.7) ---- */

#define KEY(n) ((u64)(n) << 59)

/* The manual's conditions, for an access to a page that is there; the rights of 4.6.1 are all given. */
static bool key_allows(unsigned access, bool user_page, bool implicit, unsigned key)
{
	bool ad = c->pkru >> 2 * key & 1, wd = c->pkru >> (2 * key + 1) & 1;

	if (!(c->cr4 & CR4_PKE) || !(c->efer & EFER_LMA) || !user_page || access == ACCESS_FETCH)
		return true;
	if (ad)
		return false;
	return !(wd && access == ACCESS_WRITE && (c->cr0 & CR0_WP || (c->cpl == 3 && !implicit)));
}

START_TEST(protection_keys)
{
	static const unsigned kinds[] = { ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH, ACCESS_READ | ACCESS_SYSTEM,
					  ACCESS_WRITE | ACCESS_SYSTEM };
	u32 state = 1;

	for (unsigned n = 0; n < 4000; n++) {
		unsigned key = n & 15;
		bool user_page = n & 16;

		/* above the leaf the bits mean nothing */
		tables(FOUR_LEVEL, P | W | KEY(key) | (user_page ? U : 0), P | W | U | KEY(key ^ 5));
		c->cr0 |= n & 32 ? CR0_WP : 0;
		c->cr4 |= n & 64 ? 0 : CR4_PKE;
		update_mode(c);
		for (unsigned k = 0; k < 12; k++) { /* each time on what the TLB kept of those before */
			unsigned access = kinds[(state >> 8) % ARRAY_LEN(kinds)];
			bool implicit = access & ACCESS_SYSTEM, ok;

			state = state * 1664525 + 1013904223;
			if (state >> 30 == 0)
				write_pkru(c, state * 2654435761u);
			c->cpl = user_page && state >> 20 & 1 ? 3 : 0;
			update_mode(c);
			ok = touch(access);
			ck_assert_int_eq(ok, key_allows(access & 3, user_page, implicit, key));
			if (ok)
				continue;
			ck_assert_uint_eq(c->fault.vector, VEC_PF);
			ck_assert_uint_eq(c->fault.error, EP | EPK | ((access & 3) == ACCESS_WRITE ? EW : 0) |
								  (c->cpl == 3 && !implicit ? EU : 0));
		}
	}
	/* A page that may not be written anyhow: the key's bit is set as well. Not present, reserved: it is not. */
	tables(FOUR_LEVEL, P | U | KEY(1), P | W | U);
	c->cr4 |= CR4_PKE;
	c->cr0 |= CR0_WP;
	c->pkru = 0xc;
	update_mode(c);
	expect(ACCESS_WRITE, EP | EW | EPK);
	entry_set(FOUR_LEVEL, 0, entry_get(FOUR_LEVEL, 0) & ~(u64)P);
	expect(ACCESS_WRITE, EW);
	entry_set(FOUR_LEVEL, 0, entry_get(FOUR_LEVEL, 0) | P | (u64)1 << 51);
	expect(ACCESS_WRITE, EP | EW | ERSVD);
	/* PAE paging has no keys: the bits are reserved. */
	tables(PAE, P | W | U | KEY(1), P | W | U);
	c->cr4 |= CR4_PKE;
	expect(ACCESS_READ, EP | ERSVD);
}
END_TEST

/* RDPKRU and WRPKRU (vol. 2): CR4.PKE, and zeros in ECX and EDX. */
START_TEST(pkru)
{
	static const struct { u8 last; u32 ecx, edx; bool pke; int vector; } all[] = {
		{ 0xee, 0, 7, true, -1 }, { 0xee, 1, 0, true, VEC_GP }, { 0xee, 0, 0, false, VEC_UD },
		{ 0xef, 0, 0, true, -1 }, { 0xef, 1, 0, true, VEC_GP }, { 0xef, 0, 1, true, VEC_GP },
			{ 0xef, 0, 0, false, VEC_UD },
	};

	for (unsigned i = 0; i < ARRAY_LEN(all); i++)
		for (unsigned mode = PAE; mode <= FOUR_LEVEL; mode++) {
			tables((enum paging)mode, P | W | U, P | W | U);
			space_write_block(&mem, PAGE, (const u8[]){ 0x0f, 0x01, all[i].last }, 3);
			c->cr4 |= all[i].pke ? CR4_PKE : 0;
			c->cpl = 3;
			c->pkru = 0x1234;
			c->r[RIP] = LINEAR;
			c->r[RCX] = all[i].ecx;
			c->r[RDX] = all[i].edx;
			c->r[RAX] = 0x5678;
			update_mode(c);
			ck_assert_int_eq(cpu_run(c, c->icount + 1, ~(u64)0) == CPU_EXCEPTION ? c->fault.vector : -1,
					 all[i].vector);
			ck_assert_uint_eq(c->pkru, all[i].vector < 0 && all[i].last == 0xef ? 0x5678 : 0x1234);
			ck_assert_uint_eq(c->r[RAX], all[i].vector < 0 && all[i].last == 0xee ? 0x1234 : 0x5678);
			ck_assert_uint_eq(c->r[RDX], all[i].vector < 0 && all[i].last == 0xee ? 0 : all[i].edx);
		}
}
END_TEST

/* ---- what drops translations ---- */

static u64 look(void)
{
	u64 v = 0;

	ck_assert(mem_read(c, LINEAR, 1, &v));
	return v;
}
/* Map the page elsewhere behind the TLB's back. */
static void swap(u64 flags) { entry_set(FOUR_LEVEL, 0, OTHER | flags); }

static void mapped(u64 flags)
{
	tables(FOUR_LEVEL, P | W | flags, P | W | U);
	ram->host[PAGE] = 1;
	ram->host[OTHER] = 2;
	c->cr4 |= CR4_PGE;
	ck_assert_uint_eq(look(), 1);
	swap(P | W | flags);
}

START_TEST(flushes)
{
	mapped(0);
	ck_assert(write_cr3(c, c->cr3));
	ck_assert_uint_eq(look(), 2);
	for (u64 flags = 0; flags <= G; flags += G) {
		mapped(flags);
		tlb_flush_page(c, LINEAR); /* INVLPG */
		ck_assert_uint_eq(look(), 2);
		mapped(flags);
		ck_assert(write_cr4(c, c->cr4 ^ CR4_PGE));
		ck_assert_uint_eq(look(), 2);
		mapped(flags);
		ck_assert(write_cr4(c, c->cr4 ^ CR4_SMEP));
		ck_assert_uint_eq(look(), 2);
		mapped(flags);
		ck_assert(write_cr4(c, c->cr4 | CR4_PCIDE));
		ck_assert(write_cr4(c, c->cr4 & ~(u64)CR4_PCIDE)); /* PCIDE from 1 to 0 drops all */
		ck_assert_uint_eq(look(), 2);
		mapped(flags);
		ck_assert(write_cr0(c, c->cr0 | CR0_WP));
		ck_assert_uint_eq(look(), 2);
	}
	/* A PCID: other ones' pages are not seen, and bit 63 is not part of the address. */
	mapped(0);
	c->cr4 |= CR4_PCIDE;
	ck_assert(write_cr3(c, c->cr3 | 5));
	ck_assert_uint_eq(look(), 2);
	ck_assert(write_cr3(c, c->cr3 | XD));
	ck_assert_uint_eq(c->cr3 >> 52, 0);
	ck_assert_uint_eq(look(), 2);
	ck_assert(!write_cr0(c, c->cr0 & ~(u64)CR0_PG)); /* not with CR4.PCIDE */
}
END_TEST

/* INVLPG drops what a large page gave, also after its entry has become a table, and all of it (4.10.4.1). */
START_TEST(split_large_page)
{
	for (int m = TWO_LEVEL; m <= FOUR_LEVEL; m++)
		for (unsigned level = 1; level <= (m == FOUR_LEVEL ? 2 : 1); level++) {
			enum paging mode = (enum paging)m;
			unsigned shift = mode == TWO_LEVEL ? 22 : level == 1 ? 21 : 30;
			u64 v, small = ((u64)LINEAR >> shift << shift) + 0x8000, table;
			u8 *host;

			tables(mode, P | W, P | W);
			table = entry_get(mode, level);
			entry_set(mode, level, P | W | PS);
			ck_assert(mem_read(c, small, 4, &v) && tlb_fill(c, small + PAGE_SIZE, ACCESS_FETCH, &host, &v));
			entry_set(mode, level, table);
			tlb_flush_page(c, (u64)1 << 33); /* another one: these may stay */
			tlb_flush_page(c, LINEAR);
			ck_assert(!mem_read(c, small, 4, &v));
			ck_assert(!tlb_fetch(c, small + PAGE_SIZE, &host, &v));
			ck_assert(mem_read(c, LINEAR, 4, &v));
		}
}
END_TEST

/* A stale translation may be used, but never half of it with half of the new one: what was writable stays the page that
 * was writable. */
START_TEST(stale_is_whole)
{
	u64 phys;
	u8 *host;

	tables(FOUR_LEVEL, P | W, P | W);
	ram->host[PAGE] = 1;
	ram->host[OTHER] = 2;
	c->cr0 |= CR0_WP;
	ck_assert(touch(ACCESS_WRITE));
	swap(P);
	ck_assert(tlb_fill(c, LINEAR, ACCESS_FETCH, &host, &phys)); /* fetched anew: the read-only page */
	mem_write(c, LINEAR, 1, 9);
	ck_assert_uint_eq(ram->host[OTHER], 2);
}
END_TEST

/* Making a supervisor's translation does not help the user, nor the other way round. */
START_TEST(views)
{
	tables(FOUR_LEVEL, P | W, P | W | U);
	ck_assert(touch(ACCESS_WRITE));
	c->cpl = 3;
	update_mode(c);
	ck_assert(!touch(ACCESS_READ));
	ck_assert(touch(ACCESS_READ | ACCESS_SYSTEM));
	ck_assert(!touch(ACCESS_READ));
	ck_assert_uint_eq(c->fault.error, EP | EU);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("page");
	TCase *t = tcase_create("page");

	tcase_add_checked_fixture(t, setup, bare_free);
	tcase_set_timeout(t, 30);
	tcase_add_loop_test(t, rights_two_level, 0, 2);
	tcase_add_loop_test(t, rights_pae, 0, 2);
	tcase_add_loop_test(t, rights_four_level, 0, 3);
	tcase_add_test(t, not_present);
	tcase_add_test(t, reserved);
	tcase_add_test(t, large_pages);
	tcase_add_test(t, four_megabytes);
	tcase_add_test(t, pdptes);
	tcase_add_test(t, accessed_dirty);
	tcase_add_test(t, protection_keys);
	tcase_add_test(t, pkru);
	tcase_add_test(t, flushes);
	tcase_add_test(t, split_large_page);
	tcase_add_test(t, stale_is_whole);
	tcase_add_test(t, views);
	suite_add_tcase(s, t);
	return bare_run(s);
}
