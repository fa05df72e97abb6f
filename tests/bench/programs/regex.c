/* SPDX-License-Identifier: MIT */
/* A matcher of regular expressions with . * + ? ^ $ and classes, which goes back when it must. */
#include <stdbool.h>
#include <string.h>
#include "programs.h"

enum { LINES = 7500, LENGTH = 60 };

static char lines[LINES][LENGTH + 1];

/* The length of the item that PATTERN begins with. */
static size_t item(const char *pattern)
{
	return *pattern == '[' ? (size_t)(strchr(pattern, ']') - pattern) + 1 : 1;
}

static bool fits(const char *pattern, char c)
{
	if (!c)
		return false;
	if (*pattern != '[')
		return *pattern == '.' || *pattern == c;
	for (pattern++; *pattern != ']'; pattern++) {
		if (pattern[1] == '-' && pattern[2] != ']') {
			if (*pattern <= c && c <= pattern[2])
				return true;
			pattern += 2;
		} else if (*pattern == c) {
			return true;
		}
	}
	return false;
}

static bool match_here(const char *pattern, const char *text)
{
	const char *rest, *end = text;

	if (!*pattern)
		return true;
	if (*pattern == '$' && !pattern[1])
		return !*text;
	rest = pattern + item(pattern);
	switch (*rest) {
	case '*':
	case '+':
		while (fits(pattern, *end))
			end++;
		for (; end >= text + (*rest == '+'); end--)
			if (match_here(rest + 1, end))
				return true;
		return false;
	case '?':
		return (fits(pattern, *text) && match_here(rest + 1, text + 1)) || match_here(rest + 1, text);
	default:
		return fits(pattern, *text) && match_here(rest, text + 1);
	}
}

static bool match(const char *pattern, const char *text)
{
	if (*pattern == '^')
		return match_here(pattern + 1, text);
	do
		if (match_here(pattern, text))
			return true;
	while (*text++);
	return false;
}

uint64_t run_regex(void)
{
	static const char *const patterns[] = {
		"[a-c]+x[0-9]*y", "^.*ab.*ba.*$", "a.*b.*c.*d.*7$", "[xyz][xyz]+[0-9][0-9]?[a-d]", "^[a-d0-4]+$",
			"b[cd]?.c*d?a*9",
	};
	uint64_t sum = 0, seed = 5;

	for (int i = 0; i < LINES; i++)
		for (int k = 0; k < LENGTH; k++)
			lines[i][k] = (char)("abcdxyz012345679"[next_random(&seed) % 16]);
	for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++)
		for (int i = 0; i < LINES; i++)
			sum = mix(sum, match(patterns[p], lines[i]));
	return sum;
}
