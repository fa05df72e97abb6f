/* SPDX-License-Identifier: MIT */
/* Operands of expressions: numbers, registers, symbols, variables; names of types. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "parser.h"

void parse_skip(struct parser *p)
{
	while (isspace((unsigned char)*p->at))
		p->at++;
}

bool parse_accept(struct parser *p, const char *token)
{
	size_t n = strlen(token);

	parse_skip(p);
	if (strncmp(p->at, token, n))
		return false;
	p->at += n;
	return true;
}

size_t parse_word_length(const char *at)
{
	size_t n = 0;

	while (isalnum((unsigned char)at[n]) || (at[n] && strchr("_.$", at[n]) && (at[n] != '.' || n == 0)))
		n++;
	return n;
}

void set_number(struct parser *p, struct value *v, uint64_t n, bool is_signed)
{
	*v = (struct value){ .type = type_basic(p->s, is_signed ? "long long" : "unsigned long long"), .bits = n };
}

/* ---- types ---- */

const struct type *parse_type(struct parser *p)
{
	static const char *const words[] = {
		"unsigned", "signed", "long", "short", "int", "char", "const", "volatile"
	};
	const char *start = p->at;
	const struct type *t = NULL;
	char name[256] = "", word[128];
	bool is_unsigned = false, is_signed = false, is_char = false, is_short = false, any = false;
	unsigned longs = 0;

	for (;;) {
		size_t n;
		unsigned i;

		parse_skip(p);
		n = parse_word_length(p->at);
		if (!n || n >= sizeof word)
			break;
		memcpy(word, p->at, n);
		word[n] = 0;
		for (i = 0; i < sizeof words / sizeof *words && strcmp(words[i], word); i++)
			;
		if (i < sizeof words / sizeof *words) {
			is_unsigned |= i == 0, is_signed |= i == 1, longs += i == 2, is_short |= i == 3,
				is_char |= i == 5;
			any |= i < 6;
			p->at += n;
			continue;
		}
		if (any || t)
			break;
		if (!strcmp(word, "struct") || !strcmp(word, "union") || !strcmp(word, "enum")) {
			const char *rest = p->at + n + strspn(p->at + n, " ");
			size_t tag = parse_word_length(rest);

			snprintf(name, sizeof name, "%s %.*s", word, (int)tag, rest);
			t = type_by_name(p->s, name);
			p->at = rest + tag;
		} else {
			t = type_basic(p->s, word);
			if (!t)
				t = type_by_name(p->s, word);
			p->at += t ? n : 0;
		}
		if (!t)
			break;
	}
	if (any)
		t = type_basic(p->s, is_char       ? is_unsigned ? "unsigned char"
						     : is_signed ? "signed char"
								 : "char"
				     : is_short    ? is_unsigned ? "unsigned short" : "short"
				     : longs > 1   ? is_unsigned ? "unsigned long long" : "long long"
				     : longs       ? is_unsigned ? "unsigned long" : "long"
				     : is_unsigned ? "unsigned int"
						   : "int");
	if (!t) {
		p->at = start;
		return NULL;
	}
	while (parse_accept(p, "*"))
		t = type_pointer(p->s, t);
	return t;
}

/* ---- what can stand alone ---- */

uint64_t linear_address(struct session *s, uint64_t offset, uint64_t base)
{
	return base && vcpu_get(s->machine, VCPU_CODE_BITS) != 64 ? (uint32_t)(offset + base) : offset;
}

/* The base of the segment that register NAME is an offset in. */
static uint64_t base_of(struct session *s, const char *name)
{
	static const char *const of_code[] = { "rip", "eip", "ip" }, *const of_stack[] = { "rsp", "esp", "sp", "rbp",
		"ebp",
		"bp" };

	if (vcpu_get(s->machine, VCPU_CODE_BITS) == 64)
		return 0;
	for (unsigned i = 0; i < sizeof of_code / sizeof *of_code; i++)
		if (!strcmp(of_code[i], name))
			return vcpu_get(s->machine, VCPU_CS_BASE);
	for (unsigned i = 0; i < sizeof of_stack / sizeof *of_stack; i++)
		if (!strcmp(of_stack[i], name))
			return vcpu_get(s->machine, VCPU_SS_BASE);
	return 0;
}

