/* SPDX-License-Identifier: MIT */
/* The log of guest errors and unimplemented features, as text. The machine's owner decides whether to show it; the
 * library never prints. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include <stdio.h>
#include "mem/base/bits.h"

struct log {
	void (*line)(void *owner, const char *text); /* one line, no newline; NULL: not logged */
	void *owner;
};

__attribute__((format(printf, 2, 3)))
static inline void log_line(const struct log *log, const char *format, ...)
{
	char text[256];
	va_list ap;

	if (!log || !log->line)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	log->line(log->owner, text);
}

#endif
