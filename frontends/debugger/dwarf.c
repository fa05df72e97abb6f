/* SPDX-License-Identifier: MIT */
/* Debugging information of compilers (DWARF 2 to 5), read by elfutils' libdw: names and types. Variables and frames:
 * variable.c; lines: line.c. */
#include <stdlib.h>
#include <string.h>

#include "debugger.h"
#include "debuginfo.h"

#if HAVE_LIBDW

/* ---- life ---- */

static char *no_path;
static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_build_id_find_elf, .find_debuginfo = dwfl_standard_find_debuginfo,
		.section_address = dwfl_offline_section_address,
	.debuginfo_path = &no_path,
};

static bool add_name(struct dwarf *d, struct name n)
{
	if (d->count == d->room) {
		struct name *more = realloc(d->names, (d->room = d->room ? 2 * d->room : 1024) * sizeof *more);

		if (!more)
			return false;
		d->names = more;
	}
	d->names[d->count++] = n;
	return true;
}

static bool add_enumerators(struct dwarf *d, Dwarf_Die *enumeration, Dwarf_Addr bias)
{
	Dwarf_Die die;

	if (dwarf_child(enumeration, &die))
		return true;
	do
		if (dwarf_diename(&die) && !add_name(d, (struct name){ dwarf_diename(&die), *enumeration, bias, true }))
			return false;
	while (!dwarf_siblingof(&die, &die));
	return true;
}

static void add_names(struct dwarf *d, Dwarf_Die *unit, Dwarf_Addr bias)
{
	Dwarf_Die die;

	if (dwarf_child(unit, &die))
		return;
	do {
		const char *name = dwarf_diename(&die);

		if (dwarf_hasattr(&die, DW_AT_declaration) ||
		    (name && !add_name(d, (struct name){ name, die, bias, false })))
			continue;
		if (dwarf_tag(&die) == DW_TAG_enumeration_type)
			add_enumerators(d, &die, bias);
	} while (!dwarf_siblingof(&die, &die));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->name, ((const struct name *)b)->name);
}

bool dwarf_open(struct session *s, const char *path, uint64_t offset)
{
	struct dwarf *d = s->dwarf ? s->dwarf : calloc(1, sizeof *d);
	Dwfl_Module *module;
	Dwarf_Addr bias;
	Dwarf_Die *unit = NULL;

	if (!d)
		return false;
	s->dwarf = d;
	if (!d->dwfl)
		d->dwfl = dwfl_begin(&callbacks);
	dwfl_report_begin_add(d->dwfl);
	module = dwfl_report_elf(d->dwfl, path, path, -1, offset, true);
	dwfl_report_end(d->dwfl, NULL, NULL);
	if (!module || !dwfl_module_getdwarf(module, &bias))
		return false;
	while ((unit = dwfl_module_nextcu(module, unit, &bias)) != NULL)
		add_names(d, unit, bias);
	if (d->count)
		qsort(d->names, d->count, sizeof *d->names, by_name);
	return true;
}

void dwarf_close(struct session *s)
{
	if (!s->dwarf)
		return;
	dwfl_end(s->dwarf->dwfl);
	free(s->dwarf->names);
	free(s->dwarf->types);
	free(s->dwarf->slots);
	free(s->dwarf);
	s->dwarf = NULL;
}