/* Names for values of the last stop, and of this place. */
static bool of_the_stop(struct parser *p, const char *name, struct value *v)
{
	struct session *s = p->s;
	const struct vcpu_debug_stop *l = &s->last;
	bool of_memory = l->what == VCPU_DEBUG_WATCH || (l->what == VCPU_DEBUG_EVENT &&
		l->event & (VCPU_EVENT_MMIO | VCPU_EVENT_CR3));
	const struct type *number = type_basic(s, "u64"), *data = type_address(s, type_basic(s, "void")),
			  *code = type_code(s);
	const struct { const char *name; uint64_t value; const struct type *type; } all[] = {
		{ "address", l->address, of_memory ? data : number }, { "value", l->value, number },
			{ "size", l->size, number },
		{ "write", l->write, number }, { "by", l->rip, code },
			{ "icount", vcpu_instructions(s->machine), number },
		{ "ns", vcpu_virtual_ns(s->machine), number }, { "processor", vcpu_running(s->machine), number },
	};

	for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
		if (!strcmp(all[i].name, name)) {
			*v = (struct value){ .type = all[i].type, .bits = all[i].value };
			return true;
		}
	return false;
}

/* Registers that hold addresses are pointers, as in gdb. */
static const struct type *register_type(struct session *s, int reg)
{
	static const int data[] = { VCPU_RSP, VCPU_RBP, VCPU_CR2, VCPU_CR3, VCPU_FS_BASE, VCPU_GS_BASE, VCPU_ES_BASE,
		VCPU_CS_BASE, VCPU_SS_BASE,
		VCPU_DS_BASE, VCPU_LDTR_BASE, VCPU_TR_BASE, VCPU_GDTR_BASE, VCPU_IDTR_BASE };

	if (reg == VCPU_RIP || reg == vcpu_register_by_name("eip"))
		return type_code(s);
	for (unsigned i = 0; i < sizeof data / sizeof *data; i++)
		if (reg == data[i])
			return type_address(s, type_basic(s, "void"));
	if (reg == vcpu_register_by_name("esp") || reg == vcpu_register_by_name("ebp"))
		return type_address(s, type_basic(s, "void"));
	return type_basic(s, "u64");
}

static bool register_value(struct parser *p, const char *name, struct value *v)
{
	struct session *s = p->s;
	bool is_pc = !strcmp(name, "pc");
	int reg = is_pc ? VCPU_RIP : !strcmp(name, "sp") ? VCPU_RSP : vcpu_register_by_name(name);
	char part[16];
	uint64_t n;

	if (of_the_stop(p, name, v))
		return true;
	if (reg < 0) { /* Registers without a number in vcpu.h, as model-specific ones: by their field. */
		snprintf(part, sizeof part, "cpu%u", vcpu_running(s->machine));
		set_number(p, v, 0, false);
		return field_value(s, part, name, 0, &v->bits) ||
		       complaint(s, "no register or variable $%s", name);
	}
	*v = (struct value){ .type = register_type(s, reg), .base = base_of(s, name), .bits = vcpu_get(s->machine, reg),
		.reg = reg + 1 };
	if (s->frame && frame_register(s, reg, &n, &v->address)) {
		v->bits = n;
		v->in_memory = v->address;
		if (v->in_memory && v->type->kind == TYPE_INT && address_digits(s) == 8)
			v->type = type_basic(s, "u32");
		if (v->in_memory || v->bits != vcpu_get(s->machine, reg))
			v->reg = 0;
		v->base = 0; /* the value is linear already */
	} else if (is_pc) {
		v->bits = linear_rip(s);
		v->base = 0;
		v->reg = 0;
	}
	return true;
}

