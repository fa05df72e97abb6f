/* SPDX-License-Identifier: MIT */
/* ELF images: their segments, and the PVH way into them (Xen's docs/misc/pvh.pandoc and
 * public/arch-x86/hvm/start_info.h). */
#include "lib/machine.h"

/* ELF header:   class 4  data 5   | type 16  machine 18  entry 24 | phoff 28 (32 bits) 32 (64)  phentsize 42/54  phnum 44/56
 * Segment (32): type 0  offset 4  vaddr 8   paddr 12  filesz 16  memsz 20
 * Segment (64): type 0  offset 8  vaddr 16  paddr 24  filesz 32  memsz 40  align 48 */
enum { CLASS_32 = 1, CLASS_64 = 2, DATA_LITTLE = 1, MACHINE_386 = 3, MACHINE_X86_64 = 62, PT_LOAD = 1, PT_NOTE = 4 };
enum { NOTE_PHYS32_ENTRY = 18 };

struct segment { u32 type; u64 offset, vaddr, paddr, filesz, memsz; };

struct elf {
	const struct blob *b;
	bool wide;
	u64 entry, phoff;
	unsigned phentsize, phnum;
};

bool elf_is(const struct blob *b)
{
	return b->size >= 4 && !memcmp(b->data, "\177ELF", 4);
}

bool elf_is_64(const struct blob *b) { return elf_is(b) && b->size > 4 && b->data[4] == CLASS_64; }

static const char *machine_name(u16 machine)
{
	switch (machine) {
	case 8: return "MIPS";
	case 20: return "PowerPC";
	case 21: return "64-bit PowerPC";
	case 22: return "s390";
	case 40: return "ARM";
	case 50: return "Itanium";
	case 183: return "arm64";
	case 243: return "RISC-V";
	case 258: return "LoongArch";
	}
	return "another processor";
}

static bool elf_parse(struct elf *elf, const struct blob *b, char **error)
{
	const u8 *f = b->data;
	u16 machine;

	*elf = (struct elf){ .b = b };
	if (b->size < 20)
		return error_set(error, "%s: truncated: an ELF of %zu bytes", b->name, b->size);
	if ((f[4] != CLASS_32 && f[4] != CLASS_64) || (f[5] != DATA_LITTLE && f[5] != 2))
		return error_set(error, "%s: an ELF of unknown class %u, byte order %u (offset 4)", b->name, f[4],
				 f[5]);
	machine = f[5] == DATA_LITTLE ? get16(f + 18) : (u16)(f[18] << 8 | f[19]);
	if (f[5] != DATA_LITTLE || (machine != MACHINE_386 && machine != MACHINE_X86_64))
		return error_set(error, "%s: an ELF for %s (machine %u), not for x86", b->name, machine_name(machine),
				 machine);
	elf->wide = f[4] == CLASS_64;
	if (b->size < (elf->wide ? 64 : 52))
		return error_set(error, "%s: truncated: an ELF of %zu bytes", b->name, b->size);
	elf->entry = elf->wide ? get64(f + 24) : get32(f + 24);
	elf->phoff = elf->wide ? get64(f + 32) : get32(f + 28);
	elf->phentsize = get16(f + (elf->wide ? 54 : 42));
	elf->phnum = get16(f + (elf->wide ? 56 : 44));
	if (!elf->phnum)
		return error_set(error, "%s: an ELF without program headers: an object file or a library?", b->name);
	if (elf->phentsize < (elf->wide ? 56 : 32) || elf->phoff > b->size ||
	    (b->size - elf->phoff) / elf->phentsize < elf->phnum)
		return error_set(
			error,
			"%s: truncated or damaged: %u program headers of %u bytes at offset %llu, in a file of %zu",
			b->name, elf->phnum, elf->phentsize, (unsigned long long)elf->phoff, b->size);
	return true;
}

/* Segment N. False: its bytes are not all in the file. */
static bool get_segment(const struct elf *elf, unsigned n, struct segment *s, char **error)
{
	const u8 *p = elf->b->data + elf->phoff + (u64)n * elf->phentsize;

	if (elf->wide)
		*s = (struct segment){ get32(p), get64(p + 8), get64(p + 16), get64(p + 24), get64(p + 32),
			get64(p + 40) };
	else
		*s = (struct segment){ get32(p), get32(p + 4), get32(p + 8), get32(p + 12), get32(p + 16),
			get32(p + 20) };
	if (s->type != PT_LOAD && s->type != PT_NOTE)
		return true;
	if (s->offset > elf->b->size || s->filesz > elf->b->size - s->offset)
		return error_set(
			error, "%s: truncated or damaged: segment %u has %llu bytes at offset %llu, in a file of %zu",
			elf->b->name, n, (unsigned long long)s->filesz, (unsigned long long)s->offset, elf->b->size);
	return true;
}

