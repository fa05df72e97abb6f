/* SPDX-License-Identifier: MIT */
/* make_stencils OBJECT...: the table of stencils, as C, from the objects that the handlers' sources were compiled to
 * (cpu/stencil.h). A build-time program.
 *
 * Every basic block has a section of its own in the objects (-fbasic-block-sections), so that all jumps between blocks
 * are relocations, and this program can order the blocks. The hot code is the path from the entry to the end of the
 * handler that the compiler considers likely: it is copied after the operation before. All other blocks are aside. A
 * stencil with a relocation that cannot be filled in is omitted: stitch.c then calls the handler. */
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cpu/stencil.h"

enum { MAX_BLOCKS = 256, MAX_PATCHES = 255, MAX_CODE = 4096, CALL = 0xe8, JMP = 0xe9, JMP_SIZE = 5 };

#define NAME(n, member) #member,
static const char *const member_names[] = { STENCIL_MEMBERS(NAME, 0) "amask", "ip_mask" };
enum { MEMBERS = sizeof member_names / sizeof *member_names };

static void die(const char *what, const char *name)
{
	fprintf(stderr, "make_stencils: %s: %s\n", name, what);
	exit(1);
}

static void *grow(void *p, size_t size)
{
	p = realloc(p, size);
	if (!p)
		die("no memory", "grow");
	return p;
}

/* ---- one object ---- */

struct object {
	const char *name;
	Elf *elf;
	Elf_Data *symbols;
	size_t count, strings, names;     /* symbols; sections of strings */
	Elf_Data **relocations;           /* by section */
	size_t sections;
};

static struct object open_object(const char *name)
{
	struct object o = { .name = name };
	int fd = open(name, O_RDONLY);
	Elf_Scn *s = NULL;
	GElf_Shdr h;

	if (fd < 0 || !(o.elf = elf_begin(fd, ELF_C_READ, NULL)) || elf_kind(o.elf) != ELF_K_ELF)
		die("not an object", name);
	elf_getshdrnum(o.elf, &o.sections);
	elf_getshdrstrndx(o.elf, &o.names);
	o.relocations = calloc(o.sections, sizeof *o.relocations);
	while ((s = elf_nextscn(o.elf, s))) {
		gelf_getshdr(s, &h);
		if (h.sh_type == SHT_SYMTAB) {
			o.symbols = elf_getdata(s, NULL);
			o.count = h.sh_size / h.sh_entsize;
			o.strings = h.sh_link;
		} else if (h.sh_type == SHT_RELA && h.sh_info < o.sections) {
			o.relocations[h.sh_info] = elf_getdata(s, NULL);
		}
	}
	if (!o.symbols)
		die("no symbols", name);
	return o;
}

static GElf_Sym symbol(const struct object *o, size_t n)
{
	GElf_Sym s;

	gelf_getsym(o->symbols, (int)n, &s);
	return s;
}

static const char *symbol_name(const struct object *o, const GElf_Sym *s)
{
	return elf_strptr(o->elf, o->strings, s->st_name);
}

static Elf_Data *contents(const struct object *o, size_t section)
{
	return elf_getdata(elf_getscn(o->elf, section), NULL);
}

/* ---- constants of the stencils ---- */

static const char **functions;
static size_t function_count;

static int32_t function_index(const char *name)
{
	size_t n = 0;

	while (n < function_count && strcmp(functions[n], name))
		n++;
	if (n == function_count) {
		functions = grow(functions, (n + 1) * sizeof *functions);
		functions[function_count++] = strdup(name);
	}
	return (int32_t)n;
}

static uint8_t *data;
static size_t data_size;
static struct { const struct object *object; size_t section; size_t at; } *data_parts;
static size_t data_part_count;

