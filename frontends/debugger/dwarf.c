/* What compilers write down of their code: lines, types, variables, frames (DWARF 2 to 5), read by elfutils' libdw. */
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

#if HAVE_LIBDW
#include <dwarf.h>
#include <elfutils/libdwfl.h>

struct name { const char *name; Dwarf_Die die; Dwarf_Addr bias; /* what is added to addresses in its file */ };
struct dwarf {
	Dwfl *dwfl;
	struct name *names;          /* what is at the top of compilation units, by name */
	size_t count, room;
	struct { Dwarf_Die die; struct type *type; } *types;
	size_t ntypes;
};

/* ---- life ---- */

static char *no_path;
static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_build_id_find_elf, .find_debuginfo = dwfl_standard_find_debuginfo, .section_address = dwfl_offline_section_address,
	.debuginfo_path = &no_path,
};

static void add_names(struct dwarf *d, Dwarf_Die *unit, Dwarf_Addr bias)
{
	Dwarf_Die die;

	if (dwarf_child(unit, &die))
		return;
	do {
		const char *name = dwarf_diename(&die);

		if (!name || dwarf_hasattr(&die, DW_AT_declaration))
			continue;
		if (d->count == d->room) {
			struct name *more = realloc(d->names, (d->room = d->room ? 2 * d->room : 1024) * sizeof *more);

			if (!more)
				return;
			d->names = more;
		}
		d->names[d->count++] = (struct name){ name, die, bias };
	} while (!dwarf_siblingof(&die, &die));
}

static int by_name(const void *a, const void *b) { return strcmp(((const struct name *)a)->name, ((const struct name *)b)->name); }

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
	free(s->dwarf);
	s->dwarf = NULL;
}

static struct name *names_of(struct dwarf *d, const char *name)
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

/* ---- lines ---- */

bool dwarf_line(struct session *s, uint64_t address, struct line *line)
{
	Dwfl_Line *l = s->dwarf && s->dwarf->dwfl ? dwfl_getsrc(s->dwarf->dwfl, address) : NULL;
	const char *slash;

	line->file = l ? dwfl_lineinfo(l, NULL, &line->line, NULL, NULL, NULL) : NULL;
	if (!line->file)
		return false;
	slash = strrchr(line->file, '/');
	line->name = slash ? slash + 1 : line->file;
	line->directory = dwfl_line_comp_dir(l);
	return true;
}

struct wanted_line { const char *file; int line; Dwarf_Addr at; int best; };

static int find_line(Dwfl_Module *module, void **u, const char *n, Dwarf_Addr a, void *wanted)
{
	struct wanted_line *w = wanted;
	Dwfl_Line **lines = NULL;
	size_t count = 0;

	(void)u, (void)n, (void)a;
	if (dwfl_module_getsrc_file(module, w->file, w->line, 0, &lines, &count))
		return DWARF_CB_OK;
	for (size_t i = 0; i < count; i++) {
		Dwarf_Addr at;
		int line;

		if (dwfl_lineinfo(lines[i], &at, &line, NULL, NULL, NULL) && line >= w->line && (!w->best || line < w->best || (line == w->best && at < w->at))) {
			w->best = line;
			w->at = at;
		}
	}
	free(lines);
	return DWARF_CB_OK;
}

bool dwarf_line_address(struct session *s, const char *file, int line, uint64_t *address)
{
	struct wanted_line w = { file, line, 0, 0 };

	if (s->dwarf)
		dwfl_getmodules(s->dwarf->dwfl, find_line, &w, 0);
	*address = w.at;
	return w.best;
}

uint64_t dwarf_behind_prologue(struct session *s, uint64_t address)
{
	const struct symbol *y = symbol_at(s, address), *z;
	struct line first, line;

	if (!dwarf_line(s, address, &first))
		return address;
	for (uint64_t at = address + 1; at < address + 64; at++) {
		z = symbol_at(s, at);
		if (y && z && z->code && z->address != y->address)
			break;
		if (dwarf_line(s, at, &line) && line.line != first.line)
			return line.line > first.line ? at : address;
	}
	return address;
}

/* ---- types ---- */

