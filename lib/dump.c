/* SPDX-License-Identifier: MIT */
/* Dumps of memory that other programs have written.
 *
 *   ELF core (gABI, elf(5), QEMU's struct QEMUCPUState)      Windows crash dump of 64 bits (DUMP_HEADER64)
 *     header                                                   0     "PAGEDU64"   10 CR3   30 machine
 *     program headers: PT_NOTE, PT_LOAD by p_paddr             88    runs of pages   348 CONTEXT   f98 type
 *     notes: "CORE" NT_PRSTATUS, "QEMU", "VMCOREINFO"          2000  type 1: the pages of the runs
 *     memory                                                         type 5: "SDMP" or "FDMP", "DUMP",
 *                                                                    20 where pages begin, 30 bits of the map, 38 map
 *
 * A dump is looked at twice, once to check it and once to take it, by the same function, each_piece(). */
#include <stdlib.h>
#include "lib/dump.h"

enum { PT_LOAD = 1, PT_NOTE = 4, ET_CORE = 4, EM_X86_64 = 62, PN_XNUM = 0xffff, PHDRS_MAX = 1 << 16,
       WIN_HEADER = 0x2000, WIN_FULL = 1, WIN_BITMAP = 5, WIN_RUNS_MAX = (0x348 - 0x98) / 16 };
bool dump_wrong(struct dump *d, const char *what)
{
	d->wrong = what;
	return false;
}

static bool zeroes(const u8 *bytes, u64 len) { return !len || (!*bytes && !memcmp(bytes, bytes + 1, len - 1)); }

bool dump_piece(struct dump *d, u64 at, u64 len, const u8 *bytes, u64 size)
{
	u64 first = at >> PAGE_SHIFT, end;

	if (at > TOP_MAX || len > TOP_MAX - at || at + len > (u64)1 << d->v->model.physical_bits)
		return dump_wrong(d, "it has memory beyond what a machine can have");
	if (!len)
		return true;
	end = (at + len + PAGE_SIZE - 1) >> PAGE_SHIFT;
	if (end << PAGE_SHIFT > d->top)
		d->top = end << PAGE_SHIFT;
	d->pages += end - first;
	if (d->pages > TOP_MAX >> PAGE_SHIFT)
		return dump_wrong(d, "its pieces of memory are one over the other");
	if (!d->found)
		return true;
	for (u64 page = first; page < end; page++)
		ram_deny(d->v->blocks[0].ram, page, 0);
	for (u64 done = 0, now; done < size; done += now) { /* pages of zeroes stay the host's */
		now = PAGE_SIZE - ((at + done) & (PAGE_SIZE - 1));
		now = now < size - done ? now : size - done;
		if (!zeroes(bytes + done, now) || d->v->blocks[0].ram->pages[(at + done) >> PAGE_SHIFT])
			space_poke(&d->v->mem, at + done, bytes + done, now);
	}
	return true;
}

/* ---- ELF ---- */

static bool elf_pieces(struct dump *d)
{
	const u8 *h = d->data;
	u64 phoff = get64(h + 32), shoff = get64(h + 40), count = get16(h + 56);
	bool any = false, physical = false;

	if (get16(h + 16) != ET_CORE || get16(h + 18) != EM_X86_64 || h[4] != 2 || h[5] != 1)
		return dump_wrong(d, "the ELF file is no core of an x86-64 machine");
	if (count == PN_XNUM)
		count = shoff && dump_has(d, shoff, 64) ? get32(h + shoff + 44) : ~(u64)0;
	if (get16(h + 54) != 56 || count > PHDRS_MAX || !dump_has(d, phoff, count * 56))
		return dump_wrong(d, "its program headers are not there");
	for (const u8 *p = h + phoff; p < h + phoff + count * 56; p += 56) {
		u64 offset = get64(p + 8), paddr = get64(p + 24), filesz = get64(p + 32), memsz = get64(p + 40);

		if (get32(p) != PT_LOAD && get32(p) != PT_NOTE)
			continue;
		if (!dump_has(d, offset, filesz) || (get32(p) == PT_LOAD && filesz > memsz))
			return dump_wrong(d, "a segment is not in the file");
		if (get32(p) == PT_NOTE && !dump_notes(d, h + offset, filesz))
			return false;
		if (get32(p) == PT_LOAD && !dump_piece(d, paddr, memsz, h + offset, filesz))
			return false;
		any |= get32(p) == PT_LOAD;
		physical |= get32(p) == PT_LOAD && (paddr || memsz > 64 * KiB || !get64(p + 16));
	}
	return physical || dump_wrong(d, any ? "it is the core of a program: it has no physical addresses" : "it has no memory");
}