/* The offset of the bytes of read-only SECTION in stencil_data. */
static int32_t data_at(const struct object *o, size_t section)
{
	Elf_Data *d = contents(o, section);
	size_t at;

	for (size_t i = 0; i < data_part_count; i++)
		if (data_parts[i].object == o && data_parts[i].section == section)
			return (int32_t)data_parts[i].at;
	for (at = 0; at + d->d_size <= data_size; at += 16) /* the same constants may be there already */
		if (!memcmp(data + at, d->d_buf, d->d_size))
			break;
	if (at + d->d_size > data_size) {
		size_t size = (data_size + d->d_size + 15) & ~(size_t)15;

		at = data_size;
		data = grow(data, size);
		memset(data + data_size, 0, size - data_size);
		memcpy(data + at, d->d_buf, d->d_size);
		data_size = size;
	}
	data_parts = grow(data_parts, (data_part_count + 1) * sizeof *data_parts);
	data_parts[data_part_count].object = o;
	data_parts[data_part_count].section = section;
	data_parts[data_part_count++].at = at;
	return (int32_t)at;
}

/* ---- one stencil ---- */

struct block { size_t section; bool placed; unsigned at, size; };

struct relocation { unsigned at; const char *symbol; size_t section /* of the symbol, SHN_UNDEF: none */; unsigned type;
	int64_t addend; };

struct patch { unsigned at; char kind[16], hole[32]; int64_t addend; };

static struct block blocks[MAX_BLOCKS];
static unsigned block_count, order[MAX_BLOCKS], placed;
static struct patch patches[MAX_PATCHES];
static unsigned patch_count;
static uint8_t code[MAX_CODE];
static unsigned code_size;

static struct relocation relocation(const struct object *o, size_t section, size_t n)
{
	GElf_Rela r;
	GElf_Sym s;

	gelf_getrela(o->relocations[section], (int)n, &r);
	s = symbol(o, GELF_R_SYM(r.r_info));
	return (struct relocation){ (unsigned)r.r_offset, symbol_name(o, &s), s.st_shndx,
				    (unsigned)GELF_R_TYPE(r.r_info), r.r_addend + (int64_t)s.st_value };
}

static size_t relocation_count(const struct object *o, size_t section)
{
	return o->relocations[section] ? o->relocations[section]->d_size / sizeof(Elf64_Rela) : 0;
}

static int block_of(size_t section)
{
	for (unsigned i = 0; i < block_count; i++)
		if (section && blocks[i].section == section)
			return (int)i;
	return -1;
}

/* The jump with which block B ends, if it is an unconditional one. */
static bool last_jump(const struct object *o, unsigned b, struct relocation *out)
{
	Elf_Data *d = contents(o, blocks[b].section);
	size_t n = relocation_count(o, blocks[b].section);

	for (size_t i = 0; i < n; i++) {
		struct relocation r = relocation(o, blocks[b].section, i);

		if (r.at + 4 == d->d_size && r.at >= 1 && ((uint8_t *)d->d_buf)[r.at - 1] == JMP &&
		    (r.at < 2 || ((uint8_t *)d->d_buf)[r.at - 2] != 0x0f)) {
			*out = r;
			return true;
		}
	}
	return false;
}

/* Is the last instruction JMP through a register: FF /4? */
static bool ends_indirect(const Elf_Data *d)
{
	const uint8_t *end = (const uint8_t *)d->d_buf + d->d_size;

	return d->d_size >= 2 && end[-2] == 0xff && (end[-1] & 0xf8) == 0xe0;
}

/* R, or, if its target is a block of a single jump, that jump's relocation. */
static struct relocation threaded(const struct object *o, struct relocation r)
{
	for (int limit = 0; limit < 8; limit++) {
		int b = block_of(r.section);
		struct relocation next;

		if (b < 0 || r.addend != -4 || contents(o, blocks[b].section)->d_size != JMP_SIZE ||
		    !last_jump(o, (unsigned)b, &next))
			break;
		r.section = next.section;
		r.symbol = next.symbol;
		r.addend = next.addend;
	}
	return r;
}

static void place(unsigned b)
{
	blocks[b].placed = true;
	order[placed++] = b;
}