/* Note: name size, description size, type, name, description; the last two padded to 4 bytes. */
static bool find_entry_note(const u8 *p, u64 len, u64 *entry)
{
	while (len >= 12) {
		u64 namesz = get32(p), descsz = get32(p + 4), type = get32(p + 8);
		u64 name = (namesz + 3) & ~(u64)3, desc = (descsz + 3) & ~(u64)3;

		if (name > len - 12 || descsz > len - 12 - name)
			return false;
		if (namesz == 4 && !memcmp(p + 12, "Xen", 4) && type == NOTE_PHYS32_ENTRY &&
		    (descsz == 4 || descsz == 8)) {
			*entry = get_size(p + 12 + name, (unsigned)descsz);
			return true;
		}
		if (desc > len - 12 - name)
			return false;
		p += 12 + name + desc;
		len -= 12 + name + desc;
	}
	return false;
}

bool elf_check(const struct blob *b, bool *pvh, u64 *entry, char **error)
{
	struct elf elf;
	struct segment s;

	*pvh = false;
	*entry = 0;
	if (!elf_parse(&elf, b, error))
		return false;
	for (unsigned i = 0; i < elf.phnum && !*pvh; i++) {
		if (!get_segment(&elf, i, &s, error))
			return false;
		if (s.type == PT_NOTE)
			*pvh = find_entry_note(b->data + s.offset, s.filesz, entry);
	}
	return true;
}

/* What went wrong when it was linked, for a segment that has no room. */
static const char *place_hint(const struct vcpu *v, const struct segment *s)
{
	if (s->paddr >= 0x8048000 && s->paddr < 0x8400000)
		return ": it is linked as a Linux program is (ld -Ttext=0x100000 says otherwise)";
	if (s->paddr >= pc_low_ram(v) && s->paddr == s->vaddr)
		return ": a kernel that is to run at high addresses has its physical ones by AT() in the linker script";
	if (s->paddr < 0x100000 && s->paddr + s->memsz > 0xa0000)
		return ": from A0000h to FFFFFh is no RAM (with ld -n the headers of the file take no page below the code)";
	return "";
}

bool elf_load(struct vcpu *v, const struct blob *b, u64 *entry, u64 *low, u64 *high, char **error)
{
	struct elf elf;
	struct segment s;
	bool found = false;

	if (!elf_parse(&elf, b, error))
		return false;
	*entry = elf.entry;
	*low = ~(u64)0;
	*high = 0;
	for (unsigned i = 0; i < elf.phnum; i++) {
		if (!get_segment(&elf, i, &s, error))
			return false;
		if (s.type != PT_LOAD || !s.memsz)
			continue;
		if (s.filesz > s.memsz)
			return error_set(error,
					 "%s: damaged: segment %u has %llu bytes in the file, but %llu in memory",
					 b->name, i, (unsigned long long)s.filesz, (unsigned long long)s.memsz);
		if (!load_room(v, s.paddr, s.memsz))
			return error_set(
				error,
				"%s: segment %u wants %llu bytes at address %llxh, where this machine has no room%s",
				b->name, i, (unsigned long long)s.memsz, (unsigned long long)s.paddr,
				place_hint(v, &s));
		load_bytes(v, s.paddr, b->data + s.offset, s.filesz);
		load_zero(v, s.paddr + s.filesz, s.memsz - s.filesz);
		if (elf.entry - s.vaddr < s.memsz && !found) { /* the entry is a virtual address */
			*entry = elf.entry - s.vaddr + s.paddr;
			found = true;
		}
		if (s.paddr < *low)
			*low = s.paddr;
		if (s.paddr + s.memsz > *high)
			*high = s.paddr + s.memsz;
	}
	return *high || error_set(error, "%s: an ELF with nothing to load", b->name);
}

/* ---- sections ----
 *
 * ELF header:   shoff 32 (32 bits) 40 (64)   shentsize 46/58   shnum 48/60   shstrndx 50/62
 * Section (32): type 4  address 12  offset 16  size 20
 * Section (64): type 4  address 16  offset 24  size 32 */

enum { SHT_NULL = 0, SHT_NOBITS = 8 };

/* Has the section whose header is at P bytes in the file that no segment has loaded? *OFFSET and *LEN tell of them. */
static bool unloaded(const u8 *p, bool wide, u64 *offset, u64 *len)
{
	*offset = wide ? get64(p + 24) : get32(p + 16);
	*len = wide ? get64(p + 32) : get32(p + 20);
	return *len && get32(p + 4) != SHT_NULL && get32(p + 4) != SHT_NOBITS &&
		!(wide ? get64(p + 16) : get32(p + 12));
}