/* The text behind NAME in VMCOREINFO as a number in base BASE; 0: there is none. */
static u64 info_number(const u8 *text, u64 len, const char *name, int base)
{
	size_t n = strlen(name);
	char digits[24] = { 0 };

	for (u64 at = 0; at + n < len; at++)
		if ((!at || text[at - 1] == '\n') && !memcmp(text + at, name, n)) {
			for (u64 i = 0; i < sizeof digits - 1 && at + n + i < len && text[at + n + i] != '\n'; i++)
				digits[i] = (char)text[at + n + i];
			return strtoull(digits, NULL, base);
		}
	return 0;
}

/* struct QEMUCPUState, version 1: the numbers, then cs ds es fs gs ss ldt tr gdt idt of { selector, limit, flags, -,
 * base }, cr0 to cr4, kernel_gs_base. */
static void from_qemu(struct found *f, const u8 *b, u64 len)
{
	static const u8 order[] = { RAX, RBX, RCX, RDX, RSI, RDI, RSP, RBP, R8, R9, R10, R11, R12, R13, R14, R15 };
	static const u8 segments[] = { VCPU_CS, VCPU_DS, VCPU_ES, VCPU_FS, VCPU_GS, VCPU_SS, VCPU_LDTR, VCPU_TR };

	if (f->all || len < QEMU_STATE - 8 || get32(b) != 1)
		return;
	f->any = f->all = true;
	for (unsigned i = 0; i < 16; i++)
		f->general[order[i]] = get64(b + 8 + 8 * i);
	f->rip = get64(b + 136);
	f->rflags = get64(b + 144);
	for (unsigned i = 0; i < SEGMENTS_HERE; i++) {
		const u8 *s = b + 152 + 24 * i;
		u32 limit = get32(s + 4), flags = get32(s + 8) >> 8 & 0xf0ff;

		f->segment[segments[i] - VCPU_ES] = (struct vcpu_segment){
			.selector = (u16)get32(s), .base = get64(s + 16), .limit = limit,
			.attributes = flags & SEG_P ? flags : SEG_UNUSABLE };
	}
	f->gdt_limit = get32(b + 152 + 24 * 8 + 4);
	f->gdt = get64(b + 152 + 24 * 8 + 16);
	f->idt_limit = get32(b + 152 + 24 * 9 + 4);
	f->idt = get64(b + 152 + 24 * 9 + 16);
	for (unsigned i = 0; i < 5; i++)
		f->cr[i] = get64(b + 392 + 8 * i);
	f->kernel_gs = len >= QEMU_STATE ? get64(b + 432) : 0;
}

/* struct elf_prstatus: user_regs_struct from byte 112 on. */
static void from_prstatus(struct found *f, const u8 *b, u64 len)
{
	static const u8 order[] = { R15, R14, R13, R12, RBP, RBX, R11, R10, R9, R8, RAX, RCX, RDX, RSI, RDI };

	if (f->any || len < PRSTATUS)
		return;
	f->any = true;
	for (unsigned i = 0; i < ARRAY_LEN(order); i++)
		f->general[order[i]] = get64(b + 112 + 8 * i);
	f->rip = get64(b + 112 + 8 * 16);
	f->segment[VCPU_CS - VCPU_ES].selector = (u16)get64(b + 112 + 8 * 17);
	f->rflags = get64(b + 112 + 8 * 18);
	f->general[RSP] = get64(b + 112 + 8 * 19);
	f->segment[VCPU_SS - VCPU_ES].selector = (u16)get64(b + 112 + 8 * 20);
	f->fs_base = get64(b + 112 + 8 * 21);
	f->gs_base = get64(b + 112 + 8 * 22);
}