struct name *dwarf_names(struct dwarf *d, const char *name)
{
	size_t low = 0, high = d->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(d->names[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < d->count && !strcmp(d->names[low].name, name) ? &d->names[low] : NULL;
}

/* ---- types ---- */

enum { TYPE_DEPTH_MAX = 200 };

static uint64_t number_of(Dwarf_Die *die, unsigned attribute, uint64_t otherwise)
{
	Dwarf_Attribute a;
	Dwarf_Word n;

	return dwarf_attr_integrate(die, attribute, &a) && !dwarf_formudata(&a, &n) ? n : otherwise;
}

static struct member *add_member(struct type *t)
{
	if (!(t->nmembers & (t->nmembers - 1))) {
		struct member *more = realloc(t->members, (t->nmembers ? 2 * t->nmembers : 1) * sizeof *more);

		if (!more)
			return NULL;
		t->members = more;
	}
	memset(&t->members[t->nmembers], 0, sizeof *t->members);
	return &t->members[t->nmembers++];
}

static bool complete(struct session *s, struct type *t)
{
	Dwarf_Die die, whole = s->dwarf->types[t->where].die;

	t->complete = NULL;
	if (dwarf_hasattr(&whole, DW_AT_declaration) && t->name) { /* another entry has its description */
		struct name *n = dwarf_names(s->dwarf, t->name);

		for (; dwarf_named(s->dwarf, n, t->name); n++)
			if (!n->enumerator && dwarf_tag(&n->die) == dwarf_tag(&whole)) {
				whole = n->die;
				t->size = number_of(&whole, DW_AT_byte_size, 0);
				break;
			}
	}
	if (dwarf_child(&whole, &die))
		return t->size;
	do {
		struct member *m;
		Dwarf_Die type;
		Dwarf_Attribute a;
		uint64_t at;

		if (dwarf_tag(&die) != DW_TAG_member || !dwarf_formref_die(dwarf_attr(&die, DW_AT_type, &a), &type) ||
		    !(m = add_member(t)))
			continue;
		m->name = dwarf_diename(&die);
		m->type = dwarf_type_of(s, &type);
		m->offset = number_of(&die, DW_AT_data_member_location, 0);
		m->bits = (unsigned)number_of(&die, DW_AT_bit_size, 0);
		at = number_of(&die, DW_AT_data_bit_offset, UINT64_MAX);
		if (m->bits && at != UINT64_MAX && m->type->size) {
			m->offset = at / 8 / m->type->size * m->type->size;
			m->bit = (unsigned)(at - 8 * m->offset);
		} else if (m->bits) { /* DWARF 3: counted from the other end */
			m->bit = (unsigned)(8 * m->type->size - number_of(&die, DW_AT_bit_offset, 0) - m->bits);
		}
		if (m->bits > 64 || m->bit > 63) /* the file is damaged */
			m->bit = m->bits = 0;
	} while (!dwarf_siblingof(&die, &die));
	return true;
}

static void enumerators(struct type *t, Dwarf_Die *whole)
{
	Dwarf_Die die;

	if (dwarf_child(whole, &die))
		return;
	do {
		Dwarf_Attribute a;
		Dwarf_Sword n;
		struct member *m;

		if (dwarf_tag(&die) == DW_TAG_enumerator && dwarf_attr(&die, DW_AT_const_value, &a) &&
			!dwarf_formsdata(&a, &n) &&
			(m = add_member(t)) != NULL) {
			m->name = dwarf_diename(&die);
			m->offset = (uint64_t)n;
		}
	} while (!dwarf_siblingof(&die, &die));
}

const struct type *dwarf_target(struct session *s, Dwarf_Die *die)
{
	Dwarf_Attribute a;
	Dwarf_Die to;

	return dwarf_attr_integrate(die, DW_AT_type, &a) && dwarf_formref_die(&a, &to) ? dwarf_type_of(s, &to) : NULL;
}

/* An array's type by its dimensions, which are entries from DIE on: the first is the outermost. */
static const struct type *array_of(struct session *s, Dwarf_Die *dimension, const struct type *of)
{
	Dwarf_Die next;
	uint64_t upper, count;

	while (dwarf_tag(dimension) != DW_TAG_subrange_type)
		if (dwarf_siblingof(dimension, dimension))
			return of;
	upper = number_of(dimension, DW_AT_upper_bound, UINT64_MAX);
	count = number_of(dimension, DW_AT_count, upper + 1);
	if (s->dwarf->depth < TYPE_DEPTH_MAX && !dwarf_siblingof(dimension, &next)) {
		s->dwarf->depth++;
		of = array_of(s, &next, of);
		s->dwarf->depth--;
	}
	return type_array(s, of, count);
}

static struct type *base_type(struct session *s, Dwarf_Die *die)
{
	static const char *const names[][2] = {
		{ "short int", "short" }, { "short unsigned int", "unsigned short" }, { "long int", "long" },
			{ "long unsigned int", "unsigned long" },
		{ "long long int", "long long" }, { "long long unsigned int", "unsigned long long" },
	};
	uint64_t encoding = number_of(die, DW_AT_encoding, DW_ATE_unsigned), size = number_of(die, DW_AT_byte_size, 0);
	struct type *t = type_new(s, TYPE_INT, dwarf_diename(die), size);

	/* Basic types by the names that C programmers use. */
	for (unsigned i = 0; t->name && i < sizeof names / sizeof *names; i++)
		if (!strcmp(names[i][0], t->name))
			t->name = names[i][1];
	switch (encoding) {
	case DW_ATE_boolean: t->kind = TYPE_BOOL; break;
	case DW_ATE_float: t->kind = size == 4 || size == 8 ? TYPE_FLOAT : TYPE_VOID; break;
	case DW_ATE_signed: t->is_signed = true; break;
	case DW_ATE_signed_char: t->kind = TYPE_CHAR; t->is_signed = true; break;
	case DW_ATE_unsigned_char: t->kind = TYPE_CHAR; break;
	}
	return t;
}

static void function_parameters(struct session *s, Dwarf_Die *function, struct type *t)
{
	Dwarf_Die die, type;
	Dwarf_Attribute a;
	struct member *m;

	t->is_prototype = dwarf_hasattr_integrate(function, DW_AT_prototyped);
	if (dwarf_child(function, &die))
		return;
	do {
		const struct type *of;

		if (dwarf_tag(&die) != DW_TAG_formal_parameter || !dwarf_attr_integrate(&die, DW_AT_type, &a) ||
			!dwarf_formref_die(&a, &type))
			continue;
		of = dwarf_type_of(s, &type);
		if ((m = add_member(t)) != NULL)
			m->type = of;
	} while (!dwarf_siblingof(&die, &die));
}

static const struct type *type_of_die(struct session *s, Dwarf_Die *die);

/* Types refer to types: in a damaged file they form cycles or chains without end. */
const struct type *dwarf_type_of(struct session *s, Dwarf_Die *die)
{
	const struct type *t = s->dwarf->depth < TYPE_DEPTH_MAX ? (s->dwarf->depth++, type_of_die(s, die)) : NULL;

	if (!t)
		return type_basic(s, "void");
	s->dwarf->depth--;
	return t;
}

/* 1 + the slot of the type at ADDRESS in the hash table, which is empty if the type is not known yet; 0: there is no
 * table yet. */
static size_t type_slot(const struct dwarf *d, const void *address)
{
	size_t mask = d->nslots - 1, i = ((uintptr_t)address * 0x9e3779b97f4a7c15 >> 20) & mask;

	if (!d->nslots)
		return 0;
	while (d->slots[i] && d->types[d->slots[i] - 1].die.addr != address)
		i = (i + 1) & mask;
	return i + 1;
}

/* Double the hash table, so that half of its slots are free. */
static bool more_slots(struct dwarf *d)
{
	size_t n = d->nslots ? 2 * d->nslots : 1024;
	uint32_t *slots = calloc(n, sizeof *slots);
	void *types = realloc(d->types, n / 2 * sizeof *d->types);

	if (types)
		d->types = types;
	if (!slots || !types) {
		free(slots);
		return false;
	}
	free(d->slots);
	d->slots = slots;
	d->nslots = n;
	for (size_t i = 0; i < d->ntypes; i++)
		d->slots[type_slot(d, d->types[i].die.addr) - 1] = (uint32_t)(i + 1);
	return true;
}

static bool remember(struct dwarf *d, const Dwarf_Die *die, struct type *t)
{
	if (d->ntypes == d->nslots / 2 && !more_slots(d))
		return false;
	d->types[d->ntypes].die = *die;
	d->types[d->ntypes++].type = t;
	d->slots[type_slot(d, die->addr) - 1] = (uint32_t)d->ntypes;
	return true;
}

static const struct type *type_of_die(struct session *s, Dwarf_Die *die)
{
	struct dwarf *d = s->dwarf;
	int tag = dwarf_tag(die);
	const struct type *to;
	struct type *t;
	Dwarf_Die child;
	size_t known;

	known = type_slot(d, die->addr);
	if (known && d->slots[known - 1])
		return d->types[d->slots[known - 1] - 1].type;
	switch (tag) {
	case DW_TAG_restrict_type:
	case DW_TAG_atomic_type:
		to = dwarf_target(s, die);
		return to ? to : type_basic(s, "void");
	case DW_TAG_typedef:
	case DW_TAG_const_type:
	case DW_TAG_volatile_type:
		to = dwarf_target(s, die);
		t = type_alias(s, to ? to : type_basic(s, "void"), tag == DW_TAG_typedef ? dwarf_diename(die) : NULL);
		t->is_const |= tag == DW_TAG_const_type;
		t->is_volatile |= tag == DW_TAG_volatile_type;
		break;
	case DW_TAG_pointer_type:
	case DW_TAG_reference_type:
		t = type_new(s, TYPE_POINTER, NULL, number_of(die, DW_AT_byte_size, 8));
		t->to = type_basic(s, "void");
		break;
	case DW_TAG_array_type:
		to = dwarf_target(s, die);
		if (!to || dwarf_child(die, &child))
			return type_basic(s, "void");
		return array_of(s, &child, to);
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_class_type:
		t = type_new(s, TYPE_STRUCT, dwarf_diename(die), number_of(die, DW_AT_byte_size, 0));
		t->is_union = tag == DW_TAG_union_type;
		t->complete = complete;
		break;
	case DW_TAG_enumeration_type:
		t = type_new(s, TYPE_ENUM, dwarf_diename(die), number_of(die, DW_AT_byte_size, 4));
		enumerators(t, die);
		break;
	case DW_TAG_subroutine_type:
	case DW_TAG_subprogram:
		t = type_new(s, TYPE_FUNCTION, NULL, 1);
		break;
	case DW_TAG_base_type:
		t = base_type(s, die);
		break;
	default:
		return type_basic(s, "void");
	}
	if (!remember(d, die, t) || t->of)
		return t;
	t->where = d->ntypes - 1;
	if (t->kind == TYPE_FUNCTION)
		function_parameters(s, die, t);
	if ((t->kind == TYPE_POINTER || t->kind == TYPE_FUNCTION) && (to = dwarf_target(s,
		die)) != NULL) /* after T is in the table, since the entries can refer to T */
		t->to = to;
	return t;
}

const struct type *dwarf_type(struct session *s, const char *name)
{
	static const struct { const char *word; int tag; } kinds[] = {
		{ "struct ", DW_TAG_structure_type }, { "union ", DW_TAG_union_type },
			{ "enum ", DW_TAG_enumeration_type },
	};
	int tag = DW_TAG_typedef;
	struct name *n;

	if (!s->dwarf)
		return NULL;
	for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (!strncmp(name, kinds[i].word, strlen(kinds[i].word))) {
			tag = kinds[i].tag;
			name += strlen(kinds[i].word);
			break;
		}
	for (n = dwarf_names(s->dwarf, name); dwarf_named(s->dwarf, n, name); n++)
		if (!n->enumerator && (dwarf_tag(&n->die) == tag || (tag == DW_TAG_typedef &&
			dwarf_tag(&n->die) == DW_TAG_base_type)))
			return dwarf_type_of(s, &n->die);
	return NULL;
}

/* ---- what there is ---- */

static bool is_of(enum dwarf_kind kind, int tag)
{
	switch (tag) {
	case DW_TAG_subprogram: return kind == DWARF_FUNCTION;
	case DW_TAG_variable: return kind == DWARF_VARIABLE;
	case DW_TAG_base_type:
	case DW_TAG_typedef:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_class_type:
	case DW_TAG_enumeration_type: return kind == DWARF_TYPE;
	default: return false;
	}
}

/* Its declaration in C: "static int fib(int);", "typedef int myint;". */
static void declare(struct session *s, struct name *n, char *text, size_t size)
{
	int tag = dwarf_tag(&n->die);
	const struct type *t = tag == DW_TAG_variable || tag == DW_TAG_typedef ? dwarf_target(s, &n->die)
		: dwarf_type_of(s,
		&n->die);
	const char *before = tag == DW_TAG_typedef ? "typedef "
			     : (tag == DW_TAG_variable || tag == DW_TAG_subprogram) &&
					     !dwarf_hasattr_integrate(&n->die, DW_AT_external)
				     ? "static "
				     : "";
	bool named = tag == DW_TAG_variable || tag == DW_TAG_subprogram || tag == DW_TAG_typedef;
	char rest[512];

	type_declaration(t ? t : type_basic(s, "void"), named ? n->name : "", rest, sizeof rest);
	snprintf(text, size, "%s%s%s", before, rest, tag == DW_TAG_base_type ? "" : ";");
}

void dwarf_each(struct session *s, enum dwarf_kind kind, bool (*wanted)(void *user, const char *name),
	void (*each)(void *user, const char *name, const char *file, int line, const char *declaration), void *user)
{
	char text[640];

	for (size_t i = 0; s->dwarf && i < s->dwarf->count; i++) {
		struct name *n = &s->dwarf->names[i];
		Dwarf_Die unit;
		const char *file;
		int line = 0;

		if (n->enumerator || !is_of(kind, dwarf_tag(&n->die)) || !wanted(user, n->name))
			continue;
		file = dwarf_decl_file(&n->die);
		if (!file && dwarf_diecu(&n->die, &unit, NULL, NULL)) /* the compiler's own types */
			file = dwarf_diename(&unit);
		if (dwarf_decl_line(&n->die, &line))
			line = 0;
		declare(s, n, text, sizeof text);
		each(user, dwarf_tag(&n->die) == DW_TAG_base_type ? text : n->name, file, line, text);
	}
}

bool dwarf_knows(struct session *s, const char *name) { return s->dwarf && dwarf_names(s->dwarf, name); }

static char kind_letter(struct name *n)
{
	if (n->enumerator)
		return 'e';
	switch (dwarf_tag(&n->die)) {
	case DW_TAG_subprogram: return 'f';
	case DW_TAG_variable: return 'v';
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_class_type: return 's';
	case DW_TAG_enumeration_type: return 'n';
	default: return 't';
	}
}

void dwarf_each_prefix(struct session *s, const char *prefix, const char *kinds, void (*each)(void *user,
	const char *name), void *user)
{
	struct dwarf *d = s->dwarf;
	size_t low = 0, high = d ? d->count : 0, n = strlen(prefix);

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(d->names[middle].name, prefix) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; d && low < d->count && !strncmp(d->names[low].name, prefix, n); low++)
		if (strchr(kinds, kind_letter(&d->names[low])))
			each(user, d->names[low].name);
}

#else /* without libdw only symbols and lines (line.c) are known */

void dwarf_each(struct session *s, enum dwarf_kind kind, bool (*wanted)(void *user, const char *name),
	void (*each)(void *user, const char *name, const char *file, int line, const char *declaration), void *user)
{
	(void)s, (void)kind, (void)wanted, (void)each, (void)user;
}
bool dwarf_knows(struct session *s, const char *name) { (void)s, (void)name; return false; }
void dwarf_each_prefix(struct session *s, const char *prefix, const char *kinds, void (*each)(void *user,
	const char *name), void *user)
{
	(void)s, (void)prefix, (void)kinds, (void)each, (void)user;
}
const struct type *dwarf_type(struct session *s, const char *name) { (void)s, (void)name; return NULL; }

#endif
