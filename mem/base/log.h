/* What the guest did wrong, or what a part does not model, goes here as text; the machine's owner decides whether to show it.
 * The library itself never prints. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdarg.h>
#include <stdio.h>
#include "mem/base/bits.h"

struct log {
	void (*line)(void *owner, const char *text); /* one line, no newline; NULL: nobody listens */
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
