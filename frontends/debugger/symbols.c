/* SPDX-License-Identifier: MIT */
/* Symbols: names of addresses. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"
#include "elf_file.h"

bool symbol_add(struct session *s, uint64_t address, uint64_t size, uint64_t room, bool code, const char *name,
	size_t len)
{
	struct symbol *more = s->symbols;

	if (!(s->nsymbols & (s->nsymbols - 1)))
		more = realloc(s->symbols, (s->nsymbols ? 2 * s->nsymbols : 1) * sizeof *more);
	if (!more)
		return false;
	s->symbols = more;
	more[s->nsymbols] = (struct symbol){ address, size, size ? size : room, strndup(name, len), code };
	if (!more[s->nsymbols].name)
		return false;
	for (char *c = more[s->nsymbols].name; *c; c++) /* no control characters reach the terminal */
		*c = iscntrl((unsigned char)*c) ? '?' : *c;
	s->nsymbols++;
	return true;
}

/* By address; of the symbols at one address, functions last, as symbol_at returns the last one. */
static int by_address(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return x->address != y->address ? (x->address > y->address) - (x->address < y->address) : x->code - y->code;
}

void symbols_sort(struct session *s)
{
	if (s->nsymbols)
		qsort(s->symbols, s->nsymbols, sizeof *s->symbols, by_address);
}

static bool read_lines(struct session *s, char *text)
{
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char *end;
		uint64_t address = strtoull(line, &end, 16);

		if (end == line || end[0] != ' ' || !end[1] || end[2] != ' ' || !address)
			continue;
		symbol_add(s, address, 0, 0, strchr("tTwW", end[1]), end + 3, strcspn(end + 3, " \t\r"));
	}
	return true;
}

enum { SYMTAB = 2, NOTYPE = 0, FUNC = 2, ABSOLUTE = 0xfff1, EXECINSTR = 4 };

/* The symbol at P, whose name is NAME. Code has room to the end of its section; the end itself, where _etext and its
 * like are, has 1, and so has data: as in gdb, what has no size there has its own address only. 0: not known. */
static void add_elf_symbol(struct session *s, const struct elf *e, const unsigned char *p, const char *name, size_t len)
{
	uint64_t value = e->wide ? elf_field(p + 8, 8) : elf_field(p + 4, 4);
	uint64_t size = e->wide ? elf_field(p + 16, 8) : elf_field(p + 8, 4), room = 0;
	unsigned type = p[e->wide ? 4 : 12] & 15, index = (unsigned)elf_field(p + (e->wide ? 6 : 14), 2);
	bool code = type == FUNC;
	struct elf_section in;

	if (type > FUNC || !value || index == ABSOLUTE)
		return;
	if (index < elf_field(e->data + (e->wide ? 60 : 48), 2) && elf_section(e, index, &in)) {
		code |= type == NOTYPE && in.flags & EXECINSTR;
		room = code && value - in.address < in.size ? in.address + in.size - value : 1;
	}
	symbol_add(s, value, size, room, code, name, len);
}

/* False: it is cut off. */
static bool read_elf(struct session *s, const struct elf *e)
{
	unsigned entry = e->wide ? 24 : 16, count;

	if (e->size < (e->wide ? 64 : 52))
		return false;
	count = (unsigned)elf_field(e->data + (e->wide ? 60 : 48), 2);
	for (unsigned i = 0; i < count; i++) {
		struct elf_section table, strings;

		if (!elf_section(e, i, &table))
			return false;
		if (table.type != SYMTAB || !elf_section(e, table.link, &strings))
			continue;
		if (!elf_within(e->size, table.at, table.size) || !elf_within(e->size, strings.at, strings.size))
			return false;
		for (uint64_t at = 0; at + entry <= table.size; at += entry) {
			const unsigned char *p = e->data + table.at + at;
			uint64_t name = elf_field(p, 4);
			const char *text = (const char *)e->data + strings.at + name;

			if (name && name < strings.size)
				add_elf_symbol(s, e, p, text, strnlen(text, strings.size - name));
		}
	}
	return true;
}

/* The kernel's address in memory less its address by the symbols from BEFORE on: Linux moves itself by multiples of 2
 * MiB, or of 16 MiB with 32 bits. */
static uint64_t moved_by(struct session *s, size_t before)
{
	const char *const *names;
	uint64_t entry = kernel_entry(s, &names);

	for (; entry && *names; names++)
		for (size_t i = before; i < s->nsymbols; i++)
			if (!strcmp(s->symbols[i].name, *names) && !((entry - s->symbols[i].address) & 0x1fffff))
				return entry - s->symbols[i].address;
	return 0;
}