/* Place block B, and the blocks after it along unconditional jumps. */
static void place_chain(const struct object *o, unsigned b)
{
	struct relocation r;

	place(b);
	while (last_jump(o, b, &r)) {
		int next;

		r = threaded(o, r);
		next = block_of(r.section);
		if (next < 0 || blocks[next].placed)
			return;
		b = (unsigned)next;
		place(b);
	}
}

static bool is_rex(uint8_t byte) { return (byte & 0xf0) == 0x40; }
static bool is(const char *a, const char *b) { return !strcmp(a, b); }

/* The member of struct op that R's symbol stands for. */
static bool member_hole(const struct relocation *r, struct patch *p)
{
	for (unsigned i = 0; i < MEMBERS; i++)
		if (!strncmp(r->symbol, "hole_", 5) && is(r->symbol + 7, member_names[i])) {
			snprintf(p->hole, sizeof p->hole, "%s%s",
				 r->symbol[5] == '1' ? "HOLE_MEMBERS + HOLE_" : "HOLE_", member_names[i]);
			return true;
		}
	return false;
}

/* A displacement, at AT in the code, of an instruction that is to be rewritten. The bytes before it are REX, opcode,
 * ModRM, SIB; of a use and a put ModRM and REX.R have the register. The addend's low bits are added to the
 * displacement. */
static bool marked(const struct relocation *r, struct patch *p, unsigned at)
{
	unsigned mark = (unsigned)(r->addend >> MARK_SHIFT) & 0x3f;
	bool two_bytes = mark == USE_1 || mark == USE_2 || mark == USE_VECTOR || mark == PUT_VECTOR; /* of opcode */
	unsigned rex = at - (two_bytes ? 5 : 4);

	snprintf(p->kind, sizeof p->kind, "MARKED + %u", mark);
	p->addend = (code[at - 2] >> 3 & 7) | (code[rex] & 4) << 1 |
		    (r->addend & ((1 << MARK_SHIFT) - 1)) << PATCH_PART_SHIFT;
	return mark && mark < MARKS && is_rex(code[rex]) && member_hole(r, p);
}

/* The value for R. False: none that stitch.c can compute. */
static bool describe(const struct object *o, const struct relocation *r, struct patch *p, unsigned at)
{
	int b = block_of(r->section);

	switch (r->type) {
	case R_X86_64_8: strcpy(p->kind, "8"); break;
	case R_X86_64_16: strcpy(p->kind, "16"); break;
	case R_X86_64_32: strcpy(p->kind, "32"); break;
	case R_X86_64_64: strcpy(p->kind, "64"); break;
	case R_X86_64_32S: strcpy(p->kind, "SIGNED"); break;
	case R_X86_64_PC32:
	case R_X86_64_PLT32: strcpy(p->kind, "RELATIVE"); break;
	default: return false;
	}
	p->addend = r->addend;
	if (r->addend >= MARK)
		return marked(r, p, at);
	if (member_hole(r, p))
		return !is(p->kind, "RELATIVE");
	if (!is(p->kind, "RELATIVE"))
		return false;
	if (is(r->symbol, "hole_store")) {
		strcpy(p->hole, "HOLE_STORE");
		return r->addend == -4;
	}
	if (is(r->symbol, "hole_op")) {
		strcpy(p->hole, "HOLE_OP");
		return true;
	}
	if (b >= 0) {
		strcpy(p->hole, "HOLE_SELF");
		p->addend = blocks[b].at;
		return r->addend == -4;
	}
	if (r->section != SHN_UNDEF) { /* constants of the compiler: neither code nor writable data */
		GElf_Shdr h;

		if (r->section >= o->sections || !gelf_getshdr(elf_getscn(o->elf, r->section), &h) ||
		    h.sh_flags & (SHF_EXECINSTR | SHF_WRITE) || h.sh_type != SHT_PROGBITS ||
		    relocation_count(o, r->section))
			return false;
		strcpy(p->hole, "HOLE_DATA");
		p->addend += data_at(o, r->section);
		return true;
	}
	if (r->addend != -4 || !strncmp(r->symbol, "mem", 3)) /* functions of libc may be out of reach */
		return false;
	strcpy(p->hole, is(r->symbol, "next_1")   ? "HOLE_NEXT_1"
			: is(r->symbol, "next_2") ? "HOLE_NEXT_2"
			: is(r->symbol, "linked") ? "HOLE_LINKED"
						  : "HOLE_FUNCTION");
	p->addend = is(p->hole, "HOLE_FUNCTION") ? function_index(r->symbol) : 0;
	return true;
}