static const struct type *type_of(struct session *s, Dwarf_Die *die);

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
	if (dwarf_hasattr(&whole, DW_AT_declaration) && t->name) { /* it is told elsewhere */
		struct name *n = names_of(s->dwarf, t->name);

		for (; n && n < s->dwarf->names + s->dwarf->count && !strcmp(n->name, t->name); n++)
			if (dwarf_tag(&n->die) == dwarf_tag(&whole)) {
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

		if (dwarf_tag(&die) != DW_TAG_member || !dwarf_formref_die(dwarf_attr(&die, DW_AT_type, &a), &type) || !(m = add_member(t)))
			continue;
		m->name = dwarf_diename(&die);
		m->type = type_of(s, &type);
		m->offset = number_of(&die, DW_AT_data_member_location, 0);
		m->bits = (unsigned)number_of(&die, DW_AT_bit_size, 0);
		at = number_of(&die, DW_AT_data_bit_offset, UINT64_MAX);
		if (m->bits && at != UINT64_MAX && m->type->size) {
			m->offset = at / 8 / m->type->size * m->type->size;
			m->bit = (unsigned)(at - 8 * m->offset);
		} else if (m->bits) { /* DWARF 3: counted from the other end */
			m->bit = (unsigned)(8 * m->type->size - number_of(&die, DW_AT_bit_offset, 0) - m->bits);
		}
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

		if (dwarf_tag(&die) == DW_TAG_enumerator && dwarf_attr(&die, DW_AT_const_value, &a) && !dwarf_formsdata(&a, &n) && (m = add_member(t)) != NULL) {
			m->name = dwarf_diename(&die);
			m->offset = (uint64_t)n;
		}
	} while (!dwarf_siblingof(&die, &die));
}

static const struct type *target(struct session *s, Dwarf_Die *die)
{
	Dwarf_Attribute a;
	Dwarf_Die to;

	return dwarf_attr_integrate(die, DW_AT_type, &a) && dwarf_formref_die(&a, &to) ? type_of(s, &to) : NULL;
}

/* Dimensions from DIE's children on: the first is the outermost. */
static const struct type *array_of(struct session *s, Dwarf_Die *dimension, const struct type *of)
{
	Dwarf_Die next;
	struct type *t;
	uint64_t upper, count;

	while (dwarf_tag(dimension) != DW_TAG_subrange_type)
		if (dwarf_siblingof(dimension, dimension))
			return of;
	upper = number_of(dimension, DW_AT_upper_bound, UINT64_MAX);
	count = number_of(dimension, DW_AT_count, upper + 1);
	if (!dwarf_siblingof(dimension, &next))
		of = array_of(s, &next, of);
	t = type_new(s, TYPE_ARRAY, NULL, count * of->size);
	t->count = count;
	t->to = of;
	return t;
}

static struct type *base_type(struct session *s, Dwarf_Die *die)
{
	static const char *const names[][2] = {
		{ "short int", "short" }, { "short unsigned int", "unsigned short" }, { "long int", "long" }, { "long unsigned int", "unsigned long" },
		{ "long long int", "long long" }, { "long long unsigned int", "unsigned long long" },
	};
	uint64_t encoding = number_of(die, DW_AT_encoding, DW_ATE_unsigned), size = number_of(die, DW_AT_byte_size, 0);
	struct type *t = type_new(s, TYPE_INT, dwarf_diename(die), size);

