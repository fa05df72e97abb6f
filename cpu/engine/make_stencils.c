/* SPDX-License-Identifier: MIT */
/* make_stencils OBJECT...: the table of stencils, as C, from the objects that the handlers' sources were compiled to
 * (cpu/stencil.h). A build-time program: make_stencils_x86_64.c and make_stencils_aarch64.c have what depends on the
 * host. The hot code of a stencil is the path from the entry to the end of the handler that the compiler considers
 * likely: it is copied after the operation before. The rest lies aside. A stencil with a relocation that cannot be
 * filled in is omitted: stitch.c then calls the handler. */
#include <fcntl.h>
#include <unistd.h>
#include "cpu/engine/make_stencils.h"

struct patch patches[MAX_PATCHES];
unsigned patch_count;
uint8_t code[MAX_CODE];
unsigned code_size;

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

GElf_Sym symbol(const struct object *o, size_t n)
{
	GElf_Sym s;

	gelf_getsym(o->symbols, (int)n, &s);
	return s;
}

const char *symbol_name(const struct object *o, const GElf_Sym *s)
{
	return elf_strptr(o->elf, o->strings, s->st_name);
}

Elf_Data *contents(const struct object *o, size_t section)
{
	return elf_getdata(elf_getscn(o->elf, section), NULL);
}

/* ---- constants of the stencils ---- */

static const char **functions;
static size_t function_count;

int32_t function_index(const char *name)
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

struct relocation relocation(const struct object *o, size_t section, size_t n)
{
	GElf_Rela r;
	GElf_Sym s;

	gelf_getrela(o->relocations[section], (int)n, &r);
	s = symbol(o, GELF_R_SYM(r.r_info));
	return (struct relocation){ (unsigned)r.r_offset, symbol_name(o, &s), s.st_shndx,
				    (unsigned)GELF_R_TYPE(r.r_info), r.r_addend + (int64_t)s.st_value };
}

size_t relocation_count(const struct object *o, size_t section)
{
	return o->relocations[section] ? o->relocations[section]->d_size / sizeof(Elf64_Rela) : 0;
}

int32_t constant_at(const struct object *o, const struct relocation *r)
{
	GElf_Shdr h;

	if (r->section >= o->sections || !gelf_getshdr(elf_getscn(o->elf, r->section), &h) ||
	    h.sh_flags & (SHF_EXECINSTR | SHF_WRITE) || h.sh_type != SHT_PROGBITS || relocation_count(o, r->section))
		return -1;
	return data_at(o, r->section);
}

/* ---- the present stencil ---- */

bool is(const char *a, const char *b) { return !strcmp(a, b); }

bool member_hole(const struct relocation *r, struct patch *p)
{
	for (unsigned i = 0; i < MEMBERS; i++)
		if (!strncmp(r->symbol, "hole_", 5) && is(r->symbol + 7, member_names[i])) {
			snprintf(p->hole, sizeof p->hole, "%s%s",
				 r->symbol[5] == '1' ? "HOLE_MEMBERS + HOLE_" : "HOLE_", member_names[i]);
			return true;
		}
	return false;
}

/* ---- output ---- */

static FILE *out_code, *out_patches, *out_table, *out_specials;
static unsigned code_total, patch_total, stencil_total, made_count, left_out;
static const char **plains;
/* What was made of each entry's section, for other handlers with the same stencil: the row but for its handler. */
static struct made { const struct object *object; size_t section; char row[256]; } *made;

/* Stencils for one handler and form: those that are specialised have a row of stencil_specials, whose number is the
 * constant SPECIAL_name. */
static struct group { char name[128]; bool special; } *groups;
static unsigned group_count;

static struct group *group(char form, const char *plain)
{
	char name[sizeof groups->name];

	snprintf(name, sizeof name, "%c_%s", form, plain);
	for (unsigned i = group_count; i--;)
		if (is(groups[i].name, name))
			return &groups[i];
	groups = grow(groups, (group_count + 1) * sizeof *groups);
	memcpy(groups[group_count].name, name, sizeof name);
	groups[group_count].special = false;
	return &groups[group_count++];
}

static int place_of(char digit) { return digit == 'x' ? ANY_PLACE : digit - '0'; }

static void put_row(const char *plain, const char *row)
{
	fprintf(out_table, "\t{ %s, %s },\n", plain, row);
	plains = grow(plains, (stencil_total + 1) * sizeof *plains);
	plains[stencil_total++] = strdup(plain);
}

void finish(const struct object *o, size_t section, const char *plain, const struct facts *f)
{
	struct made *m;
	struct group *g;

	g = group(f->seldom ? 'N' : f->links ? 'L' : 'S', plain);
	if (f->dst) {
		g->special = true;
		fprintf(out_specials, "\t[SPECIAL_%s][%d][%d] = %u,\n", g->name, place_of(f->dst), place_of(f->src),
			stencil_total + 1);
	}
	made = grow(made, (made_count + 1) * sizeof *made);
	m = &made[made_count++];
	m->object = o;
	m->section = section;
	snprintf(m->row, sizeof m->row, "%u, %u, %u, %u, %u, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d, %d, SPECIAL_%s",
	         code_total, patch_total, f->hot, code_size,
	         patch_count, f->next, f->links, f->seldom, f->skips, f->leaves, f->fixed,
	         f->calls || f->indirect, f->vectors, !f->fixed && !f->returns, f->calls || f->written,
	         !!f->dst, g->name);
	put_row(plain, m->row);
	for (unsigned i = 0; i < code_size; i++)
		fprintf(out_code, "%u,%s", code[i], i % 32 == 31 || i + 1 == code_size ? "\n" : "");
	for (unsigned i = 0; i < patch_count; i++)
		fprintf(out_patches, "\t{ %u, %s, PATCH_%s, %ld },\n", patches[i].at, patches[i].hole, patches[i].kind,
			(long)patches[i].addend);
	code_total += code_size;
	patch_total += patch_count;
}

int by_place(const void *a, const void *b)
{
	const struct patch *p = a, *q = b;

	return p->at < q->at ? -1 : p->at > q->at;
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
	out_specials = tmpfile();
	if (elf_version(EV_CURRENT) == EV_NONE || !objects || !out_code || !out_patches || !out_table || !out_specials)
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
	printf("\nenum {\n");
	for (unsigned i = 0, n = 0; i < group_count; i++)
		printf("\tSPECIAL_%s = %u,\n", groups[i].name, groups[i].special ? ++n : 0);
	printf("};\nconst u16 stencil_specials[][ANY_PLACE + 1][ANY_PLACE + 1] = {\n\t[0][0][0] = 0,\n");
	copy(out_specials);
	printf("};\n");
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
