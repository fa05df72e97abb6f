/* SPDX-License-Identifier: MIT */
/* Expressions of C: registers, numbers, symbols, variables, operators, and assignments. Integers are computed with 64
 * bits. An operation is unsigned if one of its operands is. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "parser.h"

enum { REPEATED_MAX = 1 << 24 }; /* bytes */

static bool binary(struct parser *p, int level, struct value *v);
static bool unary(struct parser *p, struct value *v);

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

/* ---- members, elements, what is pointed at ---- */

static bool dereference(struct parser *p, struct value *v)
{
	const struct type *to = v->type->kind == TYPE_POINTER || v->type->kind == TYPE_ARRAY ? v->type->to :
		v->type->kind == TYPE_FUNCTION ? v->type : NULL;
	uint64_t at;

	if (!value_number(p->s, v, &at))
		return false;
	at = linear_address(p->s, at, v->base);
	if (!to || to->kind == TYPE_VOID)
		to = type_basic(p->s, "u64");
	*v = (struct value){ .type = to, .in_memory = true, .address = at };
	return true;
}

/* Find a member. Members of an unnamed member are members of the structure, as in C. */
static bool find_member(struct session *s, const struct type *type, const char *name, struct value *v, unsigned depth)
{
	const struct type *t = depth > NESTING_MAX || type->kind != TYPE_STRUCT ? NULL : type_whole(s, type);

	if (!t)
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

	parse_skip(p);
	n = parse_word_length(p->at);
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
	if ((t->kind != TYPE_POINTER && t->kind != TYPE_ARRAY) || !t->to)
		return 1;
	return t->to->size ? t->to->size : 1;
}

static bool element(struct parser *p, struct value *v)
{
	const struct type *t = v->type;
	struct value index;
	uint64_t at, i;

	if (!parse_expression(p, &index) || !value_number(p->s, &index, &i))
		return false;
	if (!parse_accept(p, "]"))
		return complaint(p->s, "a ] is missing: %s", p->at);
	if (t->kind == TYPE_ARRAY && v->in_memory) {
		v->type = t->to;
		v->address += i * stride(t);
		return true;
	}
	if (!value_number(p->s, v, &at))
		return false;
	if (t->kind != TYPE_POINTER || !t->to || t->to->kind == TYPE_VOID)
		t = type_pointer(p->s, type_basic(p->s, "u64"));
	*v = (struct value){ .type = t, .bits = at + i * stride(t), .base = v->base };
	return dereference(p, v);
}