	/* As people write them. */
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

static const struct type *type_of(struct session *s, Dwarf_Die *die)
{
	struct dwarf *d = s->dwarf;
	int tag = dwarf_tag(die);
	const struct type *to;
	struct type *t;
	Dwarf_Die child;
	void *more;

	for (size_t i = 0; i < d->ntypes; i++)
		if (d->types[i].die.addr == die->addr)
			return d->types[i].type;
	switch (tag) {
	case DW_TAG_typedef:
	case DW_TAG_const_type:
	case DW_TAG_volatile_type:
	case DW_TAG_restrict_type:
	case DW_TAG_atomic_type:
		to = target(s, die);
		if (to && !to->name && tag == DW_TAG_typedef && (to->kind == TYPE_STRUCT || to->kind == TYPE_ENUM))
			((struct type *)to)->name = dwarf_diename(die);
		return to ? to : type_basic(s, "void");
	case DW_TAG_pointer_type:
	case DW_TAG_reference_type:
		t = type_new(s, TYPE_POINTER, NULL, number_of(die, DW_AT_byte_size, 8));
		t->to = type_basic(s, "void");
		break;
	case DW_TAG_array_type:
		to = target(s, die);
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
	more = realloc(d->types, (d->ntypes + 1) * sizeof *d->types);
	if (!more)
		return t;
	d->types = more;
	d->types[d->ntypes].die = *die;
	d->types[d->ntypes].type = t;
	t->where = d->ntypes++;
	if ((t->kind == TYPE_POINTER || t->kind == TYPE_FUNCTION) && (to = target(s, die)) != NULL) /* now that T is known: it may lead back to it */
		t->to = to;
	return t;
}

const struct type *dwarf_type(struct session *s, const char *name)
{
	static const struct { const char *word; int tag; } kinds[] = {
		{ "struct ", DW_TAG_structure_type }, { "union ", DW_TAG_union_type }, { "enum ", DW_TAG_enumeration_type },
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
	for (n = names_of(s->dwarf, name); n && n < s->dwarf->names + s->dwarf->count && !strcmp(n->name, name); n++)
		if (dwarf_tag(&n->die) == tag || (tag == DW_TAG_typedef && dwarf_tag(&n->die) == DW_TAG_base_type))
			return type_of(s, &n->die);
	return NULL;
}

/* ---- where things are: location expressions ---- */

struct place { enum { NOWHERE, MEMORY, REGISTER, VALUE } kind; uint64_t at; };

/* BASE: of the frame, for DW_OP_fbreg; BIAS: what is added to addresses in the file. */
static struct place locate(struct session *s, const Dwarf_Op *ops, size_t count, const struct frame *f, uint64_t base, uint64_t bias)
{
	uint64_t stack[32];
	unsigned n = 0;
	struct place nowhere = { NOWHERE, 0 };

	for (size_t i = 0; i < count; i++) {
		const Dwarf_Op *o = &ops[i];
		unsigned a = o->atom, size;
		uint64_t v;

		if (n >= 30)
			return nowhere;
		if (a >= DW_OP_lit0 && a <= DW_OP_lit31) {
			stack[n++] = a - DW_OP_lit0;
			continue;
		}
		if (a >= DW_OP_reg0 && a <= DW_OP_reg31)
			return a - DW_OP_reg0 <= 16 ? (struct place){ REGISTER, a - DW_OP_reg0 } : nowhere;
		if (a >= DW_OP_breg0 && a <= DW_OP_breg31) {
			if (a - DW_OP_breg0 > 16)
				return nowhere;
			stack[n++] = f->regs[a - DW_OP_breg0] + o->number;
			continue;
		}
		if (a >= DW_OP_const1u && a <= DW_OP_consts) {
			stack[n++] = o->number;
			continue;
		}
		switch (a) {
		case DW_OP_addr: stack[n++] = o->number + bias; continue;
		case DW_OP_fbreg: stack[n++] = base + o->number; continue;
		case DW_OP_call_frame_cfa: stack[n++] = f->cfa; continue;
		case DW_OP_bregx:
			if (o->number > 16)
				return nowhere;
			stack[n++] = f->regs[o->number] + o->number2;
			continue;
		case DW_OP_regx: return o->number <= 16 ? (struct place){ REGISTER, o->number } : nowhere;
		case DW_OP_nop: continue;
		}
		if (!n)
			return nowhere;
		switch (a) {
		case DW_OP_plus_uconst: stack[n - 1] += o->number; continue;
		case DW_OP_stack_value: return (struct place){ VALUE, stack[n - 1] };
		case DW_OP_neg: stack[n - 1] = -stack[n - 1]; continue;
		case DW_OP_not: stack[n - 1] = ~stack[n - 1]; continue;
		case DW_OP_dup: stack[n] = stack[n - 1]; n++; continue;
		case DW_OP_drop: n--; continue;
		case DW_OP_deref:
		case DW_OP_deref_size:
			v = 0;
			size = a == DW_OP_deref ? 8 : (unsigned)o->number;
			if (size > 8 || vcpu_read_linear(s->machine, stack[n - 1], &v, size) != size)
				return nowhere;
			stack[n - 1] = v;
			continue;
		}
		if (n < 2)
			return nowhere;
		v = stack[--n];
		switch (a) {
		case DW_OP_plus: stack[n - 1] += v; break;
		case DW_OP_minus: stack[n - 1] -= v; break;
		case DW_OP_mul: stack[n - 1] *= v; break;
		case DW_OP_and: stack[n - 1] &= v; break;
		case DW_OP_or: stack[n - 1] |= v; break;
		case DW_OP_xor: stack[n - 1] ^= v; break;
		case DW_OP_shl: stack[n - 1] = v < 64 ? stack[n - 1] << v : 0; break;
		case DW_OP_shr: stack[n - 1] = v < 64 ? stack[n - 1] >> v : 0; break;
		case DW_OP_shra: stack[n - 1] = (uint64_t)((int64_t)stack[n - 1] >> (v < 64 ? v : 63)); break;
		case DW_OP_ge: stack[n - 1] = (int64_t)stack[n - 1] >= (int64_t)v; break;
		case DW_OP_gt: stack[n - 1] = (int64_t)stack[n - 1] > (int64_t)v; break;
		case DW_OP_eq: stack[n - 1] = stack[n - 1] == v; break;
		default: return nowhere;
		}
	}
	return n ? (struct place){ MEMORY, stack[n - 1] } : nowhere;
}

/* ---- frames ---- */

static Dwarf_Frame *frame_of(struct session *s, const struct frame *f, uint64_t *bias)
{
	uint64_t pc = f->pc - f->called; /* a caller is at its call, not behind it */
	Dwfl_Module *m = s->dwarf ? dwfl_addrmodule(s->dwarf->dwfl, pc) : NULL;
	Dwarf_Frame *frame = NULL;

	for (unsigned i = 0; m && i < 2; i++) {
		Dwarf_CFI *cfi = i ? dwfl_module_eh_cfi(m, bias) : dwfl_module_dwarf_cfi(m, bias);

		if (cfi && !dwarf_cfi_addrframe(cfi, pc - *bias, &frame))
			return frame;
	}
	return NULL;
}

static bool find_cfa(struct session *s, Dwarf_Frame *frame, struct frame *f, uint64_t bias)
{
	Dwarf_Op *ops;
	size_t n;
	struct place p;

	if (dwarf_frame_cfa(frame, &ops, &n))
		return false;
	p = locate(s, ops, n, f, 0, bias);
	f->cfa = p.at;
	return p.kind == MEMORY;
}

bool dwarf_unwind(struct session *s, struct frame *f)
{
	bool wide = vcpu_get(s->machine, VCPU_EFER) & 0x400;
	unsigned size = wide ? 8 : 4, rip = wide ? 16 : 8, rsp = wide ? 7 : 4, rbp = wide ? 6 : 5;
	uint64_t bias = 0;
	Dwarf_Frame *frame = frame_of(s, f, &bias);
	struct frame up = *f;

	if (!frame || !find_cfa(s, frame, f, bias)) {
		free(frame);
		return false;
	}
	for (unsigned r = 0; r <= rip; r++) {
		Dwarf_Op memory[3], *ops;
		size_t n;
		struct place p;

		if (dwarf_frame_register(frame, (int)r, memory, &ops, &n) || (!n && ops != memory))
			continue; /* as it was */
		if (!n) {
			up.regs[r] = 0;
			continue;
		}
		p = locate(s, ops, n, f, 0, bias);
		up.regs[r] = p.kind == REGISTER ? f->regs[p.at] : p.at;
		if (p.kind == NOWHERE || (p.kind == MEMORY && (up.regs[r] = 0, vcpu_read_linear(s->machine, p.at, &up.regs[r], size) != size))) {
			free(frame);
			return false;
		}
	}
	free(frame);
	up.pc = up.regs[rip];
	up.regs[rsp] = up.sp = f->cfa;
	up.bp = up.regs[rbp];
	up.cfa = 0;
	up.how = "DWARF";
	up.called = true;
	if (!up.pc)
		return false;
	*f = up;
	return true;
}

/* ---- variables ---- */

static bool location(struct session *s, Dwarf_Die *die, unsigned attribute, const struct frame *f, uint64_t base, uint64_t bias, struct place *p)
{
	Dwarf_Attribute a;
	Dwarf_Op *ops;
	size_t n;

	if (!dwarf_attr_integrate(die, attribute, &a) || dwarf_getlocation_addr(&a, f->pc - bias, &ops, &n, 1) != 1)
		return false;
	*p = locate(s, ops, n, f, base, bias);
	return p->kind != NOWHERE;
}

static bool variable_of(struct session *s, Dwarf_Die *die, const struct frame *f, uint64_t base, uint64_t bias, struct value *v)
{
	const struct type *t = target(s, die);
	struct place p;
	Dwarf_Attribute a;
	Dwarf_Sword constant;

	if (!t)
		return false;
	if (dwarf_attr_integrate(die, DW_AT_const_value, &a) && !dwarf_formsdata(&a, &constant)) {
		*v = (struct value){ .type = t, .bits = (uint64_t)constant };
		return true;
	}
	if (!location(s, die, DW_AT_location, f, base, bias, &p))
		return false;
	*v = (struct value){ .type = t, .in_memory = p.kind == MEMORY, .address = p.at, .bits = p.kind == REGISTER ? f->regs[p.at] : p.at };
	return true;
}

/* EACH variable that is seen from F's place, inner ones first; stops when it says so. */
static bool each_local(struct session *s, struct frame *f, bool (*each)(struct session *s, Dwarf_Die *die, const struct frame *f, uint64_t base,
		       uint64_t bias, void *user), void *user)
{
	uint64_t pc = f->pc - f->called, bias = 0, base = 0, frame_bias = 0;
	Dwarf_Die *unit = s->dwarf ? dwfl_addrdie(s->dwarf->dwfl, pc, &bias) : NULL, *scopes = NULL, die;
	int n = unit ? dwarf_getscopes(unit, pc - bias, &scopes) : 0;
	Dwarf_Frame *frame = n > 0 ? frame_of(s, f, &frame_bias) : NULL;
	struct place p;
	bool done = false;

	if (frame)
		find_cfa(s, frame, f, frame_bias);
	free(frame);
	for (int i = 0; i < n; i++)
		if (dwarf_tag(&scopes[i]) == DW_TAG_subprogram && location(s, &scopes[i], DW_AT_frame_base, f, 0, bias, &p)) {
			base = p.kind == REGISTER ? f->regs[p.at] : p.at;
			break;
		}
	for (int i = 0; i < n && !done; i++) {
		if (dwarf_tag(&scopes[i]) == DW_TAG_compile_unit || dwarf_child(&scopes[i], &die))
			continue;
		do
			if (dwarf_tag(&die) == DW_TAG_variable || dwarf_tag(&die) == DW_TAG_formal_parameter)
				done = each(s, &die, f, base, bias, user);
		while (!done && !dwarf_siblingof(&die, &die));
	}
	free(scopes);
	return done;
}

struct sought { const char *name; struct value *v; bool found; };

static bool is_it(struct session *s, Dwarf_Die *die, const struct frame *f, uint64_t base, uint64_t bias, void *user)
{
	struct sought *w = user;
	const char *name = dwarf_diename(die);

	if (!name || strcmp(name, w->name))
		return false;
	w->found = variable_of(s, die, f, base, bias, w->v);
	return true;
}

bool dwarf_variable(struct session *s, const char *name, const struct frame *f, struct value *v)
{
	struct sought w = { name, v, false };
	struct frame here = *f;
	struct name *n;

	if (!s->dwarf)
		return false;
	if (each_local(s, &here, is_it, &w))
		return w.found || complaint(s, "%s has no place here: it has been optimised away", name);
	for (n = names_of(s->dwarf, name); n && n < s->dwarf->names + s->dwarf->count && !strcmp(n->name, name); n++) {
		Dwarf_Addr low;

		if (dwarf_tag(&n->die) == DW_TAG_variable && variable_of(s, &n->die, f, 0, n->bias, v))
			return true;
		if (dwarf_tag(&n->die) == DW_TAG_subprogram && !dwarf_lowpc(&n->die, &low)) {
			struct type *t = type_new(s, TYPE_FUNCTION, NULL, 1);

			t->to = target(s, &n->die);
			*v = (struct value){ .type = t, .in_memory = true, .address = low + n->bias };
			return true;
		}
	}
	return false;
}

struct listed { void (*each)(struct session *s, const char *name, const struct value *v); };

static bool tell(struct session *s, Dwarf_Die *die, const struct frame *f, uint64_t base, uint64_t bias, void *user)
{
	struct listed *l = user;
	struct value v;
	bool known = variable_of(s, die, f, base, bias, &v);

	if (dwarf_diename(die))
		l->each(s, dwarf_diename(die), known ? &v : NULL);
	return false;
}

void dwarf_locals(struct session *s, const struct frame *f, void (*each)(struct session *s, const char *name, const struct value *v))
{
	struct listed l = { each };
	struct frame here = *f;

	each_local(s, &here, tell, &l);
}

#else /* without libdw there are symbols, and nothing else */

bool dwarf_open(struct session *s, const char *path, uint64_t offset) { (void)s, (void)path, (void)offset; return false; }
void dwarf_close(struct session *s) { (void)s; }
bool dwarf_line(struct session *s, uint64_t address, struct line *line) { (void)s, (void)address, (void)line; return false; }
bool dwarf_line_address(struct session *s, const char *file, int line, uint64_t *address) { (void)s, (void)file, (void)line, (void)address; return false; }
uint64_t dwarf_behind_prologue(struct session *s, uint64_t address) { (void)s; return address; }
bool dwarf_variable(struct session *s, const char *name, const struct frame *f, struct value *v) { (void)s, (void)name, (void)f, (void)v; return false; }
void dwarf_locals(struct session *s, const struct frame *f, void (*each)(struct session *s, const char *name, const struct value *v)) { (void)s, (void)f, (void)each; }
const struct type *dwarf_type(struct session *s, const char *name) { (void)s, (void)name; return NULL; }
bool dwarf_unwind(struct session *s, struct frame *f) { (void)s, (void)f; return false; }

#endif
