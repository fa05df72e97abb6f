/* Expressions, as C has them: registers, numbers, symbols, variables, and what can be computed of them. Integers are 64 bits wide; those of a type that
 * has no sign make what they meet have none. Nothing is assigned: that would be another machine. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "debugger.h"

enum { NESTING_MAX = 64 };

struct parser {
	struct session *s;
	const char *at;
	unsigned depth;
};

static bool binary(struct parser *p, int level, struct value *v);
static bool unary(struct parser *p, struct value *v);

static void skip(struct parser *p)
{
	while (isspace((unsigned char)*p->at))
		p->at++;
}

/* Is TOKEN next? Then behind it. */
static bool accept(struct parser *p, const char *token)
{
	size_t n = strlen(token);

	skip(p);
	if (strncmp(p->at, token, n))
		return false;
	p->at += n;
	return true;
}

static size_t word_length(const char *at)
{
	size_t n = 0;

	while (isalnum((unsigned char)at[n]) || (at[n] && strchr("_.$@", at[n]) && (at[n] != '.' || n == 0)))
		n++;
	return n;
}

static void set_number(struct parser *p, struct value *v, uint64_t n, bool is_signed)
{
	*v = (struct value){ .type = type_basic(p->s, is_signed ? "s64" : "u64"), .bits = n };
}

/* ---- types ---- */

/* A type's name at p->at: "unsigned long *", "struct page", a typedef. NULL, and nothing is eaten: it is none. */
static const struct type *type_name(struct parser *p)
{
	static const char *const words[] = { "unsigned", "signed", "long", "short", "int", "char", "const", "volatile" };
	const char *start = p->at;
	const struct type *t = NULL;
	char name[256] = "", word[128];
	bool is_unsigned = false, is_signed = false, is_char = false, is_short = false, any = false;
	unsigned longs = 0;

	for (;;) {
		size_t n;
		unsigned i;

		skip(p);
		n = word_length(p->at);
		if (!n || n >= sizeof word)
			break;
		memcpy(word, p->at, n);
		word[n] = 0;
		for (i = 0; i < sizeof words / sizeof *words && strcmp(words[i], word); i++)
			;
		if (i < sizeof words / sizeof *words) {
			is_unsigned |= i == 0, is_signed |= i == 1, longs += i == 2, is_short |= i == 3, is_char |= i == 5;
			any |= i < 6;
			p->at += n;
			continue;
		}
		if (any || t)
			break;
		if (!strcmp(word, "struct") || !strcmp(word, "union") || !strcmp(word, "enum")) {
			const char *rest = p->at + n + strspn(p->at + n, " ");
			size_t tag = word_length(rest);

			snprintf(name, sizeof name, "%s %.*s", word, (int)tag, rest);
			t = dwarf_type(p->s, name);
			p->at = rest + tag;
		} else {
			t = type_basic(p->s, word);
			if (!t)
				t = dwarf_type(p->s, word);
			p->at += t ? n : 0;
		}
		if (!t)
			break;
	}
	if (any)
		t = type_basic(p->s, is_char ? is_unsigned ? "unsigned char" : is_signed ? "signed char" : "char" : is_short ? is_unsigned ?
			"unsigned short" : "short" :
			longs > 1 ? is_unsigned ? "unsigned long long" : "long long" : longs ? is_unsigned ? "unsigned long" : "long" : is_unsigned ?
				"unsigned int" : "int");
	if (!t) {
		p->at = start;
		return NULL;
	}
	while (accept(p, "*"))
		t = type_pointer(p->s, t);
	return t;
}

static bool cast(struct parser *p, struct value *v, const struct type *t)
{
	uint64_t n;

	if (t->kind == TYPE_STRUCT || t->kind == TYPE_ARRAY || t->kind == TYPE_VOID)
		return complaint(p->s, "a cast makes numbers and pointers; *(TYPE *)ADDRESS is what is at an address");
	if (!value_number(p->s, v, &n))
		return false;
	*v = (struct value){ .type = t, .bits = t->kind == TYPE_BOOL ? n != 0 : n, .base = v->base };
	return value_number(p->s, v, &v->bits); /* cut */
}

/* ---- what can stand alone ---- */

/* OFFSET in a segment at BASE. 64-bit addresses have none. */
static uint64_t linear_address(struct session *s, uint64_t offset, uint64_t base)
{
	return base && vcpu_get(s->machine, VCPU_CODE_BITS) != 64 ? (uint32_t)(offset + base) : offset;
}