char *file_read(const char *path, size_t *len)
{
	FILE *file = fopen(path, "rbe");
	char *data = NULL, *more = NULL;
	size_t room = 1 << 20, n;

	*len = 0;
	while (file && (more = realloc(data, room + 1))) {
		data = more;
		n = fread(data + *len, 1, room - *len, file);
		if (!n)
			break;
		if ((*len += n) == room)
			room *= 2;
	}
	if (!file || !more || ferror(file)) {
		free(data);
		data = NULL;
	} else {
		data[*len] = 0;
	}
	if (file)
		fclose(file);
	return data;
}

bool symbols_read(struct session *s, const char *path, const uint64_t *offset)
{
	char *data;
	size_t len, before = s->nsymbols;
	bool ok = true, elf = false;
	uint64_t by = 0;

	if (!files_allowed(s))
		return false;
	data = file_read(path, &len);
	if (!data) {
		ok = complaint(s, "cannot read %s: %s", path, strerror(errno));
	} else {
		elf = len > 4 && !memcmp(data, "\177ELF", 4);
		ok = elf ? read_elf(s, &(struct elf){ (unsigned char *)data, len, data[4] == 2 }) : read_lines(s, data);
		if (!elf && s->nsymbols == before) {
			free(data);
			return complaint(s, "%s has no symbols: it is neither an ELF file, nor a System.map or "
					 "/proc/kallsyms with addresses", path);
		}
		by = offset ? *offset : moved_by(s, before);
		for (size_t i = before; by && i < s->nsymbols; i++)
			s->symbols[i].address += by;
		SHOW_NUMBER(s, "symbols", "%" PRIu64 " symbols", s->nsymbols - before);
		fprintf(s->out, " from %s", path);
		show_flag(s, "damaged", !ok, ", which is damaged", "");
		if (by) {
			SHOW_HEX(s, "moved", ", moved by %" PRIx64, by);
			fputs(offset ? "" : ", as the guest's kernel has moved itself", s->out);
		}
		fputc('\n', s->out);
		symbols_sort(s);
	}
	free(data);
	if (ok && elf)
		dwarf_open(s, path, by);
	return ok;
}

bool do_symbols(struct session *s, const char *args)
{
	char path[512];
	uint64_t offset;
	size_t n = strcspn(args, " ");
	const char *rest = args + n;

	if (!*args || n >= sizeof path)
		return complaint(s, "symbols: a file name is needed, or kallsyms");
	if (!strcmp(args, "kallsyms"))
		return kallsyms_read(s);
	memcpy(path, args, n);
	path[n] = 0;
	return *rest ? address(s, &rest, &offset) && symbols_read(s, path, &offset) : symbols_read(s, path, NULL);
}

const struct symbol *symbol_by_name(const struct session *s, const char *name)
{
	for (size_t i = 0; i < s->nsymbols; i++)
		if (!strcmp(s->symbols[i].name, name))
			return &s->symbols[i];
	return NULL;
}

enum { GAP = 1 << 20, PAGE = 4096, LABELS_MAX = 16 };

/* The reach of a symbol before a gap, and of the last one: a function without a size gets at most a page. */
static uint64_t reach(const struct session *s, size_t i)
{
	const struct symbol *y = &s->symbols[i];
	uint64_t next = i + 1 < s->nsymbols ? y[1].address - y->address : GAP;

	return y->reach ? y->reach : next < GAP ? next : y->code ? PAGE : 1;
}

const struct symbol *symbol_at(const struct session *s, uint64_t address)
{
	size_t low = 0, high = s->nsymbols;

	if (!high || address < s->symbols[0].address)
		return NULL;
	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (s->symbols[middle].address <= address)
			low = middle;
		else
			high = middle;
	}
	if (address - s->symbols[low].address < reach(s, low))
		return &s->symbols[low];
	/* A label can stand within a function or table. */
	for (size_t i = low; i-- > 0 && low - i < LABELS_MAX;)
		if (address - s->symbols[i].address < s->symbols[i].size)
			return &s->symbols[i];
	return NULL;
}

const char *symbol_text(const struct session *s, uint64_t address, char *text, size_t size)
{
	const struct symbol *y = symbol_at(s, address);

	*text = 0;
	if (y && address != y->address)
		snprintf(text, size, " <%s+%" PRIu64 ">", y->name, address - y->address);
	else if (y)
		snprintf(text, size, " <%s>", y->name);
	return text;
}