/* ---- output ---- */

static FILE *out_code, *out_patches, *out_table;
static unsigned code_total, patch_total, stencil_total, made_count, left_out;
static const char **plains;
/* What was made of each entry's section, for other handlers with the same stencil: the row but for its handler. */
static struct made { const struct object *object; size_t section; char row[160]; } *made;
/* the last form L_ */
static struct { const char *plain; unsigned size; uint8_t code[MAX_CODE]; } last_linked;

/* A reference to the next operation must be a jump, as a call would return. */
static bool jumps(const struct patch *p)
{
	return !strncmp(p->hole, "HOLE_NEXT", 9) || is(p->hole, "HOLE_LINKED");
}

/* Print the present stencil as a struct stencil. */
struct facts {
	unsigned hot;
	int next, links;
	bool seldom, skips, leaves, fixed, calls, indirect, vectors;
	/* code aside jumps back to hot code; vector registers are written without marks */
	bool returns, written;
	bool uses_link, second;           /* it has a linked jump: of its own; of the operation after it */
};

static void put_row(const char *plain, const char *row)
{
	fprintf(out_table, "\t{ %s, %s },\n", plain, row);
	plains = grow(plains, (stencil_total + 1) * sizeof *plains);
	plains[stencil_total++] = strdup(plain);
}

static void finish(const struct object *o, const char *plain, const struct facts *f)
{
	struct made *m;

	made = grow(made, (made_count + 1) * sizeof *made);
	m = &made[made_count++];
	m->object = o;
	m->section = blocks[0].section;
	snprintf(m->row, sizeof m->row, "%u, %u, %u, %u, %u, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d",
	         code_total, patch_total, f->hot, code_size,
	         patch_count, f->next, f->links, f->seldom, f->skips, f->leaves, f->fixed,
	         f->calls || f->indirect, f->vectors, !f->fixed && !f->returns, f->calls || f->written);
	put_row(plain, m->row);
	for (unsigned i = 0; i < code_size; i++)
		fprintf(out_code, "%u,%s", code[i], i % 32 == 31 || i + 1 == code_size ? "\n" : "");
	for (unsigned i = 0; i < patch_count; i++)
		fprintf(out_patches, "\t{ %u, %s, PATCH_%s, %ld },\n", patches[i].at, patches[i].hole, patches[i].kind,
			(long)patches[i].addend);
	code_total += code_size;
	patch_total += patch_count;
}

static bool find_blocks(const struct object *o, const char *name)
{
	size_t len = strlen(name);

	block_count = placed = 0;
	for (size_t i = 0; i < o->count; i++) {
		GElf_Sym s = symbol(o, i);
		const char *n = symbol_name(o, &s);

		if (s.st_shndx == SHN_UNDEF || s.st_shndx >= o->sections || strncmp(n, name, len) ||
		    (n[len] && strncmp(n + len, ".__part.", 8) && !is(n + len, ".cold")))
			continue;
		if (block_count == MAX_BLOCKS)
			return false;
		blocks[block_count] = (struct block){ .section = s.st_shndx };
		if (!n[len]) { /* the entry first */
			struct block b = blocks[0];

			blocks[0] = blocks[block_count];
			if (block_count)
				blocks[block_count] = b;
		}
		block_count++;
	}
	return block_count;
}

static int by_place(const void *a, const void *b)
{
	const struct patch *p = a, *q = b;

	return p->at < q->at ? -1 : p->at > q->at;
}