/* The kernel's page tables, whose place its own numbers give. */
void dump_info(struct found *f, const u8 *text, u64 len)
{
	u64 tables = info_number(text, len, "SYMBOL(swapper_pg_dir)=", 16);
	u64 base = info_number(text, len, "NUMBER(phys_base)=", 0);

	if (tables && !f->cr[3])
		f->cr[3] = tables - 0xffffffff80000000 + base;
}

bool dump_notes(struct dump *d, const u8 *notes, u64 len)
{
	struct found *f = d->found;

	for (u64 at = 0; at < len && len - at >= 12;) {
		u64 name = get32(notes + at), size = get32(notes + at + 4), type = get32(notes + at + 8), body;

		body = at + 12 + ((name + 3) & ~(u64)3);
		if (body > len || size > len - body)
			return dump_wrong(d, "a note is cut off");
		if (f && name == 5 && !memcmp(notes + at + 12, "QEMU", 5) && !type)
			from_qemu(f, notes + body, size);
		else if (f && name == 5 && !memcmp(notes + at + 12, "CORE", 5) && type == 1)
			from_prstatus(f, notes + body, size);
		else if (f && name == 11 && !memcmp(notes + at + 12, "VMCOREINFO", 11))
			dump_info(f, notes + body, size);
		at = body + ((size + 3) & ~(u64)3);
	}
	return true;
}

/* ---- Windows ---- */

static bool full_pages(struct dump *d)
{
	const u8 *h = d->data;
	u64 runs = get32(h + 0x88), at = WIN_HEADER;

	if (!runs || runs > WIN_RUNS_MAX)
		return dump_wrong(d, "it has no runs of pages, or too many");
	for (u64 i = 0; i < runs; i++) {
		u64 page = get64(h + 0x98 + 16 * i), count = get64(h + 0xa0 + 16 * i);

		if (page > TOP_MAX >> PAGE_SHIFT || count > TOP_MAX >> PAGE_SHIFT)
			return dump_wrong(d, "it has memory beyond what a machine can have");
		if (!dump_has(d, at, count << PAGE_SHIFT))
			return dump_wrong(d, "it is cut off: a run of pages is not in the file");
		if (!dump_piece(d, page << PAGE_SHIFT, count << PAGE_SHIFT, h + at, count << PAGE_SHIFT))
			return false;
		at += count << PAGE_SHIFT;
	}
	return true;
}

static bool bitmap_pages(struct dump *d)
{
	const u8 *h = d->data + WIN_HEADER, *map = h + 0x38;
	u64 at, pages;

	if (d->len < WIN_HEADER + 0x38 || (memcmp(h, "SDMP", 4) && memcmp(h, "FDMP", 4)) || memcmp(h + 4, "DUMP", 4))
		return dump_wrong(d, "it has no map of its pages");
	at = get64(h + 0x20);
	pages = get64(h + 0x30);
	if (pages > TOP_MAX >> PAGE_SHIFT || !dump_has(d, WIN_HEADER + 0x38, (pages + 7) / 8))
		return dump_wrong(d, "the map of its pages is not in the file");
	for (u64 page = 0; page < pages; page++) {
		if (!(map[page / 8] >> page % 8 & 1))
			continue;
		if (!dump_has(d, at, PAGE_SIZE))
			return dump_wrong(d, "it is cut off: a page is not in the file");
		if (!dump_piece(d, page << PAGE_SHIFT, PAGE_SIZE, d->data + at, PAGE_SIZE))
			return false;
		at += PAGE_SIZE;
	}
	return true;
}

