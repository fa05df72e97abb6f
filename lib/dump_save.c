/* SPDX-License-Identifier: MIT */
/* An ELF core of memory and processors, as QEMU's dump-guest-memory writes it:
 *
 *     ELF header   program headers   notes: NT_PRSTATUS and "QEMU" of each processor, VMCOREINFO   RAM by region
 */
#include <stdlib.h>
#include "lib/dump.h"
#include "lib/machine.h"
#include "lib/vcpu_dump.h"

enum { ELF_HEADER = 64, PHDR = 56, NOTE_HEAD = 12, INFO_MAX = 64 * KiB };

struct region { u64 base, size; };
struct out {
	struct vcpu *v;
	struct region *region;
	unsigned count;
	u8 *notes;
	u64 len;
	bool (*write)(void *user, const void *data, size_t len);
	void *user;
};

/* ---- what there is ---- */

/* RAM that no ROM or device lies over, as the processor sees it. */
static bool find_regions(struct out *o)
{
	struct space *mem = &o->v->mem;
	u64 at = 0, end;

	do {
		const struct range *r = space_find(mem, at, &end);
		struct region *last = o->count ? &o->region[o->count - 1] : NULL, *more;
		u64 next = end > mem->mask ? mem->mask + 1 : end;

		if (r && r->kind == RANGE_RAM && !r->rom) {
			if (last && last->base + last->size == at) {
				last->size += next - at;
			} else {
				more = realloc(o->region, (o->count + 1) * sizeof *more);
				if (!more)
					return false;
				o->region = more;
				o->region[o->count++] = (struct region){ at, next - at };
			}
		}
		at = next;
	} while (at <= mem->mask);
	return true;
}

/* The note of Linux: a page of its memory begins with it. Its length, and where it is; 0: there is none. */
static u64 find_info(const struct out *o, u64 *where)
{
	static const char text[] = "VMCOREINFO\0\0OSRELEASE=";
	u8 page[NOTE_HEAD + sizeof text];

	for (unsigned i = 0; i < o->count; i++)
		for (u64 at = o->region[i].base; at < o->region[i].base + o->region[i].size; at += PAGE_SIZE) {
			u32 size;

			space_peek(&o->v->mem, at, page, sizeof page);
			size = get32(page + 4);
			if (get32(page) != 11 || memcmp(page + NOTE_HEAD, text, sizeof text - 1) || size > INFO_MAX)
				continue;
			*where = at;
			return NOTE_HEAD + 12 + ((size + 3) & ~(u64)3);
		}
	return 0;
}

/* ---- notes ---- */

/* Its body is LEN bytes of zeroes, which are returned. */
static u8 *begin_note(struct out *o, const char *name, u32 type, u32 len)
{
	u8 *at = o->notes + o->len;

	put32(at, 5);
	put32(at + 4, len);
	put32(at + 8, type);
	memcpy(at + NOTE_HEAD, name, 5);
	o->len += NOTE_HEAD + 8 + len;
	return at + NOTE_HEAD + 8;
}
enum { NOTES = 2 * (NOTE_HEAD + 8) + PRSTATUS + QEMU_STATE }; /* of a processor */

static void put_prstatus(struct out *o, const struct cpu *c)
{
	static const u8 order[] = { R15, R14, R13, R12, RBP, RBX, R11, R10, R9, R8, RAX, RCX, RDX, RSI, RDI };
	static const u8 selectors[] = { DS, ES, FS, GS };
	u8 *b = begin_note(o, "CORE", 1, PRSTATUS), *r = b + 112;

	put32(b + 32, c->id + 1); /* pr_pid */
	for (unsigned i = 0; i < ARRAY_LEN(order); i++)
		put64(r + 8 * i, c->r[order[i]]);
	put64(r + 8 * 15, c->r[RAX]); /* orig_rax */
	put64(r + 8 * 16, c->r[RIP]);
	put64(r + 8 * 17, c->seg[CS].sel);
	put64(r + 8 * 18, cpu_flags(c));
	put64(r + 8 * 19, c->r[RSP]);
	put64(r + 8 * 20, c->seg[SS].sel);
	put64(r + 8 * 21, c->seg[FS].base);
	put64(r + 8 * 22, c->seg[GS].base);
	for (unsigned i = 0; i < ARRAY_LEN(selectors); i++)
		put64(r + 8 * (23 + i), c->seg[selectors[i]].sel);
}

static void put_segment(u8 *at, u16 selector, u32 limit, u32 attributes, u64 base)
{
	put32(at, selector);
	put32(at + 4, limit);
	put32(at + 8, (attributes & 0xf0ff) << 8);
	put64(at + 16, base);
}