/* Lay the blocks out, the first HOT_BLOCKS of them as hot code. A jump to the next block is omitted. */
static bool lay_out(const struct object *o, unsigned hot_blocks, struct facts *f)
{
	code_size = 0;
	for (unsigned i = 0; i < placed; i++) {
		struct block *b = &blocks[order[i]];
		Elf_Data *d = contents(o, b->section);
		struct relocation end;

		b->at = code_size;
		b->size = (unsigned)d->d_size;
		if (last_jump(o, order[i], &end)) {
			int to;

			end = threaded(o, end);
			to = block_of(end.section);
			if (i + 1 < placed && i + 1 != hot_blocks && to >= 0 && (unsigned)to == order[i + 1])
				b->size -= JMP_SIZE;
			else if (i + 1 == hot_blocks && (is(end.symbol, "next_1") || is(end.symbol, "next_2"))) {
				b->size -= JMP_SIZE;
				f->next = end.symbol[5] - '0';
			}
		}
		if (code_size + b->size > MAX_CODE)
			return false;
		memcpy(code + code_size, d->d_buf, b->size);
		f->indirect |= ends_indirect(d);
		code_size += b->size;
		if (i + 1 == hot_blocks)
			f->hot = code_size;
	}
	return true;
}

static bool vector_mark(const struct relocation *r)
{
	unsigned mark = (unsigned)(r->addend >> MARK_SHIFT) & 0x3f;

	return r->addend >= MARK && (mark == USE_VECTOR || mark == PUT_VECTOR);
}

/* Make the hole for R of block B. False: it cannot be filled in. */
static bool add_patch(const struct object *o, const struct block *b, const struct relocation *r, struct facts *f)
{
	struct patch *p = &patches[patch_count];
	unsigned at = b->at + r->at;

	if (patch_count == MAX_PATCHES || !describe(o, r, p, at))
		return false;
	p->at = at;
	if (jumps(p) && code[at - 1] != JMP && !(at >= 2 && code[at - 2] == 0x0f && (code[at - 1] & 0xf0) == 0x80))
		return false;
	f->uses_link |= is(p->hole, "HOLE_LINKED");
	f->second |= is(p->hole, "HOLE_MEMBERS + HOLE_cost");
	f->skips |= is(p->hole, "HOLE_NEXT_2");
	f->leaves |= is(p->hole, "HOLE_FUNCTION");
	f->calls |= is(p->hole, "HOLE_FUNCTION") && code[at - 1] == CALL;
	f->vectors |= vector_mark(r);
	f->returns |= is(p->hole, "HOLE_SELF") && at >= f->hot && p->addend < f->hot;
	if (is(p->hole, "HOLE_SELF") && (at < f->hot) == (p->addend < f->hot)) {
		/* both are hot or both aside, so their distance is constant */
		int32_t distance = (int32_t)(p->addend - (at + 4));

		memcpy(code + at, &distance, 4);
		f->fixed |= at < f->hot;
		return true;
	}
	patch_count++;
	return true;
}

static bool find_patches(const struct object *o, struct facts *f)
{
	patch_count = 0;
	for (unsigned i = 0; i < placed; i++) {
		const struct block *b = &blocks[order[i]];

		for (size_t k = 0; k < relocation_count(o, b->section); k++) {
			struct relocation r = threaded(o, relocation(o, b->section, k));

			f->written |= r.type == R_X86_64_NONE && is(r.symbol, "vectors_written");
			/* if it is beyond, it was omitted with the jump */
			if (r.at < b->size && r.type != R_X86_64_NONE && !add_patch(o, b, &r, f))
				return false;
		}
	}
	qsort(patches, patch_count, sizeof *patches, by_place);
	return true;
}