static bool windows_pieces(struct dump *d)
{
	u32 type = get32(d->data + 0xf98);

	if (get32(d->data + 0x30) != 0x8664)
		return dump_wrong(d, "it is of another processor than x86-64");
	if (type == WIN_FULL || type == WIN_BITMAP)
		return type == WIN_FULL ? full_pages(d) : bitmap_pages(d);
	return dump_wrong(d, "it is a crash dump of another type than 1 (full) and 5 (bitmap)");
}

/* CONTEXT of x86-64 (winnt.h). */
static void from_context(struct found *f, const u8 *header)
{
	const u8 *c = header + 0x348;

	f->any = true;
	for (unsigned i = 0; i < 16; i++)
		f->general[i] = get64(c + 0x78 + 8 * i);
	f->rip = get64(c + 0xf8);
	f->rflags = get32(c + 0x44);
	f->segment[VCPU_CS - VCPU_ES].selector = get16(c + 0x38);
	f->segment[VCPU_SS - VCPU_ES].selector = get16(c + 0x42);
	f->cr[3] = get64(header + 0x10);
}

/* Its FXSAVE image. */
static bool context_vectors(struct vcpu *v, const u8 *header)
{
	const u8 *fx = header + 0x348 + 0x100;
	unsigned tags = 0;

	for (unsigned i = 0; i < 8; i++)
		tags |= fx[4] >> i & 1 ? 0 : 3u << 2 * i;
	if (vcpu_set(v, VCPU_FCW, get16(fx)) || vcpu_set(v, VCPU_FSW, get16(fx + 2)) ||
	    vcpu_set(v, VCPU_MXCSR, get32(fx + 24)))
		return false;
	for (unsigned i = 0; i < 8; i++)
		if (vcpu_set_st(v, i, fx + 32 + 16 * i))
			return false;
	for (unsigned i = 0; i < VREGS; i++)
		if (vcpu_set_vector(v, i, fx + 160 + 16 * i))
			return false;
	return !vcpu_set(v, VCPU_FTW, tags);
}

/* ---- both ---- */

static bool is_windows(const struct dump *d) { return d->len >= WIN_HEADER && !memcmp(d->data, "PAGEDU64", 8); }

static bool each_piece(struct dump *d)
{
	if (is_windows(d))
		return windows_pieces(d);
	if (d->len >= 64 && !memcmp(d->data, "\177ELF", 4))
		return elf_pieces(d);
	if (d->len >= 8 && !memcmp(d->data, "KDUMP   ", 8))
		return dump_kdump(d);
	return dump_wrong(d, "neither an ELF core, nor a dump of makedumpfile, nor a Windows crash dump of 64 bits");
}

/* A flat segment, as 64-bit kernels have them. */
static struct vcpu_segment flat(u16 selector, bool code)
{
	u32 dpl = (u32)(selector & 3) << 5;

	return (struct vcpu_segment){ .selector = selector, .limit = 0xffffffff,
				      .attributes = (code ? 0xa09b : 0xc093) | dpl };
}

static bool set_segments(struct vcpu *v, struct found *f)
{
	struct vcpu_segment *s = f->segment;

	if (!f->all) {
		for (unsigned i = 0; i < SEGMENTS_HERE; i++)
			s[i] = i == VCPU_CS - VCPU_ES ? flat(s[i].selector, true)
			     : i < VCPU_LDTR - VCPU_ES ? flat(i == VCPU_SS - VCPU_ES ? s[i].selector : 0, false)
			     : (struct vcpu_segment){ .attributes = SEG_UNUSABLE };
		s[VCPU_TR - VCPU_ES].attributes = SEG_P | 0xb;
		s[VCPU_SS - VCPU_ES].attributes |= s[VCPU_CS - VCPU_ES].attributes & SEG_DPL;
		s[VCPU_FS - VCPU_ES].base = f->fs_base;
		s[VCPU_GS - VCPU_ES].base = f->gs_base;
	}
	for (int i = 0; i < SEGMENTS_HERE; i++) {
		if (s[i].limit >> 20) /* of an unusable one, too */
			s[i].attributes |= SEG_G;
		if (s[i].attributes & SEG_G)
			s[i].limit |= 0xfff;
		if (vcpu_set_segment(v, VCPU_ES + i, &s[i]))
			return false;
	}
	return true;
}

