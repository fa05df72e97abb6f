/* SPDX-License-Identifier: MIT */
/* Locations by DWARF: frames, variables, arguments. */
#include <stdlib.h>
#include <string.h>

#include "debugger.h"
#include "debuginfo.h"

#if HAVE_LIBDW

/* ---- where things are: location expressions ---- */

struct place { enum { NOWHERE, MEMORY, REGISTER, VALUE } kind; uint64_t at; };

/* BASE: the frame's, for DW_OP_fbreg. BIAS: added to addresses of the file. */
static struct place locate(struct session *s, const Dwarf_Op *ops, size_t count, const struct frame *f, uint64_t base,
			   uint64_t bias)
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
	uint64_t pc = f->pc - f->called; /* the address of a caller is its call's, not the one after it */
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
			continue; /* unchanged */
		up.saved[r] = 0;
		if (!n) {
			up.regs[r] = 0;
			continue;
		}
		p = locate(s, ops, n, f, 0, bias);
		if (p.kind == MEMORY)
			up.saved[r] = p.at;
		up.regs[r] = p.kind == REGISTER ? f->regs[p.at] : p.at;
		if (p.kind == NOWHERE ||
		    (p.kind == MEMORY &&
		     (up.regs[r] = 0, vcpu_read_linear(s->machine, p.at, &up.regs[r], size) != size))) {
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

static bool location(struct session *s, Dwarf_Die *die, unsigned attribute, const struct frame *f, uint64_t base,
	uint64_t bias,
	struct place *p)
{
	Dwarf_Attribute a;
	Dwarf_Op *ops;
	size_t n;

	if (!dwarf_attr_integrate(die, attribute, &a) || dwarf_getlocation_addr(&a, f->pc - bias, &ops, &n, 1) != 1)
		return false;
	*p = locate(s, ops, n, f, base, bias);
	return p->kind != NOWHERE;
}

static bool variable_of(struct session *s, Dwarf_Die *die, const struct frame *f, uint64_t base, uint64_t bias,
			struct value *v)
{
	const struct type *t = dwarf_target(s, die);
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
	*v = (struct value){ .type = t, .in_memory = p.kind == MEMORY, .address = p.at, .bits = p.kind == REGISTER
		? f->regs[p.at] : p.at };
	if (p.kind == REGISTER && f->saved[p.at]) {
		v->in_memory = true;
		v->address = f->saved[p.at];
	} else if (p.kind == REGISTER) {
		v->reg = 1 + register_of_dwarf(s, (unsigned)p.at);
	}
	return true;
}

/* Call EACH for the variables in scope at F's place, inner ones first, until it says that it has enough. */
static bool each_local(struct session *s, struct frame *f, bool (*each)(struct session *s, Dwarf_Die *die,
	const struct frame *f,
	uint64_t base,
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
		if (dwarf_tag(&scopes[i]) == DW_TAG_subprogram &&
		    location(s, &scopes[i], DW_AT_frame_base, f, 0, bias, &p)) {
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

static bool enumerator_of(struct session *s, struct name *n, struct value *v)
{
	const struct type *t = dwarf_type_of(s, &n->die);

	for (unsigned i = 0; i < t->nmembers; i++)
		if (!strcmp(t->members[i].name, n->name)) {
			*v = (struct value){ .type = t, .bits = t->members[i].offset };
			return true;
		}
	return false;
}

bool dwarf_variable(struct session *s, const char *name, const struct frame *f, struct value *v)
{
	struct sought w = { name, v, false };
	struct frame here = *f;
	struct name *n;

	if (!s->dwarf)
		return false;
	if (each_local(s, &here, is_it, &w))
		return w.found || complaint(s, "%s has been optimised away here", name);
	for (n = dwarf_names(s->dwarf, name); dwarf_named(s->dwarf, n, name); n++) {
		Dwarf_Addr low;

		if (n->enumerator && enumerator_of(s, n, v))
			return true;
		if (dwarf_tag(&n->die) == DW_TAG_variable && variable_of(s, &n->die, f, 0, n->bias, v))
			return true;
		if (dwarf_tag(&n->die) == DW_TAG_subprogram && !dwarf_lowpc(&n->die, &low)) {
			*v = (struct value){ .type = dwarf_type_of(s, &n->die), .in_memory = true, .address = low +
				n->bias };
			return true;
		}
	}
	return false;
}

struct listed { void (*each)(void *user, const char *name, bool argument, const struct value *v); void *user; };

static bool tell(struct session *s, Dwarf_Die *die, const struct frame *f, uint64_t base, uint64_t bias, void *user)
{
	struct listed *l = user;
	struct value v;
	bool known = variable_of(s, die, f, base, bias, &v);

	if (dwarf_diename(die))
		l->each(l->user, dwarf_diename(die), dwarf_tag(die) == DW_TAG_formal_parameter, known ? &v : NULL);
	return false;
}

void dwarf_locals(struct session *s, const struct frame *f, void (*each)(void *user, const char *name, bool argument,
	const struct value *v),
	void *user)
{
	struct listed l = { each, user };
	struct frame here = *f;

	each_local(s, &here, tell, &l);
}

#else

bool dwarf_variable(struct session *s, const char *name, const struct frame *f, struct value *v) { (void)s, (void)name,
	(void)f,
	(void)v; return false; }
void dwarf_locals(struct session *s, const struct frame *f, void (*each)(void *user, const char *name, bool argument,
	const struct value *v),
	void *user)
{
	(void)s, (void)f, (void)each, (void)user;
}
bool dwarf_unwind(struct session *s, struct frame *f) { (void)s, (void)f; return false; }

#endif