/* The base of the segment that register NAME counts from. */
static uint64_t base_of(struct session *s, const char *name)
{
	static const char *const of_code[] = { "rip", "eip", "ip" }, *const of_stack[] = { "rsp", "esp", "sp", "rbp", "ebp", "bp" };

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

static bool register_value(struct parser *p, const char *name, struct value *v)
{
	struct session *s = p->s;
	const struct { const char *name; uint64_t value; } last[] = {
		{ "address", s->last.address }, { "value", s->last.value }, { "size", s->last.size }, { "write", s->last.write },
		{ "by", s->last.rip }, { "icount", vcpu_instructions(s->machine) }, { "ns", vcpu_virtual_ns(s->machine) },
		{ "pc", linear_rip(s) }, { "sp", vcpu_get(s->machine, VCPU_RSP) }, { "processor", vcpu_running(s->machine) },
	};
	int reg = vcpu_register_by_name(name);
	uint64_t n;

	set_number(p, v, 0, false);
	v->base = base_of(s, name);
	for (unsigned i = 0; i < sizeof last / sizeof *last; i++)
		if (!strcmp(last[i].name, name)) {
			v->bits = last[i].value;
			return true;
		}
	if (s->frame && (reg == VCPU_RIP || reg == VCPU_RSP || reg == VCPU_RBP)) {
		struct frame f = frame_selected(s);

		if (reg == VCPU_RIP) /* linear already */
			v->base = 0;
		v->bits = reg == VCPU_RIP ? f.pc : reg == VCPU_RSP ? f.sp : f.bp;
		return true;
	}
	if (reg >= 0) {
		v->bits = vcpu_get(s->machine, reg);
		return true;
	}
	/* Model-specific registers and others have no number, but a field. */
	{
		char part[16];

		snprintf(part, sizeof part, "cpu%u", vcpu_running(s->machine));
		if (!field_value(s, part, name, 0, &n))
			return complaint(s, "there is no such register: %s", name);
	}
	v->bits = n;
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
	if (y) { /* of no known type */
		*v = (struct value){ .type = type_basic(p->s, "u64"), .bits = y->address };
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
	set_number(p, v, (uint64_t)(signed char)c, true);
	return true;
}

static bool primary(struct parser *p, struct value *v)
{
	char word[256], *end;
	size_t n;

	if (accept(p, "(")) {
		if (!binary(p, 0, v))
			return false;
		return accept(p, ")") || complaint(p->s, "a ) is missing: %s", p->at);
	}
	if (accept(p, "'"))
		return character(p, v);
	n = word_length(p->at);
	if (*p->at == '%')
		n = 1 + word_length(p->at + 1);
	if (!n || n >= sizeof word)
		return complaint(p->s, *p->at ? "an expression is wanted: %s" : "an expression is wanted%s", p->at);
	memcpy(word, p->at, n);
	word[n] = 0;
	/* A symbol of a compiler's: x.0, f.cold */
	if (p->at[n] == '.') {
		size_t all = n + 1 + word_length(p->at + n + 1);
		char longer[256];

		if (all < sizeof longer && snprintf(longer, sizeof longer, "%.*s", (int)all, p->at) && symbol_by_name(p->s, longer))
			memcpy(word, longer, (n = all) + 1);
	}
	p->at += n;
	if (*word == '$' || *word == '%') {
		/* The names of some have dots. */
		while (*p->at == '.' && n + 1 < sizeof word && isalpha((unsigned char)p->at[1]) && vcpu_register_by_name(word + 1) < 0) {
			size_t more = 1 + word_length(p->at + 1);

			if (n + more >= sizeof word)
				break;
			memcpy(word + n, p->at, more);
			word[n += more] = 0;
			p->at += more;
		}
		return register_value(p, word + 1, v);
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

/* ---- members, elements, what is pointed at ---- */

static bool dereference(struct parser *p, struct value *v)
{
	const struct type *to = v->type->kind == TYPE_POINTER || v->type->kind == TYPE_ARRAY ? v->type->to :
		v->type->kind == TYPE_FUNCTION ? v->type : type_basic(p->s, "u64");
	uint64_t at;

	if (!value_number(p->s, v, &at))
		return false;
	at = linear_address(p->s, at, v->base);
	if (to->kind == TYPE_VOID)
		to = type_basic(p->s, "u8");
	*v = (struct value){ .type = to, .in_memory = true, .address = at };
	return true;
}

/* Members of members without a name are members, too. */
static bool find_member(struct session *s, const struct type *type, const char *name, struct value *v, unsigned depth)
{
	struct type *t = (struct type *)type;

	if (depth > NESTING_MAX || t->kind != TYPE_STRUCT || (t->complete && !t->complete(s, t)))
		return false;
	for (unsigned i = 0; i < t->nmembers; i++) {
		const struct member *m = &t->members[i];

		if (m->name && !strcmp(m->name, name)) {
			v->type = m->type;
			v->address += m->offset;
			v->bit = m->bit;
			v->nbits = m->bits;
			return true;
		}
		if (!m->name) {
			struct value inner = *v;

			inner.address += m->offset;
			if (find_member(s, m->type, name, &inner, depth + 1)) {
				*v = inner;
				return true;
			}
		}
	}
	return false;
}

static bool member(struct parser *p, struct value *v)
{
	char name[128], text[256];
	size_t n;

	skip(p);
	n = word_length(p->at);
	if (!n || n >= sizeof name)
		return complaint(p->s, "a member's name is wanted: %s", p->at);
	memcpy(name, p->at, n);
	name[n] = 0;
	p->at += n;
	if (!v->in_memory || !find_member(p->s, v->type, name, v, 0))
		return complaint(p->s, "%s has no member %s", type_text(v->type, text, sizeof text), name);
	return true;
}

static uint64_t stride(const struct type *t)
{
	if (t->kind != TYPE_POINTER && t->kind != TYPE_ARRAY)
		return 1;
	return t->to->size ? t->to->size : 1;
}

static bool postfix(struct parser *p, struct value *v)
{
	if (!primary(p, v))
		return false;
	for (;;) {
		if (accept(p, "[")) {
			const struct type *t = v->type;
			struct value index;
			uint64_t at, i;

			if (!binary(p, 0, &index) || !value_number(p->s, &index, &i))
				return false;
			if (!accept(p, "]"))
				return complaint(p->s, "a ] is missing: %s", p->at);
			if (!value_number(p->s, v, &at))
				return false;
			if (t->kind != TYPE_POINTER && t->kind != TYPE_ARRAY)
				t = type_pointer(p->s, type_basic(p->s, "u64"));
			*v = (struct value){ .type = type_pointer(p->s, t->to), .bits = at + i * stride(t) };
			if (!dereference(p, v))
				return false;
		} else if (accept(p, "->")) {
			if (v->type->kind == TYPE_POINTER && !dereference(p, v))
				return false;
			if (!member(p, v))
				return false;
		} else if (*p->at == '.' && accept(p, ".")) {
			if (!member(p, v))
				return false;
		} else {
			return true;
		}
	}
}

/* ---- operators ---- */

static bool unary_of(struct parser *p, char operator, struct value *v)
{
	uint64_t n;

	if (!unary(p, v))
		return false;
	if (operator == '*')
		return dereference(p, v);
	if (operator == '&') {
		if (v->nbits || (!v->in_memory && v->type->size != 8))
			return complaint(p->s, "that is not in memory");
		if (v->in_memory)
			*v = (struct value){ .type = type_pointer(p->s, v->type), .bits = v->address };
		return true; /* a symbol without a type is its address */
	}
	if (!value_number(p->s, v, &n))
		return false;
	set_number(p, v, operator == '-' ? -n : operator == '~' ? ~n : !n, operator == '!' || operator == '-' || v->type->is_signed);
	return true;
}

static bool size_of(struct parser *p, struct value *v)
{
	const char *start = p->at;
	const struct type *t = accept(p, "(") ? type_name(p) : NULL;

	if (!t || !accept(p, ")")) {
		p->at = start;
		if (!unary(p, v))
			return false;
		t = v->type;
	}
	set_number(p, v, t->size, false);
	return true;
}

static bool unary(struct parser *p, struct value *v)
{
	bool ok;

	if (++p->depth > NESTING_MAX)
		return complaint(p->s, "that is nested too deeply");
	skip(p);
	if (*p->at && strchr("*&-~!+", *p->at)) {
		char operator = *p->at++;

		ok = operator == '+' ? unary(p, v) : unary_of(p, operator, v);
	} else if (!strncmp(p->at, "sizeof", 6) && word_length(p->at) == 6) {
		p->at += 6;
		ok = size_of(p, v);
	} else {
		const char *start = p->at;
		const struct type *t = accept(p, "(") ? type_name(p) : NULL;

		if (t && accept(p, ")")) {
			ok = unary(p, v) && cast(p, v, t);
		} else {
			p->at = start;
			ok = postfix(p, v);
		}
	}
	p->depth--;
	return ok;
}

static const struct { const char *text; int level; } operators[] = {
	{ "||", 0 }, { "&&", 1 }, { "|", 2 }, { "^", 3 }, { "&", 4 }, { "==", 5 }, { "!=", 5 }, { "<=", 6 }, { ">=", 6 }, { "<<", 7 }, { ">>", 7 },
	{ "<", 6 }, { ">", 6 }, { "+", 8 }, { "-", 8 }, { "*", 9 }, { "/", 9 }, { "%", 9 },
};
enum { OPERATORS = sizeof operators / sizeof *operators };

static int next_operator(struct parser *p)
{
	skip(p);
	for (int i = 0; i < OPERATORS; i++)
		if (!strncmp(p->at, operators[i].text, strlen(operators[i].text)))
			return i;
	return -1;
}

static bool apply(struct parser *p, const char *operator, struct value *a, struct value *b)
{
	const struct type *pointer = a->type->kind == TYPE_POINTER || a->type->kind == TYPE_ARRAY ? a->type : NULL;
	uint64_t x, y, n, base = a->base + b->base;
	bool is_signed;

	if (!value_number(p->s, a, &x) || !value_number(p->s, b, &y))
		return false;
	is_signed = (a->type->is_signed || a->type->size < 8) && (b->type->is_signed || b->type->size < 8);
	if (pointer && (*operator == '+' || *operator == '-') && b->type->kind != TYPE_POINTER)
		y *= stride(pointer);
	switch (*operator) {
	case '+': n = x + y; break;
	case '-': n = x - y; break;
	case '*': n = x * y; break;
	case '/':
	case '%':
		if (!y)
			return complaint(p->s, "a division by zero");
		if (is_signed && y == UINT64_MAX)
			n = *operator == '/' ? -x : 0;
		else if (is_signed)
			n = *operator == '/' ? (uint64_t)((int64_t)x / (int64_t)y) : (uint64_t)((int64_t)x % (int64_t)y);
		else
			n = *operator == '/' ? x / y : x % y;
		break;
	case '|': n = operator[1] ? x || y : x | y; break;
	case '&': n = operator[1] ? x && y : x & y; break;
	case '^': n = x ^ y; break;
	case '=': n = x == y; break;
	case '!': n = x != y; break;
	case '<':
		n = operator[1] == '<' ? y < 64 ? x << y : 0 : operator[1] == '=' ? is_signed ? (int64_t)x <= (int64_t)y : x <= y :
			is_signed ? (int64_t)x < (int64_t)y : x < y;
		break;
	default:
		n = operator[1] == '>' ? y >= 64 ? 0 : is_signed ? (uint64_t)((int64_t)x >> y) : x >> y : operator[1] == '=' ?
			is_signed ? (int64_t)x >= (int64_t)y : x >= y : is_signed ? (int64_t)x > (int64_t)y : x > y;
	}
	if (pointer && *operator == '-' && b->type->kind == TYPE_POINTER) {
		set_number(p, a, stride(pointer) > INT64_MAX ? 0 : (uint64_t)((int64_t)n / (int64_t)stride(pointer)), true);
	} else if (pointer && (*operator == '+' || *operator == '-')) {
		*a = (struct value){ .type = type_pointer(p->s, pointer->to), .bits = n };
	} else {
		bool truth = strchr("=!", *operator) || (operator[1] && *operator != '<' && *operator != '>') || (strchr("<>", *operator) &&
			operator[1] != *operator);

		set_number(p, a, n, truth || is_signed);
	}
	if (*operator == '+' || (*operator == '-' && !b->base))
		a->base = base;
	return true;
}

/* Operators of LEVEL and those that bind closer. Where no operator follows, the expression ends: `watch a 8' has two. */
static bool binary(struct parser *p, int level, struct value *v)
{
	int i;

	if (!unary(p, v))
		return false;
	while ((i = next_operator(p)) >= 0 && operators[i].level >= level) {
		struct value right;

		p->at += strlen(operators[i].text);
		if (!binary(p, operators[i].level + 1, &right) || !apply(p, operators[i].text, v, &right))
			return false;
	}
	return true;
}

bool evaluate(struct session *s, const char **text, struct value *v)
{
	struct parser p = { .s = s, .at = *text };

	if (!binary(&p, 0, v))
		return false;
	skip(&p);
	*text = p.at;
	return true;
}

const struct type *type_named(struct session *s, const char *name)
{
	struct parser p = { .s = s, .at = name };
	const struct type *t = type_name(&p);

	skip(&p);
	return *p.at ? NULL : t;
}

bool address(struct session *s, const char **text, uint64_t *value)
{
	struct value v;

	if (!evaluate(s, text, &v))
		return false;
	if (v.in_memory && v.type->kind == TYPE_STRUCT) {
		*value = v.address;
		return true;
	}
	if (!value_number(s, &v, value))
		return false;
	*value = linear_address(s, *value, v.base);
	return true;
}