/* EFER is in none of these dumps. A kernel of 64 bits forbids execution in its page tables, in bits that without NXE must
 * be 0, and enters by SYSCALL. */
static bool set_efer(struct vcpu *v)
{
	return !vcpu_set(v, VCPU_EFER, vcpu_get(v, VCPU_EFER) | EFER_SCE | (has(&v->model, F_NX) ? EFER_NXE : 0));
}

static bool set_found(struct vcpu *v, struct found *f)
{
	if (vcpu_set_mode(v, 64) || !set_efer(v))
		return false;
	if (f->all && !(f->cr[0] & CR0_PG && f->cr[4] & CR4_PAE && f->segment[VCPU_CS - VCPU_ES].attributes & SEG_L))
		return machine_error(v, "its processor was not in 64-bit mode"), false;
	if (f->all && (vcpu_set(v, VCPU_CR0, f->cr[0]) || vcpu_set(v, VCPU_CR4, f->cr[4])))
		return false;
	if ((f->cr[3] && vcpu_set(v, VCPU_CR3, f->cr[3])) || !f->any)
		return !f->any;
	if (!set_segments(v, f) || vcpu_set(v, VCPU_GDTR_BASE, f->gdt) || vcpu_set(v, VCPU_GDTR_LIMIT, f->gdt_limit) ||
	    vcpu_set(v, VCPU_IDTR_BASE, f->idt) || vcpu_set(v, VCPU_IDTR_LIMIT, f->idt_limit) ||
	    vcpu_set(v, VCPU_CR2, f->cr[2]) || (f->kernel_gs && vcpu_set_msr(v, 0xc0000102, f->kernel_gs)) ||
	    vcpu_set(v, VCPU_RFLAGS, f->rflags) || vcpu_set(v, VCPU_RIP, f->rip))
		return false;
	for (int i = 0; i < 16; i++)
		if (vcpu_set(v, VCPU_RAX + i, f->general[i]))
			return false;
	return true;
}

static bool load_pieces(struct vcpu *v, struct dump *d, char **error)
{
	struct found found = { 0 };

	if (!each_piece(d))
		return error_set(error, "dump: %s", d->wrong);
	d->found = &found;
	d->pages = 0;
	if (vcpu_map_buffer(v, 0, d->top, 0, NULL) || !each_piece(d))
		return error_set(error, "dump: %s", d->wrong ? d->wrong : vcpu_error(v));
	if (is_windows(d))
		from_context(&found, d->data);
	if (!set_found(v, &found) || (is_windows(d) && !context_vectors(v, d->data)))
		return error_set(error, "dump: %s", vcpu_error(v));
	return true;
}

bool vcpu_dump_load(vcpu *v, const void *data, size_t len, char **error)
{
	struct dump dump = { .data = data, .len = data ? len : 0, .v = v }, *d = &dump;
	u8 *whole = NULL;
	bool ok;

	if (error)
		*error = NULL;
	if (machine_refuses(v, "vcpu_dump_load"))
		return error_set(error, "%s", vcpu_error(v));
	if (!v->bare || v->nblocks || vcpu_widest_mode(v) < 64)
		return error_set(error, "a dump is for a bare machine with 64-bit mode and without memory");
	if (dump_is_flat(d) && !(whole = dump_unflatten(d)))
		return error_set(error, "dump: %s", d->wrong);
	ok = load_pieces(v, d, error);
	free(whole);
	return ok;
}