bool elf_find_sections(const struct blob *b, struct elf_sections *s, char **error)
{
	const u8 *f = b->data;
	bool wide = elf_is_64(b);
	u64 offset, len;

	s->offset = wide ? get64(f + 40) : get32(f + 32);
	s->size = get16(f + (wide ? 58 : 46));
	s->count = s->offset ? get16(f + (wide ? 60 : 48)) : 0;
	s->names = get16(f + (wide ? 62 : 50));
	if (!s->count)
		return true;
	if (s->size < (wide ? 64 : 40) || s->offset > b->size || (b->size - s->offset) / s->size < s->count)
		return error_set(error, "%s: truncated or damaged: %u section headers of %u bytes at offset %llu, "
			"in a file of %zu", b->name, s->count, s->size, (unsigned long long)s->offset, b->size);
	for (u32 i = 0; i < s->count; i++)
		if (unloaded(f + s->offset + i * s->size, wide, &offset, &len) &&
		    (offset > b->size || len > b->size - offset))
			return error_set(error, "%s: truncated or damaged: section %u has %llu bytes at offset %llu, "
				"in a file of %zu", b->name, i, (unsigned long long)len, (unsigned long long)offset,
					b->size);
	return true;
}

void elf_load_sections(struct vcpu *v, const struct blob *b, const struct elf_sections *s, u8 *headers, u64 *high)
{
	bool wide = elf_is_64(b);
	u64 offset, len, at;

	for (u32 i = 0; i < s->count; i++) {
		u8 *p = headers + i * s->size;

		at = ((*high < MiB ? MiB : *high) + 15) & ~(u64)15;
		if (!unloaded(p, wide, &offset, &len) || !load_room(v, at, len))
			continue;
		load_bytes(v, at, b->data + offset, len);
		put_size(p + (wide ? 16 : 12), wide ? 8 : 4, at);
		*high = at + len;
	}
}

/* ---- PVH ----
 *
 * start_info:   magic 0  version 4  flags 8  modules 12  modlist 16  cmdline 24  rsdp 32  memmap 40  entries 48  reserved 52
 * modlist:      paddr 0  size 8  cmdline 16  reserved 24
 * memmap:       addr 0  size 8  type 16  reserved 20 */

enum { START_INFO = 56, MODULE_ENTRY = 32, MAP_ENTRY = 24, GDT_SIZE = 32 };
#define START_MAGIC 0x336ec578u

static u64 put_modules(struct vcpu *v, struct placement *p)
{
	u8 list[BOOT_MODULES_MAX * MODULE_ENTRY] = { 0 };

	for (unsigned i = 0; i < v->boot.nmodules; i++) {
		const struct blob *b = &v->boot.modules[i];
		u8 *entry = list + i * MODULE_ENTRY;

		put64(entry, p->module[i]);
		put64(entry + 8, b->size);
		put64(entry + 16, load_put(v, p, b->text, strlen(b->text) + 1));
	}
	return load_put(v, p, list, v->boot.nmodules * MODULE_ENTRY);
}

static u64 put_map(struct vcpu *v, struct placement *p, unsigned *count)
{
	struct memory_region map[MEMORY_REGIONS];
	u8 list[MEMORY_REGIONS * MAP_ENTRY] = { 0 };

	*count = pc_memory_map(v, map);
	for (unsigned i = 0; i < *count; i++) {
		put64(list + i * MAP_ENTRY, map[i].base);
		put64(list + i * MAP_ENTRY + 8, map[i].size);
		put32(list + i * MAP_ENTRY + 16, map[i].usable ? 1 : 2);
	}
	return load_put(v, p, list, *count * MAP_ENTRY);
}

bool pvh_load(struct vcpu *v, char **error)
{
	const struct boot *boot = &v->boot;
	u64 entry, elf_entry, low, high,
		extra = START_INFO + GDT_SIZE + MEMORY_REGIONS * MAP_ENTRY + boot->nmodules * MODULE_ENTRY;
	u8 start[START_INFO] = { 0 };
	struct placement p;
	unsigned regions;
	bool pvh;

	if (!has(&v->model, F_I386))
		return error_set(error, "%s: a PVH kernel needs a 386 or later, not a %s", boot->kernel.name,
				 v->model.name);
	if (!elf_check(&boot->kernel, &pvh, &entry, error) ||
	    !elf_load(v, &boot->kernel, &elf_entry, &low, &high, error))
		return false;
	if (entry < low || entry >= high)
		return error_set(error, "%s: the PVH entry %llxh is not in what was loaded", boot->kernel.name,
				 (unsigned long long)entry);
	if (!load_modules(v, low, high, extra, &p, error))
		return false;
	put32(start, START_MAGIC);
	put32(start + 4, 1);
	put32(start + 12, boot->nmodules);
	if (boot->nmodules)
		put64(start + 16, put_modules(v, &p));
	put64(start + 24, load_put(v, &p, boot->append, strlen(boot->append) + 1));
	put64(start + 32, pc_rsdp(v));
	put64(start + 40, put_map(v, &p, &regions));
	put32(start + 48, regions);
	mode_setup(v, SETUP_PROTECTED, 0x10, 0x18, 0);
	v->cpu->r[RBX] = load_put(v, &p, start, sizeof start);
	v->cpu->r[RIP] = entry;
	load_gdt(v, p.info, 0x10, false);
	return true;
}