/* Parse the name after a $: a value of the history, a variable of the session, or a register. */
static bool dollar(struct parser *p, const char *name, struct value *v)
{
	struct variable *x = variable_by_name(p->s, name, false);
	bool kept;

	if (history_value(p->s, name, v, &kept))
		return true;
	if (kept)
		return false;
	parse_skip(p);
	if (!x && *p->at == '=' && p->at[1] != '=' && vcpu_register_by_name(name) < 0 && strcmp(name, "pc"))
		x = variable_by_name(p->s, name, true);
	if (!x)
		return register_value(p, name, v);
	*v = x->value;
	v->variable = x;
	return true;
}

static bool identifier(struct parser *p, const char *name, struct value *v)
{
	struct frame f = { 0 };
	const struct symbol *y;
	char *end;

	if (p->s->dwarf) {
		f = frame_selected(p->s);
		if (dwarf_variable(p->s, name, &f, v))
			return true;
	}
	y = symbol_by_name(p->s, name);
	if (y) { /* its type is not known */
		*v = (struct value){ .type = type_basic(p->s, "u64"), .bits = y->address, .symbol = true };
		return true;
	}
	set_number(p, v, strtoull(name, &end, 16), false);
	return (*name && !*end) || complaint(p->s, "there is no such symbol: %s%s", name, p->s->nsymbols ? "" :
		" (the command symbols reads a file of them)");
}

static bool character(struct parser *p, struct value *v)
{
	static const char letters[] = "abtnvfre0", codes[] = "\a\b\t\n\v\f\r\033";
	const char *at = p->at;
	char c = *at++;

	if (c == '\\' && *at) {
		const char *l = strchr(letters, *at);

		c = l ? codes[l - letters] : *at;
		at++;
	}
	if (!*p->at || *at != '\'')
		return complaint(p->s, "a character is wanted, and a ' behind it: %s", p->at);
	p->at = at + 1;
	*v = (struct value){ .type = type_basic(p->s, "char"), .bits = (uint64_t)(signed char)c };
	return true;
}

bool parse_operand(struct parser *p, struct value *v)
{
	char word[256], *end;
	size_t n;

	if (parse_accept(p, "(")) {
		if (!parse_expression(p, v))
			return false;
		return parse_accept(p, ")") || complaint(p->s, "a ) is missing: %s", p->at);
	}
	if (parse_accept(p, "'"))
		return character(p, v);
	n = parse_word_length(p->at);
	if (*p->at == '%')
		n = 1 + parse_word_length(p->at + 1);
	if (!n || n >= sizeof word)
		return complaint(p->s, *p->at ? "an expression is wanted: %s" : "an expression is wanted%s", p->at);
	memcpy(word, p->at, n);
	word[n] = 0;
	/* A name that a compiler or linker made: x.0, f.cold, f@plt */
	if (p->at[n] == '.' || p->at[n] == '@') {
		size_t more = 1 + strspn(p->at + n + 1, "@"), all = n + more + parse_word_length(p->at + n + more);
		char longer[256];

		if (all < sizeof longer && snprintf(longer, sizeof longer, "%.*s", (int)all, p->at) &&
		    symbol_by_name(p->s, longer))
			memcpy(word, longer, (n = all) + 1);
	}
	p->at += n;
	if (*word == '$' || *word == '%') {
		/* Some names of fields contain dots. */
		while (*p->at == '.' && n + 1 < sizeof word && isalpha((unsigned char)p->at[1]) &&
		       isalpha((unsigned char)word[1]) && vcpu_register_by_name(word + 1) < 0 &&
		       !variable_by_name(p->s, word + 1, false)) {
			size_t more = 1 + parse_word_length(p->at + 1);

			if (n + more >= sizeof word)
				break;
			memcpy(word + n, p->at, more);
			word[n += more] = 0;
			p->at += more;
		}
		return dollar(p, word + 1, v);
	}
	if (isdigit((unsigned char)*word)) {
		uint64_t number = strtoull(word, &end, 0);

		while (*end && strchr("uUlL", *end))
			end++;
		if (!*end) {
			set_number(p, v, number, number <= INT64_MAX);
			return true;
		}
	}
	return identifier(p, word, v);
}
