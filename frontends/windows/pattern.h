/* SPDX-License-Identifier: MIT */
/* Regular expressions of POSIX.1-2008 (XBD, chapter 9) for hosts whose C library has none: basic ones, extended ones,
 * and GNU's \+ \? \| in basic ones. The match is the leftmost one, and of these the longest. There are no
 * subexpressions to report, no back references and no collating symbols. The locale is C's. */
#ifndef WINDOWS_PATTERN_H
#define WINDOWS_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

struct pattern {
	struct step *steps;
	size_t count;
	bool newline; /* . and [^...] match none; ^ and $ also stand beside one */
};

/* NULL, or what is wrong with TEXT. */
const char *pattern_compile(struct pattern *p, const char *text, bool extended, bool newline);
/* The place of the match in TEXT. False: there is none, or no memory. */
bool pattern_find(const struct pattern *p, const char *text, size_t *begin, size_t *end);
void pattern_free(struct pattern *p);

#endif