static bool postfix(struct parser *p, struct value *v)
{
	if (!parse_operand(p, v))
		return false;
	for (;;) {
		if (parse_accept(p, "[")) {
			if (!element(p, v))
				return false;
		} else if (parse_accept(p, "->")) {
			if (v->type->kind == TYPE_POINTER && !dereference(p, v))
				return false;
			if (!member(p, v))
				return false;
		} else if (*p->at == '.' && parse_accept(p, ".")) {
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
		if (v->nbits || v->no_place || (!v->in_memory && !v->symbol))
			return complaint(p->s, "that is not in memory");
		if (v->in_memory)
			*v = (struct value){ .type = type_pointer(p->s, v->type), .bits = v->address };
		return true;
	}
	if (!value_number(p->s, v, &n))
		return false;
	set_number(p, v, operator == '-' ? -n : operator == '~' ? ~n : !n, operator == '!' || operator == '-' ||
		v->type->is_signed);
	return true;
}

static bool size_of(struct parser *p, struct value *v)
{
	const char *start = p->at;
	const struct type *t = parse_accept(p, "(") ? parse_type(p) : NULL;

	if (!t || !parse_accept(p, ")")) {
		p->at = start;
		if (!unary(p, v))
			return false;
		t = v->type;
	}
	t = t->kind == TYPE_STRUCT && type_whole(p->s, t) ? type_whole(p->s, t) : t;
	set_number(p, v, t->size, false);
	return true;
}

/* {TYPE}ADDRESS: the object at ADDRESS. */
static bool typed_memory(struct parser *p, struct value *v)
{
	const struct type *t = parse_type(p);

	if (!t || !parse_accept(p, "}"))
		return complaint(p->s, "a type and a } are wanted: %s", p->at);
	if (!unary(p, v))
		return false;
	if (v->type->kind != TYPE_POINTER && !value_number(p->s, v, &v->bits))
		return false;
	if (v->type->kind != TYPE_POINTER)
		v->in_memory = false;
	v->type = type_address(p->s, t);
	return dereference(p, v);
}

static bool unary(struct parser *p, struct value *v)
{
	bool ok;

	if (++p->depth > NESTING_MAX)
		return complaint(p->s, "that is nested too deeply");
	parse_skip(p);
	if (*p->at && strchr("*&-~!+", *p->at)) {
		char operator = *p->at++;

		ok = operator == '+' ? unary(p, v) : unary_of(p, operator, v);
	} else if (!strncmp(p->at, "sizeof", 6) && parse_word_length(p->at) == 6) {
		p->at += 6;
		ok = size_of(p, v);
	} else if (*p->at == '{') {
		p->at++;
		ok = typed_memory(p, v);
	} else {
		const char *start = p->at;
		const struct type *t = parse_accept(p, "(") ? parse_type(p) : NULL;

		if (t && parse_accept(p, ")")) {
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
	{ "||", 0 }, { "&&", 1 }, { "|", 2 }, { "^", 3 }, { "&", 4 }, { "==", 5 }, { "!=", 5 }, { "<=", 6 },
		{ ">=", 6 }, { "<<", 7 }, { ">>", 7 },
	{ "<", 6 }, { ">", 6 }, { "@", 8 }, { "+", 9 }, { "-", 9 }, { "*", 10 }, { "/", 10 }, { "%", 10 },
};
enum { OPERATORS = sizeof operators / sizeof *operators };

static int next_operator(struct parser *p)
{
	parse_skip(p);
	for (int i = 0; i < OPERATORS; i++)
		if (!strncmp(p->at, operators[i].text, strlen(operators[i].text)))
			return i;
	return -1;
}

/* The operator of a compound assignment, as + of +=. */
static bool is_assignment(const struct parser *p, int operator)
{
	const char *text = operators[operator].text, *behind = p->at + strlen(text);

	return *behind == '=' && behind[1] != '=' && strcmp(text, "<") && strcmp(text, ">") && strcmp(text, "@") &&
		text[strlen(text) - 1] != '=';
}

/* A@N: an array of N elements, of which A is the first. */
static bool repeated(struct parser *p, struct value *a, const struct value *n)
{
	uint64_t count;

	if (!value_number(p->s, n, &count))
		return false;
	if (!a->in_memory || a->nbits)
		return complaint(p->s, "only what is in memory can be extended with @");
	if (!a->type->size || count < 1 || count > REPEATED_MAX / a->type->size)
		return complaint(p->s, "the number behind @ is too small, or too large");
	a->type = type_array(p->s, a->type, count);
	return true;
}

static bool is_pointer(const struct value *v) { return v->type->kind == TYPE_POINTER || v->type->kind == TYPE_ARRAY; }

static bool apply(struct parser *p, const char *operator, struct value *a, struct value *b)
{
	const struct type *pointer;
	uint64_t x, y, n, base = a->base + b->base;
	bool is_signed;

	if (*operator == '@')
		return repeated(p, a, b);
	if (*operator == '+' && is_pointer(b) && !is_pointer(a)) {
		struct value left = *a;

		*a = *b;
		*b = left;
	}
	pointer = is_pointer(a) ? a->type : NULL;
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
			n = *operator == '/' ? (uint64_t)((int64_t)x / (int64_t)y)
				: (uint64_t)((int64_t)x % (int64_t)y);
		else
			n = *operator == '/' ? x / y : x % y;
		break;
	case '|': n = operator[1] ? x || y : x | y; break;
	case '&': n = operator[1] ? x && y : x & y; break;
	case '^': n = x ^ y; break;
	case '=': n = x == y; break;
	case '!': n = x != y; break;
	case '<':
		n = operator[1] == '<' ? y < 64 ? x << y : 0 :
		    operator[1] == '=' ? is_signed ? (int64_t)x <= (int64_t)y : x <= y
		    : is_signed        ? (int64_t)x < (int64_t)y
				       : x<y;
		break;
	default:
		n = operator[1] == '>' ? y >= 64 ? 0 : is_signed ? (uint64_t)((int64_t)x >> y) : x >> y
		: operator[1] == '=' ?
			is_signed ? (int64_t)x >= (int64_t)y : x >= y : is_signed ? (int64_t)x > (int64_t)y : x > y;
	}
	if (pointer && *operator == '-' && b->type->kind == TYPE_POINTER) {
		set_number(p, a, stride(pointer) > INT64_MAX ? 0 : (uint64_t)((int64_t)n / (int64_t)stride(pointer)),
			   true);
	} else if (pointer && (*operator == '+' || *operator == '-')) {
		*a = (struct value){ .type = pointer->kind == TYPE_POINTER ? pointer : type_pointer(p->s, pointer->to),
			.bits = n };
	} else {
		bool truth = strchr("=!", *operator) || (operator[1] && *operator != '<' && *operator != '>') ||
			(strchr("<>", *operator) &&
			operator[1] != *operator);

		set_number(p, a, n, truth || is_signed);
	}
	if (*operator == '+' || (*operator == '-' && !b->base))
		a->base = base;
	return true;
}

/* An expression of operators of LEVEL and of those that bind closer. It ends before a word that is no operator: `watch
 * a 8' has two expressions. */
static bool binary(struct parser *p, int level, struct value *v)
{
	int i;

	if (!unary(p, v))
		return false;
	while ((i = next_operator(p)) >= 0 && operators[i].level >= level && !is_assignment(p, i)) {
		struct value right;

		p->at += strlen(operators[i].text);
		if (!binary(p, operators[i].level + 1, &right) || !apply(p, operators[i].text, v, &right))
			return false;
	}
	return true;
}

static bool assignment(struct parser *p, struct value *v)
{
	struct value right, left = *v;
	int i = next_operator(p);

	p->at += (i < 0 ? 0 : strlen(operators[i].text)) + 1;
	if (!parse_expression(p, &right))
		return false;
	if (i >= 0) {
		if (!apply(p, operators[i].text, &left, &right))
			return false;
		right = left;
	}
	return value_assign(p->s, v, &right);
}

bool parse_expression(struct parser *p, struct value *v)
{
	struct value other;
	uint64_t yes;
	int i;

	if (!binary(p, 0, v))
		return false;
	i = next_operator(p);
	if ((i < 0 && *p->at == '=') || (i >= 0 && is_assignment(p, i)))
		return assignment(p, v);
	if (!parse_accept(p, "?"))
		return true;
	if (!value_number(p->s, v, &yes) || !parse_expression(p, v))
		return false;
	if (!parse_accept(p, ":"))
		return complaint(p->s, "a : is missing: %s", p->at);
	if (!parse_expression(p, &other))
		return false;
	if (!yes)
		*v = other;
	return true;
}

bool evaluate(struct session *s, const char **text, struct value *v)
{
	struct parser p = { .s = s, .at = *text };

	if (!parse_expression(&p, v))
		return false;
	parse_skip(&p);
	*text = p.at;
	return true;
}

const struct type *type_named(struct session *s, const char *name)
{
	struct parser p = { .s = s, .at = name };
	const struct type *t = parse_type(&p);

	parse_skip(&p);
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