static void put_qemu(struct out *o, const struct cpu *c)
{
	static const u8 order[] = { RAX, RBX, RCX, RDX, RSI, RDI, RSP, RBP, R8, R9, R10, R11, R12, R13, R14, R15 };
	static const u8 segments[] = { CS, DS, ES, FS, GS, SS, LDTR, TR };
	const u64 cr[] = { c->cr0, 0, c->cr2, c->cr3, c->cr4, c->kernel_gs_base };
	u8 *b = begin_note(o, "QEMU", 0, QEMU_STATE);

	put32(b, 1);
	put32(b + 4, QEMU_STATE);
	for (unsigned i = 0; i < ARRAY_LEN(order); i++)
		put64(b + 8 + 8 * i, c->r[order[i]]);
	put64(b + 136, c->r[RIP]);
	put64(b + 144, cpu_flags(c));
	for (unsigned i = 0; i < ARRAY_LEN(segments); i++) {
		const struct seg *s = &c->seg[segments[i]];

		put_segment(b + 152 + 24 * i, s->sel, s->limit, s->attr, s->base);
	}
	put_segment(b + 152 + 24 * 8, 0, c->gdtr.limit, 0, c->gdtr.base);
	put_segment(b + 152 + 24 * 9, 0, c->idtr.limit, 0, c->idtr.base);
	for (unsigned i = 0; i < ARRAY_LEN(cr); i++)
		put64(b + 392 + 8 * i, cr[i]);
}

static bool make_notes(struct out *o)
{
	const struct cpus *all = o->v->cpu->all;
	u64 where = 0, info = find_info(o, &where);

	o->notes = calloc(1, all->count * NOTES + info);
	if (!o->notes)
		return false;
	for (unsigned i = 0; i < all->count; i++)
		put_prstatus(o, all->cpu[i]);
	for (unsigned i = 0; i < all->count; i++)
		put_qemu(o, all->cpu[i]);
	if (info)
		space_peek(&o->v->mem, where, o->notes + o->len, info);
	o->len += info;
	return true;
}

/* ---- the file ---- */

static void put_phdr(u8 *at, u32 type, u64 offset, u64 base, u64 size)
{
	put32(at, type);
	put64(at + 8, offset);
	put64(at + 16, base); /* for gdb, which has no physical addresses */
	put64(at + 24, base);
	put64(at + 32, size);
	put64(at + 40, size);
}

static bool put_headers(struct out *o)
{
	u64 heads = ELF_HEADER + (u64)(1 + o->count) * PHDR, at = (heads + o->len + PAGE_SIZE - 1) & PAGE_MASK, offset = at;
	static const u8 ident[] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };
	u8 *b = calloc(1, at);
	bool ok;

	if (!b)
		return false;
	memcpy(b, ident, sizeof ident);
	put16(b + 16, 4);  /* ET_CORE */
	put16(b + 18, 62); /* EM_X86_64 */
	put32(b + 20, 1);
	put64(b + 32, ELF_HEADER);
	put16(b + 52, ELF_HEADER);
	put16(b + 54, PHDR);
	put16(b + 56, (u16)(1 + o->count));
	put_phdr(b + ELF_HEADER, 4, heads, 0, o->len);
	memcpy(b + heads, o->notes, o->len);
	for (unsigned i = 0; i < o->count; offset += o->region[i++].size)
		put_phdr(b + ELF_HEADER + (1 + i) * PHDR, 1, offset, o->region[i].base, o->region[i].size);
	ok = o->write(o->user, b, at);
	free(b);
	return ok;
}

static bool put_regions(struct out *o)
{
	for (unsigned i = 0; i < o->count; i++)
		for (u64 done = 0, len; done < o->region[i].size; done += len) {
			const u8 *host = NULL;

			len = o->region[i].size - done;
			host = space_view(&o->v->mem, o->region[i].base + done, &len, false);
			if (!host || !o->write(o->user, host, len))
				return false;
		}
	return true;
}

int vcpu_dump_save(vcpu *v, bool (*write)(void *user, const void *data, size_t len), void *user)
{
	struct out o = { .v = v, .write = write, .user = user };
	bool ok;

	if (machine_refuses(v, "vcpu_dump_save"))
		return -1;
	if (!write)
		return machine_error(v, "vcpu_dump_save needs a function that writes");
	ok = find_regions(&o) && o.count < 0xffff && make_notes(&o);
	if (!ok)
		machine_error(v, o.count < 0xffff ? "the host has no memory for a dump" : "memory is in too many pieces");
	else if (!(ok = put_headers(&o) && put_regions(&o)))
		machine_error(v, "the dump could not be written");
	free(o.region);
	free(o.notes);
	return ok ? 0 : -1;
}