/* Make the stencil NAME: S_..., L_... or N_... . False: it cannot become one. */
static bool make(const struct object *o, const char *name)
{
	struct facts f = { .seldom = *name == 'N' };
	bool links = f.seldom || *name == 'L';
	unsigned hot_blocks;

	if (!find_blocks(o, name))
		return false;
	place_chain(o, 0);
	hot_blocks = placed;
	for (unsigned i = 0; i < block_count; i++)
		if (!blocks[i].placed)
			place_chain(o, i);
	if (!lay_out(o, hot_blocks, &f) || !find_patches(o, &f))
		return false;
	f.skips |= f.next == 2;
	f.links = links + f.second;
	if (links != f.uses_link)
		/* a handler without links has equal forms: the second is not needed */
		return links;
	if (f.seldom && last_linked.plain && is(last_linked.plain, name + 2) && last_linked.size == code_size &&
	    !memcmp(last_linked.code, code, code_size))
		return true; /* the same */
	if (links && !f.seldom) {
		last_linked.plain = name + 2;
		last_linked.size = code_size;
		memcpy(last_linked.code, code, code_size);
	}
	finish(o, name + 2, &f);
	return true;
}

static void make_all(const struct object *o)
{
	for (size_t i = 0; i < o->count; i++) {
		GElf_Sym s = symbol(o, i);
		const char *n = symbol_name(o, &s);

		if (GELF_ST_TYPE(s.st_info) != STT_FUNC || s.st_shndx == SHN_UNDEF || strstr(n, ".__part.") ||
			strstr(n, ".cold") ||
		    (strncmp(n, "S_", 2) && strncmp(n, "L_", 2) && strncmp(n, "N_", 2)))
			continue;
		if (!make(o, n)) {
			left_out++;
			if (getenv("STENCILS_VERBOSE"))
				fprintf(stderr, "left out: %s\n", n);
		}
	}
}

/* A_S_..., A_L_..., A_N_...: another name of a stencil (stencil.h). */
static void make_aliases(const struct object *o)
{
	for (size_t i = 0; i < o->count; i++) {
		GElf_Sym s = symbol(o, i);
		const char *n = symbol_name(o, &s);

		for (unsigned k = 0; k < made_count && !strncmp(n, "A_", 2) && s.st_shndx != SHN_UNDEF; k++)
			if (made[k].object == o && made[k].section == s.st_shndx)
				put_row(n + 4, made[k].row);
	}
}

static void copy(FILE *from)
{
	char buffer[1 << 16];
	size_t n;

	rewind(from);
	while ((n = fread(buffer, 1, sizeof buffer, from)))
		fwrite(buffer, 1, n, stdout);
}

int main(int argc, char **argv)
{
	struct object *objects = calloc((size_t)argc, sizeof *objects);

	out_code = tmpfile();
	out_patches = tmpfile();
	out_table = tmpfile();
	if (elf_version(EV_CURRENT) == EV_NONE || !objects || !out_code || !out_patches || !out_table)
		die("cannot begin", argv[0]);
	for (int i = 1; i < argc; i++) {
		objects[i] = open_object(argv[i]);
		make_all(&objects[i]);
		make_aliases(&objects[i]);
	}
	printf("/* Made by make_stencils from the handlers' sources. %u stencils, %u left out. */\n#include \"cpu/engine/stencils.h\"\n\n", stencil_total, left_out);
	for (unsigned i = 0; i < stencil_total; i++)
		printf("extern handler %s;\n", plains[i]);
	for (size_t i = 0; i < function_count; i++)
		printf("extern const char function_%zu[] __asm__(\"%s\");\n", i, functions[i]);
	printf("\nconst unsigned stencil_count = %u;\nconst struct stencil stencils[] = {\n", stencil_total);
	copy(out_table);
	printf("};\n\nconst struct patch stencil_patches[] = {\n");
	copy(out_patches);
	printf("};\n\nconst void *const stencil_functions[] = {\n");
	for (size_t i = 0; i < function_count; i++)
		printf("\tfunction_%zu,\n", i);
	printf("\tNULL\n};\n\n_Alignas(64) const u8 stencil_data[] = {\n");
	for (size_t i = 0; i < data_size; i++)
		printf("%u,%s", data[i], i % 32 == 31 ? "\n" : "");
	printf("0 };\n\nconst u8 stencil_code[] = {\n");
	copy(out_code);
	printf("0 };\n");
	return fflush(stdout) || ferror(stdout);
}
