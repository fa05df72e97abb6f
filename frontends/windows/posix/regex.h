/* SPDX-License-Identifier: MIT */
#ifndef WINDOWS_REGEX_H
#define WINDOWS_REGEX_H

#include <stdio.h>
#include "frontends/windows/pattern.h"

enum { REG_EXTENDED = 1, REG_NEWLINE = 2, REG_NOSUB = 4 };
typedef struct { struct pattern pattern; const char *error; } regex_t;
typedef struct { ptrdiff_t rm_so, rm_eo; } regmatch_t;

static inline int regcomp(regex_t *r, const char *text, int flags)
{
	r->error = pattern_compile(&r->pattern, text, flags & REG_EXTENDED, flags & REG_NEWLINE);
	return r->error != NULL;
}

static inline size_t regerror(int error, const regex_t *r, char *text, size_t size)
{
	return (size_t)snprintf(text, size, "%s", error ? r->error : "Success") + 1;
}

static inline int regexec(const regex_t *r, const char *text, size_t count, regmatch_t *match, int flags)
{
	size_t begin, end;
	bool found = pattern_find(&r->pattern, text, &begin, &end);

	(void)flags;
	if (found && count)
		*match = (regmatch_t){ (ptrdiff_t)begin, (ptrdiff_t)end };
	return !found;
}

static inline void regfree(regex_t *r) { pattern_free(&r->pattern); }

#endif
