/* SPDX-License-Identifier: MIT */
/* What expr.c and operand.c share. */
#ifndef PARSER_H
#define PARSER_H

#include "debugger.h"

enum { NESTING_MAX = 64 };

struct parser {
	struct session *s;
	const char *at;
	unsigned depth;
};

/* ---- expr.c ---- */
bool parse_expression(struct parser *p, struct value *v);

/* ---- operand.c ---- */
void parse_skip(struct parser *p);                      /* blanks */
bool parse_accept(struct parser *p, const char *token); /* Is TOKEN next? Then behind it. */
size_t parse_word_length(const char *at);
/* A type's name: "unsigned long *", "struct page", a typedef. NULL, and nothing is eaten: it is none. */
const struct type *parse_type(struct parser *p);
/* What can stand alone: a number, a character, a register, a symbol, an expression in parentheses. */
bool parse_operand(struct parser *p, struct value *v);
void set_number(struct parser *p, struct value *v, uint64_t n, bool is_signed);
/* OFFSET in a segment at BASE. 64-bit addresses have none. */
uint64_t linear_address(struct session *s, uint64_t offset, uint64_t base);

#endif
